// Every held-out set before training and after, with intervals; of two runs side by side, and their difference.

import { html, useMemo } from "./lib.js";
import { beforeAndAfter, scoreInterval, setsOf } from "./held_out.js";
import { RunLetter, RunName } from "./facts.js";
import { Whiskers } from "./whisker.js";
import { rangeText } from "./charts.js";
import { address } from "./route.js";
import { figure, plural, signed, visible } from "./format.js";

const FIRST = ["greedy", "sampled"];
const NATS = ["critical_entropy", "after_critical_entropy", "entropy"];
const UNITS = new Map([["tokens", "tokens"], ["critical_tokens", "turns"], ...NATS.map((name) => [name, "nats"])]);
const LATER = new Set([...UNITS.keys(), "truncated", "blanked", "picture_gain", "high_entropy"]); // shown when asked for

export function BeforeAfter({ runs }) {
  const sets = useMemo(() => comparedSets(runs), runs.flatMap((run) => [run.metrics, run.summary, run.recipe]));
  if (!sets.length) {
    return html`
      <section class="card" aria-labelledby="before-after"><h2 id="before-after">Before and after</h2>
        <p class="note">Nothing held out has been measured yet.</p></section>`;
  }
  const moments = [...new Set(sets.flatMap((set) => set.moments))].join(", ");
  const areDone = runs.every((run) => run.summary);
  return html`
    <section class="before-after" aria-labelledby="before-after">
      <div class="row">
        <h2 id="before-after">Before and after</h2>
        <p class="note">
          <${Ring} kind="before" /> before training, <${Ring} kind="after" /> ${areDone ? "after" : "as last measured"}
          ${runs.length === 1 && moments && html` (<span class="said">${visible(moments)}</span>)`}; lines and brackets are 95 %
          intervals, ${runs.length > 1 ? "the gap is B less A after training; gaps" : "changes"} of shares are in percentage points.
          ${runs.length > 1 && html` Which samples changed is in the <a href=${address("evaluation")}>evaluation</a>.`}
        </p>
      </div>
      ${runs.length > 1 && html`<p class="row note">${runs.map((run, n) => html`<span><${RunName} run=${run} n=${n} /></span>`)}</p>`}
      <div class=${`set-cards ${runs.length > 1 ? "two" : ""}`}>
        ${sets.map((set) => html`<${SetCard} key=${set.name} set=${set} runs=${runs} />`)}
      </div>
    </section>`;
}

function Ring({ kind }) {
  return html`<svg class="whiskers" width="12" height="12" aria-hidden="true"><circle class=${kind} cx="6" cy="6" r="3.6" /></svg>`;
}

function SetCard({ set, runs }) {
  const [early, late] = [set.rows.filter(({ isLater }) => !isLater), set.rows.filter(({ isLater }) => isLater)];
  return html`
    <article class="card set-card">
      <h3><span class="said">${visible(set.name)}</span>
        ${set.n && html` <span class="tag">${plural(set.n, "sample")}</span>`}
        ${set.isShifted && html` <span class="tag warn" title="Out of distribution on purpose">shifted</span>`}
        ${set.selects && html`
          <span class="tag" title="Its scores flatter: the checkpoint is the best on this set">chooses checkpoint</span>`}
      </h3>
      <${SetTable} rows=${early} runs=${runs} hasHead=${true} of=${set.name} />
      ${late.length > 0 && html`
        <details>
          <summary>${plural(late.length, "further figure")}</summary>
          <${SetTable} rows=${late} runs=${runs} of=${set.name} />
        </details>`}
    </article>`;
}

function SetTable({ rows, runs, of, hasHead = false }) {
  const isPair = runs.length > 1;
  return html`
    <div class="scroll-x"><table>
      <caption class="unseen">${visible(of)}: before training and after</caption>
      <thead class=${hasHead ? "" : "unseen"}><tr>
        <th><span class="unseen">figure</span></th><th class="drawing"><span class="unseen">drawn from 0 to 100 %</span></th>
        <th class="number">before → after</th><th class="number">${isPair ? "gap" : "change"}</th></tr></thead>
      ${rows.map((row) => html`<tbody><${FigureRows} row=${row} runs=${runs} /></tbody>`)}
    </table></div>`;
}

// A line for each run; the difference of two is that of their figures after.
function FigureRows({ row, runs }) {
  const isPair = runs.length > 1;
  const ends = isPair ? row.pairs.map(({ after }) => after) : [row.pairs[0].before, row.pairs[0].after];
  return row.pairs.map((pair, n) => html`
    <tr>
      ${n === 0 && html`<th scope="rowgroup" rowspan=${row.pairs.length}>
        <span class="said">${visible(row.name)}</span>${row.answers && html`<span class="unit"> ${row.answers}</span>`}
        ${row.unit && row.unit !== "share" && html`<span class="unit"> ${row.unit}</span>`}</th>`}
      <td class="drawing">${row.isDrawn && html`<${Whiskers} ...${pair} color=${`--s${n}`} />`}</td>
      <td class="number">
        ${isPair && html`<${RunLetter} n=${n} /> `}
        <${FigurePair} pair=${pair} unit=${row.unit} /></td>
      ${n === 0 && html`<td class="number change" rowspan=${row.pairs.length}>${changeOf(ends, row.unit)}</td>`}
    </tr>`);
}

function FigurePair({ pair: { before, after }, unit }) {
  const sign = unit === "share" ? " %" : "";
  const bare = (one) => (one ? (unit === "share" ? (100 * one.value).toFixed(1) : figure(one.value)) : "–");
  const range = (one) => (one?.low === undefined ? "–" : rangeText(one.low, one.high, unit));
  return html`
    <span class="pair">${bare(before)}${after ? "" : sign} <span aria-hidden="true">→</span><span class="unseen">to</span>${" "}
      ${after ? html`<b>${bare(after)}</b>${sign}` : html`<span title="not measured yet">–</span>`}</span>
    ${(before?.low !== undefined || after?.low !== undefined) && html`
      <span class="range"><span>${range(before)}</span> → <span>${range(after)}</span></span>`}`;
}

function changeOf([from, to], unit) {
  if (!from || !to) return "–";
  const change = to.value - from.value;
  if (unit !== "share") return signed(Number(change.toPrecision(3)));
  const points = (100 * change).toFixed(1);
  return Number(points) === 0 ? "0.0" : `${change > 0 ? "+" : "−"}${points.replace("-", "")}`;
}

// [{name, n, isShifted, selects, moments, rows: [{name, answers: "greedy", "sampled" or "", unit, isLater, isDrawn, pairs: [{before, after} of each run]}]}]
function comparedSets(runs) {
  const all = runs.map(setsOf);
  const names = [...new Set(all.flat().map(({ name }) => name))];
  return names.flatMap((name) => {
    const sets = all.map((some) => some.find((set) => set.name === name));
    const found = sets.map((set, n) => (set ? beforeAndAfter(runs[n], name) : { before: null, after: null, moment: null }));
    const start = `eval/${name}/`;
    const lines = found.flatMap(({ before, after }) => [before?.metrics, after?.metrics]).filter(Boolean);
    const measured = lines.flatMap((line) => Object.keys(line).filter((key) => key.startsWith(start)));
    const keys = [...new Set(measured)].map((key) => key.slice(start.length));
    if (!keys.length) return [];
    const rows = sortedFigures(keys).map((key) => rowOf(key, { runs, sets, found, start }));
    return [{ ...sets.find(Boolean), moments: found.map(({ moment }) => moment).filter(Boolean), rows }];
  });
}

function rowOf(key, { runs, sets, found, start }) {
  const valueAt = (moment, n) => {
    const value = moment && Object.hasOwn(moment.metrics, start + key) ? moment.metrics[start + key] : null;
    if (!Number.isFinite(value)) return null;
    return { value, ...(FIRST.includes(key) ? scoreInterval(runs[n], sets[n], key, value) : null) };
  };
  const isTotal = key.startsWith("total/");
  const unit = isTotal ? "" : key.startsWith("critical_entropy/") ? "nats" : UNITS.get(key) ?? "share";
  const pairs = found.map(({ before, after }, n) => ({ before: valueAt(before, n), after: valueAt(after, n) }));
  const fits = (one) => !one || (one.value >= 0 && one.value <= 1);
  const isDrawn = (unit === "share" || isTotal) && pairs.every(({ before, after }) => fits(before) && fits(after));
  const answers = isTotal ? "greedy" : FIRST.includes(key) || isLater(key) ? "" : "sampled";
  return { name: key.replace(/^(total|critical_entropy)\//, "").replaceAll("_", " "), answers, unit, pairs, isDrawn, isLater: isLater(key) };
}

function isLater(key) {
  return LATER.has(key) || key.startsWith("critical_entropy/");
}

// Scores, figures of the whole set, shares, pass@k; then what looks further.
function sortedFigures(keys) {
  const rank = (key) => {
    if (FIRST.includes(key)) return FIRST.indexOf(key);
    if (isLater(key)) return 9;
    return key.startsWith("total/") ? 3 : key.startsWith("pass@") ? 5 : 4;
  };
  return [...keys].sort((a, b) => rank(a) - rank(b));
}
