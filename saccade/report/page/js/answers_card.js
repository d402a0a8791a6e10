// What was answered at two moments: right and wrong answers by length and stop, scores, and which answers took which target's place.

import { html, useMemo } from "./lib.js";
import { meanOf } from "./stats.js";
import { answerOf, sampledMean, scoreOfLine, shortened } from "./measured.js";
import { Confusion, classesOf, isAmong } from "./confusion.js";
import { figure, percent, plural, visible } from "./format.js";

const MOST_WRONG = 8;
const MOST_NAMED = 12; // scores with a row of their own
const STOPPED = new Map([["eos", "ended by themselves"], ["length", "cut off by the token limit"], ["world", "ended by the world"]]);

export function Answers({ pairs, names, colors, threshold, isBits, params, onChange }) {
  const side = params.side === "a" ? "a" : "b";
  const lines = useMemo(() => {
    const own = params.kind ? pairs.filter(({ b }) => b.kind === params.kind) : pairs;
    return { a: own.map(({ a }) => a), b: own.map(({ b }) => b) };
  }, [pairs, params.kind]);
  const classes = useMemo(() => classesOf(lines.b), [lines]);
  const shown = lines[side];
  return html`
    <section class="card" aria-labelledby="answers-title">
      <div class="row answers-head"><h2 id="answers-title">Answers</h2><${KindChip} params=${params} onChange=${onChange} /></div>
      ${shown.length === 0 ? html`<p class="empty">No sample is of this kind.</p>` : html`
        <div class="halves">
          <div>
            <${Habits} lines=${lines} names=${names} threshold=${threshold} />
            ${!isBits && html`<${Scores} lines=${lines} names=${names} colors=${colors} />`}
          </div>
          <div>
            <div class="row answers-head">
              <h3>${classes ? "Answers for each target" : "Most common wrong answers"}</h3>
              <div class="segments" role="group" aria-label="Answers of which moment">
                ${["a", "b"].map((one, n) => html`
                  <button aria-pressed=${String(side === one)} onClick=${() => onChange({ side: one })}><span class="said">${names[n]}</span></button>`)}
              </div>
            </div>
            ${classes
              ? html`<${Confusion} lines=${shown} classes=${classes} /><${CommonWrong} lines=${shown.filter((line) => !isAmong(classes, line))} threshold=${threshold} title="Other answers" />`
              : html`<${CommonWrong} lines=${shown} threshold=${threshold} />`}
          </div>
        </div>`}
    </section>`;
}

// The kind that is chosen in the table above, to be let go.
export function KindChip({ params, onChange }) {
  return params.kind && html`
    <button class="chip" onClick=${() => onChange({ kind: undefined })} title="Show all kinds">only <span class="said">${visible(params.kind)}</span><span aria-hidden="true"> ✕</span></button>`;
}

// Lengths, ends and further scores of the greedy answers.
function Habits({ lines, names, threshold }) {
  const [before, after] = useMemo(() => [lines.a, lines.b].map((own) => habitsOf(own, threshold)), [lines, threshold]);
  return html`
    <div class="scroll-x" tabindex="0" role="region" aria-label="Answers in figures"><table class="habits">
      <thead><tr><th>Greedy answers</th>${names.map((name) => html`<th scope="col" class="number said">${name}</th>`)}</tr></thead>
      <tbody>${[...new Set([...before.keys(), ...after.keys()])].map((name) => html`
        <tr><th scope="row" class="said">${visible(name)}</th><td class="number">${before.get(name) ?? "none"}</td><td class="number">${after.get(name) ?? "none"}</td></tr>`)}
      </tbody></table></div>`;
}

function habitsOf(own, threshold) {
  const [right, wrong] = [true, false].map((isRight) => own.filter((line) => (scoreOfLine(line) >= threshold) === isRight));
  const tokens = (some) => inTokens(meanOf(some.map((line) => line.tokens).filter(Number.isFinite)));
  const stops = new Map([["eos", 0], ["length", 0]]);
  for (const { stop } of own) stops.set(stop, (stops.get(stop) ?? 0) + 1);
  return new Map([
    ["sampled answers, mean score", percent(meanOf(own.map(sampledMean).filter((mean) => mean !== null)))],
    ["tokens of a right answer, mean", tokens(right)],
    ["tokens of a wrong answer, mean", tokens(wrong)],
    ...[...stops].slice(0, 6).map(([stop, n]) => [STOPPED.get(stop) ?? `stopped by ${stop}`, percent(n / own.length)]),
    ["answers that could not be scored", figure(own.filter((line) => typeof line.score !== "number").length)],
    ...scoresOf(own),
  ]);
}

const inTokens = (mean) => (mean === null ? "none" : mean.toFixed(1));

// The mean of each named score.
function scoresOf(own) {
  const values = new Map();
  for (const line of own) {
    for (const [name, score] of Object.entries(line.scores ?? {})) {
      if (typeof score?.value !== "number") continue;
      if (!values.has(name)) values.set(name, []);
      values.get(name).push(score.value);
    }
  }
  return [...values].slice(0, MOST_NAMED).map(([name, found]) => [`${name}, mean`, figure(meanOf(found))]);
}

// How many answers lie in each tenth from 0 to 1.
function Scores({ lines, names, colors }) {
  const bins = useMemo(() => ["a", "b"].map((side) => {
    const counts = Array(10).fill(0);
    for (const line of lines[side]) counts[Math.min(9, Math.max(0, Math.floor(10 * scoreOfLine(line))))] += 1;
    return counts;
  }), [lines]);
  const most = Math.max(1, ...bins.flat());
  const words = bins.map((counts, n) => `${names[n]}: ${counts.map((count, bin) => `${count} from ${bin / 10}`).join(", ")}`).join(". ");
  return html`
    <h3>Scores of the greedy answers</h3>
    <div class="tenths" role="img" aria-label=${`Answers by score. ${words}`}>
      ${bins[0].map((_, bin) => html`
        <div class="tenth" title=${`score ${bin / 10} to ${(bin + 1) / 10}: ${bins.map((counts, n) => `${figure(counts[bin])} ${names[n]}`).join(", ")}`}>
          <span class="bars">${bins.map((counts, n) => html`<i style=${{ height: `${(100 * counts[bin]) / most}%`, background: `var(${colors[n]})` }}></i>`)}</span>
          <span class="tick">${bin / 10}</span>
        </div>`)}
    </div>
    <p class="note">${names.map((name, n) => html`<i class="bar-key" style=${{ background: `var(${colors[n]})` }}></i> <span class="said">${name}</span>${n ? "; " : " "}`)}
      the tallest bar is ${plural(most, "answer")}.</p>`;
}

function CommonWrong({ lines, threshold, title }) {
  const counts = new Map();
  const wrong = lines.filter((line) => scoreOfLine(line) < threshold);
  for (const line of wrong) {
    const answer = answerOf(line);
    counts.set(answer, (counts.get(answer) ?? 0) + 1);
  }
  const rows = [...counts].sort((x, y) => y[1] - x[1]).slice(0, MOST_WRONG);
  if (!rows.length) return !title && html`<p class="note">No answer is wrong.</p>`;
  return html`
    ${title && html`<h4>${title}</h4>`}
    <ol class="common">${rows.map(([answer, count]) => html`
      <li><span class="count">${figure(count)} ×</span> <span class="said mono">${answer ? visible(shortened(answer)) : "(empty)"}</span></li>`)}
    </ol>
    ${counts.size > rows.length && html`<p class="note">${plural(wrong.length, "wrong answer")}, ${figure(counts.size)} different ones.</p>`}`;
}
