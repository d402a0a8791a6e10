// What was measured of a run's held-out sets: its lines of evaluations.jsonl by set and moment, and two moments paired by sample.

import { setsOf } from "./held_out.js";

const measuredOfLines = new WeakMap();

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
  return runs.flatMap((run, n) => [...(measuredOf(run).get(set) ?? new Map())].map(([moment, lines]) => (
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

// What a moment is called: "before training", "after rl" where a stage had ended, "rl-15" at a checkpoint.
export function momentName({ moment, run }, runs) {
  const isEnd = runs[run].recipe?.stages?.some((stage) => stage.name === moment) ?? !/-\d+\)?$/.test(moment);
  const name = moment === "before" ? "before training" : isEnd ? `after ${moment}` : moment;
  return runs.length > 1 ? `${"AB"[run]}, ${name}` : name;
}

// Samples that were measured at both moments: [{id, a, b}] with their lines, in order; and how many only one of them has.
export function paired(a, b) {
  const others = new Map(b.lines.map((line) => [line.sample, line]));
  const pairs = a.lines.flatMap((line) => (others.has(line.sample) ? [{ id: line.sample, a: line, b: others.get(line.sample) }] : []));
  return { pairs, alone: a.lines.length + b.lines.length - 2 * pairs.length };
}

// The greedy answer's score; what could not be scored counts as 0, as in the run's own figures.
export function scoreOfLine(line) {
  return typeof line.score === "number" ? line.score : 0;
}

// What was answered: the last <answer> section, else the whole text. Without blanks at the ends, and cut where it is long.
export function answerOf(line, most = 60) {
  const inTags = /.*<answer>([\s\S]*?)<\/answer>/s.exec(line.text);
  const text = (inTags ? inTags[1] : line.text).trim().replace(/\s+/g, " ");
  return text.length > most ? `${text.slice(0, most)} ...` : text;
}
