// How long the prompts are in tokens, and how much of that the pictures take: a histogram for each set.

import { html, useMemo } from "./lib.js";
import { meanOf } from "./stats.js";
import { figure, visible } from "./format.js";

const BINS = 24;

export function TokenCounts({ run, sets }) {
  const counted = useMemo(() => run.samples.filter((line) => line.tokens), [run.samples]);
  const [low, high] = useMemo(() => counted.reduce(([least, most], { tokens }) => [Math.min(least, tokens.prompt), Math.max(most, tokens.prompt)], [Infinity, 0]), [counted]);
  if (!counted.length) return null;
  const width = Math.max(1, Math.ceil((high - low + 1) / BINS));
  return html`
    <section class="card" aria-labelledby="tokens-title"><h2 id="tokens-title">Tokens of the prompts</h2>
      ${sets.map(({ name }) => {
        const own = counted.filter((line) => line.set === name);
        return own.length > 0 && html`<${Lengths} name=${name} lines=${own} low=${low} width=${width} n=${Math.ceil((high - low + 1) / width)} />`;
      })}
      <p class="note">Bars go from ${figure(low)} to ${figure(high)} tokens, ${width === 1 ? "one bar for each length" : `${figure(width)} tokens a bar`}, each set to its own height.</p>
    </section>`;
}

function Lengths({ name, lines, low, width, n }) {
  const bars = Array(n).fill(0);
  for (const { tokens } of lines) bars[Math.floor((tokens.prompt - low) / width)] += 1;
  const most = Math.max(...bars);
  const share = meanOf(lines.map(({ tokens }) => (tokens.prompt ? tokens.pictures / tokens.prompt : 0)));
  const mean = figure(meanOf(lines.map(({ tokens }) => tokens.prompt)));
  return html`
    <div class="lengths">
      <p><b class="said">${visible(name)}</b> <span class="note">mean ${mean} tokens, ${(100 * share).toFixed(0)} % of pictures</span></p>
      <div class="length-bars" role="img" aria-label=${`Prompt lengths of ${visible(name)}: mean ${mean} tokens`}>
        ${bars.map((count, bin) => html`<i style=${{ height: `${count ? Math.max(4, (100 * count) / most) : 0}%` }}
          title=${`${low + bin * width}${width > 1 ? ` to ${low + (bin + 1) * width - 1}` : ""} tokens: ${count} samples`}></i>`)}
      </div>
    </div>`;
}
