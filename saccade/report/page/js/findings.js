// What `saccade check` found about the recipe and its data: by level, with the rows that it is about.

import { html, useState } from "./lib.js";
import { keyOfSample } from "./sample_names.js";
import { figure, plural, visible } from "./format.js";

const TONES = { error: "bad", warning: "warn", note: "" };
const FEW = 6;

export function Findings({ run, onGo }) {
  const { check } = run;
  if (!check) {
    return html`
      <section class="card" aria-labelledby="check-title"><h2 id="check-title">What saccade check says</h2>
        <p>Not run yet. <code class="said">saccade check ${visible(run.name)}</code>, with the run's folder, tries the rewards on right and wrong answers, looks for leaks and broken pictures, and keeps what it finds in the folder; this page then shows it.</p>
      </section>`;
  }
  const parts = check.parts ?? [];
  const places = new Map(run.samples.map((line) => [line.sample, line]));
  return html`
    <section class="card" aria-labelledby="check-title"><h2 id="check-title">What saccade check says</h2>
      <p>${check.is_sound ? html`<span class="tag good">sound</span>` : html`<span class="tag bad">not sound</span>`}
        ${" "}${plural(check.errors ?? 0, "error")}, ${plural(check.warnings ?? 0, "warning")}, ${plural(check.notes ?? 0, "note")} in ${plural(parts.length, "part")}.</p>
      ${parts.map((part) => html`<${Part} part=${part} places=${places} onGo=${onGo} />`)}
    </section>`;
}

function Part({ part, places, onGo }) {
  return html`
    <div class="check-part">
      <h3><span class="said">${visible(part.name)}</span> <span class="note said">${visible(part.about ?? "")}</span></h3>
      ${(part.findings ?? []).length === 0
        ? html`<p class="note">Nothing to say.</p>`
        : html`<ul class="findings">${part.findings.map((finding) => html`<${Finding} finding=${finding} places=${places} onGo=${onGo} />`)}</ul>`}
    </div>`;
}

function Finding({ finding, places, onGo }) {
  const [showsAll, setShowsAll] = useState(false);
  const { level, what, advice, rows = [], whys = [], of } = finding;
  const shownRows = showsAll ? rows : rows.slice(0, FEW);
  return html`
    <li>
      <span class="tag ${Object.hasOwn(TONES, level) ? TONES[level] : ""} said">${visible(level)}</span>
      <div>
        <span class="said">${visible(what)}</span>${advice && html`<span class="note said">; ${visible(advice)}</span>`}
        ${rows.length > 0 && html`
          <p class="note finding-rows">${plural(rows.length, "row")}${of ? ` of ${figure(of)}` : ""}:
            ${shownRows.map((row, n) => html`${" "}<${Row} row=${row} why=${whys[n]} places=${places} onGo=${onGo} />`)}
            ${rows.length > FEW && html`${" "}<button class="link" onClick=${() => setShowsAll(!showsAll)}>${showsAll ? "fewer" : `all ${figure(rows.length)}`}</button>`}</p>`}
      </div>
    </li>`;
}

// A row's id, or a pair "train = held out"; a button where the sample is in this file.
function Row({ row, why, places, onGo }) {
  return row.split(" = ").map((id, n) => {
    const line = places.get(id);
    return html`${n > 0 && " = "}${line
      ? html`<button class="link said" title=${why && visible(why)} onClick=${() => {
          onGo({ set: undefined, kind: undefined, sample: keyOfSample(line) });
          document.getElementById("samples")?.scrollIntoView();
        }}>${visible(id)}</button>`
      : html`<span class="said" title=${why && visible(why)}>${visible(id)}</span>`}`;
  });
}
