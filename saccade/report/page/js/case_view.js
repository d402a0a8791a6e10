// One sample of a held-out set, as it was answered at two moments.

import { html, useMemo } from "./lib.js";
import { Answer } from "./answer.js";
import { PictureView } from "./picture.js";
import { Target } from "./group.js";
import { ScoreList } from "./sibling.js";
import { wordChanges } from "./words.js";
import { address } from "./route.js";
import { figure, plural, visible } from "./format.js";

export function CaseView({ store, runs, a, b, pair, names }) {
  const sides = [{ moment: a, line: pair.a, name: names[0] }, { moment: b, line: pair.b, name: names[1] }];
  const { line } = sides[1];
  const marks = useMemo(() => sides.flatMap(({ line: own }, tone) => (own.marks ?? []).map((mark) => ({ ...mark, tone }))), [pair]);
  const tones = names.map((name, n) => ({ name: visible(name), color: `--s${n ? 0 : 1}` }));
  const changes = useMemo(() => wordChanges(pair.a.text, pair.b.text), [pair]);
  const spans = [["removed", changes?.removed], ["added", changes?.added]].map(([kind, ranges]) => (ranges ?? []).map(([from, to]) => [from, to, kind]));
  const trained = runs[b.run].groups.some(({ sample }) => sample === pair.id);
  return html`
    <article class="case">
      <header class="case-head"><h3 class="said">${visible(pair.id)}</h3><span class="tag said">${visible(line.kind)}</span>
        ${trained && html`<a class="note" href=${address("rollouts", { sample: pair.id })}>also among the rollouts</a>`}</header>
      <div class="case-parts">
        <div class="case-question">
          ${(line.pictures ?? []).map((sha, place) => html`
            <${PictureView} key=${sha} store=${store} run=${runs[b.run]} sha=${sha} index=${place} gold=${line.gold} marks=${marks} tones=${tones} seen=${line.seen?.[place]}
              size="medium" alt=${line.pictures.length > 1 ? `picture ${place + 1} of ${line.pictures.length}` : "picture of the sample"} />`)}
          <h4>Prompt</h4>
          <div class="said text prompt">${visible(line.prompt)}</div>
          <h4>Target</h4>
          <div class="target"><${Target} value=${line.target} /></div>
        </div>
        ${sides.map(({ line: own, name }, n) => html`
          <section class="case-side" aria-label=${n ? "After" : "Before"}>
            <h4><span class="said">${visible(name)}</span> <span class="case-score">${figure(own.score)}</span></h4>
            <p class="note">${plural(own.tokens, "token")}${own.stop === "length" ? ", cut off by the token limit" : ""}${own.sampled?.length ? `; sampled: ${own.sampled.map((score) => figure(score)).join(", ")}` : ""}</p>
            <${ScoreList} scores=${own.scores} />
            <${Answer} text=${own.text} spans=${spans[n]} />
          </section>`)}
      </div>
    </article>`;
}
