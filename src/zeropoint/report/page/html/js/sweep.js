// What another scale would give: SQNR over the factor that the chosen scale is multiplied with.

import { decibels, short } from "./format.js";
import { linear, logarithmic, Plot } from "./plot.js";

export function sweep(width, curves) {
  const plot = new Plot(width, 206, { label: "SQNR over the scale" });
  const shown = Object.entries(curves).filter(([, curve]) => curve);
  const factors = shown.flatMap(([, curve]) => curve.factors);
  const heights = shown.flatMap(([, curve]) => curve.sqnr_db).filter((height) => height !== null);
  const x = logarithmic(Math.min(...factors), Math.max(...factors), plot.left, plot.right);
  x.ticks = () => [0.125, 0.25, 0.5, 1, 2, 4, 8].filter((factor) => factor >= Math.min(...factors) && factor <= Math.max(...factors));
  const y = linear(Math.min(...heights, 0), 1.06 * Math.max(...heights, 1), plot.bottom, plot.top);
  plot.yAxis(y, "SQNR, dB");
  plot.xAxis(x, "times the chosen scale", (factor) => `${factor}\u00d7`);
  plot.add("line", { class: "cursor", x1: x(1), x2: x(1), y1: plot.top, y2: plot.bottom });
  for (const [name, curve] of shown) {
    const places = curve.factors.map((factor, i) => [factor, curve.sqnr_db[i]]).filter(([, height]) => height !== null);
    const d = places.map(([factor, height], i) => `${i ? "L" : "M"}${x(factor).toFixed(1)} ${y(height).toFixed(1)}`);
    plot.add("path", { class: `line of-${name}`, d: d.join("") || "M0 0" });
    const best = places.reduce((found, place) => (place[1] > found[1] ? place : found), places[0]);
    if (best) plot.add("circle", { class: `dot of-${name}`, cx: x(best[0]), cy: y(best[1]), r: 4 });
  }
  plot.readout(x, (at) => {
    const parts = shown.map(([name, curve]) => `${name} ${decibels(nearest(curve, at))}`);
    return `${short(at)}\u00d7: ${parts.join(", ")}`;
  });
  return plot.root;
}

function nearest({ factors, sqnr_db: heights }, at) {
  let best = 0;
  factors.forEach((factor, i) => {
    if (Math.abs(Math.log(factor / at)) < Math.abs(Math.log(factors[best] / at))) best = i;
  });
  return heights[best];
}
