// The header: which runs, what state they are in, the views, light or dark; and the list of keys.

import { html, useEffect, useRef, useState } from "./lib.js";
import { VIEWS, address } from "./route.js";
import { useKeys } from "./keys.js";
import { figure, plural, visible } from "./format.js";

const NAMES = { overview: "Overview", rollouts: "Rollouts", evaluation: "Evaluation", data: "Data" };
const KEYS = [
  ["1 2 3 4", "overview, rollouts, evaluation, data"],
  ["j  k", "next and previous in a list"],
  ["/", "search"],
  ["t", "light or dark"],
  ["?", "these keys"],
  ["Esc", "close"],
];

export function Header({ store, route, onHelp }) {
  return html`
    <header class="top">
      <div class="runs">
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><path d="M3 16Q16 3 29 16Q16 29 3 16Z" /><circle cx="20" cy="16" r="4.5" /></svg>
        <h1>
          ${store.runs.map((run, n) => html`
            <span class="run">
              ${store.runs.length > 1 && html`<i class="swatch run-${n}" aria-hidden="true"></i><span class="letter">${"AB"[n]}</span>`}
              <span class="said name" title=${visible(run.name)}>${visible(run.name)}</span>
              <${State} run=${run} store=${store} />
            </span>`)}
        </h1>
      </div>
      <nav aria-label="Views">
        ${VIEWS.map((view) => html`
          <a href=${address(view)} aria-current=${view === route.view ? "page" : undefined}>${NAMES[view]}</a>`)}
      </nav>
      <div class="tools">
        <${Theme} />
        <button class="quiet" onClick=${onHelp} aria-label="Keys" title="Keys (?)">?</button>
      </div>
    </header>`;
}

function State({ run, store }) {
  const said = store.lost ? "connection lost" : run.state;
  const why = store.lost ? `${store.why || "the server does not answer"}; trying again` : undefined;
  return html`
    <span class="state ${store.lost ? "lost" : run.state}" role="status" title=${why && visible(why)}>${said}</span>
    ${store.live && (store.lost || run.state === "running") && html`<${Age} since=${store.updated} />`}`;
}

// "updated 3 s ago", by a clock of its own so that nothing else is drawn again. Not read out: it changes every second.
function Age({ since }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const passed = Math.max(0, Math.round((now - since) / 1000));
  const said = passed < 100 ? `${passed} s` : passed < 6000 ? `${Math.round(passed / 60)} min` : `${Math.round(passed / 3600)} h`;
  return html`<span class="age faint" aria-hidden="true">updated ${said} ago</span>`;
}

// What the tab is called: how far a run is that trains, then the names.
export function titleOf(store) {
  const names = store.runs.map((run) => visible(run.name)).join(" and ");
  const [run] = store.runs;
  if (store.lost) return `Connection lost: ${names}`;
  if (!store.live || run.state !== "running") return names;
  const done = run.metrics.findLast((line) => typeof line["run/total_steps"] === "number")?.["run/total_steps"] ?? 0;
  const stages = Array.isArray(run.recipe?.stages) ? run.recipe.stages : [];
  const total = stages.reduce((sum, stage) => sum + (Number(stage?.steps) || 0), 0);
  return total ? `${figure(Math.floor((100 * done) / total))} %: ${names}` : `${plural(done, "step")}: ${names}`;
}

function Theme() {
  const [theme, setTheme] = useState(remembered);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("saccade-theme", theme); } catch { /* a file may have no storage */ }
    dispatchEvent(new Event("themechange"));
  }, [theme]);
  const next = theme === "dark" ? "light" : "dark";
  useKeys({ t: () => setTheme(next) });
  return html`
    <button class="quiet" onClick=${() => setTheme(next)} aria-label=${`Switch to ${next}`} title="Light or dark (t)">
      ${theme === "dark"
        ? html`<svg class="glyph" viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="3.6" /><path d="M10 1.5v2.4M10 16.1v2.4M1.5 10h2.4M16.1 10h2.4M4 4l1.7 1.7M14.3 14.3 16 16M4 16l1.7-1.7M14.3 5.7 16 4" /></svg>`
        : html`<svg class="glyph" viewBox="0 0 20 20" aria-hidden="true"><path d="M16.5 12.2A7 7 0 0 1 7.8 3.5a7 7 0 1 0 8.7 8.7Z" /></svg>`}
    </button>`;
}

function remembered() {
  try {
    const theme = localStorage.getItem("saccade-theme");
    if (theme === "dark" || theme === "light") return theme;
  } catch { /* as above */ }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function Help({ onClose }) {
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  return html`
    <dialog ref=${dialog} onClose=${onClose} aria-label="Keys">
      <h2>Keys</h2>
      <dl class="keys">${KEYS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
      <button onClick=${onClose}>Close</button>
    </dialog>`;
}
