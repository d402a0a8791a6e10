// What a run warned of, as sentences: its watches, its check, and what became of it.

import { html, useState } from "./lib.js";
import { curvesOf, plannedSteps } from "./curves.js";
import { RunName, asSentence } from "./facts.js";
import { address } from "./route.js";
import { figure, plural, visible } from "./format.js";

const WARNINGS_SHOWN = 5; // more than that wait behind a button

export function Warnings({ runs }) {
  const [isOpen, setIsOpen] = useState(false);
  const found = runs.flatMap((run, n) => warningsOf(run).map((warning) => ({ ...warning, run, n })));
  const shown = isOpen ? found : found.slice(0, WARNINGS_SHOWN);
  return html`
    <section class="card warnings" aria-labelledby="warnings-title">
      <h2 id="warnings-title">Warnings${found.length > 0 && html` <span class="tag warn">${found.length}</span>`}</h2>
      ${found.length === 0 && html`
        <p class="note">
          None: no watch over the metrics crossed its threshold${runs.some((run) => run.state === "running") && " so far"}.</p>`}
      <ul>${shown.map(({ text, where, link, run, n }) => html`
        <li>
          ${runs.length > 1 && html`<span class="warning-run"><${RunName} run=${run} n=${n} /></span>`}
          <span class="said">${visible(asSentence(text))}</span>
          ${where && html` <span class="faint said">${visible(where)}</span>`}
          ${link && html` <a href=${link}>Look at them</a>`}
        </li>`)}
      </ul>
      ${found.length > WARNINGS_SHOWN && html`
        <button class="quiet" aria-expanded=${String(isOpen)} onClick=${() => setIsOpen(!isOpen)}>
          ${isOpen ? "Show fewer" : `Show ${found.length - WARNINGS_SHOWN} more`}</button>`}
    </section>`;
}

function warningsOf(run) {
  const { health, last, probe } = curvesOf(run);
  const whereOf = ({ watch, stage, step, x }) => `${watch}, ${stage} step ${figure(step)}${x === step ? "" : ` (${figure(x)} of all)`}`;
  const found = health.map((one) => ({ text: one.text, where: whereOf(one) }));
  const heard = new Set(health.map(({ text }) => text));
  for (const text of run.summary?.warnings ?? []) if (!heard.has(text)) found.push({ text: String(text), where: "" });
  if (probe && probe["probe/blank_shift"] === 0) {
    found.unshift({ text: "blanking a picture changes no log-prob: the model does not see its pictures", where: "probe" });
  }
  if (run.state === "stopped") {
    const planned = plannedSteps(run);
    const steps = `${figure(last)}${planned ? ` of ${figure(planned)}` : ""} steps`;
    found.unshift({ text: `the run stopped before its end, after ${steps}`, where: "" });
  }
  if (run.check) {
    const counts = ["error", "warning"].filter((word) => run.check[`${word}s`] > 0).map((word) => plural(run.check[`${word}s`], word));
    if (counts.length) found.push({ text: `saccade check found ${counts.join(" and ")}`, where: "", link: address("data") });
  }
  for (const [task, n] of Object.entries(run.summary?.bad_rows ?? {})) {
    if (n > 0) found.push({ text: `${plural(n, "row")} of ${task} could not be read and ${n === 1 ? "was" : "were"} left out`, where: "" });
  }
  return found;
}
