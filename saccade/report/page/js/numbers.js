// Every number of a recipe with where it comes from.

import { html, useState } from "./lib.js";
import { plural, visible } from "./format.js";

const SOURCES = new Map([["P", "paper"], ["C", "released code"], ["L", "library default"], ["I", "inferred"], ["O", "ours"]]);

export function Numbers({ numbers }) {
  const [source, setSource] = useState(null);
  const shown = numbers.filter((one) => source === null || one.source === source);
  const count = (mark) => numbers.filter((one) => one.source === mark).length;
  const marks = [...new Set([...SOURCES.keys(), ...numbers.map((one) => one.source)])].filter((mark) => count(mark) > 0);
  return html`
    <div class="row chips" role="group" aria-label="Source of the numbers">
      <button aria-pressed=${String(source === null)} onClick=${() => setSource(null)}>
        all <span class="faint">${numbers.length}</span></button>
      ${marks.map((mark) => html`
        <button aria-pressed=${String(source === mark)} onClick=${() => setSource(source === mark ? null : mark)}>
          ${visible(SOURCES.get(mark) ?? mark)} <span class="faint">${count(mark)}</span></button>`)}
    </div>
    <p class="unseen" role="status">${plural(shown.length, "number")} shown</p>
    <div class="scroll-x tall-table" tabindex="0" role="region" aria-label="Numbers and their sources"><table class="numbers">
      <thead><tr><th>Where</th><th>Number</th><th>Source</th><th>Note</th></tr></thead>
      <tbody>${shown.map((one, n) => html`
        <tr class=${n > 0 && shown[n - 1].owner === one.owner ? "same" : ""}>
          <th scope="row"><code class="said">${visible(one.owner)}</code></th>
          <td><code class="said">${visible(one.code)}</code></td>
          <td><span class="tag">${visible(SOURCES.get(one.source) ?? one.source)}</span></td>
          <td class="said">${visible(one.note ?? "")}</td>
        </tr>`)}</tbody>
    </table></div>`;
}
