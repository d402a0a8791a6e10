// Which samples flipped between two moments: in a sentence, as a table of four, and how sure one may be.

import { html } from "./lib.js";
import { mcnemar, meanEstimate, pairedDifference } from "./stats.js";
import { scoreOfLine } from "./measured.js";
import { address } from "./route.js";
import { figure, percent, plural, visible } from "./format.js";

// "won", "lost", "right" or "wrong": what became of a sample, right being a score of at least `threshold`.
export function fateOf({ a, b }, threshold) {
  const [was, is] = [a, b].map((line) => scoreOfLine(line) >= threshold);
  return was ? (is ? "right" : "lost") : is ? "won" : "wrong";
}

export function PairCard({ runs, a, b, pairs, names, threshold, isBits, params, onChange }) {
  const counts = { won: 0, lost: 0, right: 0, wrong: 0 };
  for (const pair of pairs) counts[fateOf(pair, threshold)] += 1;
  const [before, after] = ["a", "b"].map((side) => pairs.map((pair) => scoreOfLine(pair[side])));
  const difference = pairedDifference(before, after);
  const p = mcnemar(counts.lost, counts.won);
  const [from, to] = names.map((name) => html`<span class="said">${visible(name)}</span>`);
  const link = (fate) => address("evaluation", { ...params, set: a.lines[0].set, a: a.key, b: b.key, which: fate, case: undefined });
  const cell = (fate, words, tone) => html`
    <td class="fate ${tone}"><a href=${link(fate)} onClick=${() => setTimeout(() => document.getElementById("cases")?.scrollIntoView())}>
      <b>${figure(counts[fate])}</b><span>${words}</span></a></td>`;
  return html`
    <section class="card pair-card" aria-labelledby="pair-title">
      <h2 id="pair-title">What changed from ${from} to ${to}</h2>
      <div class="pair-body">
        <div class="pair-words">
          <p class="pair-sentence">
            Of ${plural(pairs.length, "sample")}, <b>${figure(counts.won)}</b> went from wrong to right and <b>${figure(counts.lost)}</b> from right to wrong.
            ${" "}${counts.won + counts.lost > 0
              ? html`If both were as likely, a split this uneven would come up with a chance of <b>${chance(p)}</b> (exact McNemar test).`
              : "No sample changed sides."}
          </p>
          <p>Mean greedy score ${estimate(meanEstimate(before))} before, ${estimate(meanEstimate(after))} after.
            ${" "}Difference <b>${points(difference.mean)}</b> points
            ${" "}<span class="note">[${points(difference.low)}, ${points(difference.high)}], 95 % interval, paired (${difference.method})</span>.</p>
          ${!isBits && html`
            <p class="row"><label for="threshold">An answer counts as right from a score of</label>
              <input id="threshold" type="number" min="0" max="1" step="0.05" value=${threshold} onChange=${(event) => onChange({ threshold: event.target.value })} />
              <span class="note">Scores here are partial: ${figure(pairs.filter((pair) => scoreOfLine(pair.b) > scoreOfLine(pair.a)).length)} rose,
                ${" "}${figure(pairs.filter((pair) => scoreOfLine(pair.b) < scoreOfLine(pair.a)).length)} fell.</span></p>`}
        </div>
        <table class="fates" aria-label="Samples by what became of them">
          <thead>
            <tr><td></td><td></td><th scope="colgroup" colspan="2">${to}</th></tr>
            <tr><td></td><td></td><th scope="col">right</th><th scope="col">wrong</th></tr>
          </thead>
          <tbody>
            <tr><th scope="rowgroup" rowspan="2">${from}</th><th scope="row">right</th>${cell("right", "right at both")}${cell("lost", "lost", "bad")}</tr>
            <tr><th scope="row">wrong</th>${cell("won", "won", "good")}${cell("wrong", "wrong at both")}</tr>
          </tbody>
        </table>
      </div>
    </section>`;
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
  return p < 1e-12 ? "less than 1 in 10^12" : `1 in ${Math.round(1 / p).toLocaleString("en-US")}`;
}
