// A uPlot in the page's colours, with intervals, stacks and the ends of stages drawn in.

import { Plot } from "./lib.js";
import { valueRange } from "./chart_data.js";

const known = new Map();
addEventListener("themechange", () => known.clear());

// The value of a colour variable in the present theme.
export function inkOf(name) {
  if (!known.has(name)) known.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return known.get(name);
}

const FONT = '11px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
const DASH = [6, 4];

// `spec`: {series, lines, unit, stack, marks, sync, written(value)}. marks: [{x, label}] are drawn as thin verticals.
export function newPlot(spec, { box, width, height, onCursor }) {
  const options = {
    width,
    height,
    padding: [10, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false, uni: 8 }, ...(spec.sync && { sync: { key: spec.sync, setSeries: false, scales: ["x", null] } }) },
    scales: {
      x: { time: false, range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) },
      y: { range: (_, low, high) => valueRange(spec.stack ? 0 : low, high, spec.unit) },
    },
    axes: [axis({ space: 44, size: 24, incrs: [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4, 5, 6].map((power) => n * 10 ** power)).sort((a, b) => a - b) }),
      axis({ space: 30, values: (_, splits) => splits.map(spec.written), size: (_, values) => 14 + 6.4 * Math.max(3, ...(values ?? []).map((text) => text.length)) })],
    series: [{}, ...spec.lines.map((line) => drawn(line, spec))],
    hooks: {
      drawClear: [(plot) => (spec.stack ? fillStack(plot, spec) : fillIntervals(plot, spec))],
      draw: [(plot) => drawMarks(plot, spec.marks)],
      setCursor: [onCursor],
    },
  };
  return new Plot(options, dataOf(spec), box);
}

export function dataOf(spec) {
  return [spec.x, ...spec.lines.map((line) => line.y)];
}

function axis(more) {
  return { font: FONT, stroke: () => inkOf("--ink-3"), grid: { stroke: () => inkOf("--line"), width: 1 }, ticks: { show: false }, gap: 6, ...more };
}

function drawn({ of, role, y }, { series }) {
  const one = series[of];
  const stroke = () => inkOf(one.color);
  const base = { scale: "y", spanGaps: true, stroke, dash: one.dash ? DASH : undefined };
  if (role === "end") return { ...base, paths: () => null, points: { show: false } };
  if (role === "faint") return { ...base, width: 1, alpha: 0.3, points: { show: false } };
  const n = y.reduce((count, value) => count + (value !== null), 0);
  return { ...base, width: 1.75, points: { show: Boolean(one.points) || n < 3, size: 6, fill: stroke, stroke } };
}

// Intervals behind the lines: a band, and a whisker at each point.
function fillIntervals(plot, { own, series }) {
  const { ctx } = plot;
  inside(plot, () => own.forEach((one, n) => {
    if (!one.low) return;
    const at = one.x.map((x, i) => [plot.valToPos(x, "x", true), plot.valToPos(one.low[i], "y", true), plot.valToPos(one.high[i], "y", true), one.low[i]])
      .filter(([, , , low]) => low !== null);
    ctx.fillStyle = ctx.strokeStyle = inkOf(series[n].color);
    ctx.globalAlpha = 0.13;
    ctx.beginPath();
    at.forEach(([x, , high]) => ctx.lineTo(x, high));
    [...at].reverse().forEach(([x, low]) => ctx.lineTo(x, low));
    ctx.fill();
    ctx.globalAlpha = 0.5;
    ctx.lineWidth = Plot.pxRatio;
    if (at.length <= 30) at.forEach(([x, low, high]) => line(ctx, x, low, x, high));
  }));
}

function fillStack(plot, { x, lines, series }) {
  const { ctx } = plot;
  const floor = plot.valToPos(plot.scales.y.min, "y", true);
  inside(plot, () => lines.forEach((row, n) => {
    const at = x.map((value, i) => [plot.valToPos(value, "x", true), row.y[i], n ? lines[n - 1].y[i] : null]).filter(([, top]) => top !== null);
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
  inside(plot, () => marks.forEach(({ x, label }) => {
    const at = Math.round(plot.valToPos(x, "x", true));
    ctx.strokeStyle = inkOf("--line-strong");
    ctx.fillStyle = inkOf("--ink-3");
    ctx.lineWidth = size;
    ctx.setLineDash([3 * size, 3 * size]);
    line(ctx, at, bbox.top, at, bbox.top + bbox.height);
    ctx.font = FONT.replace("11px", `${10 * size}px`);
    const fits = at + ctx.measureText(label).width + 6 * size < bbox.left + bbox.width;
    ctx.textAlign = fits ? "left" : "right";
    ctx.fillText(label, at + (fits ? 4 : -4) * size, bbox.top + 9 * size);
  }));
}

function inside(plot, draw) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top - 2 * Plot.pxRatio, bbox.width, bbox.height + 4 * Plot.pxRatio);
  ctx.clip();
  draw();
  ctx.restore();
}

function line(ctx, x0, y0, x1, y1) {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
