// An answer in its sections, with stretches of it set apart: forced words, words that were searched for, differences.

import { html, useMemo } from "./lib.js";
import { fencesOf, inUnits, sectionsOf } from "./sections.js";
import { visible } from "./format.js";

// `spans`: [[from, to, kind], ...] with kind "found", "removed" or "added"; `forced` as in rollouts.jsonl.
export function Answer({ text, forced = [], spans = [] }) {
  const parts = useMemo(() => sectionsOf(text), [text]);
  const all = useMemo(() => [...inUnits(text, forced).map(([from, to]) => [from, to, "forced"]), ...spans], [text, forced, spans]);
  if (!text.trim()) return html`<p class="answer faint">The answer is empty.</p>`;
  return html`<div class="answer"><${AnswerParts} text=${text} parts=${parts} spans=${all} isTop=${true} /></div>`;
}

function AnswerParts({ text, parts, spans, isTop }) {
  const hasTags = parts.some((part) => part.tag);
  return parts.map((part) => (part.tag
    ? html`<${TagPart} text=${text} part=${part} spans=${spans} />`
    : html`
      <div class="part ${isTop && hasTags ? "part-free" : ""}">
        ${isTop && hasTags && html`<div class="part-name">between tags</div>`}
        ${fencesOf(text, part.text).map((piece) => html`<${Stretch} text=${text} piece=${piece} spans=${spans} />`)}
      </div>`));
}

function TagPart({ text, part, spans }) {
  const fault = !part.isOpened ? "closed, but never opened" : !part.isClosed ? "never closed" : "";
  const isEmpty = part.isOpened && !part.parts.length;
  return html`
    <div class="part part-tag tag-${KNOWN_TAGS.includes(part.tag) ? part.tag : "other"}">
      <div class="part-name">
        <span class="said">${visible(part.tag)}${part.about && ` ${visible(part.about)}`}</span>
        ${fault && html`<span class="part-fault">${fault}</span>`}${isEmpty && html`<span>empty</span>`}
      </div>
      <${AnswerParts} text=${text} parts=${part.parts} spans=${spans} isTop=${false} />
    </div>`;
}

const KNOWN_TAGS = ["think", "answer", "info"];

function Stretch({ text, piece, spans }) {
  const words = html`<${Spanned} text=${text} from=${piece.from} to=${piece.to} spans=${spans} />`;
  if (piece.fence === null) return html`<div class="said text">${words}</div>`;
  return html`
    <div class="part-code">
      <div class="part-name">
        <span class="said">${visible(piece.fence || "code")}</span>${!piece.isClosed && html`<span class="part-fault">fence never closed</span>`}
      </div>
      <pre class="said">${words}</pre>
    </div>`;
}

const FORCED = "Not sampled by the policy: forced words, or what a world replied";

// The text from `from` to `to`, cut where a span begins or ends.
export function Spanned({ text, from, to, spans }) {
  const here = spans.filter(([first, last]) => last > from && first < to);
  if (!here.length) return visible(text.slice(from, to));
  const inner = here.flatMap(([first, last]) => [first, last]).filter((edge) => edge > from && edge < to);
  const edges = [...new Set([from, to, ...inner])].sort((a, b) => a - b);
  return edges.slice(1).map((end, n) => {
    const kinds = here.filter(([first, last]) => first < end && last > edges[n]).map(([, , kind]) => kind);
    let piece = visible(text.slice(edges[n], end));
    if (kinds.includes("found")) piece = html`<mark>${piece}</mark>`;
    if (kinds.includes("removed")) piece = html`<del>${piece}</del>`;
    if (kinds.includes("added")) piece = html`<ins>${piece}</ins>`;
    if (kinds.includes("forced")) piece = html`<span class="forced" title=${FORCED}>${piece}</span>`;
    return piece;
  });
}
