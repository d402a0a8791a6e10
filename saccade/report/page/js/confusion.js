// Which answers were given for which targets, where targets are few short words or numbers.

import { html } from "./lib.js";
import { answerOf } from "./measured.js";
import { figure, visible } from "./format.js";

const MOST_CLASSES = 12;
const LONGEST_CLASS = 24; // letters
const OTHER = "other";

// Targets as they are first written, numbers in their order, else the most common first; null where they are not few and short.
export function classesOf(lines) {
  const counts = new Map(); // as compared -> [as written, how many]
  for (const { target } of lines) {
    if (!["string", "number", "boolean"].includes(typeof target)) return null;
    const text = String(target).trim();
    if (text.length > LONGEST_CLASS) return null;
    const known = counts.get(text.toLowerCase());
    if (known) known[1] += 1;
    else if (counts.size === MOST_CLASSES) return null;
    else counts.set(text.toLowerCase(), [text, 1]);
  }
  if (counts.size < 2) return null;
  const found = [...counts.values()];
  const areNumbers = found.every(([name]) => name !== "" && Number.isFinite(Number(name)));
  return found.sort((x, y) => (areNumbers ? x[0] - y[0] : y[1] - x[1])).map(([name]) => name);
}

// Whether what was answered is one of the targets.
export function isAmong(classes, line) {
  const answer = answerOf(line).toLowerCase();
  return classes.some((name) => name.toLowerCase() === answer);
}

export function Confusion({ lines, classes }) {
  const places = new Map(classes.map((name, n) => [name.toLowerCase(), n]));
  const counts = classes.map(() => Array(classes.length + 1).fill(0));
  for (const line of lines) {
    const row = places.get(String(line.target).trim().toLowerCase());
    if (row !== undefined) counts[row][places.get(answerOf(line).toLowerCase()) ?? classes.length] += 1;
  }
  const most = Math.max(1, ...counts.flat());
  return html`
    <div class="scroll-x" tabindex="0" role="region" aria-label="Confusion table"><table class="confusion">
      <thead><tr><th scope="col">target</th>${[...classes, OTHER].map((name, n) => html`
        <th scope="col" class="number said">${n === classes.length ? html`<i>${name}</i>` : visible(name)}</th>`)}</tr></thead>
      <tbody>${classes.map((name, row) => html`
        <tr><th scope="row" class="said">${visible(name)}</th>${counts[row].map((count, column) => html`
          <td class="number ${row === column ? "hit" : ""}" style=${{ "--share": count / most }}>${count ? figure(count) : html`<span class="faint">0</span>`}</td>`)}</tr>`)}
      </tbody></table></div>
    <p class="note">Rows are targets, columns what was answered, by its words alone; <i>${OTHER}</i> is any other answer. Outlined: as the target.</p>`;
}
