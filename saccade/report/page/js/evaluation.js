import { html } from "./lib.js";

export function Evaluation({ store, runs, params }) {
  return html`<section class="card"><h2>Evaluation</h2><p>${runs[0].groups.length} groups</p></section>`;
}
