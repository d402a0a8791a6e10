// Scores by kind of sample at two moments, with intervals and the difference; what was cut off and how many kept the format.

import { html, useMemo } from "./lib.js";
import { meanEstimate, meanOf, pairedDifference } from "./stats.js";
import { scoreOfLine } from "./measured.js";
import { points } from "./pair_card.js";
import { Whiskers } from "./whisker.js";
import { figure, visible } from "./format.js";

const MOST_KINDS = 40;
const MOST_SHARES = 2;
const ORDERS = new Map([
  ["kind", ({ kind }) => kind],
  ["samples", ({ n }) => n],
  ["from", ({ before }) => before.mean],
  ["to", ({ after }) => after.mean],
  ["change", ({ difference }) => difference.mean],
]);

export function ByKind({ runs, set, pairs, names, params, onChange }) {
  const shares = useMemo(() => sharesOf(runs, set, pairs), [pairs]);
  const rows = useMemo(() => kindsOf(pairs, shares), [pairs]);
  const order = orderOf(params.sort);
  const sorted = useMemo(() => sortedKinds(rows, order), [rows, params.sort]);
  const column = (key, name, style) => html`<${Column} name=${name} style=${style} order=${order} own=${key} onSort=${(sort) => onChange({ sort })} />`;
  return html`
    <section class="card" aria-labelledby="kinds-title"><h2 id="kinds-title">By kind</h2>
      <div class="scroll-x" tabindex="0" role="region" aria-label="Scores by kind"><table class="kinds">
        <thead><tr>${column("kind", "Kind", "")}${column("samples", "Samples", "number")}<th><span class="unseen">Drawn</span></th>
          ${column("from", names[0], "number said")}${column("to", names[1], "number said")}${column("change", "Change", "number")}
          ${[...shares, "cut off"].map((name) => html`<th scope="col" class="number said">${visible(name)}</th>`)}</tr></thead>
        <tbody>${sorted.slice(0, MOST_KINDS).map((row) => html`
          <tr>
            <th scope="row">${row.kind ? html`
              <button class="link said" aria-pressed=${String(params.kind === row.kind)} title="Show only these samples below"
                onClick=${() => onChange({ kind: params.kind === row.kind ? undefined : row.kind })}>${visible(row.kind)}</button>` : "(none)"}</th>
            <td class="number">${figure(row.n)}</td>
            <td><${Whiskers} before=${asFigure(row.before)} after=${asFigure(row.after)} color="--s0" /></td>
            ${[row.before, row.after].map((one) => html`
              <td class="number">${(100 * one.mean).toFixed(1)} % <span class="range">[${(100 * one.low).toFixed(0)}, ${(100 * one.high).toFixed(0)}]</span></td>`)}
            <td class="number"><b>${points(row.difference.mean)}</b> <span class="range">[${points(row.difference.low)}, ${points(row.difference.high)}]</span></td>
            ${row.shares.map(([was, is]) => html`<td class="number">${inPercent(was)} → ${inPercent(is)} %</td>`)}
          </tr>`)}
        </tbody></table></div>
      ${rows.length > MOST_KINDS && html`<p class="note">The first ${MOST_KINDS} of ${figure(rows.length)} kinds in this order.</p>`}
      <p class="note">Greedy scores: ○ <span class="said">${names[0]}</span>, ● <span class="said">${names[1]}</span>. Brackets are 95 % intervals; changes are of the same
        samples, in percentage points. Cut off: answers that reached the token limit.</p>
    </section>`;
}

function Column({ name, style, order, own, onSort }) {
  const isOwn = order.key === own;
  const next = isOwn ? `${order.isFalling ? "" : "-"}${own}` : own === "kind" ? own : `-${own}`;
  return html`
    <th scope="col" class=${style} aria-sort=${isOwn ? (order.isFalling ? "descending" : "ascending") : undefined}>
      <button class="link sorts" onClick=${() => onSort(next)} title="Sort by this column">${name}<span aria-hidden="true">${isOwn ? (order.isFalling ? " ↓" : " ↑") : ""}</span></button></th>`;
}

// "-change" sorts by change, the largest first.
function orderOf(sort) {
  const isFalling = sort?.startsWith("-") ?? true;
  const key = sort?.replace(/^-/, "");
  return ORDERS.has(key) ? { key, isFalling } : { key: "samples", isFalling: true };
}

function sortedKinds(rows, { key, isFalling }) {
  const value = ORDERS.get(key);
  const compared = (x, y) => (key === "kind" ? x.kind.localeCompare(y.kind, "en", { numeric: true }) : value(x) - value(y));
  return [...rows].sort((x, y) => (isFalling ? -1 : 1) * compared(x, y));
}

const asFigure = ({ mean, low, high }) => ({ value: mean, low, high });
const inPercent = (share) => (share === null ? "none" : (100 * share).toFixed(0));

// Names of the shares that the evaluation reports, or "format": those that answers were scored by.
function sharesOf(runs, set, pairs) {
  const said = runs.flatMap(({ recipe }) => (recipe?.evaluations ?? []).filter(({ name }) => name === set).flatMap(({ shares }) => shares ?? []));
  const has = (name) => pairs.some(({ b }) => shareOf(b, name) !== null);
  return [...new Set([...said, "format"])].filter(has).slice(0, MOST_SHARES);
}

function shareOf({ scores }, name) {
  const value = scores && Object.hasOwn(scores, name) ? scores[name]?.value : null;
  return typeof value === "number" ? value : null;
}

function kindsOf(pairs, shares) {
  const kinds = new Map();
  for (const pair of pairs) {
    const kind = String(pair.b.kind ?? "");
    if (!kinds.has(kind)) kinds.set(kind, []);
    kinds.get(kind).push(pair);
  }
  return [...kinds].map(([kind, own]) => {
    const [before, after] = ["a", "b"].map((side) => own.map((pair) => scoreOfLine(pair[side])));
    const both = (valueOf) => ["a", "b"].map((side) => meanOf(own.map((pair) => valueOf(pair[side])).filter((value) => value !== null)));
    return {
      kind, n: own.length, before: meanEstimate(before), after: meanEstimate(after), difference: pairedDifference(before, after),
      shares: [...shares.map((name) => both((line) => shareOf(line, name))), both((line) => Number(line.stop === "length"))],
    };
  });
}
