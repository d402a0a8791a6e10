// The same picture, or the same question about it, more than once: within a set, and worse, in training and in a held-out set.

import { html } from "./lib.js";
import { keyOfSample } from "./sample_names.js";
import { PictureView } from "./picture.js";
import { figure, plural, visible } from "./format.js";

const MOST_SHOWN = 12;
const isTrained = ({ set }) => set.startsWith("stage ");

// {leaks: pictures in training and held out, repeated: the same question within a set, shared: pictures that several samples show}; each
// a list of [key, lines].
export function duplicatesOf(lines) {
  const byPicture = grouped(lines, (line) => line.pictures ?? []);
  const byQuestion = grouped(lines, (line) => [`${line.set} ${JSON.stringify([line.prompt, line.pictures])}`]);
  return {
    leaks: byPicture.filter(([, own]) => own.some(isTrained) && !own.every(isTrained)),
    repeated: byQuestion.filter(([, own]) => own.length > 1),
    shared: byPicture.filter(([, own]) => new Set(own.filter((line) => line.set === own[0].set)).size > 1),
  };
}

function grouped(lines, keysOf) {
  const found = new Map();
  for (const line of lines) {
    for (const key of new Set(keysOf(line))) {
      if (!found.has(key)) found.set(key, []);
      found.get(key).push(line);
    }
  }
  return [...found];
}

export function Duplicates({ store, run, found: { leaks, repeated, shared }, onGo }) {
  return html`
    <section class="card" aria-labelledby="twice-title"><h2 id="twice-title">Duplicates</h2>
      ${leaks.length > 0
        ? html`<p class="warning"><b>Leak:</b> ${plural(leaks.length, "picture")} of training ${leaks.length === 1 ? "is" : "are"} also in a held-out set. Scores there say less than they seem to.</p>`
        : html`<p>No picture is both in training and in a held-out set, among the samples in this file.</p>`}
      ${leaks.length > 0 && html`<${Pairs} store=${store} run=${run} found=${leaks} onGo=${onGo} />`}
      <p>${repeated.length > 0
        ? `${plural(repeated.length, "question")} ${repeated.length === 1 ? "stands" : "stand"} in a set more than once, word for word with the same pictures.`
        : "No question stands in a set twice."}</p>
      ${repeated.length > 0 && html`<${Pairs} store=${store} run=${run} found=${repeated} onGo=${onGo} />`}
      <p class="note">${shared.length > 0 ? `${plural(shared.length, "picture")} ${shared.length === 1 ? "is" : "are"} asked about by several samples of a set.` : "Every sample of a set shows its own pictures."}
        ${" "}Pictures count as the same where all their pixels are; <code>saccade check</code> also finds those that nearly are.</p>
    </section>`;
}

function Pairs({ store, run, found, onGo }) {
  return html`
    <ul class="twice">
      ${found.slice(0, MOST_SHOWN).map(([, lines]) => html`
        <li>
          ${lines[0].pictures?.length > 0 && html`<span class="twice-thumb"><${PictureView} store=${store} run=${run} sha=${lines[0].pictures[0]} size="thumb" alt="" /></span>`}
          <span>${lines.slice(0, 4).map((line) => html`
            <button class="link said" onClick=${() => onGo({ set: undefined, kind: undefined, sample: keyOfSample(line) })}>${visible(line.set)}: ${visible(line.sample)}</button><br />`)}
            ${lines.length > 4 && html`<span class="note">and ${figure(lines.length - 4)} more</span>`}</span>
        </li>`)}
    </ul>
    ${found.length > MOST_SHOWN && html`<p class="note">The first ${MOST_SHOWN} of ${figure(found.length)}.</p>`}`;
}
