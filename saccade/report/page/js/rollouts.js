import { html } from "./lib.js";

export function Rollouts({ store, runs, params }) {
  return html`<section class="card"><h2>Rollouts</h2><p>${runs[0].groups.length} groups</p></section>`;
}
