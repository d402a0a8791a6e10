// How long the prompts are in tokens, and how much of that the pictures take: a histogram for each set.

import { html, useMemo, useState } from "./lib.js";
import { meanOf } from "./stats.js";
import { figure, percent, plural, visible } from "./format.js";

const BINS = 24;
const COUNTED = new Map([
  ["whole prompt", ({ prompt }) => prompt],
  ["pictures", ({ pictures }) => pictures],
  ["text", ({ prompt, pictures }) => prompt - pictures],
]);

export function TokenCounts({ run, sets }) {
  const [what, setWhat] = useState("whole prompt");
  const counted = useMemo(() => countedBySet(run.samples, COUNTED.get(what)), [run.samples, what]);
  const all = [...counted.values()].flat();
  if (!all.length) return null;
  const [low, high] = all.reduce(([least, most], one) => [Math.min(least, one), Math.max(most, one)], [Infinity, -Infinity]);
  const width = Math.max(1, Math.ceil((high - low + 1) / BINS));
  const axis = { low, high, width, n: Math.ceil((high - low + 1) / width) };
  return html`
    <section class="card" aria-labelledby="tokens-title">
      <div class="row answers-head"><h2 id="tokens-title">Tokens of the prompts</h2>
        <div class="segments" role="group" aria-label="Tokens of what">
          ${[...COUNTED.keys()].map((one) => html`<button aria-pressed=${String(one === what)} onClick=${() => setWhat(one)}>${one}</button>`)}
        </div></div>
      ${sets.filter(({ name }) => counted.has(name)).map(({ name }) => html`
        <${Lengths} name=${name} counts=${counted.get(name)} axis=${axis} share=${what === "whole prompt" ? shareOfPictures(run.samples, name) : null} />`)}
      <p class="note">${width === 1 ? "One bar for each length" : `${figure(width)} tokens a bar`}; every set is drawn to its own height.</p>
    </section>`;
}

const hasTokens = ({ tokens }) => Number.isFinite(tokens?.prompt) && Number.isFinite(tokens?.pictures);

function countedBySet(lines, valueOf) {
  const counted = new Map();
  for (const line of lines.filter(hasTokens)) {
    if (!counted.has(line.set)) counted.set(line.set, []);
    counted.get(line.set).push(valueOf(line.tokens));
  }
  return counted;
}

function shareOfPictures(lines, set) {
  return meanOf(lines.filter((line) => line.set === set && hasTokens(line)).map(({ tokens }) => (tokens.prompt ? tokens.pictures / tokens.prompt : 0)));
}

function Lengths({ name, counts, axis: { low, high, width, n }, share }) {
  const bars = Array(n).fill(0);
  for (const count of counts) bars[Math.floor((count - low) / width)] += 1;
  const most = Math.max(...bars);
  const mean = `mean ${figure(meanOf(counts))} tokens`;
  const said = (bin) => `${figure(low + bin * width)}${width > 1 ? ` to ${figure(low + (bin + 1) * width - 1)}` : ""} tokens: ${plural(bars[bin], "sample")}`;
  const words = bars.map((count, bin) => (count ? said(bin) : "")).filter(Boolean).join(", ");
  return html`
    <div class="lengths">
      <p><b class="said">${visible(name)}</b> <span class="note">${mean}${share !== null && `, ${percent(share)} of a prompt from pictures`}</span></p>
      <div class="length-bars" role="img" aria-label=${`Prompts of ${visible(name)} by length: ${mean}; ${words}`}>
        ${bars.map((count, bin) => html`<i style=${{ height: `${count ? Math.max(4, (100 * count) / most) : 0}%` }} title=${said(bin)}></i>`)}
      </div>
      <div class="length-ends" aria-hidden="true"><span>${figure(low)}</span><span>${high > low ? figure(high) : ""}</span></div>
    </div>`;
}
