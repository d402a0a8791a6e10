// One answer of a group: what it earned and why, the answer in sections or token by token, and who was asked about it.

import { html, useMemo, useState } from "./lib.js";
import { Answer } from "./answer.js";
import { PictureView } from "./picture.js";
import { TokenView } from "./tokens.js";
import { placesOf } from "./filters.js";
import { isNumber } from "./group_facts.js";
import { figure, plural, shown, signed, visible } from "./format.js";

const STOPS = new Map([["eos", "ended by itself"], ["length", "cut off by the token limit"], ["world", "ended by the world"]]);
const SPEAKERS = new Map([["assistant", "model"], ["user", "world"]]);

export function Sibling({ store, run, group, index, weights, most, terms, trace, measure, scale, isLit, isPinned, onPin, onHover }) {
  const rollout = group.rollouts[index];
  const spans = useMemo(() => placesOf(terms, rollout.text).map(([from, to]) => [from, to, "found"]), [terms, rollout.text]);
  return html`
    <section class="sibling ${isLit ? "is-lit" : ""}" aria-label=${`Answer ${index + 1}`}
      onMouseEnter=${() => onHover(true)} onMouseLeave=${() => onHover(false)} onFocusIn=${() => onHover(true)}
        onFocusOut=${() => onHover(false)}>
      <header class="sibling-head">
        <h5>#${index + 1}</h5>
        <span class="sibling-reward"
          title="reward">${isNumber(rollout.reward) ? figure(rollout.reward) : shown(rollout.reward ?? "no reward")}</span>
        <${AdvantageBar} value=${rollout.advantage} most=${most} />
        ${onPin && html`<button class="small" aria-pressed=${isPinned} onClick=${onPin}
          title="Keep only this answer's marks strong">marks</button>`}
      </header>
      <p class="sibling-facts note">
        ${plural(rollout.tokens, "token")}${rollout.forced_tokens > 0 && html`, ${figure(rollout.forced_tokens)} more forced`}${" · "}
        <span class=${rollout.stop === "length" ? "is-cut" : ""}>${STOPS.get(rollout.stop) ?? visible(rollout.stop ?? "")}</span>
      </p>
      <${ScoreList} scores=${rollout.scores} weights=${weights} />
      ${measure && trace
        ? html`<${TokenView} trace=${trace} measure=${measure} scale=${scale} />`
        : html`<${Tall} key=${rollout.text.length} what="answer">
            ${rollout.turns?.length
              ? html`<${Transcript} store=${store} run=${run} group=${group} rollout=${rollout} />`
              : html`<${Answer} text=${rollout.text} forced=${rollout.forced} spans=${spans} />`}
          </${Tall}>`}
      ${rollout.pictures && !rollout.turns?.length && html`<${OwnPictures} store=${store} run=${run} group=${group} rollout=${rollout} />`}
      ${rollout.asked?.length > 0 && html`<${Asked} asked=${rollout.asked} />`}
    </section>`;
}

// Left of the middle is below the mean of the siblings, right above; as long as its share of the group's largest.
export function AdvantageBar({ value, most }) {
  if (!isNumber(value)) return html`<span class="advantage faint">not trained on</span>`;
  const share = 50 * Math.min(1, Math.abs(value) / most);
  return html`
    <span class="advantage" title="advantage: how much more (right) or less (left) likely training makes this answer">
      <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
        <path class="axis" d="M50 0V10" /><rect class=${value < 0 ? "down" : "up"} x=${value < 0 ? 50 - share : 50} y="2" width=${share}
          height="6" />
      </svg>
      <span><span class="unseen">advantage </span>${signed(value)}</span>
    </span>`;
}

export function ScoreList({ scores, weights = new Map() }) {
  const rows = Object.entries(scores ?? {});
  if (!rows.length) return html`<p class="note">No scores.</p>`;
  return html`
    <dl class="scores">
      ${rows.map(([name, score]) => html`
        <div>
          <dt class="said">${visible(name)}${weights.has(name) && weights.get(name) !== 1 && html` <span class="faint"
            title="weight in the reward">× ${figure(weights.get(name))}</span>`}</dt>
          <dd>
            <b>${isNumber(score?.value) ? figure(score.value) : shown(score?.value ?? "cannot tell")}</b>
            ${score?.why && html` <span class="said why">${visible(score.why)}</span>`}
            ${score?.route && html` <span class="tag" title="what decided">by <span class="said">${visible(score.route)}</span></span>`}
          </dd>
        </div>`)}
    </dl>`;
}

// What is tall is cut short, with a button for the rest, which is called `what`.
export function Tall({ what, children }) {
  const [isWhole, setIsWhole] = useState(false);
  const [isCut, setIsCut] = useState(false);
  const measured = (element) => { if (element && !isWhole && !isCut && element.scrollHeight > element.clientHeight + 24) setIsCut(true); };
  return html`
    <div class="tall ${isWhole ? "" : "is-held"} ${isCut && !isWhole ? "is-cut-short" : ""}" ref=${measured}>${children}</div>
    ${isCut && html`<button class="quiet small" onClick=${() => setIsWhole(!isWhole)}
      aria-expanded=${isWhole}>${isWhole ? "Show less" : `Show the whole ${what}`}</button>`}`;
}

// An episode of several turns, each with the pictures that were shown in it.
function Transcript({ store, run, group, rollout }) {
  const shas = rollout.pictures ?? group.pictures;
  const forced = forcedByTurn(rollout);
  return html`
    <ol class="transcript">
      ${rollout.turns.map((turn, n) => html`
        <li class=${turn.role === "assistant" ? "by-model" : "by-world"}>
          <div class="part-name">${SPEAKERS.get(turn.role) ?? visible(turn.role)}, turn ${n + 1}</div>
          ${turn.role === "assistant"
            ? html`<${Answer} text=${turn.text} forced=${forced[n]} />`
            : html`<div class="said text">${visible(turn.text)}</div>`}
          ${(turn.pictures ?? []).map((sha) => html`
            <${PictureView} store=${store} run=${run} sha=${sha} size="medium" alt=${`picture of turn ${n + 1}`}
              index=${shas.indexOf(sha)} marks=${rollout.marks} />`)}
        </li>`)}
    </ol>`;
}

// Forced ranges count in the whole text, in which the turns stand one after another: in letters, as Python counts.
function forcedByTurn({ text, turns, forced = [] }) {
  let place = 0;
  return turns.map((turn) => {
    const at = forced.length ? text.indexOf(turn.text, place) : -1;
    if (at < 0) return [];
    place = at + turn.text.length;
    const [before, many] = [[...text.slice(0, at)].length, [...turn.text].length];
    return forced.map(([from, to]) => [Math.max(0, from - before), Math.min(many, to - before)]).filter(([from, to]) => from < to);
  });
}

function OwnPictures({ store, run, group, rollout }) {
  return html`
    <div class="own-pictures">
      <div class="part-name">pictures of this answer</div>
      ${rollout.pictures.map((sha, n) => !group.pictures.includes(sha) && html`
        <${PictureView} store=${store} run=${run} sha=${sha} size="medium" alt=${`picture ${n + 1} of this answer`} index=${n}
          marks=${rollout.marks} />`)}
    </div>`;
}

function Asked({ asked }) {
  return html`
    <details class="asked">
      <summary>${asked.length === 1 ? "A judge was asked" : `Judges were asked ${figure(asked.length)} times`}</summary>
      ${asked.map(({ judge, prompt, reply }) => html`
        <div class="exchange">
          <div class="part-name">asked of <span class="said">${visible(judge)}</span></div>
          <div class="said text">${visible(prompt)}</div>
          <div class="part-name">reply</div>
          <div class="said text reply">${shown(reply ?? "no reply")}</div>
        </div>`)}
    </details>`;
}
