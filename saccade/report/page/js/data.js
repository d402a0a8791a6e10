// The view of the data: every set's samples with their targets drawn, token counts, duplicates, and what `saccade check` found.

import { html, useMemo, useState } from "./lib.js";
import { Browse, LayoutChoice, useOpened } from "./browse.js";
import { Duplicates, duplicatesOf } from "./duplicates.js";
import { Findings } from "./findings.js";
import { SampleView } from "./sample_view.js";
import { keyOfSample } from "./sample_names.js";
import { TokenCounts } from "./token_counts.js";
import { PictureView } from "./picture.js";
import { go } from "./route.js";
import { figure, plural, shown, visible } from "./format.js";
import { shortened } from "./measured.js";

const SAMPLE_HEIGHT = 84; // px, as in 2-evaluation.css

export function Data({ store, runs, params }) {
  const n = Object.hasOwn(runs, params.run ?? "") ? Number(params.run) : 0;
  const run = runs[n];
  const sets = useMemo(() => setsOfSamples(run), [run.samples, run.totals]);
  const twice = useMemo(() => duplicatesOf(run.samples), [run.samples]);
  const set = sets.some(({ name }) => name === params.set) ? params.set : undefined;
  const picks = { store, run, params, set, onGo: (changes) => go("data", { ...params, ...changes }, { replace: true }) };
  return html`
    <div class="stack data">
      <section class="card" aria-labelledby="data-title">
        <div class="row answers-head">
          <h2 id="data-title">Data</h2>
          ${runs.length > 1 && html`
            <div class="segments" role="group" aria-label="Data of which run">
              ${runs.map((one, place) => html`
                <button aria-pressed=${String(place === n)} onClick=${() => go("data", { run: place || undefined })}>${"AB"[place]} <span class="said">${visible(one.name)}</span></button>`)}
            </div>`}
        </div>
        ${sets.length === 0
          ? html`<p class="empty">${run.state === "running" ? "The samples stand here once the run has begun." : "This run has no recorded samples: it was written before they were, or ended before it began."}</p>`
          : html`<${Sets} sets=${sets} ...${picks} />`}
      </section>
      ${sets.length > 0 && html`<${Samples} key=${`samples ${n}`} sets=${sets} ...${picks} />`}
      ${sets.length > 0 && html`
        <div class="halves">
          <${TokenCounts} run=${run} sets=${sets} />
          <${Duplicates} key=${`twice ${n}`} found=${twice} ...${picks} />
        </div>`}
      <${Findings} ...${picks} />
    </div>`;
}

function Sets({ sets, set, onGo }) {
  return html`
    <div class="scroll-x" tabindex="0" role="region" aria-label="Sets"><table class="sets">
      <thead><tr>${["Set", "Split"].map((name) => html`<th scope="col">${name}</th>`)}
        ${["Samples", "In this file", "Kinds", "Pictures", "Prompt tokens"].map((name) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
      <tbody>${sets.map(({ name, split, n, here, kinds, pictures, tokens }) => html`
        <tr>
          <th scope="row"><button class="link said" aria-pressed=${String(set === name)} title="Show only this set below"
            onClick=${() => onGo({ set: set === name ? undefined : name, sample: undefined })}>${visible(name)}</button></th>
          <td class="said">${visible(split)}</td><td class="number">${figure(n)}</td><td class="number">${figure(here)}</td>
          <td class="number">${figure(kinds)}</td><td class="number">${figure(pictures)}</td><td class="number">${tokens}</td>
        </tr>`)}
      </tbody></table></div>
    ${sets.some(({ n, here }) => here < n) && html`<p class="note">Of a large set, samples spread evenly over it are recorded; counts of kinds, pictures and tokens are of these.</p>`}`;
}

function Samples({ store, run, sets, params, set, onGo }) {
  const [words, setWords] = useState("");
  const kinds = useMemo(() => [...new Set(run.samples.filter((line) => !set || line.set === set).map(({ kind }) => kind))].sort(), [run.samples, set]);
  const kind = kinds.includes(params.kind) ? params.kind : undefined;
  const listed = useMemo(() => chosenSamples(run.samples, { set, kind, words }), [run.samples, set, kind, words]);
  const isGallery = params.layout === "gallery";
  const onOpen = (line) => onGo({ sample: keyOfSample(line) });
  const opened = useOpened({ items: listed, all: run.samples, keyOf: keyOfSample, wanted: params.sample, isGallery, searchId: "sample-search", onOpen });
  const { open } = opened;
  const part = { store, run, onOpen, hasSet: !set && sets.length > 1 };
  return html`
    <section class="card" id="samples" aria-labelledby="samples-title">
      <div class="row cases-head">
        <h2 id="samples-title">Samples</h2>
        <label><span class="unseen">Set</span>
          <select value=${set ?? ""} onChange=${(event) => onGo({ set: event.target.value, sample: undefined })}>
            <option value="">all sets</option>
            ${sets.map(({ name }) => html`<option value=${name}>${visible(name)}</option>`)}
          </select></label>
        ${kinds.length > 1 && html`
          <label><span class="unseen">Kind</span>
            <select value=${kind ?? ""} onChange=${(event) => onGo({ kind: event.target.value, sample: undefined })}>
              <option value="">all kinds</option>
              ${kinds.map((one) => html`<option value=${one}>${visible(one)}</option>`)}
            </select></label>`}
        <input id="sample-search" type="search" placeholder="Search  /" aria-label="Search in names, prompts and targets" value=${words}
          onInput=${(event) => setWords(event.target.value)} />
        <${LayoutChoice} params=${params} onChange=${(changes) => onGo({ ...changes, sample: undefined })} />
        <span class="note" role="status">${figure(listed.length)} of ${plural(run.samples.length, "sample")}</span>
      </div>
      <${Browse} id="samples" items=${listed} keyOf=${keyOfSample} height=${SAMPLE_HEIGHT} opened=${opened} isGallery=${isGallery} label="Samples"
        row=${(line, isOpen) => html`<${SampleRow} line=${line} isOpen=${isOpen} ...${part} />`}
        tile=${(line) => html`<${SampleTile} key=${keyOfSample(line)} line=${line} ...${part} />`}
        empty="No sample matches." onClose=${() => onGo({ sample: undefined })}
        reading=${open && html`<${SampleView} key=${keyOfSample(open)} store=${store} run=${run} line=${open} />`} />
    </section>`;
}

function SampleRow({ store, run, line, isOpen, onOpen, hasSet }) {
  return html`
    <button class="case-row" aria-current=${isOpen ? "true" : undefined} onClick=${() => onOpen(line)}>
      <${SampleThumb} store=${store} run=${run} line=${line} />
      <span class="case-row-text">
        <span class="case-row-head"><span class="said">${visible(line.sample)}</span>${hasSet && html`<span class="case-scores faint said">${visible(line.set)}</span>`}</span>
        <span class="case-row-answer said">${visible(shortened(String(line.prompt ?? "").replaceAll("[picture]", " ").trim(), 100))}</span>
        <span class="case-row-answer">→ <span class="said">${shortened(shown(line.target ?? "none"), 100)}</span></span>
      </span>
    </button>`;
}

function SampleTile({ store, run, line, onOpen }) {
  return html`
    <button class="tile" onClick=${() => onOpen(line)}>
      <${SampleThumb} store=${store} run=${run} line=${line} />
      <span class="case-row-head"><span class="said">${visible(line.sample)}</span></span>
      <span class="case-row-answer">→ <span class="said">${shortened(shown(line.target ?? "none"), 100)}</span></span>
    </button>`;
}

function SampleThumb({ store, run, line }) {
  if (!line.pictures?.length) return html`<span class="thumb no-picture" aria-hidden="true">Aa</span>`;
  return html`<${PictureView} key=${line.pictures[0]} store=${store} run=${run} sha=${line.pictures[0]} size="thumb" alt="" gold=${line.gold} index=${0} />`;
}

function chosenSamples(lines, { set, kind, words }) {
  const terms = words.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (line) => {
    const text = `${line.sample} ${line.prompt} ${JSON.stringify(line.target)}`.toLowerCase();
    return terms.every((term) => text.includes(term));
  };
  return lines.filter((line) => (set === undefined || line.set === set) && (kind === undefined || line.kind === kind) && (!terms.length || has(line)));
}

function setsOfSamples(run) {
  const totals = run.totals ?? {};
  const bySet = new Map(Object.keys(totals).map((name) => [name, []]));
  for (const line of run.samples) {
    if (!bySet.has(line.set)) bySet.set(line.set, []);
    bySet.get(line.set).push(line);
  }
  return [...bySet].map(([name, own]) => {
    const tokens = own.map((line) => line.tokens?.prompt).filter(Number.isFinite);
    const [low, high] = tokens.reduce(([least, most], one) => [Math.min(least, one), Math.max(most, one)], [Infinity, -Infinity]);
    return {
      name,
      split: own[0]?.split ?? "",
      n: Object.hasOwn(totals, name) ? totals[name] : own.length,
      here: own.length,
      kinds: new Set(own.map(({ kind }) => kind)).size,
      pictures: new Set(own.flatMap((line) => line.pictures ?? [])).size,
      tokens: tokens.length ? (low === high ? figure(low) : `${figure(low)} to ${figure(high)}`) : "none",
    };
  });
}
