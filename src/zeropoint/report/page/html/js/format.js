// Numbers as text. Null stands for what is infinite or unknown.

export const MISSING = "\u2013";

export function decibels(value) {
  return value === null || value === undefined ? MISSING : `${value.toFixed(1)} dB`;
}

export function gain(value) {
  if (value === null || value === undefined) return MISSING;
  return `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(2)} dB`;
}

export function percent(share, digits = 2) {
  if (share === null || share === undefined) return MISSING;
  const value = 100 * share;
  if (value === 0) return "0 %";
  const least = 10 ** -digits;
  return value < least ? `< ${least} %` : `${value.toFixed(digits)} %`;
}

export function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace(".0e", "e").replace("e+", "e").replaceAll("-", "\u2212");
  return String(Number(value.toPrecision(3))).replace("-", "\u2212");
}

export function whole(value) {
  return value.toLocaleString("en");
}
