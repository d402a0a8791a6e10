// Scores by kind of sample at two moments, with intervals and the difference.

import { html, useMemo } from "./lib.js";
import { meanEstimate, pairedDifference } from "./stats.js";
import { scoreOfLine } from "./measured.js";
import { points } from "./pair_card.js";
import { Whiskers } from "./whisker.js";
import { figure, visible } from "./format.js";

const MOST_KINDS = 40;

export function ByKind({ pairs, names, params, onChange }) {
  const rows = useMemo(() => kindsOf(pairs), [pairs]);
  return html`
    <section class="card" aria-labelledby="kinds-title"><h2 id="kinds-title">By kind</h2>
      <div class="scroll-x"><table class="kinds">
        <thead><tr><th>Kind</th><th class="number">Samples</th><th><span class="unseen">Drawn</span></th>
          ${names.map((name) => html`<th class="number said">${visible(name)}</th>`)}<th class="number">Change</th></tr></thead>
        <tbody>${rows.slice(0, MOST_KINDS).map(({ kind, n, before, after, difference }) => html`
          <tr>
            <th><button class="link said" aria-pressed=${params.kind === kind} title="Show only these samples below"
              onClick=${() => onChange({ kind: params.kind === kind ? undefined : kind, case: undefined })}>${visible(kind || "all")}</button></th>
            <td class="number">${figure(n)}</td>
            <td><${Whiskers} before=${asFigure(before)} after=${asFigure(after)} color="--s0" /></td>
            ${[before, after].map((one) => html`<td class="number">${(100 * one.mean).toFixed(1)} % <span class="range">[${(100 * one.low).toFixed(0)}, ${(100 * one.high).toFixed(0)}]</span></td>`)}
            <td class="number"><b>${points(difference.mean)}</b> <span class="range">[${points(difference.low)}, ${points(difference.high)}]</span></td>
          </tr>`)}
        </tbody></table></div>
      ${rows.length > MOST_KINDS && html`<p class="note">The ${MOST_KINDS} largest of ${figure(rows.length)} kinds.</p>`}
      <p class="note">Greedy scores; brackets are 95 % intervals, the change paired by sample, in percentage points. ○ ${visible(names[0])}, ● ${visible(names[1])}.</p>
    </section>`;
}

const asFigure = ({ mean, low, high }) => ({ value: mean, low, high });

function kindsOf(pairs) {
  const kinds = new Map();
  for (const pair of pairs) {
    if (!kinds.has(pair.b.kind)) kinds.set(pair.b.kind, []);
    kinds.get(pair.b.kind).push(pair);
  }
  const rows = [...kinds].map(([kind, own]) => {
    const [before, after] = ["a", "b"].map((side) => own.map((pair) => scoreOfLine(pair[side])));
    return { kind, n: own.length, before: meanEstimate(before), after: meanEstimate(after), difference: pairedDifference(before, after) };
  });
  return rows.sort((x, y) => y.n - x.n);
}
