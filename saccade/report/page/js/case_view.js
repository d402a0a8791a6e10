// One sample of a held-out set, as it was answered at two moments.

import { html, useMemo } from "./lib.js";
import { Answer } from "./answer.js";
import { PictureView } from "./picture.js";
import { Target } from "./group.js";
import { ScoreList } from "./sibling.js";
import { sampledMean } from "./measured.js";
import { wordChanges } from "./words.js";
import { address } from "./route.js";
import { figure, plural, visible } from "./format.js";

const MOST_SAMPLED = 8; // scores of sampled answers that are listed

export function CaseView({ store, runs, a, b, pair, names, colors }) {
  const sides = [{ line: pair.a, name: names[0] }, { line: pair.b, name: names[1] }];
  const { line } = sides[1];
  const [was, is] = sides.map((side) => String(side.line.text ?? ""));
  const marks = useMemo(() => sides.flatMap(({ line: own }, tone) => (own.marks ?? []).map((mark) => ({ ...mark, tone }))), [pair]);
  const tones = names.map((name, n) => ({ name, color: colors[n] }));
  const changes = useMemo(() => wordChanges(was, is), [was, is]);
  const spans = [["removed", changes?.removed], ["added", changes?.added]].map(([kind, ranges]) => (ranges ?? []).map(([from, to]) => [from, to, kind]));
  const isTrained = useMemo(() => runs.some((run) => run.groups.some(({ sample }) => sample === pair.id)), [pair.id, ...runs.map((run) => run.groups.length)]);
  return html`
    <article class="case">
      <header class="case-head"><h3 class="said">${visible(pair.id)}</h3><span class="tag said">${visible(line.kind ?? "")}</span>
        ${isTrained && html`<a class="note" href=${address("rollouts", { sample: pair.id })}>also among the rollouts</a>`}</header>
      <div class="case-parts">
        <div class="case-question">
          ${(line.pictures ?? []).map((sha, place) => html`
            <${PictureView} key=${sha} store=${store} run=${runs[b.run]} sha=${sha} index=${place} gold=${line.gold} marks=${marks} tones=${tones} seen=${line.seen?.[place]}
              size="medium" alt=${line.pictures.length > 1 ? `picture ${place + 1} of ${line.pictures.length}` : "picture of the sample"} />`)}
          <h4>Prompt</h4>
          <div class="said text prompt">${visible(line.prompt ?? "")}</div>
          ${pair.a.prompt !== line.prompt && html`
            <details><summary>Run ${"AB"[a.run]} asked in other words</summary><div class="said text prompt">${visible(pair.a.prompt ?? "")}</div></details>`}
          <h4>Target</h4>
          <div class="target"><${Target} value=${line.target ?? "none"} /></div>
        </div>
        ${sides.map(({ line: own, name }, n) => html`
          <section class="case-side" aria-label=${name}>
            <h4><span class="said">${name}</span> <span class="case-score">${typeof own.score === "number" ? figure(own.score) : "unscored"}</span></h4>
            <p class="note">${plural(own.tokens ?? 0, "token")}${own.stop === "length" ? ", cut off by the token limit" : ""}${sampledWords(own)}</p>
            <${ScoreList} scores=${own.scores} />
            <${Answer} text=${n ? is : was} spans=${spans[n]} />
          </section>`)}
      </div>
    </article>`;
}

// "; sampled 0.5, 0, 1 (mean 0.5)".
function sampledWords(own) {
  const scores = own.sampled ?? [];
  if (!scores.length) return "";
  const more = scores.length > MOST_SAMPLED ? ` and ${figure(scores.length - MOST_SAMPLED)} more` : "";
  const mean = scores.length > 1 ? ` (mean ${figure(sampledMean(own))})` : "";
  return `; sampled ${scores.slice(0, MOST_SAMPLED).map((score) => (score === null ? "unscored" : figure(score))).join(", ")}${more}${mean}`;
}
