import { html } from "./lib.js";

export function Overview({ store, runs, params }) {
  return html`<section class="card"><h2>Overview</h2><p>${runs[0].groups.length} groups</p></section>`;
}
