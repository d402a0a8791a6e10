// The view of the data: every set's samples with their targets drawn, token counts, duplicates, and what `saccade check` found.

import { html, useMemo, useState } from "./lib.js";
import { Duplicates, duplicatesOf } from "./duplicates.js";
import { Findings } from "./findings.js";
import { SampleView } from "./sample_view.js";
import { keyOfSample } from "./sample_names.js";
import { TokenCounts } from "./token_counts.js";
import { PictureView } from "./picture.js";
import { VirtualList } from "./virtual.js";
import { useNarrow } from "./near.js";
import { useKeys } from "./keys.js";
import { go } from "./route.js";
import { figure, plural, shown, visible } from "./format.js";

const SAMPLE_HEIGHT = 84; // px, as in 2-data.css

export function Data({ store, runs, params }) {
  const n = runs[Number(params.run)] ? Number(params.run) : 0;
  const run = runs[n];
  const sets = useMemo(() => setsOfSamples(run), [run.samples, run.totals]);
  const twice = useMemo(() => duplicatesOf(run.samples), [run.samples]);
  const set = sets.some(({ name }) => name === params.set) ? params.set : undefined;
  const picks = { store, run, params, set, onGo: (changes) => go("data", { ...params, ...changes }, { replace: true }) };
  return html`
    <div class="stack data">
      <section class="card" aria-labelledby="data-title">
        <div class="row">
          <h2 id="data-title">Data</h2>
          ${runs.length > 1 && html`
            <div class="segments" role="group" aria-label="Data of which run">
              ${runs.map((one, place) => html`<button aria-pressed=${place === n} onClick=${() => go("data", { run: place || undefined })}>${"AB"[place]} <span class="said">${visible(one.name)}</span></button>`)}
            </div>`}
        </div>
        ${sets.length === 0
          ? html`<p class="empty">${run.state === "running" ? "The samples stand here once the run has begun." : "This run was written before samples were recorded."}</p>`
          : html`<${Sets} sets=${sets} ...${picks} />`}
      </section>
      ${sets.length > 0 && html`<${Browser} ...${picks} />`}
      ${sets.length > 0 && html`
        <div class="halves">
          <${TokenCounts} run=${run} sets=${sets} />
          <${Duplicates} found=${twice} ...${picks} />
        </div>`}
      <${Findings} ...${picks} />
    </div>`;
}

function Sets({ sets, set, onGo }) {
  return html`
    <div class="scroll-x"><table class="sets">
      <thead><tr><th>Set</th><th>Split</th><th class="number">Samples</th><th class="number">In this file</th><th class="number">Kinds</th><th class="number">Pictures</th><th class="number">Prompt tokens</th></tr></thead>
      <tbody>${sets.map(({ name, split, n, here, kinds, pictures, tokens }) => html`
        <tr>
          <th><button class="link said" aria-pressed=${set === name} title="Show only this set below" onClick=${() => onGo({ set: set === name ? undefined : name, sample: undefined })}>${visible(name)}</button></th>
          <td class="said">${visible(split)}</td><td class="number">${figure(n)}</td><td class="number">${figure(here)}</td>
          <td class="number">${figure(kinds)}</td><td class="number">${figure(pictures)}</td><td class="number">${tokens}</td>
        </tr>`)}
      </tbody></table></div>
    ${sets.some(({ n, here }) => here < n) && html`<p class="note">Of a large set, samples spread evenly over it are recorded; counts of kinds, pictures and tokens are of these.</p>`}`;
}

function Browser({ store, run, params, set, onGo }) {
  const isNarrow = useNarrow();
  const [words, setWords] = useState("");
  const kinds = useMemo(() => [...new Set(run.samples.filter((line) => !set || line.set === set).map(({ kind }) => kind))].sort(), [run.samples, set]);
  const listed = useMemo(() => chosenSamples(run.samples, { set, kind: params.kind, words }), [run.samples, set, params.kind, words]);
  const open = listed.find((line) => keyOfSample(line) === params.sample) ?? (isNarrow ? null : listed[0]);
  const place = listed.indexOf(open);
  const walk = (by) => {
    const next = listed[Math.min(listed.length - 1, Math.max(0, place + by))];
    if (next) onGo({ sample: keyOfSample(next) });
  };
  useKeys({ j: () => walk(1), k: () => walk(-1), "/": () => document.getElementById("sample-search")?.focus() });
  return html`
    <section class="card" id="samples" aria-labelledby="samples-title">
      <div class="row cases-head">
        <h2 id="samples-title">Samples${set ? html` of <span class="said">${visible(set)}</span>` : ""}</h2>
        ${kinds.length > 1 && html`
          <label><span class="unseen">Kind</span>
            <select value=${params.kind ?? ""} onChange=${(event) => onGo({ kind: event.target.value, sample: undefined })}>
              <option value="">all kinds</option>
              ${kinds.map((kind) => html`<option value=${kind}>${visible(kind)}</option>`)}
            </select></label>`}
        <input id="sample-search" type="search" placeholder="Search  /" aria-label="Search in prompts and targets" value=${words} onInput=${(event) => setWords(event.target.value)} />
        <span class="note" role="status">${figure(listed.length)} of ${plural(run.samples.length, "sample")}</span>
      </div>
      ${listed.length === 0 ? html`<p class="empty">No sample matches.</p>` : html`
        <div class="case-body ${isNarrow ? "is-narrow" : ""}">
          ${(!isNarrow || !open) && html`
            <div class="case-list">
              <${VirtualList} items=${listed} height=${SAMPLE_HEIGHT} keyOf=${keyOfSample} shownKey=${open && keyOfSample(open)} label="Samples"
                row=${(line) => html`<${SampleRow} store=${store} run=${run} line=${line} isOpen=${line === open} onOpen=${() => onGo({ sample: keyOfSample(line) })} />`} />
            </div>`}
          ${open && html`
            <div class="case-reading">
              ${isNarrow && html`<button onClick=${() => onGo({ sample: undefined })}>‹ All samples</button>`}
              <${SampleView} key=${keyOfSample(open)} store=${store} run=${run} line=${open} />
            </div>`}
        </div>`}
    </section>`;
}

function SampleRow({ store, run, line, isOpen, onOpen }) {
  return html`
    <button class="case-row sample-row" aria-current=${isOpen ? "true" : undefined} onClick=${onOpen}>
      ${line.pictures?.length
        ? html`<${PictureView} store=${store} run=${run} sha=${line.pictures[0]} size="thumb" alt="" gold=${line.gold} index=${0} />`
        : html`<span class="thumb no-picture" aria-hidden="true">Aa</span>`}
      <span class="case-row-text">
        <span class="case-row-head"><span class="said">${visible(line.sample)}</span></span>
        <span class="case-row-answer said">${visible(line.prompt.replaceAll("[picture]", " ").trim())}</span>
        <span class="case-row-answer said">→ ${shown(line.target)}</span>
      </span>
    </button>`;
}

function chosenSamples(lines, { set, kind, words }) {
  const terms = words.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (line) => {
    const text = `${line.sample} ${line.prompt} ${JSON.stringify(line.target)}`.toLowerCase();
    return terms.every((term) => text.includes(term));
  };
  return lines.filter((line) => (!set || line.set === set) && (!kind || line.kind === kind) && (!terms.length || has(line)));
}

function setsOfSamples(run) {
  const names = [...new Set([...Object.keys(run.totals ?? {}), ...run.samples.map((line) => line.set)])];
  return names.map((name) => {
    const own = run.samples.filter((line) => line.set === name);
    const tokens = own.flatMap((line) => (line.tokens ? [line.tokens.prompt] : []));
    const [low, high] = tokens.reduce(([least, most], one) => [Math.min(least, one), Math.max(most, one)], [Infinity, -Infinity]);
    return {
      name,
      split: own[0]?.split ?? "",
      n: Object.hasOwn(run.totals ?? {}, name) ? run.totals[name] : own.length,
      here: own.length,
      kinds: new Set(own.map(({ kind }) => kind)).size,
      pictures: new Set(own.flatMap((line) => line.pictures ?? [])).size,
      tokens: tokens.length ? (low === high ? figure(low) : `${figure(low)} to ${figure(high)}`) : "none",
    };
  });
}
