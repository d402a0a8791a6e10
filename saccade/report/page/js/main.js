// The page: a header, four views, and what they share.

import { html, render, useEffect, useState } from "./lib.js";
import { openStore } from "./store.js";
import { VIEWS, address, go, useRoute } from "./route.js";
import { useKeys } from "./keys.js";
import { Header, Help } from "./header.js";
import { Overview } from "./overview.js";
import { Rollouts } from "./rollouts.js";
import { Evaluation } from "./evaluation.js";
import { Data } from "./data.js";

const SHOWS = { overview: Overview, rollouts: Rollouts, evaluation: Evaluation, data: Data };

function Page({ store }) {
  const route = useRoute();
  const [, redraw] = useState(0);
  const [asksHelp, setAsksHelp] = useState(false);
  useEffect(() => store.subscribe(() => redraw((n) => n + 1)), [store]);
  useEffect(() => scrollTo(0, 0), [route.view]);
  useKeys({
    ...Object.fromEntries(VIEWS.map((view, n) => [String(n + 1), () => go(view)])),
    "?": () => setAsksHelp(!asksHelp),
    Escape: () => setAsksHelp(false),
  });
  const View = SHOWS[route.view];
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>Skip to content</a>
    <${Header} store=${store} route=${route} onHelp=${() => setAsksHelp(true)} />
    <main id="main" tabindex="-1">
      <${View} store=${store} runs=${store.runs} params=${route.params} />
    </main>
    ${asksHelp && html`<${Help} onClose=${() => setAsksHelp(false)} />`}
  `;
}

async function open() {
  const root = document.getElementById("app");
  try {
    const store = await openStore();
    root.textContent = "";
    render(html`<${Page} store=${store} />`, root);
  } catch (error) {
    root.textContent = `This page cannot be drawn: ${error.message}. It needs a browser of 2023 or later; if yours is, please report this.`;
    throw error;
  }
}

open();
