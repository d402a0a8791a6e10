// Marks as shapes that can be drawn: checked, in fractions of the picture. The form of a mark is in docs/run-folder.md.

const SLACK = 0.002; // a box may touch the edge of its picture

// The mark as { shape, at, label, verb, ... }, or null where its numbers are no numbers. `at` is what a label hangs on: [x1, y1, x2, y2].
export function drawable(mark) {
  const words = { label: wordsOf(mark.label), verb: wordsOf(mark.verb), tone: mark.tone ?? 0, of: mark.of, picture: mark.picture ?? 0 };
  if (areNumbers(mark.box, 4)) {
    const [x1, y1, x2, y2] = mark.box;
    const at = [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
    return { ...words, shape: "box", at };
  }
  if (areNumbers(mark.point, 2)) {
    const [x, y] = mark.point;
    return { ...words, shape: "point", at: [x, y, x, y] };
  }
  if (Array.isArray(mark.line) && mark.line.length > 1 && mark.line.every((point) => areNumbers(point, 2))) {
    const xs = mark.line.map(([x]) => x);
    const ys = mark.line.map(([, y]) => y);
    return { ...words, shape: "line", line: mark.line, at: [leastOf(xs), leastOf(ys), mostOf(xs), mostOf(ys)] };
  }
  const mask = mark.mask;
  const isSide = (side) => Number.isInteger(side) && side > 0 && side <= 8192;
  if (mask && areNumbers(mask.size, 2) && mask.size.every(isSide) && Array.isArray(mask.counts)) {
    return { ...words, shape: "mask", mask, at: extent(mask) };
  }
  return null;
}

// The box around a mask, from its runs.
function extent({ size: [rows, columns], counts }) {
  let [place, x1, y1, x2, y2] = [0, columns, rows, 0, 0];
  counts.forEach((count, n) => {
    if (n % 2 && count > 0) {
      const [first, last] = [Math.floor(place / columns), Math.floor((place + count - 1) / columns)];
      x1 = Math.min(x1, first === last ? place % columns : 0);
      x2 = Math.max(x2, first === last ? (place % columns) + count : columns);
      y1 = Math.min(y1, first);
      y2 = Math.max(y2, last + 1);
    }
    place += count;
  });
  return x2 > x1 ? [x1 / columns, y1 / rows, x2 / columns, y2 / rows] : [0, 0, 0, 0];
}

// "inside", "partly" or "outside": whether what an answer points at lies in the picture.
export function whereabouts({ at: [x1, y1, x2, y2] }) {
  if (x2 < -SLACK || y2 < -SLACK || x1 > 1 + SLACK || y1 > 1 + SLACK) return "outside";
  return x1 < -SLACK || y1 < -SLACK || x2 > 1 + SLACK || y2 > 1 + SLACK ? "partly" : "inside";
}

// The mark in words, for readers who do not see the picture.
export function told(mark) {
  const [x1, y1, x2, y2] = mark.at.map(asShare);
  const where = {
    box: `box from ${x1}, ${y1} to ${x2}, ${y2}`,
    point: `point at ${x1}, ${y1}`,
    line: `line within ${x1}, ${y1} to ${x2}, ${y2}`,
    mask: "mask",
  }[mark.shape];
  return [mark.verb, mark.label, where].filter(Boolean).join(", ");
}

// The pixels of a mask, 0 or 1 by rows, with `side` on the longer side: { width, height, bits }.
export function maskBits({ size: [rows, columns], counts }, side) {
  const full = new Uint8Array(rows * columns);
  let place = 0;
  counts.forEach((count, n) => {
    const length = Number.isInteger(count) && count > 0 ? count : 0;
    if (n % 2) full.fill(1, place, Math.min(full.length, place + length));
    place += length;
  });
  const scale = side / Math.max(rows, columns);
  const width = Math.max(1, Math.round(columns * scale));
  const height = Math.max(1, Math.round(rows * scale));
  const bits = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = Math.floor((y * rows) / height) * columns;
    for (let x = 0; x < width; x++) bits[y * width + x] = full[from + Math.floor((x * columns) / width)];
  }
  return { width, height, bits };
}

const isPlace = (item) => Number.isFinite(item) && Math.abs(item) < 1e6;
const areNumbers = (value, n) => Array.isArray(value) && value.length === n && value.every(isPlace);
const wordsOf = (value) => (value === undefined || value === null ? "" : String(value));
const leastOf = (values) => values.reduce((a, b) => Math.min(a, b));
const mostOf = (values) => values.reduce((a, b) => Math.max(a, b));
const asShare = (value) => `${Math.round(value * 100)} %`;
