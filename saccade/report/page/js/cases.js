// Single samples at two moments: chosen by what became of them or sorted by score; one of them is read beside the list.

import { html, useMemo, useState } from "./lib.js";
import { Browse, LayoutChoice, useOpened } from "./browse.js";
import { CaseView } from "./case_view.js";
import { KindChip } from "./answers_card.js";
import { PictureView } from "./picture.js";
import { fateOf } from "./pair_card.js";
import { answerOf, sampledMean, scoreOfLine, shortened } from "./measured.js";
import { figure, visible } from "./format.js";

const CASE_HEIGHT = 84; // px, as in 2-evaluation.css
const MARK_OF = new Map([["won", "▲"], ["lost", "▼"], ["right", "✓"], ["wrong", "✗"]]);
const CHOICES = [
  ["lost", "right, then wrong"],
  ["won", "wrong, then right"],
  ["wrong", "wrong both times"],
  ["right", "right both times"],
  ["worst", "all, worst first"],
  ["best", "all, best first"],
  ["fell", "all, fallen most first"],
  ["rose", "all, risen most first"],
  ["sampled", "all, worst when sampled first"],
  ["apart", "all, greedy and sampled most apart first"],
];
// What samples are sorted by, the least first. What has no sampled answers comes last.
const ORDER_OF = new Map([
  ["worst", ({ b }) => scoreOfLine(b)],
  ["best", ({ b }) => -scoreOfLine(b)],
  ["fell", ({ a, b }) => scoreOfLine(b) - scoreOfLine(a)],
  ["rose", ({ a, b }) => scoreOfLine(a) - scoreOfLine(b)],
  ["sampled", ({ b }) => sampledMean(b) ?? 2],
  ["apart", ({ b }) => -Math.abs(scoreOfLine(b) - (sampledMean(b) ?? scoreOfLine(b)))],
]);
const keyOfCase = ({ id }) => id;

export function Cases({ store, runs, set, a, b, pairs, names, colors, threshold, params, onChange }) {
  const [words, setWords] = useState("");
  const which = CHOICES.some(([key]) => key === params.which) ? params.which : usualCases(pairs, threshold);
  const listed = useMemo(() => chosenCases(pairs, { which, threshold, kind: params.kind, words }), [pairs, which, threshold, params.kind, words]);
  const isGallery = params.layout === "gallery";
  const onOpen = (pair) => onChange({ which, case: pair.id });
  const opened = useOpened({ items: listed, all: pairs, keyOf: keyOfCase, wanted: params.case, isGallery, searchId: "case-search", onOpen });
  const { open } = opened;
  const part = { store, run: runs[b.run], threshold, onOpen };
  return html`
    <section class="card cases" id="cases" aria-labelledby="cases-title">
      <div class="row cases-head">
        <h2 id="cases-title">Cases</h2>
        <label><span class="unseen">Which cases</span>
          <select value=${which} onChange=${(event) => onChange({ which: event.target.value, case: undefined })}>
            ${CHOICES.map(([key, name]) => html`<option value=${key}>${name}</option>`)}
          </select></label>
        <input id="case-search" type="search" placeholder="Search  /" aria-label="Search in prompts, targets and answers" value=${words}
          onInput=${(event) => setWords(event.target.value)} />
        <${LayoutChoice} params=${params} onChange=${(changes) => onChange({ ...changes, case: undefined })} />
        <${KindChip} params=${params} onChange=${onChange} />
        <span class="note" role="status">${figure(listed.length)} of ${figure(pairs.length)}</span>
      </div>
      <${Browse} id="cases" items=${listed} keyOf=${keyOfCase} height=${CASE_HEIGHT} opened=${opened} isGallery=${isGallery} label="Cases"
        row=${(pair, isOpen) => html`<${CaseRow} pair=${pair} isOpen=${isOpen} ...${part} />`}
        tile=${(pair) => html`<${CaseTile} key=${pair.id} pair=${pair} ...${part} />`}
        empty=${words.trim() ? "No such sample has these words." : html`No such sample in <span class="said">${visible(set)}</span>.`}
        onClose=${() => onChange({ case: undefined })}
        reading=${open && html`<${CaseView} key=${open.id} store=${store} runs=${runs} a=${a} b=${b} pair=${open} names=${names} colors=${colors} />`} />
    </section>`;
}

// What is shown unless something is chosen: what was lost, if anything was.
function usualCases(pairs, threshold) {
  return pairs.some((pair) => fateOf(pair, threshold) === "lost") ? "lost" : "worst";
}

function CaseRow({ store, run, pair, threshold, isOpen, onOpen }) {
  return html`
    <button class="case-row" aria-current=${isOpen ? "true" : undefined} onClick=${() => onOpen(pair)}>
      <${CaseThumb} store=${store} run=${run} line=${pair.b} />
      <span class="case-row-text">
        <span class="case-row-head"><${Fate} pair=${pair} threshold=${threshold} /><span class="said">${visible(pair.id)}</span></span>
        <${CaseScores} pair=${pair} />
        <span class="case-row-answer said">${visible(shortened(answerOf(pair.b)))}</span>
      </span>
    </button>`;
}

function CaseTile({ store, run, pair, threshold, onOpen }) {
  return html`
    <button class="tile" onClick=${() => onOpen(pair)}>
      <${CaseThumb} store=${store} run=${run} line=${pair.b} />
      <span class="case-row-head"><${Fate} pair=${pair} threshold=${threshold} /><${CaseScores} pair=${pair} /></span>
      <span class="case-row-answer said">${visible(pair.id)}</span>
    </button>`;
}

function CaseThumb({ store, run, line }) {
  if (!line.pictures?.length) return html`<span class="thumb no-picture" aria-hidden="true">Aa</span>`;
  return html`<${PictureView} key=${line.pictures[0]} store=${store} run=${run} sha=${line.pictures[0]} size="thumb" alt="" gold=${line.gold} marks=${line.marks} index=${0} />`;
}

function Fate({ pair, threshold }) {
  const fate = fateOf(pair, threshold);
  const said = CHOICES.find(([key]) => key === fate)[1];
  return html`<b class="fate-mark ${fate}" title=${said}><span aria-hidden="true">${MARK_OF.get(fate)}</span><span class="unseen">${said}:</span></b>`;
}

const CaseScores = ({ pair: { a, b } }) => html`<span class="case-scores">${scoreText(a)} → <b>${scoreText(b)}</b></span>`;

const scoreText = ({ score }) => (typeof score === "number" ? figure(score) : "unscored");

function chosenCases(pairs, { which, threshold, kind, words }) {
  const terms = words.toLowerCase().split(/\s+/).filter(Boolean);
  const has = ({ id, a, b }) => {
    const text = `${id} ${b.prompt} ${JSON.stringify(b.target)} ${a.text} ${b.text}`.toLowerCase();
    return terms.every((term) => text.includes(term));
  };
  const found = pairs.filter((pair) => (!kind || pair.b.kind === kind) && (!MARK_OF.has(which) || fateOf(pair, threshold) === which) && (!terms.length || has(pair)));
  const numberOf = ORDER_OF.get(which);
  return numberOf ? found.map((pair) => [numberOf(pair), pair]).sort((x, y) => x[0] - y[0]).map(([, pair]) => pair) : found;
}
