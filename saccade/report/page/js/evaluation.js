// The view of held-out sets: two moments of a run, or one of each of two runs, compared sample by sample.

import { html, useMemo } from "./lib.js";
import { Answers } from "./answers_card.js";
import { ByKind } from "./by_kind.js";
import { Cases } from "./cases.js";
import { Entropies } from "./entropies.js";
import { PairCard } from "./pair_card.js";
import { areBits } from "./stats.js";
import { curvesOf } from "./curves.js";
import { measuredOf, measuredSets, momentName, momentsOfSet, paired, scoreOfLine, usualPair } from "./measured.js";
import { go } from "./route.js";
import { figure, plural, visible } from "./format.js";

export function Evaluation({ store, runs, params }) {
  const sets = useMemo(() => measuredSets(runs), runs.flatMap((run) => [run.evaluations, run.summary, run.recipe]));
  const set = sets.includes(params.set) ? params.set : sets[0];
  const moments = useMemo(() => momentsOfSet(runs, set), [set, ...runs.map((run) => run.evaluations)]);
  const [first, last] = usualPair(runs, moments);
  const a = moments.find(({ key }) => key === params.a) ?? first;
  const b = moments.find(({ key }) => key === params.b) ?? last;
  const { pairs, alone, unlike } = useMemo(() => (a && b ? paired(a, b) : { pairs: [], alone: 0, unlike: 0 }), [a, b]);
  const isBits = useMemo(() => areBits(pairs.flatMap((pair) => [scoreOfLine(pair.a), scoreOfLine(pair.b)])), [pairs]);
  if (!sets.length) return html`<${NothingMeasured} runs=${runs} />`;

  const threshold = isBits ? 1 : thresholdOf(params.threshold);
  const names = [a, b].map((moment) => momentName(moment, runs));
  const colors = a.run === b.run ? ["--s1", "--s0"] : [a, b].map(({ run }) => `--s${run}`); // two runs keep theirs
  const change = (changes) => go("evaluation", { ...params, set, a: a.key, b: b.key, ...changes }, { replace: true });
  const shared = { store, runs, set, a, b, pairs, names, colors, threshold, isBits, params, onChange: change };
  return html`
    <div class="stack evaluation">
      <section class="card picks" aria-labelledby="evaluation-title">
        <h2 id="evaluation-title">Evaluation</h2>
        <label>Held-out set
          <select value=${set} onChange=${(event) => go("evaluation", { ...params, set: event.target.value, kind: undefined, case: undefined })}>
            ${sets.map((name) => html`<option value=${name}>${visible(name)}</option>`)}
          </select></label>
        <${MomentPick} label="From" moments=${moments} runs=${runs} chosen=${a} onChange=${(key) => change({ a: key })} />
        <${MomentPick} label="To" moments=${moments} runs=${runs} chosen=${b} onChange=${(key) => change({ b: key })} />
        <button onClick=${() => change({ a: b.key, b: a.key })} aria-label="Swap the two moments" title="Swap the two moments">⇄</button>
        <${PairNotes} runs=${runs} set=${set} a=${a} b=${b} many=${pairs.length} alone=${alone} unlike=${unlike} />
      </section>
      ${pairs.length === 0
        ? html`<p class="card empty">No sample was measured at both moments.</p>`
        : html`
          <${PairCard} ...${shared} />
          <${ByKind} ...${shared} />
          <${Answers} ...${shared} />
          <${Cases} ...${shared} />`}
      <${Entropies} runs=${runs} set=${set} />
    </div>`;
}

function thresholdOf(text) {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? Math.min(1, Math.max(0, value)) : 0.5;
}

function MomentPick({ label, moments, runs, chosen, onChange }) {
  return html`
    <label>${label}
      <select value=${chosen.key} onChange=${(event) => onChange(event.target.value)}>
        ${moments.map((one) => html`<option value=${one.key}>${momentName(one, runs)} (step ${figure(one.step)})</option>`)}
      </select></label>`;
}

// What a reader must know of how samples were paired.
function PairNotes({ runs, set, a, b, many, alone, unlike }) {
  const without = runs.map((run, n) => ["AB"[n], measuredOf(run).has(set)]).filter(([, has]) => !has).map(([letter]) => letter);
  const notes = [
    without.length > 0 && `Run ${without.join(" and ")} has no recorded answers of this set.`,
    a === b && "Both are the same moment: nothing can have changed.",
    alone > 0 && `${plural(many, "sample")} measured at both moments ${many === 1 ? "is" : "are"} compared; ${plural(alone, "sample")} of only one of them ${alone === 1 ? "is" : "are"} left out.`,
    unlike > 0 && `${plural(unlike, "sample")} ${unlike === 1 ? "bears" : "bear"} the same name in both runs but ${unlike === 1 ? "has" : "have"} other pictures or another target, and ${unlike === 1 ? "is" : "are"} left out.`,
  ].filter(Boolean);
  return notes.map((note) => html`<p class="note">${note}</p>`);
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
