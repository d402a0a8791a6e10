// Entropy where answers turn, and how much the score owes to the picture, over the checkpoints: where the set measures them.

import { html, useMemo } from "./lib.js";
import { Chart } from "./charts.js";
import { curvesOf } from "./curves.js";

const PROBED = [
  ["critical_entropy", "where answers turn"],
  ["after_critical_entropy", "just after"],
  ["entropy", "over all tokens"],
];
const GAINED = [["picture_gain", "score owed to the picture"]];

export function Entropies({ runs, set }) {
  const [entropies, gains] = useMemo(() => [PROBED, GAINED].map((keys) => probedSeries(runs, set, keys)), [set, ...runs.map((run) => run.metrics)]);
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

// Of one run a colour a curve; of two a colour a run, and curves told apart by their dashes.
function probedSeries(runs, set, keys) {
  const isPair = runs.length > 1;
  return runs.flatMap((run, n) => keys.flatMap(([key, name], place) => {
    const curve = curvesOf(run).at.get(`eval/${set}/${key}`);
    if (!curve) return [];
    return [{ name: isPair ? `${"AB"[n]}, ${name}` : name, ...curve, color: `--s${isPair ? n : place}`, dash: isPair ? place : 0, points: true }];
  }));
}
