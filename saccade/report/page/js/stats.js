// How sure one may be of scores and of their differences. The same formulas as saccade/run/stats.py where that has them.

import { wilson } from "./held_out.js";

const BOUND = 1.959964; // of a two-sided 95 % interval
export const FEW_SAMPLES = 20; // with fewer, the normal interval of a mean of partial scores is too narrow

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

// {mean, low, high} of scores from 0 to 1; null where there are none. Wilson's interval where each is 0 or 1, and as a cautious stand-in
// where they are few or all the same; else the normal one.
export function meanEstimate(scores) {
  if (!scores.length) return null;
  const mean = meanOf(scores);
  const error = standardError(scores, mean);
  if (areBits(scores) || scores.length < FEW_SAMPLES || error === 0) return { mean, ...wilson(Math.min(1, Math.max(0, mean)), scores.length) };
  return { mean, low: Math.max(0, mean - BOUND * error), high: Math.min(1, mean + BOUND * error) };
}

// {mean, low, high, method} of the differences after - before of the same samples; null where there are none.
// Agresti and Min (2005) for scores of 0 and 1: a Wald interval after half a sample is added to each of the four outcomes, so that "nothing
// changed" is not certainty. Partial scores take the same formula with squares for counts where they are few, else the normal interval.
export function pairedDifference(before, after) {
  if (!before.length) return null;
  const differences = after.map((value, n) => value - before[n]);
  const mean = meanOf(differences);
  const error = standardError(differences, mean);
  const isBits = areBits(before) && areBits(after);
  if (!isBits && differences.length >= FEW_SAMPLES && error > 0) {
    return { mean, low: Math.max(-1, mean - BOUND * error), high: Math.min(1, mean + BOUND * error), method: "normal" };
  }
  const n = differences.length + 2;
  const gain = differences.reduce((sum, one) => sum + one, 0);
  const squares = differences.reduce((sum, one) => sum + one * one, 0) + 1;
  const half = (BOUND * Math.sqrt(squares - gain ** 2 / n)) / n;
  const method = isBits ? "Agresti and Min" : "Agresti and Min, for partial scores";
  return { mean, low: Math.max(-1, gain / n - half), high: Math.min(1, gain / n + half), method };
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
