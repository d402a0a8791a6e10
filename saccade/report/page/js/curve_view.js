// All curves of the overview: a search, how much they are smoothed, and the groups of charts.

import { html, useEffect, useMemo, useRef, useState } from "./lib.js";
import { Chart, withUnit } from "./charts.js";
import { chartList } from "./chart_list.js";
import { curvesOf, plannedSteps } from "./curves.js";
import { CHART_GROUPS, PROBES, PROBE_TOLERANCE } from "./metric_names.js";
import { RunName } from "./facts.js";
import { useKeys } from "./keys.js";
import { go } from "./route.js";
import { figure, plural, visible } from "./format.js";

const FOLDED_GROUPS = ["sets", "more"]; // closed until asked for or searched
const SMOOTHINGS = [1, 5, 10, 25, 50, 100];

export function CurveView({ runs, params }) {
  const search = useRef();
  const [sought, setSought] = useState(params.find ?? "");
  useKeys({ "/": () => search.current.focus() });
  const lastAddress = useRef(null); // that this view wrote: its echo must not undo what was typed since
  useEffect(() => {
    if (location.hash !== lastAddress.current) setSought(params.find ?? "");
  }, [params.find]);
  const lines = runs.map((run) => run.metrics);
  const charts = useMemo(() => chartList(runs), [...lines, ...runs.map((run) => run.summary)]);
  const marks = useMemo(() => stageMarks(runs), lines);
  const automatic = suggestedWindow(runs);
  const window = SMOOTHINGS.includes(Number(params.smooth)) ? Number(params.smooth) : automatic;
  const set = (more) => go("overview", { ...params, ...more }, { replace: true });
  const seek = (text) => {
    setSought(text);
    set({ find: text });
    lastAddress.current = location.hash;
  };
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const found = charts.filter((chart) => chartFits(chart, words));
  const odd = runs.flatMap((run) => [...curvesOf(run).odd].map(([key, n]) => ({ run, key, n })));
  return html`
    <section class="curves" aria-labelledby="curves-title">
      <div class="row curves-head">
        <h2 id="curves-title">Curves</h2>
        <input ref=${search} type="search" placeholder="Find a metric ( / )" aria-label="Find a metric" value=${sought}
          onInput=${(event) => seek(event.target.value)}
          onKeyDown=${(event) => event.key === "Escape" && search.current.blur()} />
        <label>Smoothing <select value=${String(window)} onChange=${(event) => set({ smooth: event.target.value })}>
          ${SMOOTHINGS.map((n) => html`<option value=${String(n)}>${n === 1 ? "none" : `${n} steps`}</option>`)}
        </select></label>
        <p class="note">
          ${window > 1 && `Strong lines are the mean of the last ${window} steps of a stage, faint ones the single steps. `}
          Drag across a chart to look closer, double-click to go back.</p>
      </div>
      <nav class="row chips" aria-label="Groups of curves">
        ${CHART_GROUPS.filter(([id]) => found.some(({ group }) => group === id)).map(([id, title]) => html`
          <button onClick=${() => scrollToGroup(id)}>
            ${title} <span class="faint">${found.filter(({ group }) => group === id).length}</span></button>`)}
      </nav>
      ${odd.map(({ run, key, n }) => html`
        <p class="note"><code class="said">${visible(key)}</code> was no finite number in ${plural(n, "step")}
          ${runs.length > 1 && html` of <span class="said">${visible(run.name)}</span>`}; these are left out.</p>`)}
      ${charts.length === 0 && html`<p class="empty">No step has been done yet. Curves appear with the first.</p>`}
      ${charts.length > 0 && found.length === 0 && html`
        <p class="empty">No metric fits “<span class="said">${visible(sought)}</span>”.</p>`}
      ${CHART_GROUPS.map(([id, title]) => html`
        <${ChartGroup} key=${id} id=${id} title=${title} charts=${found} runs=${runs} marks=${marks} window=${window}
          isWhole=${!words.length} />`)}
    </section>`;
}

function ChartGroup({ id, title, charts, runs, marks, window, isWhole }) {
  const own = charts.filter(({ group }) => group === id);
  const [isOpen, setIsOpen] = useState(!FOLDED_GROUPS.includes(id));
  if (!own.length) return null;
  const shows = isOpen || !isWhole;
  return html`
    <section class="chart-group" aria-labelledby=${`curves-${id}`}>
      <div class="row">
        <h3 id=${`curves-${id}`} tabindex="-1">${title}</h3>
        ${FOLDED_GROUPS.includes(id) && isWhole && html`
          <button class="quiet small" aria-expanded=${String(isOpen)} onClick=${() => setIsOpen(!isOpen)}>
            ${isOpen ? "Hide" : "Show"} ${plural(own.length, "chart")}</button>`}
      </div>
      ${id === "sampler" && isWhole && html`<${ProbeFigures} runs=${runs} />`}
      ${shows && html`
        <div class="charts">
          ${own.map((chart) => html`<${Chart} key=${chart.id} ...${chart} marks=${marks} smoothing=${window} sync="overview" />`)}
        </div>`}
    </section>`;
}

// What was measured once, before the first step.
function ProbeFigures({ runs }) {
  const probed = runs.filter((run) => curvesOf(run).probe);
  if (!probed.length) return null;
  return html`
    <div class="scroll-x"><table class="probes">
      <caption class="unseen">Measured once, before the first step</caption>
      <thead><tr><th>Before the first step</th>
        ${probed.map((run) => html`
          <th class="number">${runs.length > 1 ? html`<${RunName} run=${run} n=${runs.indexOf(run)} />` : "measured"}</th>`)}
        <th class="number">healthy</th><th>what it is</th></tr></thead>
      <tbody>${PROBES.map(([key, name, unit, about, healthy]) => html`
        <tr><th scope="row" title=${key}>${name}</th>
          ${probed.map((run) => html`<td class="number">${withUnit(curvesOf(run).probe[key], unit)}</td>`)}
          <td class="number">${healthy === "below" ? probeTolerance(probed[0]) : healthy}</td><td>${about}</td></tr>`)}
      </tbody>
    </table></div>`;
}

function probeTolerance(run) {
  const type = run.recipe?.model?.dtype ?? run.command?.spec?.dtype;
  return PROBE_TOLERANCE.has(type) ? `below ${figure(PROBE_TOLERANCE.get(type))} in ${type}` : "rounding error";
}

function chartFits(chart, words) {
  if (!words.length) return true;
  const group = CHART_GROUPS.find(([id]) => id === chart.group)[1];
  const text = [group, chart.title, chart.about, ...chart.keys, ...chart.series.map(({ name }) => name)].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

// Where stages begin, but the first.
function stageMarks(runs) {
  const marks = new Map();
  for (const run of runs) {
    for (const { name, start } of curvesOf(run).stages) if (start > 0) marks.set(`${start} ${name}`, { x: start, label: visible(name) });
  }
  return [...marks.values()].sort((a, b) => a.x - b.x);
}

// A twentieth of the steps, as one of the choices: enough to see a trend through the noise.
function suggestedWindow(runs) {
  const steps = Math.max(...runs.map((run) => plannedSteps(run) ?? curvesOf(run).last));
  return SMOOTHINGS.reduce((best, n) => (n <= Math.max(1, steps / 20) || (n === 5 && steps >= 20) ? n : best), 1);
}

function scrollToGroup(id) {
  const title = document.getElementById(`curves-${id}`);
  title.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  title.focus({ preventScroll: true });
}
