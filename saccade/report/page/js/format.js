// Numbers and untrusted text for a person.

const THOUSANDS = new Intl.NumberFormat("en-US"); // made once: toLocaleString makes one for every number

// Three significant digits, thousands apart; "none" where there is nothing.
export function figure(value, digits = 3) {
  if (value === null || value === undefined) return "none";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 10 ** digits - 0.5 || Number.isInteger(value)) return THOUSANDS.format(Math.round(value));
  if (size < 0.001) return value.toExponential(1);
  return value.toPrecision(digits).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

export function signed(value, digits = 3) {
  const text = figure(value, digits).replaceAll("-", "−");
  return typeof value === "number" && value > 0 ? `+${text}` : text;
}

export function percent(value) {
  return value === null || value === undefined ? "none" : `${(100 * value).toFixed(1)} %`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "none";
  if (value < 100) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
  const minutes = Math.round(value / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// Characters that reorder or hide text. A model may write them; a reader should see that it did.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u{e0000}-\u{e007f}]/gu;

// The text with such characters written out, as ⟦U+202E⟧. Elements that show it also isolate its direction (class "said").
export function visible(text) {
  return String(text).replace(HIDDEN, (letter) => `⟦U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟧`);
}

export function plural(n, one, many = `${one}s`) {
  return `${figure(n)} ${n === 1 ? one : many}`;
}

// Any JSON value in a line: a target, say.
export function shown(value) {
  return visible(typeof value === "string" ? value : JSON.stringify(value));
}
