// The page: a header, four views, and what they share.

import { html, render, useEffect, useErrorBoundary, useState } from "./lib.js";
import { openStore } from "./store.js";
import { VIEWS, address, go, useRoute } from "./route.js";
import { useKeys } from "./keys.js";
import { Header, Help, titleOf } from "./header.js";
import { Overview } from "./overview.js";
import { Rollouts } from "./rollouts.js";
import { Evaluation } from "./evaluation.js";
import { Data } from "./data.js";
import { visible } from "./format.js";

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
  useEffect(() => { document.title = titleOf(store); });
  return html`
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>Skip to content</a>
    <${Header} store=${store} route=${route} onHelp=${() => setAsksHelp(true)} />
    <main id="main" tabindex="-1">
      <${Shown} key=${route.view} view=${route.view} store=${store} runs=${store.runs} params=${route.params} />
    </main>
    ${asksHelp && html`<${Help} onClose=${() => setAsksHelp(false)} />`}
  `;
}

// A view. Where it fails, the others can still be reached.
function Shown({ view, ...props }) {
  const [error, again] = useErrorBoundary((fault) => console.error(fault));
  if (!error) return html`<${SHOWS[view]} ...${props} />`;
  return html`
    <section class="card" role="alert">
      <h2>This view cannot be drawn</h2>
      <p class="said">${visible(error.message)}</p>
      <p class="note">This is a fault of the page, or the run's files are damaged. The other views may work; please report it.</p>
      <button onClick=${again}>Try again</button>
    </section>`;
}

async function open() {
  const root = document.getElementById("app");
  try {
    const store = await openStore();
    root.textContent = "";
    render(html`<${Page} store=${store} />`, root);
  } catch (error) {
    const message = document.createElement("p");
    message.className = "loading";
    message.setAttribute("role", "alert");
    const isLive = document.getElementById("live") !== null;
    message.textContent = isLive
      ? `The run cannot be read: ${visible(error.message)}. Trying again.`
      : `This page cannot be drawn: ${visible(error.message)}. It needs a browser of 2023 or later; if yours is, please report this.`;
    root.replaceChildren(message);
    if (!isLive) throw error;
    setTimeout(open, 3000);
  }
}

open();
