// Which charts a page of one run or two has: every metric stands in one of them.

import { CHARTS, SET_CHARTS } from "./metric_names.js";
import { curvesOf } from "./curves.js";
import { runLetter } from "./facts.js";
import { scoreCurve, setsOf } from "./held_out.js";

const LINE_COLORS = ["--s0", "--s1", "--s2", "--s3", "--s4", "--s5", "--s6", "--s7"];
const PHASES = [["time/sample", "sampling"], ["time/score", "rewards"], ["time/learn", "learning"]];

function nameOfRun(runs, n) {
  return `${runLetter(n)} ${runs[n].name}`;
}

// Colour and dashes of the n-th line.
function lookOf(n) {
  return { color: LINE_COLORS[n % LINE_COLORS.length], dash: n % 4 };
}

// [{id, group, title, unit, about, keys, series, stack?}] in the order of the page.
export function chartList(runs) {
  const keys = new Set(runs.flatMap((run) => [...curvesOf(run).at.keys()]));
  const used = new Set();
  const take = (key) => used.add(key) && keys.has(key);
  const charts = [
    ...rewardCharts(keys),
    ...scoreCharts(runs),
    ...CHARTS.map(([group, title, unit, about, lines]) => ({ group, title, unit, about, lines })),
    ...timeCharts(runs, keys),
    ...setCharts(runs, keys),
  ].flatMap((chart) => {
    if (chart.series) {
      chart.keys.forEach(take);
      return chart.series.length ? [chart] : [];
    }
    const lines = chart.lines.filter(([key]) => take(key));
    return lines.length ? drawnOf(runs, { ...chart, lines }) : [];
  });
  const rest = [...keys].filter((key) => !used.has(key)).sort();
  const more = rest.flatMap((key) => drawnOf(runs, { group: "more", title: key, unit: "", about: "", lines: [[key, key]] }));
  const last = Math.max(1, ...runs.map((run) => curvesOf(run).last));
  return [...charts, ...more].map((chart) => {
    const id = `${chart.group} ${chart.title} ${chart.keys.join()}`;
    return { ...chart, id, hint: chart.keys.join(", "), ends: spanOf(chart.series) > last / 2 ? [0, last] : undefined };
  });
}

// How many steps the curves go over. Those of a short stage are drawn by themselves, not squeezed into a corner of the whole run.
function spanOf(series) {
  return Math.max(0, ...series.map(({ x }) => x[x.length - 1])) - Math.min(...series.map(({ x }) => x[0]));
}

// A chart with the curves of its keys. Two runs get a chart for each key, so that colours tell the runs apart.
function drawnOf(runs, { lines, ...chart }) {
  if (runs.length === 1) {
    const series = lines.map(([key, name], n) => ({ name, ...curvesOf(runs[0]).at.get(key), ...lookOf(n) }));
    return [{ ...chart, keys: lines.map(([key]) => key), series }];
  }
  return lines.map(([key, name]) => {
    const has = (run) => curvesOf(run).at.has(key);
    const series = runs.flatMap((run, n) => (has(run) ? [{ name: nameOfRun(runs, n), ...curvesOf(run).at.get(key), ...lookOf(n) }] : []));
    return { ...chart, title: lines.length > 1 ? `${chart.title}: ${name}` : chart.title, keys: [key], series };
  });
}

function rewardCharts(keys) {
  const of = (pattern) => [...keys].map((key) => pattern.exec(key)).filter(Boolean);
  const terms = of(/^reward\/(?!mean$|first$)([^/]+)$/).map(([key, name]) => [key, name]);
  const about = "Mean over the step's answers: the weighted sum, and each term by itself.";
  const charts = [
    { title: "Reward", about, lines: [["reward/mean", "weighted sum"], ...terms] },
    { title: "First answers", about: "Mean reward before forced second thoughts.", lines: [["reward/first", "first answers"]] },
  ];
  const routes = new Set(of(/^(?:reward|route)\/([^/]+)\/.+$/).map(([, term]) => term));
  for (const term of routes) {
    const parts = (start) => [...keys].filter((key) => key.startsWith(start)).map((key) => [key, key.slice(start.length)]);
    const means = { title: `${term}, by route`, about: "Mean of the term over the answers that each route decided." };
    const shares = { title: `${term}, routes taken`, unit: "share", about: "Answers that each route decided." };
    charts.push({ ...means, lines: parts(`reward/${term}/`) }, { ...shares, lines: parts(`route/${term}/`) });
  }
  return charts.map((chart) => ({ group: "rewards", unit: "", ...chart }));
}

function scoreCharts(runs) {
  const modes = ["greedy", "sampled"];
  const about = "Mean score with its 95 % interval.";
  const chartOf = (set, title, series) => (
    { group: "held-out", title, unit: "share", about: noteOfSet(set, about), keys: series.map(({ key }) => key), series });
  return setNames(runs).flatMap((name) => {
    const sets = runs.map((run) => setsOf(run).find((set) => set.name === name));
    const curve = (n, mode, more) => {
      const found = sets[n] && scoreCurve(runs[n], sets[n], mode);
      return found ? [{ ...found, key: `eval/${name}/${mode}`, ...more }] : [];
    };
    const set = sets.find(Boolean);
    if (runs.length === 1) return [chartOf(set, name, modes.flatMap((mode, n) => curve(0, mode, { name: mode, ...lookOf(n) })))];
    return modes.map((mode) => {
      const series = runs.flatMap((_, n) => curve(n, mode, { name: nameOfRun(runs, n), ...lookOf(n) }));
      return chartOf(set, `${name}, ${mode}`, series);
    });
  });
}

function noteOfSet({ isShifted, selects }, what) {
  return `${what}${isShifted ? " Out of distribution on purpose." : ""}${selects ? " Chooses the checkpoint." : ""}`;
}

function setNames(runs) {
  return [...new Set(runs.flatMap((run) => setsOf(run).map(({ name }) => name)))];
}

function setCharts(runs, keys) {
  return setNames(runs).flatMap((set) => {
    const start = `eval/${set}/`;
    const names = [...keys].filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
    const fixed = new Set([...SET_CHARTS.flatMap(([, , , some]) => some), "greedy", "sampled"]);
    const totals = names.filter((name) => name.startsWith("total/"));
    const triggers = names.filter((name) => name.startsWith("critical_entropy/"));
    const tries = names.filter((name) => name.startsWith("pass@"));
    const shares = names.filter((name) => !fixed.has(name) && !/^(total|critical_entropy)\/|^pass@/.test(name));
    const charts = [
      ["totals", "", "Figures of the whole set's greedy answers.", totals],
      ["shares", "share", "Further shares of the sampled answers.", shares],
      ["pass@k", "share", "Chance that at least one of k sampled answers is right.", tries],
      ...SET_CHARTS.map(([title, unit, about, some]) => [title, unit, about, some.filter((name) => names.includes(name))]),
      ["entropy by trigger", "nats", "Entropy of the step at which an answer turns.", triggers],
    ];
    const nameOf = (name) => name.replace(/^(total|critical_entropy)\//, "").replaceAll("_", " ");
    return charts.filter(([, , , some]) => some.length).map(([title, unit, about, some]) => (
      { group: "sets", title: `${set}: ${title}`, unit, about, lines: some.map((name) => [start + name, nameOf(name)]) }));
  });
}

// Where a step's seconds went. One run: phases on top of one another; two: a chart for each phase.
function timeCharts(runs, keys) {
  if (!keys.has("time/step")) return [];
  const parts = runs.map((run) => phasesOf(curvesOf(run).at));
  const chart = { group: "time", unit: "s", keys: ["time/step", ...PHASES.map(([key]) => key)] };
  const about = "Where a step's time goes; the rest is keeping the records.";
  if (runs.length === 1) {
    const series = parts[0].map((one, n) => ({ ...one, color: LINE_COLORS[n] }));
    return [{ ...chart, title: "Seconds of a step", about, stack: true, series }];
  }
  return ["whole step", ...PHASES.map(([, name]) => name), "rest"].map((phase) => {
    const phasesWith = (n) => [...parts[n], { name: "whole step", ...curvesOf(runs[n]).at.get("time/step") }];
    const found = runs.map((_, n) => phasesWith(n).find((one) => one.name === phase && one.x));
    const series = found.flatMap((one, n) => (one ? [{ ...one, name: nameOfRun(runs, n), ...lookOf(n) }] : []));
    return { ...chart, title: `Time: ${phase}`, about: "Seconds of a step.", series };
  });
}

function phasesOf(at) {
  const step = at.get("time/step");
  if (!step) return [];
  const rest = [...step.y];
  const phases = PHASES.filter(([key]) => at.has(key)).map(([key, name]) => {
    const of = new Map(at.get(key).x.map((x, i) => [x, at.get(key).y[i]]));
    const y = step.x.map((x) => of.get(x) ?? 0);
    y.forEach((value, i) => { rest[i] = Math.max(0, rest[i] - value); });
    return { name, x: step.x, y };
  });
  return [...phases, { name: "rest", x: step.x, y: rest }];
}
