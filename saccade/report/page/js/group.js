// One group: its pictures with what is asked for and what the answers point at, the question, and the siblings side by side.

import { html, useMemo, useState } from "./lib.js";
import { Spanned } from "./answer.js";
import { PictureView } from "./picture.js";
import { Sibling, Tall } from "./sibling.js";
import { TokenBar, tokenScale, useTraces } from "./tokens.js";
import { CompareChoice, appearancesOf } from "./compare.js";
import { GroupBadges } from "./grouprow.js";
import { bestFirst, groupFacts } from "./group_facts.js";
import { placesOf, searchTerms } from "./filters.js";
import { go } from "./route.js";
import { figure, plural, shown, visible } from "./format.js";

const LONG = 1400; // letters: answers of this length need the whole width

export function GroupView({ store, runs, entry, params, traced, place, many, onWalk }) {
  const { group, run: n } = entry;
  const run = runs[n];
  const [hovered, setHovered] = useState(null);
  const [pinned, setPinned] = useState(null);
  const facts = groupFacts(group);
  const order = params.order === "sampled" ? group.rollouts.map((_, index) => index) : bestFirst(group);
  const marks = useMemo(() => group.rollouts.flatMap((rollout, of) => (rollout.marks ?? []).map((mark) => ({ ...mark, of }))), [group]);
  const terms = useMemo(() => searchTerms(params.q ?? ""), [params.q]);
  const foundInPrompt = useMemo(() => placesOf(terms, group.prompt).map(([from, to]) => [from, to, "found"]), [terms, group.prompt]);
  const measure = params.show ?? "";
  const traces = useTraces(store, run, group.id, measure !== "" && traced.has(group.id));
  const scale = useMemo(() => (traces && measure ? tokenScale(traces, measure) : null), [traces, measure]);
  const weights = useMemo(() => weightsOf(run, group.stage), [run.recipe, group.stage]);
  const appearances = useMemo(() => appearancesOf(runs, group.sample), [group.sample, ...runs.map((one) => one.groups.length)]);
  const set = (changes) => go("rollouts", { ...params, group: group.id, in: n ? String(n) : undefined, ...changes }, { replace: true });
  const inTurns = new Set(group.rollouts.flatMap(({ turns }) => (turns ?? []).flatMap(({ pictures }) => pictures ?? [])));
  const asked = group.pictures.map((sha, index) => ({ sha, index })).filter(({ sha }) => !inTurns.has(sha));
  const isWide = group.rollouts.some(({ text }) => text.length > LONG);
  const most = Math.max(...group.rollouts.map(({ advantage }) => Math.abs(advantage ?? 0)), 1e-9);
  return html`
    <article class="group">
      <header class="group-head">
        <div class="row">
          <h3>${runs.length > 1 && html`<i class="swatch run-${n}"
            aria-hidden="true"></i> ${"AB"[n]} · `}Step ${figure(group.step)} <span class="faint">· ${visible(group.stage)}</span></h3>
          <span class="tag said">${visible(group.kind)}</span>
          <${GroupBadges} group=${group} range=${[0, 0]} isTraced=${traced.has(group.id)} />
          <span class="group-walk row">
            <button class="quiet" onClick=${() => onWalk(-1)} disabled=${place === 0} aria-label="Previous group"
              title="Previous (k)">‹</button>
            <span class="note">${place >= 0 ? `${figure(place + 1)} of ${figure(many)}` : "not in the list"}</span>
            <button class="quiet" onClick=${() => onWalk(1)} disabled=${place === many - 1} aria-label="Next group"
              title="Next (j)">›</button>
          </span>
        </div>
        <p class="note group-about">
          Sample <span class="said">${visible(group.sample)}</span> · ${plural(group.rollouts.length, "answer")} ·
          ${" "}mean reward ${figure(facts.mean)}
          ${facts.spread > 0 && html`, from ${figure(facts.low)} to ${figure(facts.high)}`}
        </p>
        <${CompareChoice} runs=${runs} entry=${entry} appearances=${appearances} params=${params} />
      </header>
      <div class="group-body">
        <aside class="question" aria-label="The question">
          ${asked.map(({ sha, index }) => html`
            <${PictureView} key=${sha} store=${store} run=${run} sha=${sha} index=${index} gold=${group.gold} marks=${marks}
              lit=${hovered ?? pinned}
              seen=${group.seen?.[index]} size=${asked.length > 1 ? "medium" : "large"}
              alt=${asked.length > 1 ? `picture ${index + 1} of ${asked.length}` : "picture of the sample"}
              caption=${asked.length > 1 ? `Picture ${index + 1}` : undefined} />`)}
          ${isOld(run, group) && html`
            <p class="note">This run was written before marks, sizes and traces were recorded, so none are drawn.</p>`}
          <h4>Prompt</h4>
          <${Tall} what="prompt">
            <div class="said text prompt"><${Spanned} text=${group.prompt} from=${0} to=${group.prompt.length} spans=${foundInPrompt} /></div>
          </${Tall}>
          <h4>Target</h4>
          <div class="target"><${Target} value=${group.target} /></div>
        </aside>
        <div class="answers">
          <div class="answers-bar">
            <h4>Answers</h4>
            <div class="segments" role="group" aria-label="Order of the answers">
              <button aria-pressed=${params.order !== "sampled"} onClick=${() => set({ order: undefined })}>best first</button>
              <button aria-pressed=${params.order === "sampled"} onClick=${() => set({ order: "sampled" })}>as sampled</button>
            </div>
            <${TokenBar} run=${run} group=${group} traced=${traced} measure=${measure} scale=${scale} params=${params}
              onChoose=${(show) => set({ show })} />
          </div>
          <div class="siblings ${isWide ? "is-wide" : ""}">
            ${order.map((index) => html`
              <${Sibling} key=${index} store=${store} run=${run} group=${group} index=${index} weights=${weights} most=${most}
                terms=${terms}
                trace=${measure ? (traces?.find((trace) => trace.sibling === index) ?? null) : undefined} measure=${measure} scale=${scale}
                isLit=${(hovered ?? pinned) === index} isPinned=${pinned === index}
                onPin=${group.rollouts[index].marks?.length ? () => setPinned(pinned === index ? null : index) : null}
                onHover=${(isOver) => setHovered(isOver ? index : null)} />`)}
          </div>
        </div>
      </div>
    </article>`;
}

// A target of several parts as a list of them.
export function Target({ value }) {
  const parts = value && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [];
  if (!parts.length) return html`<div class="said text">${shown(value)}</div>`;
  const words = (part) => (part === "" ? html`<span class="faint">empty</span>` : typeof part === "number" ? figure(part) : shown(part));
  return html`<dl>${parts.map(([name, part]) => html`<dt class="said">${visible(name)}</dt><dd class="said">${words(part)}</dd>`)}</dl>`;
}

// Name of a score -> its weight in the reward, where the recipe says so.
function weightsOf(run, stage) {
  const found = run.recipe?.stages?.find(({ name }) => name === stage);
  return new Map((found?.rewards ?? []).map(({ name, weight }) => [name, weight]));
}

// Neither sizes nor marks nor a recipe: from before they were recorded.
const isOld = (run, group) => run.recipe === null && !group.seen && group.pictures.length > 0;
