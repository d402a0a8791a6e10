// What a run is: recipe, model, data, steps, time, the checkpoint handed over. From recipe.json, or from the settings of older runs.

import { html } from "./lib.js";
import { curvesOf, plannedSteps } from "./curves.js";
import { figure, plural, seconds, visible } from "./format.js";

const STATE_WORDS = {
  finished: "finished",
  running: "running now",
  stopped: "stopped before its end",
};

export function Facts({ runs, store }) {
  const names = new Set(runs.map(recipeName));
  const about = new Set(runs.map(aboutOf));
  const facts = runs.map((run) => new Map(factsOf(run, store)));
  const labels = [...new Set(facts.flatMap((map) => [...map.keys()]))];
  return html`
    <section class="card facts" aria-labelledby="facts-title">
      <h2 id="facts-title" class="said">${visible([...names].join(" and "))}</h2>
      ${[...about].filter(Boolean).map((text) => html`<p class="lead said">${visible(asSentence(text))}</p>`)}
      ${runs.length === 1
    ? html`<dl class="fact-list">${labels.map((label) => html`
        <div><dt>${label}</dt><dd><${FactValue} value=${facts[0].get(label)} /></dd></div>`)}</dl>`
    : html`<div class="scroll-x"><table class="fact-table">
        <thead><tr><th></th>${runs.map((run, n) => html`<th><${RunName} run=${run} n=${n} /></th>`)}</tr></thead>
        <tbody>${labels.map((label) => html`
          <tr><th scope="row">${label}</th>${facts.map((map) => html`<td><${FactValue} value=${map.get(label)} /></td>`)}</tr>`)}</tbody>
      </table></div>`}
      ${notesOf(runs).map(([text, names]) => html`
        <p class="note quiet-note">${runs.length > 1 && `${names.join(" and ")}: `}${visible(text)}</p>`)}
    </section>`;
}

// A run's name with its colour and letter, where there are two.
export function RunName({ run, n }) {
  return html`<${RunLetter} n=${n} /> <span class="said">${visible(run.name)}</span>`;
}

export function RunLetter({ n }) {
  return html`<i class=${`swatch run-${n}`} aria-hidden="true"></i><span class="letter">${runLetter(n)}</span>`;
}

export function runLetter(n) {
  return "AB"[n];
}

// What was left out of the file, once where both runs say the same: [text, letters of runs].
function notesOf(runs) {
  const notes = new Map();
  runs.forEach((run, n) => {
    const text = (run.left_out ?? []).join(" ");
    if (text) notes.set(text, [...(notes.get(text) ?? []), runLetter(n)]);
  });
  return [...notes];
}

function FactValue({ value }) {
  if (value === undefined) return html`<span class="faint">not known</span>`;
  const [main, more] = value;
  return html`<span class="said">${visible(main)}</span>${more && html` <span class="fact-more said">${visible(more)}</span>`}`;
}

// The text as a sentence.
export function asSentence(text) {
  const said = text.trim();
  return said ? said[0].toUpperCase() + said.slice(1) + (/[.!?:]$/.test(said) ? "" : ".") : "";
}

export function recipeName(run) {
  return run.recipe?.name ?? run.command?.recipe ?? run.summary?.recipe ?? run.name;
}

export function settingsOf(run) {
  return run.recipe?.settings ?? run.summary?.settings ?? {};
}

function aboutOf(run) {
  return String(run.recipe?.about ?? settingOf(run, "about") ?? "");
}

function settingOf(run, path) {
  const settings = settingsOf(run);
  return Object.hasOwn(settings, path) ? settings[path] : undefined;
}

// [label, [text, more]] of what is known.
function factsOf(run, store) {
  const { last, stages } = curvesOf(run);
  const planned = plannedSteps(run);
  const model = run.recipe?.model ?? run.command?.spec;
  const state = store.lost ? "connection lost" : STATE_WORDS[run.state] ?? run.state;
  const facts = [["State", [state, ""]]];
  if (model?.path) facts.push(["Model", [model.path, [model.dtype, model.lora ? "LoRA" : ""].filter(Boolean).join(", ")]]);
  const data = dataOfRun(run);
  if (data) facts.push(["Data", data]);
  const perStage = stages.length > 1 ? stages.map(({ name, start, end }) => `${name} ${figure(end - start)}`).join(", ") : "";
  facts.push(["Steps", [planned && planned !== last ? `${figure(last)} of ${figure(planned)}` : figure(last), perStage]]);
  facts.push(timeOf(run));
  if (run.summary?.chosen) facts.push(["Checkpoint", [run.summary.chosen, "handed over"]]);
  const seed = run.command?.seed ?? run.summary?.seed;
  if (seed !== undefined && seed !== null) facts.push(["Seed", [String(seed), ""]]);
  const machine = run.summary?.environment;
  if (machine?.device) facts.push(["Machine", [machine.device, machine.threads ? plural(machine.threads, "thread") : ""]]);
  return facts;
}

function timeOf(run) {
  if (run.summary?.seconds) return ["Time", [seconds(run.summary.seconds), ""]];
  const spent = curvesOf(run).at.get("time/step")?.y.reduce((sum, value) => sum + value, 0) ?? 0;
  return ["Time", [seconds(spent), "in steps so far"]];
}

function dataOfRun(run) {
  const stages = run.recipe?.stages;
  if (stages?.length) {
    const tasks = new Map(stages.map((stage) => [stage.task, stage.samples]));
    const n = run.summary?.left_out;
    const notes = [run.command?.data ?? "", n ? `${figure(n)} left out, as held-out sets show them` : ""];
    return [[...tasks].map(([task, n]) => `${task}, ${plural(n, "sample")}`).join("; "), notes.filter(Boolean).join("; ")];
  }
  const task = settingOf(run, "stages.0.task");
  const parts = task === undefined ? null : /^Task\('(.*?)', '.*?', ([\d,]+) samples\)$/.exec(String(task));
  return parts && [`${parts[1]}, ${parts[2]} samples`, ""];
}
