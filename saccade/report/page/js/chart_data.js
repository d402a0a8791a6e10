// What a chart draws, worked out from its series: means of neighbouring steps, stacks, one list of positions for all lines.
// A series is {name, x: [..], y: [..], low?: [..], high?: [..], color: "--s0", dash?: 0 to 3, points?}; x ascends, y may hold null.

// Mean of each value and those up to `steps - 1` places before it; begins anew after each of `breaks` (positions on x).
export function trailingMean(x, y, steps, breaks = []) {
  const means = new Array(y.length).fill(null);
  const kept = [];
  let sum = 0;
  let next = 0;
  for (let i = 0; i < y.length; i++) {
    while (next < breaks.length && x[i] > breaks[next]) {
      next += 1;
      kept.length = 0;
      sum = 0;
    }
    if (y[i] === null) continue;
    kept.push(y[i]);
    sum += y[i];
    if (kept.length > steps) sum -= kept[kept.length - 1 - steps];
    means[i] = sum / Math.min(kept.length, steps);
  }
  return means;
}

// All lines on one ascending list of positions, as uPlot wants them. `ends` widens it, so that charts side by side begin and end alike.
function alignedSeries(series, ends) {
  const same = series.every(({ x }) => x.length === series[0].x.length && x.every((value, i) => value === series[0].x[i]));
  const first = series[0].x;
  const covers = ends.every((end) => first.length && first[0] <= end && end <= first[first.length - 1]);
  if (same && covers) return { x: first, place: (_, values) => values };
  const x = [...new Set([...ends, ...series.flatMap((one) => one.x)])].sort((a, b) => a - b);
  const index = new Map(x.map((value, i) => [value, i]));
  const place = (one, values) => {
    const row = new Array(x.length).fill(null);
    one.x.forEach((value, i) => { row[index.get(value)] = values[i]; });
    return row;
  };
  return { x, place };
}

// {x, lines: [{of, y, role}], own: [series with `shown`, its strong line]}: `of` is the number of the series,
// role is "faint", "strong" or "limit" (of an interval).
export function chartLines(series, { smoothing = 0, stack = false, ends = [], breaks = [] }) {
  const isSmoothed = (one) => smoothing > 1 && !one.points && one.x.length > 2;
  const own = series.map((one) => ({ ...one, shown: isSmoothed(one) ? trailingMean(one.x, one.y, smoothing, breaks) : one.y }));
  const { x, place } = alignedSeries(own, ends);
  if (stack) {
    const tops = [];
    own.forEach((one, n) => {
      const row = place(one, one.shown);
      tops.push(row.map((value, i) => (value === null ? null : value + (n ? tops[n - 1][i] ?? 0 : 0))));
    });
    return { x, own, lines: tops.map((y, of) => ({ of, y, role: "strong" })) };
  }
  const faint = own.flatMap((one, of) => (isSmoothed(one) ? [{ of, y: place(one, one.y), role: "faint" }] : []));
  const limits = own.flatMap((one, of) => (one.low ? [one.low, one.high].map((y) => ({ of, y: place(one, y), role: "limit" })) : []));
  const strong = own.map((one, of) => ({ of, y: place(one, one.shown), role: "strong" }));
  return { x, own, lines: [...limits, ...faint, ...strong] };
}

// Where the vertical axis begins and ends. From 0 where that costs little room; a share never goes beyond 1.
export function valueRange(low, high, unit) {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  if (low === high && low === 0) return unit === "share" ? [0, 0.1] : [0, 1];
  const room = 0.08 * (high - low) || 0.3 * Math.abs(high);
  const from = low >= 0 && low < 0.6 * high ? 0 : low - room;
  const isShare = unit === "share" && high <= 1 && low >= 0;
  if (isShare) return [Math.max(0, from), Math.min(1, high + room)];
  return [from, high > 0 ? high + room : Math.min(0, high + room)];
}

// The number of the last position at or before `at`; -1 where there is none, or where the series has ended before.
export function placeAt(x, at) {
  if (!x.length || at > x[x.length - 1]) return -1;
  let low = 0;
  let high = x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// At most `most` numbers from 0 to n - 1, evenly spaced, the first and the last among them.
export function evenlySpaced(n, most) {
  if (n <= most) return [...Array(n).keys()];
  return Array.from({ length: most }, (_, i) => Math.round((i * (n - 1)) / (most - 1)));
}
