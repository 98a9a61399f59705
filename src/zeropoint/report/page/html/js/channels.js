// The greatest magnitude of each channel: outliers and dead channels stand out.

import { short } from "./format.js";
import { linear, logarithmic, Plot } from "./plot.js";

const LOGARITHMIC_FROM = 30; // Above this ratio of greatest to median, small channels would be invisible.
const DECADES = 4;

export function channels(width, { maxima, dead, outliers }) {
  const plot = new Plot(width, 206, { label: "The greatest magnitude of each channel" });
  const high = Math.max(...maxima) || 1;
  const alive = maxima.filter((maximum) => maximum > 0).sort((a, b) => a - b);
  const median = alive[alive.length >> 1] ?? 1;
  const wide = high / median > LOGARITHMIC_FROM;
  const floor = Math.max(Math.min(...alive, high), high / 10 ** DECADES) / 2;
  const y = wide ? logarithmic(floor, 1.1 * high, plot.bottom, plot.top) : linear(0, 1.05 * high, plot.bottom, plot.top);
  const x = linear(0, maxima.length, plot.left, plot.right);
  const thickness = Math.max(0.7, Math.min(14, (0.72 * (plot.right - plot.left)) / maxima.length));
  plot.yAxis(y, wide ? "greatest magnitude, log" : "greatest magnitude");
  plot.xAxis(x, "channel");
  const kinds = { "": [], outlier: [], dead: [] };
  const [isDead, isOutlier] = [new Set(dead), new Set(outliers)];
  maxima.forEach((maximum, channel) => {
    const kind = isDead.has(channel) ? "dead" : isOutlier.has(channel) ? "outlier" : "";
    const top = isDead.has(channel) ? plot.bottom - 5 : Math.min(plot.bottom, y(Math.max(maximum, wide ? floor : 0)));
    kinds[kind].push(`M${x(channel + 0.5).toFixed(1)} ${plot.bottom}V${top.toFixed(1)}`);
  });
  for (const [kind, lines] of Object.entries(kinds)) {
    plot.add("path", { class: `channels ${kind}`, "stroke-width": thickness, d: lines.join("") || "M0 0" });
  }
  plot.readout(x, (at) => {
    const channel = Math.floor(at);
    if (!(channel in maxima)) return "";
    const kind = isDead.has(channel) ? ", dead" : isOutlier.has(channel) ? ", outlier" : "";
    return `channel ${channel}: ${short(maxima[channel])}${kind}`;
  });
  return plot.root;
}
