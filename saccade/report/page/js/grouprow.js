// One row of the list of groups: its picture, step, kind, rewards of the siblings and what is remarkable about them.

import { html } from "./lib.js";
import { groupFacts } from "./group_facts.js";
import { PictureView } from "./picture.js";
import { figure, visible } from "./format.js";

export const ROW_HEIGHT = 92; // px, as in 2-rollouts.css

export function GroupRow({ store, runs, entry, span, isTraced, isOpen, href, onOpen }) {
  const { group, run } = entry;
  const { mean } = groupFacts(group);
  const asked = group.prompt.replaceAll("[picture]", " ").trim();
  return html`
    <a class="group-row" href=${href} aria-current=${isOpen ? "true" : undefined} onClick=${onOpen}>
      ${group.pictures.length > 0
        ? html`<${PictureView} store=${store} run=${runs[run]} sha=${group.pictures[0]} size="thumb" alt="" />`
        : html`<span class="thumb no-picture" aria-hidden="true">Aa</span>`}
      <span class="group-row-text">
        <span class="group-row-head">
          ${runs.length > 1 && html`<i class="swatch run-${run}" aria-hidden="true"></i><span class="unseen">Run ${"AB"[run]}</span>`}
          <b>Step ${figure(group.step)}</b>
          ${span.stages.length > 1 && html`<span class="faint said">${visible(group.stage)}</span>`}
          <span class="faint said">${visible(group.kind)}</span>
          <span class="group-row-mean" title="mean reward of the siblings">${mean === null ? "no reward" : figure(mean)}</span>
        </span>
        <span class="group-row-prompt said">${visible(asked)}</span>
        <span class="group-row-foot"><${RewardStrip} group=${group} range=${span.rewards} /><${GroupBadges} group=${group}
          range=${span.rewards} isTraced=${isTraced} /></span>
      </span>
    </a>`;
}

// A bar per sibling, best first: as high as its reward within the range of the run; a short grey one is the lowest, a gap is unscored.
function RewardStrip({ group, range: [low, high] }) {
  const rewards = [...groupFacts(group).rewards].sort((a, b) => (b ?? -Number.MAX_VALUE) - (a ?? -Number.MAX_VALUE));
  const shown = rewards.slice(0, 16);
  const words = `rewards ${shown.map((reward) => figure(reward)).join(", ")}${rewards.length > shown.length ? " and more" : ""}`;
  const wide = Math.min(7, 84 / shown.length); // of a bar and the gap behind it
  const tall = (reward) => 2 + 14 * (high > low ? (reward - low) / (high - low) : 1);
  return html`
    <svg class="strip" width=${shown.length * wide} height="16" role="img" aria-label=${words}>
      <title>${words}</title>
      ${shown.map((reward, n) => (reward === null
        ? html`<rect class="none" x=${wide * n + 0.5} y="11.5" width=${wide - 3} height="4" />`
        : html`<rect x=${wide * n} y=${16 - tall(reward)} width=${wide - 2} height=${tall(reward)} rx="1" />`))}
    </svg>`;
}

export function GroupBadges({ group, range: [low, high], isTraced }) {
  const { isFlat, truncated, unscored, spread } = groupFacts(group);
  return html`
    ${isFlat && html`<span class="tag" title="all siblings have the same reward, so their advantage is 0">no signal</span>`}
    ${high > low && spread >= (high - low) / 2 && html`<span class="tag"
      title="the best and the worst answer lie at least half of the run's range of rewards apart">disagree</span>`}
    ${truncated > 0 && html`<span class="tag warn" title="answers that met the token limit">${truncated} cut off</span>`}
    ${unscored > 0 && html`<span class="tag bad" title="answers with a score that could not be told">${unscored} unscored</span>`}
    ${isTraced && html`<span class="tag" title="has token traces">traced</span>`}`;
}
