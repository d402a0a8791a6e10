// The same picture, or the same question about it, more than once: within a set, and worse, in training and in a held-out set.

import { html, useState } from "./lib.js";
import { keyOfSample } from "./sample_names.js";
import { PictureView } from "./picture.js";
import { figure, plural, visible } from "./format.js";

const FEW_SHOWN = 6;
const MOST_SHOWN = 60;
const MOST_ALIKE = 4; // samples of one picture
const isTrained = ({ set }) => String(set).startsWith("stage ");

// Lists of [what is the same, lines]. `leaks`: pictures in training and held out; `across`: in several held-out sets; `shared`: in several
// samples of a set; `repeated`: the same question within a set; `torn`: those of them with unlike targets.
export function duplicatesOf(lines) {
  const byPicture = grouped(lines, (line) => line.pictures ?? []);
  const repeated = grouped(lines, (line) => [JSON.stringify([line.set, line.prompt, line.pictures])]).filter(([, own]) => own.length > 1);
  const setsOf = (own) => new Set(own.map(({ set }) => set));
  return {
    leaks: byPicture.filter(([, own]) => own.some(isTrained) && !own.every(isTrained)),
    across: byPicture.filter(([, own]) => setsOf(own.filter((line) => !isTrained(line))).size > 1),
    shared: byPicture.filter(([, own]) => own.length > setsOf(own).size),
    repeated,
    torn: repeated.filter(([, own]) => new Set(own.map(({ target }) => JSON.stringify(target))).size > 1),
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

export function Duplicates({ store, run, found: { leaks, across, shared, repeated, torn }, onGo }) {
  const part = { store, run, onGo };
  return html`
    <section class="card" aria-labelledby="twice-title"><h2 id="twice-title">Duplicates</h2>
      ${leaks.length > 0
        ? html`<p class="warning"><b>Leak:</b> ${plural(leaks.length, "picture")} of training ${leaks.length === 1 ? "is" : "are"} also in a held-out set. Scores there say less than they seem to.</p>`
        : html`<p>No picture is both in training and in a held-out set, among the samples in this file.</p>`}
      <${Alike} found=${leaks} ...${part} />
      ${across.length > 0 && html`<p>${plural(across.length, "picture")} ${across.length === 1 ? "is" : "are"} in more than one held-out set.</p>`}
      <${Alike} found=${across} ...${part} />
      <p>${repeated.length > 0
        ? `${plural(repeated.length, "question")} ${repeated.length === 1 ? "stands" : "stand"} in a set more than once, word for word with the same pictures.`
        : "No question stands in a set twice."}
        ${torn.length > 0 && html` <b>${torn.length === repeated.length ? "" : "Of these, "}${figure(torn.length)} ${torn.length === 1 ? "has" : "have"} unlike targets.</b>`}</p>
      <${Alike} found=${[...torn, ...repeated.filter((one) => !torn.includes(one))]} ...${part} />
      <p class="note">${shared.length > 0 ? `${plural(shared.length, "picture")} ${shared.length === 1 ? "is" : "are"} shown by several samples of a set.` : "Every sample of a set shows its own pictures."}
        ${" "}Pictures count as the same where all their pixels are; <code>saccade check</code> also finds those that nearly are.</p>
    </section>`;
}

function Alike({ store, run, found, onGo }) {
  const [showsMore, setShowsMore] = useState(false);
  const opened = (line) => {
    onGo({ set: undefined, kind: undefined, sample: keyOfSample(line) });
    document.getElementById("samples")?.scrollIntoView();
  };
  if (!found.length) return null;
  const most = showsMore ? MOST_SHOWN : FEW_SHOWN;
  return html`
    <ul class="twice">
      ${found.slice(0, most).map(([key, lines]) => html`
        <li key=${key}>
          ${lines[0].pictures?.length > 0 && html`<span class="twice-thumb"><${PictureView} store=${store} run=${run} sha=${lines[0].pictures[0]} size="thumb" alt="" /></span>`}
          <span class="twice-names">${lines.slice(0, MOST_ALIKE).map((line) => html`
            <button class="link said" onClick=${() => opened(line)}>${visible(line.set)}: ${visible(line.sample)}</button>`)}
            ${lines.length > MOST_ALIKE && html`<span class="note">and ${figure(lines.length - MOST_ALIKE)} more</span>`}</span>
        </li>`)}
    </ul>
    ${found.length > FEW_SHOWN && html`
      <p class="note"><button class="link" aria-expanded=${String(showsMore)} onClick=${() => setShowsMore(!showsMore)}>${showsMore ? "Show fewer" : `Show more of ${figure(found.length)}`}</button>
        ${showsMore && found.length > MOST_SHOWN && ` The first ${MOST_SHOWN} are shown.`}</p>`}`;
}
