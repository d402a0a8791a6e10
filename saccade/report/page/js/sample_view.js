// One sample of the data: its pictures with the target drawn, the prompt, the target, a worked answer, and its tokens.

import { html, useMemo } from "./lib.js";
import { Answer } from "./answer.js";
import { PictureView } from "./picture.js";
import { Target } from "./group.js";
import { address } from "./route.js";
import { figure, plural, visible } from "./format.js";

export function SampleView({ store, run, line }) {
  const many = line.pictures?.length ?? 0;
  const isAsked = useMemo(() => run.groups.some(({ sample }) => sample === line.sample), [line.sample, run.groups.length]);
  const isTraining = String(line.set).startsWith("stage ");
  return html`
    <article class="case">
      <header class="case-head"><h3 class="said">${visible(line.sample)}</h3>
        <span class="tag said">${visible(line.set)}</span><span class="tag said">${visible(line.kind ?? "")}</span>
        ${isAsked && isTraining && html`<a class="note" href=${address("rollouts", { sample: line.sample })}>its rollouts</a>`}
        ${!isTraining && html`<a class="note" href=${address("evaluation", { set: line.set, which: "worst", case: line.sample })}>its answers</a>`}</header>
      <div class="sample-parts">
        <div class="case-question">
          ${(line.pictures ?? []).map((sha, place) => html`
            <${PictureView} key=${sha} store=${store} run=${run} sha=${sha} index=${place} gold=${line.gold} seen=${line.seen?.[place]} size=${many > 1 ? "medium" : "large"}
              alt=${many > 1 ? `picture ${place + 1} of ${many}` : "picture of the sample"} caption=${seenAs(line.seen?.[place])} />`)}
          ${many === 0 && html`<p class="note">A sample without a picture.</p>`}
        </div>
        <div class="case-side">
          <h4>Prompt</h4>
          <div class="said text prompt">${visible(line.prompt ?? "")}</div>
          <h4>Target</h4>
          <div class="target"><${Target} value=${line.target ?? "none"} /></div>
          ${line.solution && html`<h4>Worked answer</h4><${Answer} text=${line.solution} />`}
          ${line.tokens && html`<p class="note">${plural(line.tokens.prompt, "prompt token")}, ${figure(line.tokens.pictures)} of them from ${many === 1 ? "the picture" : "pictures"}.</p>`}
        </div>
      </div>
    </article>`;
}

const seenAs = (size) => (size ? `seen as ${size[0]} × ${size[1]} pixels` : undefined);
