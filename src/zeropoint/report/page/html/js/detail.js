// The panel of the chosen layer: its facts, its plots, its findings.

import { channels } from "./channels.js";
import { html, term } from "./element.js";
import { decibels, gain, MISSING, percent, short, whole } from "./format.js";
import { histogram } from "./histogram.js";
import { scatter } from "./scatter.js";
import { split } from "./split.js";
import { sweep } from "./sweep.js";

const byId = (id) => document.getElementById(id);

export function show(layer) {
  byId("detail-name").textContent = layer.name;
  byId("detail-where").replaceChildren(...where(layer));
  byId("detail-facts").replaceChildren(...facts(layer));
  const findings = [...document.querySelectorAll("#findings > li")];
  const own = findings.filter((finding) => finding.dataset.value === layer.value);
  byId("detail-findings").replaceChildren(...own.map((finding) => finding.cloneNode(true)));
  draw(layer);
}

export function draw(layer) {
  const box = byId("detail-charts");
  box.replaceChildren();
  for (const [title, text, make] of charts(layer)) {
    const figure = html("figure", {}, html("figcaption", {}, html("b", {}, title), html("span", {}, text)));
    box.append(figure);
    figure.make = make;
  }
  // The columns are as wide as they will be only when all figures are there.
  for (const figure of box.children) figure.append(figure.make(figure.clientWidth));
}

function where(layer) {
  const parts = [`${layer.operator}, ${KINDS[layer.kind]}`];
  if (layer.value !== layer.name) parts.push(`writes ${layer.value}`);
  const grid = layer.grid;
  if (grid) parts.push(describe(grid));
  const box = [html("div", {}, parts.join(" \u00b7 "))];
  if (layer.line) box.push(html("code", {}, layer.line));
  return box;
}

const KINDS = { layer: "a layer in integers", input: "the model's input", fence: "a float value that integers read" };

function describe({ type, scale, zero_point: zero, low, high }) {
  const several = Array.isArray(scale);
  const size = several ? `${whole(scale.length)} scales, ${short(Math.min(...scale))} to ${short(Math.max(...scale))}` : `scale ${short(scale)}`;
  const point = Array.isArray(zero) ? "" : `, zero point ${zero}`;
  const span = several || low === null || low === undefined ? "" : `, codes ${low} to ${high}`;
  return `${type}, ${size}${point}${span}`;
}

function facts(layer) {
  const codes = layer.codes_used === null || layer.codes_used === undefined ? [MISSING] : [String(layer.codes_used), html("small", {}, ` of ${layer.codes}`)];
  const rows = [
    [term("sqnr", "SQNR"), decibels(layer.sqnr_db)],
    [term("own", "own error"), decibels(layer.own_db)],
    [term("inherited", "inherited"), decibels(layer.inherited_db)],
    [term("effect", "output if float"), gain(layer.gain_db)],
    [term("alone", "output if alone"), decibels(layer.alone_db)],
    [term("saturated", "saturated"), percent(layer.saturated)],
    [term("codes", "codes used"), ...codes],
    layer.macs ? [term("macs", "share of MACs"), percent(layer.share_of_macs, 1)] : null,
  ];
  return rows.filter(Boolean).map(([name, ...value]) => html("div", {}, html("dt", {}, name), html("dd", {}, ...value)));
}

function charts(layer) {
  const list = [];
  const { activations, weights } = layer;
  if (activations) {
    list.push(["Activations", "What the layer writes, in float, and the range that each calibrator would choose; what lies in the tinted ends is clipped.",
      (width) => histogram(width, activations, { x: "value", label: "Histogram of the activations" })]);
  }
  if (weights) {
    list.push(["Weights", `${weights.shape.join("\u00d7")}, each divided by its channel's scale: the codes they are rounded to. Ranges are those of the median channel.`,
      (width) => histogram(width, weights, { x: "weight / scale", label: "Histogram of the weights" })]);
  }
  list.push(["Where the error comes from", "Shares of the error's energy; in dB, the SQNR if there were no other part.", () => split(layer.noise)]);
  if (layer.scatter?.length) {
    list.push(["Float against integers", `${layer.scatter.length} values of the layer; without error all lie on the diagonal.`, (width) => scatter(width, layer.scatter)]);
  }
  if (activations?.sweep || weights?.sweep) {
    list.push(["Other scales", "Of the activations (orange) and of the weights (blue, dashed); the dots are the best.",
      (width) => sweep(width, { activations: activations?.sweep, weights: weights?.sweep })]);
  }
  if (layer.channels?.maxima?.length > 1) {
    list.push(["Channels", caption(layer.channels), (width) => channels(width, layer.channels)]);
  }
  return list;
}

function caption({ maxima, dead, outliers }) {
  return `${whole(maxima.length)} channels: ${count(outliers, "outlier")} (orange), ${dead.length} dead (grey).`;
}

function count(list, name) {
  return `${list.length} ${name}${list.length === 1 ? "" : "s"}`;
}
