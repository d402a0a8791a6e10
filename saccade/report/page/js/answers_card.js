// What was answered at two moments: right and wrong answers by length and stop, scores, and which answers took which target's place.

import { html, useMemo } from "./lib.js";
import { meanOf } from "./stats.js";
import { answerOf, scoreOfLine } from "./measured.js";
import { figure, percent, shown, visible } from "./format.js";

const MOST_CLASSES = 12;
const MOST_WRONG = 8;
const OTHER = "other";

export function Answers({ pairs, names, threshold, isBits, params, onChange }) {
  const side = params.side === "a" ? "a" : "b";
  const lines = useMemo(() => ({ a: pairs.map(({ a }) => a), b: pairs.map(({ b }) => b) }), [pairs]);
  const classes = useMemo(() => classesOf(lines.b), [lines]);
  return html`
    <section class="card" aria-labelledby="answers-title"><h2 id="answers-title">Answers</h2>
      <${Habits} lines=${lines} names=${names} threshold=${threshold} />
      ${!isBits && html`<${Scores} lines=${lines} names=${names} />`}
      <div class="row answers-head">
        <h3>${classes ? "Given for each target" : "Most common wrong answers"}</h3>
        <div class="segments" role="group" aria-label="Of which moment">
          ${["a", "b"].map((one, n) => html`<button aria-pressed=${side === one} onClick=${() => onChange({ side: one })}><span class="said">${visible(names[n])}</span></button>`)}
        </div>
      </div>
      ${classes ? html`<${Confusion} lines=${lines[side]} classes=${classes} />` : html`<${CommonWrong} lines=${lines[side]} threshold=${threshold} />`}
    </section>`;
}

// Lengths, ends and further scores of the greedy answers.
function Habits({ lines, names, threshold }) {
  const of = (own) => {
    const [right, wrong] = [true, false].map((isRight) => own.filter((line) => (scoreOfLine(line) >= threshold) === isRight));
    const sampled = own.flatMap((line) => line.sampled ?? []).map((score) => score ?? 0);
    const rows = [
      ["sampled answers, mean score", sampled.length ? percent(meanOf(sampled)) : "none"],
      ["tokens of a right answer", figure(meanOf(right.map((line) => line.tokens)))],
      ["tokens of a wrong answer", figure(meanOf(wrong.map((line) => line.tokens)))],
      ["cut off by the token limit", percent(meanOf(own.map((line) => Number(line.stop === "length"))))],
      ["could not be scored", figure(own.filter((line) => typeof line.score !== "number").length)],
    ];
    return new Map([...rows, ...scoresOf(own)]);
  };
  const [before, after] = [of(lines.a), of(lines.b)];
  return html`
    <div class="scroll-x"><table class="habits">
      <thead><tr><th>Greedy answers</th>${names.map((name) => html`<th class="number said">${visible(name)}</th>`)}</tr></thead>
      <tbody>${[...new Set([...before.keys(), ...after.keys()])].map((name) => html`
        <tr><th class="said">${visible(name)}</th><td class="number">${before.get(name) ?? "none"}</td><td class="number">${after.get(name) ?? "none"}</td></tr>`)}
      </tbody></table></div>`;
}

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
  return [...values].map(([name, found]) => [`${name}, mean`, figure(meanOf(found))]);
}

// How many answers lie in each tenth from 0 to 1.
function Scores({ lines, names }) {
  const bins = ["a", "b"].map((side) => {
    const counts = Array(10).fill(0);
    for (const line of lines[side]) counts[Math.min(9, Math.max(0, Math.floor(10 * scoreOfLine(line))))] += 1;
    return counts;
  });
  const most = Math.max(1, ...bins.flat());
  const words = bins.map((counts, n) => `${names[n]}: ${counts.map((count, bin) => `${count} from ${bin / 10}`).join(", ")}`).join(". ");
  return html`
    <h3>Scores</h3>
    <div class="tenths" role="img" aria-label=${visible(`Answers by score. ${words}`)}>
      ${bins[0].map((_, bin) => html`
        <div class="tenth" title=${`${bin / 10} to ${(bin + 1) / 10}: ${bins[0][bin]} before, ${bins[1][bin]} after`}>
          <span class="bars">${bins.map((counts, n) => html`<i class="bar-${n}" style=${{ height: `${(100 * counts[bin]) / most}%` }}></i>`)}</span>
          <span class="tick">${bin / 10}</span>
        </div>`)}
    </div>
    <p class="note"><i class="bar-key bar-0"></i> <span class="said">${visible(names[0])}</span> <i class="bar-key bar-1"></i> <span class="said">${visible(names[1])}</span>; the tallest bar is ${figure(most)} samples.</p>`;
}

// Targets that are few short words or numbers, most common first; null where they are not.
function classesOf(lines) {
  const counts = new Map();
  for (const { target } of lines) {
    if (typeof target !== "string" && typeof target !== "number") return null;
    const text = String(target).trim();
    if (text.length > 24) return null;
    counts.set(text, (counts.get(text) ?? 0) + 1);
    if (counts.size > MOST_CLASSES) return null;
  }
  if (counts.size < 2) return null;
  const names = [...counts.keys()];
  return names.every((name) => Number.isFinite(Number(name))) ? names.sort((x, y) => x - y) : names.sort((x, y) => counts.get(y) - counts.get(x));
}

function Confusion({ lines, classes }) {
  const places = new Map(classes.map((name, n) => [name.toLowerCase(), n]));
  const counts = classes.map(() => Array(classes.length + 1).fill(0));
  for (const line of lines) {
    const row = places.get(String(line.target).trim().toLowerCase());
    const column = places.get(answerOf(line).toLowerCase()) ?? classes.length;
    if (row !== undefined) counts[row][column] += 1;
  }
  const most = Math.max(1, ...counts.flat());
  return html`
    <div class="scroll-x"><table class="confusion">
      <thead><tr><th scope="col">target</th>${[...classes, OTHER].map((name) => html`<th scope="col" class="number said">${visible(name)}</th>`)}</tr></thead>
      <tbody>${classes.map((name, row) => html`
        <tr><th scope="row" class="said">${visible(name)}</th>${counts[row].map((count, column) => html`
          <td class="number ${row === column ? "hit" : ""}" style=${{ "--share": count / most }}>${count || html`<span class="faint">0</span>`}</td>`)}</tr>`)}
      </tbody></table></div>
    <p class="note">Rows are targets, columns what was answered, by its exact words; "${OTHER}" is any other answer. The outlined cells are right.</p>`;
}

function CommonWrong({ lines, threshold }) {
  const counts = new Map();
  const wrong = lines.filter((line) => scoreOfLine(line) < threshold);
  for (const line of wrong) {
    const answer = answerOf(line);
    counts.set(answer, (counts.get(answer) ?? 0) + 1);
  }
  const rows = [...counts].sort((x, y) => y[1] - x[1]).slice(0, MOST_WRONG);
  if (!rows.length) return html`<p class="note">No answer is wrong.</p>`;
  return html`
    <ol class="common">${rows.map(([answer, count]) => html`
      <li><span class="count">${figure(count)} ×</span> <span class="said mono">${answer ? shown(answer) : "(empty)"}</span></li>`)}
    </ol>
    ${counts.size > rows.length && html`<p class="note">${figure(wrong.length)} wrong answers, ${figure(counts.size)} different ones.</p>`}`;
}
