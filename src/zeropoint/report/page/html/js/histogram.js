// A histogram with a logarithmic height, and below it the range that each calibrator would choose.

import { short, whole } from "./format.js";
import { linear, logarithmic, Plot } from "./plot.js";

const ROW = 17;

export function histogram(width, { histogram: { low, width: step, counts }, ranges }, { x: title, label }) {
  const plot = new Plot(width, 206 + ROW * ranges.length, { left: 94, bottom: 38 + ROW * ranges.length, label });
  const chosen = ranges.find((range) => range.chosen);
  const end = low + step * counts.length;
  const ends = ranges.flatMap((range) => [range.low, range.high]);
  const x = linear(Math.min(low, ...ends), Math.max(end, ...ends), plot.left, plot.right);
  const y = logarithmic(0.7, 1.3 * Math.max(...counts, 1), plot.bottom, plot.top);
  plot.yAxis(y, "count, log", (count) => (count < 1e6 ? whole(count) : short(count)));
  if (chosen) clipped(plot, x, chosen);
  plot.add("path", { class: "area", d: outline(counts, low, step, x, y, plot.bottom) });
  plot.xAxis(x, title);
  ranges.forEach((range, row) => bracket(plot, x, range, plot.bottom + 44 + ROW * row));
  plot.readout(x, (at) => {
    const bin = Math.floor((at - low) / step);
    return bin in counts ? `${short(low + bin * step)} to ${short(low + (bin + 1) * step)}: ${whole(counts[bin])}` : "";
  });
  return plot.root;
}

function outline(counts, low, step, x, y, bottom) {
  const parts = counts.map((count, bin) => {
    const height = count ? y(count) : bottom;
    return `L${x(low + bin * step).toFixed(1)} ${height.toFixed(1)}H${x(low + (bin + 1) * step).toFixed(1)}`;
  });
  return `M${x(low).toFixed(1)} ${bottom}${parts.join("")}V${bottom}Z`;
}

function clipped(plot, x, { low, high }) {
  const height = plot.bottom - plot.top;
  const [from, to] = [x(low), x(high)];
  plot.add("rect", { class: "cut", x: plot.left, y: plot.top, width: Math.max(0, from - plot.left), height });
  plot.add("rect", { class: "cut", x: to, y: plot.top, width: Math.max(0, plot.right - to), height });
  for (const at of [from, to]) {
    plot.add("line", { class: "bound", x1: at, x2: at, y1: plot.top, y2: plot.bottom });
  }
}

function bracket(plot, x, { name, calibrator, low, high, chosen }, y) {
  const style = chosen ? "is-chosen" : "";
  const [from, to] = [x(low), x(high)];
  plot.add("text", { class: style, x: plot.left - 8, y: y + 4, "text-anchor": "end" }, name);
  const path = plot.add("path", { class: `range ${style}`, d: `M${from} ${y - 4}V${y + 4}M${from} ${y}H${to}M${to} ${y - 4}V${y + 4}` });
  const hint = document.createElementNS("http://www.w3.org/2000/svg", "title");
  hint.textContent = `${calibrator}: ${short(low)} to ${short(high)}`;
  path.append(hint);
}
