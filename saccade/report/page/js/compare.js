// The same sample at two steps, or in two runs: pictures, scores and what differs word by word.

import { html, useMemo } from "./lib.js";
import { Answer } from "./answer.js";
import { PictureView } from "./picture.js";
import { bestFirst, byTime, groupFacts, scoreOf } from "./group_facts.js";
import { wordChanges } from "./words.js";
import { address, go } from "./route.js";
import { figure, plural, shown, signed, visible } from "./format.js";

// Every group of the sample, in all runs, by step.
export function appearancesOf(runs, sample) {
  const all = runs.flatMap((run, n) => run.groups.map((group, index) => ({ run: n, group, index })));
  const found = all.filter(({ group }) => group.sample === sample);
  return runs.length > 1 ? found.sort(byTime(runs)) : found;
}

// The choice of another group of the same sample, to compare with.
export function CompareChoice({ runs, entry, appearances, params }) {
  const others = appearances.filter(({ group }) => group !== entry.group);
  if (!others.length) return html`<p class="note">This sample was asked once${runs.length > 1 ? ", in this run only" : ""}.</p>`;
  const here = { group: entry.group.id, in: entry.run ? String(entry.run) : undefined };
  const chosen = ({ target }) => target.value && go("rollouts", { ...params, ...here, with: target.value, a: undefined, b: undefined });
  const named = ({ run, group }) => {
    const name = `${visible(group.stage)} step ${figure(group.step)}, mean reward ${figure(groupFacts(group).mean)}`;
    return runs.length > 1 ? `${"AB"[run]}, ${name}` : name;
  };
  return html`
    <p class="row compare-choice">
      <select aria-label="Compare with another group of this sample" value=${params.with ?? ""} onChange=${chosen}>
        <option value="">Compare with ...</option>
        ${others.map((other) => html`<option value=${`${other.run}:${other.group.id}`}>${named(other)}</option>`)}
      </select>
      <a class="note" href=${address("rollouts", { sample: entry.group.sample, sort: "first", ...here })}>
        all ${plural(appearances.length, "group")} of this sample
      </a>
    </p>`;
}

// `here` is the group that one came from, `there` the other. What is earlier, or of run A, stands left.
export function CompareView({ store, runs, here, there, params }) {
  const sides = [sideOf(here, "a", params), sideOf(there, "b", params)];
  if (here.run === there.run ? there.index < here.index : there.run < here.run) sides.reverse();
  const [before, after] = sides.map(({ rollout }) => rollout.text);
  const changes = useMemo(() => wordChanges(before, after), [before, after]);
  const spans = useMemo(() => [
    (changes?.removed ?? []).map(([from, to]) => [from, to, "removed"]),
    (changes?.added ?? []).map(([from, to]) => [from, to, "added"]),
  ], [changes]);
  const appearances = useMemo(() => appearancesOf(runs, here.group.sample), [here.group.sample, ...runs.map((run) => run.groups.length)]);
  const at = { ...params, group: here.group.id, in: here.run ? String(here.run) : undefined };
  const back = address("rollouts", { ...at, with: undefined, a: undefined, b: undefined });
  const isOther = here.group.sample !== there.group.sample;
  return html`
    <article class="compare">
      <header class="group-head">
        <h3>Sample <span class="said">${visible(here.group.sample)}</span>, compared</h3>
        ${isOther && html`
          <p class="warning">These are two different samples; the other is <span class="said">${visible(there.group.sample)}</span>.</p>`}
        <div class="row">
          <a href=${back}>‹ Back to the group</a><${CompareChoice} runs=${runs} entry=${here} appearances=${appearances} params=${at} />
        </div>
      </header>
      <div class="said text prompt">${visible(here.group.prompt)}</div>
      <p class="note">Target: <span class="said">${shown(here.group.target)}</span></p>
      <${ScoreTable} runs=${runs} sides=${sides} />
      <p class="note"><${WhatDiffers} changes=${changes} isSame=${before === after} /></p>
      <div class="compare-sides">
        ${sides.map(({ entry, index, rollout, key }, n) => html`
          <section class="compare-side" aria-label=${n ? "Right" : "Left"}>
            <h4><${SideName} runs=${runs} entry=${entry} /></h4>
            <label>Answer
              <select value=${index} onChange=${(event) => go("rollouts", { ...at, [key]: event.target.value }, { replace: true })}>
                ${bestFirst(entry.group).map((one) => html`
                  <option value=${one}>#${one + 1}, reward ${figure(groupFacts(entry.group).rewards[one])}</option>`)}
              </select>
            </label>
            ${entry.group.pictures.map((sha, place) => html`
              <${PictureView} key=${sha} store=${store} run=${runs[entry.run]} sha=${sha} index=${place} gold=${entry.group.gold}
                marks=${rollout.marks} seen=${entry.group.seen?.[place]} size="medium"
                alt=${`picture ${place + 1}, ${n ? "right" : "left"}`} />`)}
            <${Answer} text=${rollout.text} forced=${rollout.forced} spans=${spans[n]} />
          </section>`)}
      </div>
    </article>`;
}

function WhatDiffers({ changes, isSame }) {
  if (!changes) return "The answers are too long or too unlike to be compared word by word, so they only stand side by side.";
  if (isSame) return "The two answers are the same.";
  return html`Words only on the left are <del>struck out</del>, words only on the right <ins>underlined</ins>.`;
}

// The answer that was asked for, else the best one.
function sideOf(entry, key, params) {
  const asked = Number.parseInt(params[key], 10);
  const index = entry.group.rollouts[asked] ? asked : bestFirst(entry.group)[0];
  return { entry, index, rollout: entry.group.rollouts[index], key };
}

const SideName = ({ runs, entry }) => html`
  ${runs.length > 1 && html`<i class="swatch run-${entry.run}" aria-hidden="true"></i> ${"AB"[entry.run]} · `}
  ${visible(entry.group.stage)} step ${figure(entry.group.step)}`;

function ScoreTable({ runs, sides }) {
  const names = [...new Set(sides.flatMap(({ rollout }) => Object.keys(rollout.scores ?? {})))];
  const rows = [
    ["reward", ...sides.map(({ entry, index }) => groupFacts(entry.group).rewards[index])],
    ...names.map((name) => [name, ...sides.map(({ rollout }) => scoreOf(rollout, name))]),
    ["tokens", ...sides.map(({ rollout }) => rollout.tokens)],
    ["mean reward of the group", ...sides.map(({ entry }) => groupFacts(entry.group).mean)],
  ];
  const why = (n, name) => (Object.hasOwn(sides[n].rollout.scores ?? {}, name) ? (sides[n].rollout.scores[name]?.why ?? "") : "");
  return html`
    <div class="scroll-x">
      <table class="compare-scores">
        <thead>
          <tr>
            <th><span class="unseen">Score</span></th>${sides.map(({ entry }) => html`<th><${SideName} runs=${runs} entry=${entry} /></th>`)}
            <th class="number">Difference</th>
          </tr>
        </thead>
        <tbody>${rows.map(([name, a, b]) => html`
          <tr><th class="said">${visible(name)}</th>
            ${[a, b].map((value, n) => html`<td>${figure(value)} <span class="said why">${visible(why(n, name))}</span></td>`)}
            <td class="number">${a === null || b === null ? "none" : signed(b - a)}</td></tr>`)}
        </tbody>
      </table>
    </div>`;
}
