// The page: one chosen layer, held in the address (#layer=...), shown in table, map and panel.

import { draw, show } from "./detail.js";
import { markNode, prepareMap } from "./map.js";
import { markRow, neighbour, prepareTable } from "./table.js";
import { prepareTips } from "./tips.js";

const PREFIX = "#layer=";
const layers = JSON.parse(document.getElementById("data").textContent).layers;
const byValue = new Map(layers.map((layer) => [layer.value, layer]));
const detail = document.getElementById("detail");
let chosen = null;

function choose(value) {
  const layer = byValue.get(value);
  if (!layer || layer === chosen) return;
  chosen = layer;
  markRow(value);
  markNode(value);
  show(layer);
  for (const [id, distance] of [["previous", -1], ["next", 1]]) {
    document.getElementById(id).disabled = neighbour(value, distance) === null;
  }
  const address = PREFIX + encodeURIComponent(value);
  if (location.hash !== address) history.replaceState(null, "", address);
}

// The panel into view: with the focus if it was asked for by keyboard.
function open(withFocus, behavior = "auto") {
  const box = detail.getBoundingClientRect();
  const hidden = box.top > window.innerHeight - 220 || box.bottom < 120;
  if (withFocus) detail.focus({ preventScroll: true });
  if (withFocus || hidden) detail.scrollIntoView({ block: "start", behavior });
}

function fromAddress() {
  if (!location.hash.startsWith(PREFIX)) return false;
  try {
    const value = decodeURIComponent(location.hash.slice(PREFIX.length));
    choose(value);
    return byValue.has(value);
  } catch {
    return false; // no such encoding: somebody's typing error
  }
}

function prepareTheme() {
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const current = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  const label = () => (button.textContent = current() === "dark" ? "Light theme" : "Dark theme");
  button.addEventListener("click", () => {
    const theme = current() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("zeropoint-theme", theme);
    } catch {
      // Not remembered, then.
    }
    label();
  });
  dark.addEventListener("change", label);
  label();
}

function prepareSteps() {
  for (const [id, distance] of [["previous", -1], ["next", 1]]) {
    document.getElementById(id).addEventListener("click", () => {
      const value = neighbour(chosen.value, distance);
      if (value !== null) choose(value);
    });
  }
}

prepareTheme();
prepareTips();
prepareMap();
prepareTable(choose, open);
prepareSteps();
addEventListener("hashchange", () => fromAddress() && open(false));
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#layer=']");
  // A link to the layer that is chosen already changes no address, so nothing else would happen.
  if (link && link.getAttribute("href") === location.hash) open(false);
});
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width && chosen) draw(chosen);
  width = innerWidth;
});
if (fromAddress()) open(false, "instant");
else if (layers.length) choose(document.querySelector(".layers").dataset.first ?? layers[0].value);
