// How sure one may be of scores and of their differences. The same formulas as saccade/run/stats.py where that has them.

import { wilson } from "./held_out.js";

const BOUND = 1.959964; // of a two-sided 95 % interval

// Exact two-sided McNemar test: how likely so uneven a split of the samples that changed is if either way is as likely.
export function mcnemar(lost, won) {
  const n = lost + won;
  const few = Math.min(lost, won);
  if (2 * few >= n) return 1;
  let log = -n * Math.LN2; // of C(n, k) / 2^n
  for (let k = 1; k <= few; k++) log += Math.log((n - k + 1) / k);
  let term = Math.exp(log);
  let tail = term;
  for (let k = few; k > 0; k--) {
    term *= k / (n - k + 1);
    tail += term;
  }
  return Math.min(1, 2 * tail);
}

// {mean, low, high} of scores from 0 to 1: Wilson's interval where each is 0 or 1, else the normal one. null where there are none.
export function meanEstimate(scores) {
  if (!scores.length) return null;
  const mean = meanOf(scores);
  if (areBits(scores)) return { mean, ...wilson(mean, scores.length) };
  const half = BOUND * standardError(scores, mean);
  return { mean, low: Math.max(0, mean - half), high: Math.min(1, mean + half) };
}

// {mean, low, high, method} of the differences after - before of the same samples.
export function pairedDifference(before, after) {
  if (!before.length) return null;
  const differences = after.map((value, n) => value - before[n]);
  if (areBits(before) && areBits(after)) {
    // Agresti and Min (2005): half a sample more in each of the four outcomes, so that "nothing changed" is not certainty.
    const n = differences.length + 2;
    const gain = differences.reduce((sum, one) => sum + one, 0);
    const changed = differences.reduce((sum, one) => sum + Math.abs(one), 0) + 1;
    const half = (BOUND * Math.sqrt(changed - gain ** 2 / n)) / n;
    return { mean: meanOf(differences), low: Math.max(-1, gain / n - half), high: Math.min(1, gain / n + half), method: "Agresti and Min" };
  }
  const mean = meanOf(differences);
  const half = BOUND * standardError(differences, mean);
  return { mean, low: Math.max(-1, mean - half), high: Math.min(1, mean + half), method: "normal, over samples" };
}

export function meanOf(values) {
  return values.length ? values.reduce((sum, one) => sum + one, 0) / values.length : null;
}

export function areBits(scores) {
  return scores.every((score) => score === 0 || score === 1);
}

function standardError(values, mean) {
  if (values.length < 2) return 0;
  const squares = values.reduce((sum, one) => sum + (one - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1) / values.length);
}
