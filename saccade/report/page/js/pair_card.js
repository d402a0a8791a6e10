// Which samples flipped between two moments: in a sentence, as a table of four, and how sure one may be.

import { html, useMemo } from "./lib.js";
import { mcnemar, meanEstimate, pairedDifference } from "./stats.js";
import { scoreOfLine } from "./measured.js";
import { address } from "./route.js";
import { figure, percent, plural } from "./format.js";

// "won", "lost", "right" or "wrong": what became of a sample, right being a score of at least `threshold`.
export function fateOf({ a, b }, threshold) {
  const [was, is] = [a, b].map((line) => scoreOfLine(line) >= threshold);
  return was ? (is ? "right" : "lost") : is ? "won" : "wrong";
}

export function PairCard({ set, a, b, pairs, names, threshold, isBits, params, onChange }) {
  const counts = useMemo(() => countedFates(pairs, threshold), [pairs, threshold]);
  const { before, after, difference, rose, fell } = useMemo(() => estimates(pairs), [pairs]);
  const p = useMemo(() => mcnemar(counts.lost, counts.won), [counts]);
  const [from, to] = names.map((name) => html`<span class="said">${name}</span>`);
  const link = (fate) => address("evaluation", { ...params, set, a: a.key, b: b.key, which: fate, case: undefined });
  const cell = (fate, words, tone) => html`
    <td class="fate ${tone}"><a href=${link(fate)} title="Show these samples" onClick=${() => setTimeout(() => document.getElementById("cases")?.scrollIntoView())}>
      <b>${figure(counts[fate])}</b><span>${words}</span></a></td>`;
  return html`
    <section class="card pair-card" aria-labelledby="pair-title">
      <h2 id="pair-title">${a.run === b.run ? html`What changed from ${from} to ${to}` : html`What differs from ${from} to ${to}`}</h2>
      <div class="pair-body">
        <div class="pair-words">
          <p class="pair-sentence">
            Of ${plural(pairs.length, "sample")}, ${a.run === b.run
              ? html`<b>${figure(counts.won)}</b> went from wrong to right and <b>${figure(counts.lost)}</b> from right to wrong.`
              : html`<b>${figure(counts.won)}</b> are right only in ${"AB"[b.run]} and <b>${figure(counts.lost)}</b> only in ${"AB"[a.run]}.`}
            ${" "}${counts.won + counts.lost > 0
              ? html`If both ways were as likely, a split this uneven would come up with a chance of <b>${chance(p)}</b> (exact McNemar test, two-sided).`
              : "No sample changed sides."}
          </p>
          <p>Mean greedy score: ${from} ${estimate(before)}, ${to} ${estimate(after)}.
            ${" "}Difference <b>${points(difference.mean)}</b> points
            ${" "}<span class="note">[${points(difference.low)}, ${points(difference.high)}]</span>.
            ${" "}<span class="note">Brackets are 95 % intervals; that of the difference is of the same samples (${difference.method}).</span></p>
          ${!isBits && html`
            <p class="row"><label for="threshold">An answer counts as right from a score of</label>
              <input id="threshold" type="number" min="0" max="1" step="0.05" value=${threshold} onChange=${(event) => onChange({ threshold: event.target.value })} />
              <span class="note">Scores here are partial: ${figure(rose)} rose, ${figure(pairs.length - rose - fell)} stayed, ${figure(fell)} fell.</span></p>`}
        </div>
        <table class="fates" aria-label="Samples by what became of them">
          <thead>
            <tr><td></td><td></td><th scope="colgroup" colspan="2">${to}</th></tr>
            <tr><td></td><td></td><th scope="col">right</th><th scope="col">wrong</th></tr>
          </thead>
          <tbody>
            <tr><th scope="rowgroup" rowspan="2">${from}</th><th scope="row">right</th>${cell("right", "right both times")}${cell("lost", "lost", "bad")}</tr>
            <tr><th scope="row">wrong</th>${cell("won", "won", "good")}${cell("wrong", "wrong both times")}</tr>
          </tbody>
        </table>
      </div>
    </section>`;
}

function countedFates(pairs, threshold) {
  const counts = { won: 0, lost: 0, right: 0, wrong: 0 };
  for (const pair of pairs) counts[fateOf(pair, threshold)] += 1;
  return counts;
}

function estimates(pairs) {
  const [before, after] = ["a", "b"].map((side) => pairs.map((pair) => scoreOfLine(pair[side])));
  const [rose, fell] = [1, -1].map((way) => before.filter((score, n) => way * (after[n] - score) > 0).length);
  return { before: meanEstimate(before), after: meanEstimate(after), difference: pairedDifference(before, after), rose, fell };
}

const estimate = (one) => html`<b>${percent(one.mean)}</b> <span class="note">[${(100 * one.low).toFixed(1)}, ${(100 * one.high).toFixed(1)}]</span>`;

// A difference of shares in percentage points, with its sign.
export function points(difference) {
  const text = (100 * difference).toFixed(1);
  return Number(text) === 0 ? "0.0" : `${difference > 0 ? "+" : "−"}${text.replace("-", "")}`;
}

function chance(p) {
  if (p >= 0.1) return p.toFixed(2);
  if (p >= 0.0001) return p.toPrecision(2);
  return p < 1e-12 ? "less than 1 in 10^12" : `1 in ${figure(Math.round(1 / p))}`;
}
