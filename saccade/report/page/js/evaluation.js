// The view of held-out sets: two moments of a run, or one of each of two runs, compared sample by sample.

import { html, useMemo } from "./lib.js";
import { Answers } from "./answers_card.js";
import { ByKind } from "./by_kind.js";
import { Cases } from "./cases.js";
import { PairCard } from "./pair_card.js";
import { Chart } from "./charts.js";
import { areBits } from "./stats.js";
import { curvesOf } from "./curves.js";
import { measuredSets, momentName, momentsOfSet, paired, scoreOfLine, usualPair } from "./measured.js";
import { go } from "./route.js";
import { plural, visible } from "./format.js";

const PROBED = [
  ["critical_entropy", "where answers turn"],
  ["after_critical_entropy", "just after"],
  ["entropy", "over all tokens"],
];

export function Evaluation({ store, runs, params }) {
  const sets = useMemo(() => measuredSets(runs), runs.flatMap((run) => [run.evaluations, run.summary]));
  const set = sets.includes(params.set) ? params.set : sets[0];
  const moments = useMemo(() => momentsOfSet(runs, set), [set, ...runs.map((run) => run.evaluations)]);
  const [first, last] = usualPair(runs, moments);
  const a = moments.find(({ key }) => key === params.a) ?? first;
  const b = moments.find(({ key }) => key === params.b) ?? last;
  const { pairs, alone } = useMemo(() => (a && b ? paired(a, b) : { pairs: [], alone: 0 }), [a, b]);
  if (!sets.length) return html`<${NothingMeasured} runs=${runs} />`;

  const isBits = areBits(pairs.flatMap(({ a: before, b: after }) => [scoreOfLine(before), scoreOfLine(after)]));
  const threshold = isBits ? 1 : clipped(params.threshold);
  const names = [a, b].map((moment) => momentName(moment, runs));
  const set_ = (changes) => go("evaluation", { ...params, set, a: a.key, b: b.key, ...changes }, { replace: true });
  const shared = { store, runs, a, b, pairs, names, threshold, isBits, params, onChange: set_ };
  return html`
    <div class="stack evaluation">
      <section class="card picks" aria-labelledby="evaluation-title">
        <h2 id="evaluation-title">Evaluation</h2>
        <label>Held-out set
          <select value=${set} onChange=${(event) => go("evaluation", { set: event.target.value })}>
            ${sets.map((name) => html`<option value=${name}>${visible(name)}</option>`)}
          </select></label>
        <${MomentPick} label="From" moments=${moments} runs=${runs} chosen=${a} onChange=${(key) => set_({ a: key, case: undefined })} />
        <${MomentPick} label="To" moments=${moments} runs=${runs} chosen=${b} onChange=${(key) => set_({ b: key, case: undefined })} />
        <button onClick=${() => set_({ a: b.key, b: a.key })} aria-label="Swap the two moments" title="Swap">⇄</button>
        ${a === b && html`<p class="note">Both are the same moment: nothing can have changed.</p>`}
        ${alone > 0 && html`<p class="note">${plural(pairs.length, "sample")} measured at both moments are compared; ${plural(alone, "sample")} of only one of them ${alone === 1 ? "is" : "are"} left out.</p>`}
      </section>
      ${pairs.length === 0
        ? html`<p class="card empty">No sample was measured at both moments.</p>`
        : html`
          <${PairCard} ...${shared} />
          <div class="halves">
            <${ByKind} ...${shared} />
            <${Answers} ...${shared} />
          </div>
          <${Cases} key=${`${set} ${a.key} ${b.key}`} ...${shared} set=${set} />`}
      <${Entropies} runs=${runs} set=${set} />
    </div>`;
}

const clipped = (text) => {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? value : 0.5;
};

function MomentPick({ label, moments, runs, chosen, onChange }) {
  return html`
    <label>${label}
      <select value=${chosen.key} onChange=${(event) => onChange(event.target.value)}>
        ${moments.map((one) => html`<option value=${one.key}>${visible(momentName(one, runs))} (step ${one.step})</option>`)}
      </select></label>`;
}

function NothingMeasured({ runs }) {
  const hasMoments = runs.some((run) => curvesOf(run).moments.length);
  return html`
    <section class="card"><h2>Evaluation</h2>
      <p class="empty">${hasMoments
        ? "This run was written before single held-out answers were recorded; the overview has its means."
        : "Nothing held out has been measured yet. The answers stand here as soon as the first measurement is done."}</p>
    </section>`;
}

// Entropy where answers turn, and how much the score owes to the picture, over the checkpoints: where the set measures them.
function Entropies({ runs, set }) {
  const series = (keys) => runs.flatMap((run, n) => keys.flatMap(([key, name], place) => {
    const curve = curvesOf(run).at.get(`eval/${set}/${key}`);
    return curve ? [{ name: runs.length > 1 ? `${"AB"[n]}, ${name}` : name, ...curve, color: `--s${runs.length > 1 ? n : place}`, dash: runs.length > 1 ? place : 0, points: true }] : [];
  }));
  const [entropies, gains] = [series(PROBED), series([["picture_gain", "score owed to the picture"]])];
  if (!entropies.length && !gains.length) return null;
  return html`
    <section class="card" aria-labelledby="probes-title"><h2 id="probes-title">What the answers rest on</h2>
      <div class="halves">
        ${entropies.length > 0 && html`
          <${Chart} title="Entropy where answers turn" unit="nats" level=${3} series=${entropies} height=${200}
            about="Of the step that writes a word such as Wait. High: the model is unsure whether to turn. Low: a habit." />`}
        ${gains.length > 0 && html`
          <${Chart} title="Picture gain" unit="share" level=${3} series=${gains} height=${200}
            about="Score less the score with every picture grey. Near 0 the model answers blind." />`}
      </div>
    </section>`;
}
