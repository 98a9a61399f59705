// Float against integers: each point is one element of the layer's result on the samples.

import { linear, Plot } from "./plot.js";

export function scatter(width, points) {
  const plot = new Plot(width, 250, { label: "The layer's values in float and in integers" });
  const all = points.flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const x = linear(low, high, plot.left, plot.right);
  const y = linear(low, high, plot.bottom, plot.top);
  plot.yAxis(y, "in integers");
  plot.xAxis(x, "in float");
  plot.add("line", { class: "diagonal", x1: x(low), y1: y(low), x2: x(high), y2: y(high) });
  const d = points.map(([real, integer]) => `M${x(real).toFixed(1)} ${y(integer).toFixed(1)}h0`).join("");
  plot.add("path", { class: "points", d });
  return plot.root;
}
