// What a term means, shown at the term: on hover, on focus, on touch. The text is the glossary's.

import { html } from "./element.js";

const GAP = 8;
const MARGIN = 12;
const tip = html("div", { class: "tip", role: "tooltip", hidden: "" });

export function prepareTips() {
  document.body.append(tip);
  for (const kind of ["pointerover", "focusin"]) {
    document.addEventListener(kind, ({ target }) => {
      const described = target.closest?.("[aria-describedby]");
      if (described) showAt(described);
      else if (kind === "pointerover") hide();
    });
  }
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

function hide() {
  tip.hidden = true;
}

function showAt(target) {
  tip.textContent = document.getElementById(target.getAttribute("aria-describedby"))?.textContent ?? "";
  tip.hidden = false;
  const box = target.getBoundingClientRect();
  const most = document.documentElement.clientWidth - tip.offsetWidth - MARGIN;
  const below = box.bottom + GAP + tip.offsetHeight < window.innerHeight;
  const y = below ? box.bottom + GAP : box.top - GAP - tip.offsetHeight;
  tip.style.left = `${Math.max(MARGIN, Math.min(box.left, most)) + window.scrollX}px`;
  tip.style.top = `${y + window.scrollY}px`;
}
