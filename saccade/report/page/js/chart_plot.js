// A uPlot in the page's colours, with intervals, stacks and the ends of stages drawn in.

import { Plot } from "./lib.js";
import { valueRange } from "./chart_data.js";

const inks = new Map();
addEventListener("themechange", () => inks.clear());

// The value of a colour variable in the present theme.
export function inkOf(name) {
  if (!inks.has(name)) inks.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return inks.get(name);
}

const PLOT_FONT = '11px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
// Lines are told apart by their dashes as well as by colour.
const PLOT_DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];
const WHOLE = [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power)); // steps between the positions on x

// `spec`: what chartLines gives, and {series, unit, stack, marks, sync, written(value, distance of ticks, largest tick)};
// marks, [{x, label}], are drawn as thin verticals.
export function newPlot(spec, { box, width, height, onCursor }) {
  const sync = spec.sync && { sync: { key: spec.sync, setSeries: false, scales: ["x", null] } };
  const options = {
    width,
    height,
    padding: [10, 14, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, uni: 8 }, ...sync },
    scales: {
      x: { time: false, range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) },
      y: { range: (_, low, high) => valueRange(spec.stack ? 0 : low, high, spec.unit) },
    },
    axes: [
      plotAxis({ space: 44, size: 24, incrs: WHOLE }),
      plotAxis({ space: 30, values: (_, splits) => axisTexts(splits, spec.written), size: axisWidth }),
    ],
    series: [{}, ...spec.lines.map((line) => plotLine(line, spec))],
    hooks: {
      drawClear: [(plot) => (spec.stack ? fillStack(plot, spec) : fillIntervals(plot, spec))],
      draw: [(plot) => drawMarks(plot, spec.marks)],
      setCursor: [onCursor],
    },
  };
  return new Plot(options, dataOf(spec), box);
}

export function dashOf(one) {
  return PLOT_DASHES[Number(one.dash ?? 0) % PLOT_DASHES.length];
}

export function dataOf(spec) {
  return [spec.x, ...spec.lines.map((line) => line.y)];
}

function axisTexts(splits, written) {
  const most = Math.max(...splits.map(Math.abs));
  return splits.map((value) => written(value, splits.length > 1 ? splits[1] - splits[0] : 1, most));
}

function axisWidth(_, values) {
  return 14 + 6.4 * Math.max(3, ...(values ?? []).map((text) => text.length));
}

function plotAxis(more) {
  const grid = { stroke: () => inkOf("--line"), width: 1 };
  return { font: PLOT_FONT, stroke: () => inkOf("--ink-3"), grid, ticks: { show: false }, gap: 6, ...more };
}

function plotLine({ of, role, y }, { series }) {
  const one = series[of];
  const stroke = () => inkOf(one.color);
  const base = { scale: "y", spanGaps: true, stroke };
  if (role === "limit") return { ...base, paths: () => null, points: { show: false } };
  if (role === "faint") return { ...base, width: 1, alpha: 0.3, points: { show: false } };
  const n = y.reduce((count, value) => count + (value !== null), 0);
  return { ...base, width: 1.75, dash: dashOf(one), points: { show: Boolean(one.points) || n < 3, size: 6, fill: stroke, stroke } };
}

// Intervals behind the lines: a band, and a whisker at each point.
function fillIntervals(plot, { own, series }) {
  const { ctx } = plot;
  withinPlot(plot, () => own.forEach((one, n) => {
    if (!one.low) return;
    const known = one.x.map((_, i) => i).filter((i) => one.low[i] !== null);
    const at = known.map((i) => [plot.valToPos(one.x[i], "x", true), ...[one.low[i], one.high[i]].map((y) => plot.valToPos(y, "y", true))]);
    ctx.fillStyle = ctx.strokeStyle = inkOf(series[n].color);
    ctx.globalAlpha = 0.13;
    ctx.beginPath();
    at.forEach(([x, , high]) => ctx.lineTo(x, high));
    [...at].reverse().forEach(([x, low]) => ctx.lineTo(x, low));
    ctx.fill();
    ctx.globalAlpha = 0.5;
    ctx.lineWidth = Plot.pxRatio;
    if (at.length <= 30) at.forEach(([x, low, high]) => strokeLine(ctx, x, low, x, high));
  }));
}

function fillStack(plot, { x, lines, series }) {
  const { ctx } = plot;
  const floor = plot.valToPos(plot.scales.y.min, "y", true);
  withinPlot(plot, () => lines.forEach((row, n) => {
    const known = x.map((_, i) => i).filter((i) => row.y[i] !== null);
    const at = known.map((i) => [plot.valToPos(x[i], "x", true), row.y[i], n ? lines[n - 1].y[i] : null]);
    ctx.fillStyle = inkOf(series[n].color);
    ctx.globalAlpha = 0.3;
    ctx.beginPath();
    at.forEach(([left, top]) => ctx.lineTo(left, plot.valToPos(top, "y", true)));
    at.reverse().forEach(([left, , under]) => ctx.lineTo(left, under === null ? floor : plot.valToPos(under, "y", true)));
    ctx.fill();
  }));
}

function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  const size = Plot.pxRatio;
  const { min, max } = plot.scales.x;
  withinPlot(plot, () => marks.filter(({ x }) => x >= min && x <= max).forEach(({ x, label }) => {
    const at = Math.round(plot.valToPos(x, "x", true));
    ctx.strokeStyle = inkOf("--line-strong");
    ctx.fillStyle = inkOf("--ink-3");
    ctx.lineWidth = size;
    ctx.setLineDash([3 * size, 3 * size]);
    strokeLine(ctx, at, bbox.top, at, bbox.top + bbox.height);
    ctx.font = PLOT_FONT.replace("11px", `${10 * size}px`);
    const fits = at + ctx.measureText(label).width + 6 * size < bbox.left + bbox.width;
    ctx.textAlign = fits ? "left" : "right";
    ctx.fillText(label, at + (fits ? 4 : -4) * size, bbox.top + 9 * size);
  }));
}

function withinPlot(plot, draw) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top - 2 * Plot.pxRatio, bbox.width, bbox.height + 4 * Plot.pxRatio);
  ctx.clip();
  draw();
  ctx.restore();
}

function strokeLine(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
