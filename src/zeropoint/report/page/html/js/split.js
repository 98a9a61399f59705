// The parts of a layer's error, as a table of bars.

import { html, term } from "./element.js";
import { decibels, percent } from "./format.js";

export const PARTS = ["inherited", "weight", "bias", "clipping", "rounding"];

export function split(noise) {
  const total = PARTS.reduce((sum, part) => sum + (noise[part] ?? 0), 0);
  const box = html("div", { class: "split" });
  for (const part of PARTS) {
    const energy = noise[part] ?? 0;
    const share = total ? energy / total : 0;
    const fill = html("div", { class: `fill ${part}` });
    fill.style.width = `${100 * share}%`;
    box.append(
      html("span", {}, term(part, part)),
      html("div", { class: "track" }, fill),
      html("span", { class: "right num" }, percent(share, 1)),
      html("span", { class: "right num muted" }, energy > 0 ? decibels(-10 * Math.log10(energy)) : "none"),
    );
  }
  return box;
}
