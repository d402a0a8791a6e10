// The header: which runs, what state they are in, the views, light or dark; and the list of keys.

import { html, useEffect, useRef, useState } from "./lib.js";
import { VIEWS, address } from "./route.js";
import { useKeys } from "./keys.js";
import { visible } from "./format.js";

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
              ${store.runs.length > 1 && html`<i class="swatch run-${n}" aria-hidden="true"></i>`}
              <span class="said">${visible(run.name)}</span>
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
  const words = store.lost ? "connection lost" : run.state;
  return html`<span class="state ${store.lost ? "lost" : run.state}" role="status">${words}</span>`;
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
  return html`<button class="quiet" onClick=${() => setTheme(next)} aria-label=${`Switch to ${next}`} title="Light or dark (t)">${theme === "dark" ? "☀" : "☾"}</button>`;
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
