// The frame of a plot: a box with two axes, ticks at round numbers, and a readout under the pointer.

import { svg } from "./element.js";
import { short } from "./format.js";

export function linear(low, high, from, to) {
  const span = high - low || 1;
  const scale = (value) => from + ((value - low) / span) * (to - from);
  scale.inverse = (place) => low + ((place - from) / (to - from)) * span;
  scale.ticks = (count) => roundNumbers(low, high, count);
  return scale;
}

export function logarithmic(low, high, from, to) {
  const inner = linear(Math.log10(low), Math.log10(high), from, to);
  const scale = (value) => inner(Math.log10(value));
  scale.inverse = (place) => 10 ** inner.inverse(place);
  scale.ticks = () => powers(low, high);
  return scale;
}

function roundNumbers(low, high, count) {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(i * step);
  return ticks;
}

function powers(low, high) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const every = Math.max(1, Math.ceil((last - first) / 4));
  const ticks = [];
  for (let power = first; power <= last; power += every) ticks.push(10 ** power);
  return ticks;
}

export class Plot {
  constructor(width, height, { left = 46, right = 14, top = 18, bottom = 34, label }) {
    Object.assign(this, { width, height, left, top, right: width - right, bottom: height - bottom });
    this.root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  }

  add(name, attributes, ...children) {
    const element = svg(name, attributes, ...children);
    this.root.append(element);
    return element;
  }

  xAxis(scale, title, format = short) {
    this.add("line", { class: "axis", x1: this.left, x2: this.right, y1: this.bottom, y2: this.bottom });
    for (const tick of scale.ticks(Math.max(2, Math.floor((this.right - this.left) / 75)))) {
      this.add("line", { class: "axis", x1: scale(tick), x2: scale(tick), y1: this.bottom, y2: this.bottom + 4 });
      this.add("text", { x: scale(tick), y: this.bottom + 15, "text-anchor": "middle" }, format(tick));
    }
    this.add("text", { x: (this.left + this.right) / 2, y: this.bottom + 30, "text-anchor": "middle" }, title);
  }

  yAxis(scale, title, format = short) {
    for (const tick of scale.ticks(4)) {
      this.add("line", { class: "grid", x1: this.left, x2: this.right, y1: scale(tick), y2: scale(tick) });
      this.add("text", { x: this.left - 6, y: scale(tick) + 4, "text-anchor": "end" }, format(tick));
    }
    this.add("text", { x: 0, y: this.top - 8 }, title);
  }

  // Shows `describe(x)` and a line at the pointer, where it gives a text.
  readout(scale, describe) {
    const line = this.add("line", { class: "cursor", y1: this.top, y2: this.bottom, visibility: "hidden" });
    const text = this.add("text", { class: "readout", x: this.right, y: this.top - 8 });
    const clear = () => {
      line.setAttribute("visibility", "hidden");
      text.textContent = "";
    };
    this.root.addEventListener("pointerleave", clear);
    this.root.addEventListener("pointermove", (event) => {
      const box = this.root.getBoundingClientRect();
      const place = ((event.clientX - box.left) / box.width) * this.width;
      if (place < this.left || place > this.right) return clear();
      text.textContent = describe(scale.inverse(place)) ?? "";
      line.setAttribute("x1", place);
      line.setAttribute("x2", place);
      line.setAttribute("visibility", "visible");
    });
  }
}
