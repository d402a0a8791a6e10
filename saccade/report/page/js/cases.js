// Single samples at two moments: chosen by what became of them or sorted by score; one of them is read beside the list.

import { html, useMemo, useState } from "./lib.js";
import { CaseView } from "./case_view.js";
import { PictureView } from "./picture.js";
import { VirtualList } from "./virtual.js";
import { fateOf } from "./pair_card.js";
import { meanOf } from "./stats.js";
import { answerOf, scoreOfLine } from "./measured.js";
import { useNarrow } from "./near.js";
import { useKeys } from "./keys.js";
import { figure, visible } from "./format.js";

const CASE_HEIGHT = 76; // px, as in 2-evaluation.css
const MARK_OF = { won: "▲", lost: "▼", right: "✓", wrong: "✗" };
const CHOICES = [
  ["lost", "right before, wrong after"],
  ["won", "wrong before, right after"],
  ["wrong", "wrong at both"],
  ["right", "right at both"],
  ["worst", "all, worst after first"],
  ["best", "all, best after first"],
  ["apart", "all, greedy and sampled apart first"],
];

export function Cases({ store, runs, a, b, pairs, names, threshold, params, onChange, set }) {
  const isNarrow = useNarrow();
  const [words, setWords] = useState("");
  const which = CHOICES.some(([key]) => key === params.which) ? params.which : pairs.some((pair) => fateOf(pair, threshold) === "lost") ? "lost" : "worst";
  const listed = useMemo(() => chosenCases(pairs, { which, threshold, kind: params.kind, words }), [pairs, which, threshold, params.kind, words]);
  const open = listed.find(({ id }) => id === params.case) ?? (isNarrow ? null : listed[0]);
  const place = listed.indexOf(open);
  const walk = (by) => {
    const next = listed[Math.min(listed.length - 1, Math.max(0, place + by))];
    if (next) onChange({ which, case: next.id });
  };
  useKeys({ j: () => walk(1), k: () => walk(-1), "/": () => document.getElementById("case-search")?.focus() });
  const reading = open && html`<${CaseView} key=${open.id} store=${store} runs=${runs} a=${a} b=${b} pair=${open} names=${names} />`;
  return html`
    <section class="card cases" id="cases" aria-labelledby="cases-title">
      <div class="row cases-head">
        <h2 id="cases-title">Cases</h2>
        <label><span class="unseen">Which cases</span>
          <select value=${which} onChange=${(event) => onChange({ which: event.target.value, case: undefined })}>
            ${CHOICES.map(([key, name]) => html`<option value=${key}>${name}</option>`)}
          </select></label>
        <input id="case-search" type="search" placeholder="Search  /" aria-label="Search in prompts, targets and answers" value=${words} onInput=${(event) => setWords(event.target.value)} />
        ${params.kind && html`<button onClick=${() => onChange({ kind: undefined })}>kind <span class="said">${visible(params.kind)}</span> ✕</button>`}
        <span class="note" role="status">${figure(listed.length)} of ${figure(pairs.length)}</span>
      </div>
      ${listed.length === 0
        ? html`<p class="empty">No such sample in ${visible(set)}.</p>`
        : html`
          <div class="case-body ${isNarrow ? "is-narrow" : ""}">
            ${(!isNarrow || !open) && html`
              <div class="case-list">
                <${VirtualList} items=${listed} height=${CASE_HEIGHT} keyOf=${({ id }) => id} shownKey=${open?.id} label="Cases"
                  row=${(pair) => html`<${CaseRow} store=${store} run=${runs[b.run]} pair=${pair} threshold=${threshold} isOpen=${pair === open} onOpen=${() => onChange({ which, case: pair.id })} />`} />
              </div>`}
            ${open && html`
              <div class="case-reading">
                ${isNarrow && html`<button onClick=${() => onChange({ case: undefined })}>‹ All cases</button>`}
                ${reading}
              </div>`}
          </div>`}
    </section>`;
}

function CaseRow({ store, run, pair, threshold, isOpen, onOpen }) {
  const { a, b } = pair;
  const fate = fateOf(pair, threshold);
  return html`
    <button class="case-row" aria-current=${isOpen ? "true" : undefined} onClick=${onOpen}>
      ${b.pictures?.length
        ? html`<${PictureView} store=${store} run=${run} sha=${b.pictures[0]} size="thumb" alt="" gold=${b.gold} marks=${b.marks} index=${0} />`
        : html`<span class="thumb no-picture" aria-hidden="true">Aa</span>`}
      <span class="case-row-text">
        <span class="case-row-head"><b class="fate-mark ${fate}" title=${CHOICES.find(([key]) => key === fate)[1]}>${MARK_OF[fate]}</b>
          <span class="said">${visible(pair.id)}</span><span class="case-scores">${figure(a.score)} → <b>${figure(b.score)}</b></span></span>
        <span class="case-row-answer said">${visible(answerOf(b))}</span>
      </span>
    </button>`;
}

function chosenCases(pairs, { which, threshold, kind, words }) {
  const terms = words.toLowerCase().split(/\s+/).filter(Boolean);
  const has = ({ id, a, b }) => {
    const text = `${id} ${b.prompt} ${JSON.stringify(b.target)} ${a.text} ${b.text}`.toLowerCase();
    return terms.every((term) => text.includes(term));
  };
  const found = pairs.filter((pair) => (!kind || pair.b.kind === kind) && (!(which in MARK_OF) || fateOf(pair, threshold) === which) && (!terms.length || has(pair)));
  if (which === "worst") return byScore(found, ({ b }) => scoreOfLine(b));
  if (which === "best") return byScore(found, ({ b }) => -scoreOfLine(b));
  if (which === "apart") return byScore(found, ({ b }) => -Math.abs(scoreOfLine(b) - sampledMean(b)));
  return found;
}

// Sorted by a number, and among equals as they were.
function byScore(pairs, numberOf) {
  return pairs.map((pair) => [numberOf(pair), pair]).sort((x, y) => x[0] - y[0]).map(([, pair]) => pair);
}

const sampledMean = (line) => (line.sampled?.length ? meanOf(line.sampled.map((score) => score ?? 0)) : scoreOfLine(line));
