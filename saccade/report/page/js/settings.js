// Settings of runs: all of one, and what differs between two.

import { html, useMemo, useState } from "./lib.js";
import { RunName, settingsOf } from "./facts.js";
import { plural, shown, visible } from "./format.js";

const FROM_COMMAND = ["data", "options", "algorithm", "seed", "threads"];
const FROM_MACHINE = ["device", "git_revision", "saccade", "python", "torch", "transformers", "peft"];

export function Differences({ runs }) {
  const rows = useMemo(() => differing(runs.map(everySetting)), runs.flatMap((run) => [run.recipe, run.summary, run.command]));
  const heads = runs.map((run, n) => html`<${RunName} run=${run} n=${n} />`);
  const known = runs.map((run) => Object.keys(settingsOf(run)).length > 0);
  return html`
    <section class="card" aria-labelledby="differences-title">
      <h2 id="differences-title">What differs${rows.length > 0 && html` <span class="tag">${plural(rows.length, "setting")}</span>`}</h2>
      ${known.includes(false) && html`
        <p class="note">The settings of ${heads.filter((_, n) => !known[n]).map((head) => html`${head} `)}
          are not written down, so only the command can be compared.</p>`}
      ${rows.length === 0 ? html`<p class="note">Nothing that is written down: both runs have the same settings.</p>`
    : html`<${SettingTable} rows=${rows} heads=${heads} label="Settings that differ" />`}
    </section>`;
}

export function Settings({ run }) {
  const [sought, setSought] = useState("");
  const rows = Object.entries(settingsOf(run)).filter(([path]) => !path.startsWith("claims."));
  const found = rows.filter(([path, value]) => `${path} ${shown(value)}`.toLowerCase().includes(sought.toLowerCase()));
  return html`
    <p class="note">Change one with <code>--set PATH=VALUE</code>.
      <input type="search" placeholder="Find a setting" aria-label="Find a setting" value=${sought}
        onInput=${(event) => setSought(event.target.value)} /></p>
    <p class="unseen" role="status">${plural(found.length, "setting")} shown</p>
    <${SettingTable} rows=${found.map(([path, value]) => ({ path, values: [value] }))} heads=${["Value"]} label="Settings" />`;
}

function SettingTable({ rows, heads, label }) {
  return html`
    <div class="scroll-x tall-table" tabindex="0" role="region" aria-label=${label}><table class="settings">
      <thead><tr><th>Setting</th>${heads.map((head) => html`<th>${head}</th>`)}</tr></thead>
      <tbody>${rows.map(({ path, values }) => html`
        <tr><th scope="row"><code class="said">${visible(path)}</code></th>
          ${values.map((value) => html`<td>
            ${value === undefined ? html`<span class="faint">not set</span>` : html`<code class="said">${shown(value)}</code>`}</td>`)}
        </tr>`)}</tbody>
    </table></div>`;
}

function everySetting(run) {
  const found = new Map(Object.entries(settingsOf(run)));
  const add = (from, keys, kind) => {
    for (const key of keys) if (from && Object.hasOwn(from, key) && !found.has(key)) found.set(`${kind}: ${key}`, from[key]);
  };
  add(run.command, FROM_COMMAND, "command");
  add(run.summary?.environment, FROM_MACHINE, "machine");
  return found;
}

function differing(maps) {
  const paths = [...new Set(maps.flatMap((map) => [...map.keys()]))];
  const isKnown = (path) => !/^(command|machine): /.test(path) || maps.every((map) => map.has(path));
  const isAlike = (path) => new Set(maps.map((map) => JSON.stringify(map.get(path)))).size === 1;
  const found = paths.filter((path) => !["name", "about"].includes(path) && isKnown(path) && !isAlike(path));
  return found.map((path) => ({ path, values: maps.map((map) => map.get(path)) }));
}
