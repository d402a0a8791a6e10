// What `saccade check` found about the recipe and its data: by level, with the rows that it is about.

import { html, useMemo, useState } from "./lib.js";
import { keyOfSample } from "./sample_names.js";
import { figure, plural, visible } from "./format.js";

const TONES = new Map([["error", "bad"], ["warning", "warn"]]);
const FEW_ROWS = 6;
const MOST_ROWS = 200;

export function Findings({ run, onGo }) {
  const { check, samples } = run;
  const places = useMemo(() => linesById(samples), [samples]);
  if (!check) {
    return html`
      <section class="card" aria-labelledby="check-title"><h2 id="check-title">What saccade check says</h2>
        <p>Not run yet. <code class="said">saccade check ${visible(run.name)}</code>, with the path of the run's folder, tries the rewards on right and wrong answers,
          looks for leaks and broken pictures, and keeps what it finds in the folder; this page then shows it.</p>
      </section>`;
  }
  const parts = check.parts ?? [];
  return html`
    <section class="card" aria-labelledby="check-title"><h2 id="check-title">What saccade check says</h2>
      <p>${check.is_sound ? html`<span class="tag good">sound</span>` : html`<span class="tag bad">not sound</span>`}
        ${" "}${plural(check.errors ?? 0, "error")}, ${plural(check.warnings ?? 0, "warning")}, ${plural(check.notes ?? 0, "note")} in ${plural(parts.length, "part")}.</p>
      ${parts.map((part) => html`<${Part} part=${part} places=${places} onGo=${onGo} />`)}
    </section>`;
}

function linesById(samples) {
  const places = new Map();
  for (const line of samples) {
    if (!places.has(line.sample)) places.set(line.sample, []);
    places.get(line.sample).push(line);
  }
  return places;
}

function Part({ part, places, onGo }) {
  return html`
    <div class="check-part">
      <h3><span class="said">${visible(part.name)}</span> <span class="note said">${visible(part.about ?? "")}</span></h3>
      ${(part.findings ?? []).length === 0
        ? html`<p class="note">Nothing to say.</p>`
        : html`<ul class="findings">${part.findings.map((finding) => html`<${Finding} finding=${finding} part=${part.name} places=${places} onGo=${onGo} />`)}</ul>`}
    </div>`;
}

function Finding({ finding, part, places, onGo }) {
  const [showsAll, setShowsAll] = useState(false);
  const { level, what, advice, rows = [], whys = [], of } = finding;
  const shownRows = rows.slice(0, showsAll ? MOST_ROWS : FEW_ROWS);
  return html`
    <li>
      <span class="tag ${TONES.get(level) ?? ""} said">${visible(level)}</span>
      <div>
        <span class="said">${visible(what)}</span>${advice && html`<span class="note said">; ${visible(advice)}</span>`}
        ${rows.length > 0 && html`
          <div class="note finding-rows">${plural(rows.length, "row")}${of ? ` of ${figure(of)}` : ""}:${" "}
            <ul>${shownRows.map((row, n) => html`<li><${Row} row=${row} part=${part} places=${places} onGo=${onGo} />${whys[n] && html` <span class="said">(${visible(whys[n])})</span>`}</li>`)}</ul>
            ${rows.length > FEW_ROWS && html`
              <button class="link" aria-expanded=${String(showsAll)} onClick=${() => setShowsAll(!showsAll)}>${showsAll ? "Show fewer" : `Show more of ${figure(rows.length)}`}</button>`}
          </div>`}
      </div>
    </li>`;
}

// A row's id, or a pair "trained = held out"; a button where the sample is in this file.
function Row({ row, part, places, onGo }) {
  const ids = places.has(row) ? [row] : String(row).split(" = ");
  return ids.map((id, n) => {
    const line = lineOf(places.get(id) ?? [], part, n > 0);
    const opened = () => {
      onGo({ set: undefined, kind: undefined, sample: keyOfSample(line) });
      document.getElementById("samples")?.scrollIntoView();
    };
    return html`${n > 0 && " = "}${line
      ? html`<button class="link said" onClick=${opened}>${visible(id)}</button>`
      : html`<span class="said" title="not among the samples in this file">${visible(id)}</span>`}`;
  });
}

// Of samples of one name in several sets that of the part; the second of a pair is held out.
function lineOf(lines, part, isHeldOut) {
  const own = lines.find(({ set }) => set === part || `evaluation ${set}` === part);
  return (isHeldOut ? lines.find(({ set }) => !String(set).startsWith("stage ")) : own) ?? own ?? lines[0];
}
