// What was measured of a run's held-out sets: its lines of evaluations.jsonl by set and moment, and two moments paired by sample.

import { setsOf } from "./held_out.js";
import { visible } from "./format.js";

const measuredOfLines = new WeakMap();
const NO_MOMENTS = new Map();

// Map: set -> Map: moment -> lines, both in the order of the file. Worked out once per list of lines.
export function measuredOf(run) {
  const lines = run.evaluations ?? [];
  if (!measuredOfLines.has(lines)) {
    const sets = new Map();
    for (const line of lines) {
      if (!sets.has(line.set)) sets.set(line.set, new Map());
      const moments = sets.get(line.set);
      if (!moments.has(line.moment)) moments.set(line.moment, []);
      moments.get(line.moment).push(line);
    }
    measuredOfLines.set(lines, sets);
  }
  return measuredOfLines.get(lines);
}

// Names of the sets with measured samples in any run: those that are reported first.
export function measuredSets(runs) {
  const named = runs.flatMap((run) => setsOf(run).map(({ name }) => name).concat([...measuredOf(run).keys()]));
  return [...new Set(named)].filter((name) => runs.some((run) => measuredOf(run).has(name)));
}

// Every moment of every run at which the set was measured: [{key: "0:before", run: 0, moment, step, lines}].
export function momentsOfSet(runs, set) {
  return runs.flatMap((run, n) => [...(measuredOf(run).get(set) ?? NO_MOMENTS)].map(([moment, lines]) => (
    { key: `${n}:${moment}`, run: n, moment, step: lines[0].step, lines })));
}

// Two moments to begin with: of one run its first and its chosen or last one, of two runs the chosen or last one of each.
export function usualPair(runs, moments) {
  const last = runs.map((run, n) => {
    const own = moments.filter((one) => one.run === n);
    return own.find(({ moment }) => moment === `best (${run.summary?.chosen})`) ?? own[own.length - 1];
  });
  const ends = last.filter(Boolean);
  return ends.length > 1 ? [ends[0], ends[1]] : [moments[0], ends[0]];
}

// What a moment is called: "before training", "after rl" where a stage had ended, "rl-15" at a checkpoint, "rl-15, chosen" measured again.
export function momentName({ moment, run }, runs) {
  const chosen = /^best \((.*)\)$/s.exec(moment);
  const { stages } = runs[run].recipe ?? {};
  const isEnd = Array.isArray(stages) ? stages.some((stage) => stage?.name === moment) : !/-\d+$/.test(moment);
  const name = moment === "before" ? "before training" : chosen ? `${chosen[1]}, chosen` : isEnd ? `after ${moment}` : moment;
  return visible(runs.length > 1 ? `${"AB"[run]}, ${name}` : name);
}

// Samples that were measured at both moments: [{id, a, b}] with their lines, in order. `alone` were measured at only one; `unlike` bear the
// same name in two runs, but show other pictures or have another target.
export function paired(a, b) {
  const [before, after] = [a, b].map(({ lines }) => new Map(lines.map((line) => [line.sample, line])));
  const both = [...before].filter(([id]) => after.has(id)).map(([id, line]) => ({ id, a: line, b: after.get(id) }));
  const pairs = a.run === b.run ? both : both.filter((pair) => questionOf(pair.a) === questionOf(pair.b));
  return { pairs, alone: before.size + after.size - 2 * both.length, unlike: both.length - pairs.length };
}

const questionOf = ({ pictures, target }) => JSON.stringify([pictures, target]);

// The greedy answer's score; what could not be scored counts as 0, as in the run's own figures.
export function scoreOfLine(line) {
  return typeof line.score === "number" ? line.score : 0;
}

// The mean score of the answers that were sampled beside the greedy one; null where there are none.
export function sampledMean({ sampled }) {
  if (!sampled?.length) return null;
  return sampled.reduce((sum, score) => sum + (typeof score === "number" ? score : 0), 0) / sampled.length;
}

// What was answered: the last <answer> section, else the whole text. Without blanks at the ends; the same for texts that differ in blanks.
export function answerOf({ text }) {
  const whole = String(text ?? "");
  const end = whole.lastIndexOf("</answer>");
  const start = end < 0 ? -1 : whole.lastIndexOf("<answer>", end);
  return (start < 0 ? whole : whole.slice(start + "<answer>".length, end)).trim().replace(/\s+/g, " ");
}

export function shortened(text, most = 60) {
  return text.length > most ? `${text.slice(0, most)} ...` : text;
}
