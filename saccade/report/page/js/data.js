import { html } from "./lib.js";

export function Data({ store, runs, params }) {
  return html`<section class="card"><h2>Data</h2><p>${runs[0].groups.length} groups</p></section>`;
}
