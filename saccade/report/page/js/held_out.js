// The held-out sets of a run: what is known of each, its scores before and after, and how sure they are.

import { checkpointPlace, curvesOf } from "./curves.js";

const Z = 1.959964; // of a two-sided 95 % interval

// Wilson's score interval of a share among n independent outcomes. For a mean of scores from 0 to 1 it is a little too wide.
export function wilson(share, n) {
  const spread = (Z * Z) / n;
  const middle = (share + spread / 2) / (1 + spread);
  const half = (Z * Math.sqrt((share * (1 - share)) / n + spread / (4 * n))) / (1 + spread);
  return { low: share <= 0 ? 0 : middle - half, high: share >= 1 ? 1 : middle + half };
}

// [{name, n, isShifted, selects}] of all sets, those that are reported before those that choose the checkpoint.
export function setsOf(run) {
  const sets = new Map();
  const add = (name, more = {}) => sets.set(name, { name, n: null, isShifted: false, selects: false, ...sets.get(name), ...more });
  const said = (one, n) => ({ n, isShifted: one.is_shifted, selects: one.selects });
  for (const one of run.recipe?.evaluations ?? []) add(one.name, said(one, one.samples));
  for (const [name, one] of Object.entries(run.summary?.evaluations ?? {})) add(name, said(one, one.n));
  for (const key of curvesOf(run).at.keys()) {
    const [area, name, what] = key.split("/");
    if (area === "eval" && what === "greedy" && !sets.has(name)) add(name);
  }
  for (const one of sets.values()) one.n ??= countedSamples(run.evaluations ?? [], one.name);
  return [...sets.values()].sort((a, b) => a.selects - b.selects);
}

function countedSamples(lines, set) {
  const moment = lines.find((line) => line.set === set)?.moment;
  return moment === undefined ? null : lines.reduce((n, line) => n + (line.set === set && line.moment === moment), 0);
}

// The figures of a set before training and after: {before, after: {metrics, x} or null, moment}. While a run goes on, after is the latest.
export function beforeAndAfter(run, set) {
  const { moments, stages } = curvesOf(run);
  const measured = moments.filter(({ line }) => Object.hasOwn(line, `eval/${set}/greedy`));
  const first = measured.find(({ name }) => name === "before");
  const before = first ? { metrics: first.line, x: first.x } : null;
  const found = run.summary?.evaluations;
  if (found && Object.hasOwn(found, set)) {
    const { chosen } = run.summary;
    return { before, after: { metrics: found[set].after.metrics, x: checkpointPlace(stages, chosen) }, moment: chosen };
  }
  const last = measured.filter(({ name }) => name !== "before").pop();
  return { before, after: last ? { metrics: last.line, x: last.x } : null, moment: last?.name ?? null };
}

// {low, high} of a set's "greedy" or "sampled" mean: as the run worked it out from its samples, else Wilson's; null where n is not known.
export function scoreInterval(run, set, mode, mean) {
  const { summary } = run;
  const own = (table) => (table && Object.hasOwn(table, set.name) ? [table[set.name]] : []);
  const pair = own(summary?.evaluations).flatMap((one) => [one.before, one.after]);
  const ends = Object.values(summary?.after_stage ?? {}).flatMap((one) => own(one));
  const exact = [...pair, ...ends].map((one) => one?.[mode]).find((one) => one && Math.abs(one.mean - mean) < 1e-12);
  if (exact) return { low: exact.low, high: exact.high };
  return set.n && mean >= 0 && mean <= 1 ? wilson(mean, set.n) : null;
}

// The curve of a set's "greedy" or "sampled" mean, with intervals.
export function scoreCurve(run, set, mode) {
  const curve = curvesOf(run).at.get(`eval/${set.name}/${mode}`);
  if (!curve) return null;
  const limits = curve.y.map((mean) => scoreInterval(run, set, mode, mean));
  if (limits.some((one) => one === null)) return { ...curve, points: true };
  return { ...curve, low: limits.map((one) => one.low), high: limits.map((one) => one.high), points: true };
}
