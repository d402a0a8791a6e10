// The recipe: its idea, stages, rewards, what it measures, what the paper claims, and every number with its source.

import { html, useState } from "./lib.js";
import { RunName, recipeName, settingsOf } from "./facts.js";
import { Idea } from "./idea.js";
import { Numbers } from "./numbers.js";
import { Settings } from "./settings.js";
import { figure, plural, visible } from "./format.js";

export function RecipeCard({ runs }) {
  const [chosen, setChosen] = useState(0);
  const areAlike = runs.every((run) => JSON.stringify(described(run)) === JSON.stringify(described(runs[0])));
  const run = runs[areAlike ? 0 : Math.min(chosen, runs.length - 1)];
  const { recipe } = run;
  const n = Object.keys(settingsOf(run)).length;
  return html`
    <section class="card recipe" aria-labelledby="recipe-title">
      <div class="row">
        <h2 id="recipe-title">Recipe <span class="said">${visible(recipeName(run))}</span></h2>
        ${runs.length > 1 && areAlike && html`<span class="note">the same in both runs</span>`}
        ${!areAlike && html`<span class="row" role="group" aria-label="Recipe of">${runs.map((one, place) => html`
          <button aria-pressed=${String(one === run)} onClick=${() => setChosen(place)}>
            <${RunName} run=${one} n=${place} /></button>`)}</span>`}
      </div>
      ${!recipe && html`
        <p class="note">This run wrote no recipe.json: its idea, claims and the sources of its numbers cannot be shown.</p>`}
      ${recipe && html`
        ${recipe.idea && html`<${Idea} key=${run.name} text=${recipe.idea} />`}
        <${Stages} stages=${recipe.stages ?? []} />
        <${Measures} evaluations=${recipe.evaluations ?? []} />
        ${recipe.claims?.length > 0 && html`
          <h3>What the paper claims</h3>
          <ul class="claims">${recipe.claims.map(({ text, source }) => html`
            <li><span class="said">${visible(text)}</span> <cite class="said">${visible(source)}</cite></li>`)}</ul>`}
        ${recipe.numbers?.length > 0 && html`
          <h3>Numbers and their sources</h3>
          <${Numbers} key=${run.name} numbers=${recipe.numbers} />`}`}
      ${n > 0 && html`<details class="all-settings"><summary>All settings (${n})</summary><${Settings} run=${run} /></details>`}
    </section>`;
}

// What a recipe says apart from its settings, whose differences are shown elsewhere.
function described({ recipe }) {
  return recipe && { ...recipe, settings: undefined };
}

function Stages({ stages }) {
  if (!stages.length) return null;
  return html`
    <h3>${stages.length > 1 ? "Stages" : "Stage"}</h3>
    <div class="scroll-x"><table>
      <thead><tr><th>Stage</th><th>Learns by</th><th class="number">Steps</th><th>Samples</th><th>Rewards, with weights</th></tr></thead>
      <tbody>${stages.map((stage) => html`
        <tr>
          <th scope="row" class="said">${visible(stage.name)}</th>
          <td>${stage.kind === "SFT" ? "imitation (SFT)" : html`<span class="said">${visible(stage.algorithm ?? stage.kind)}</span>`}
            ${stage.kind === "RL" && html`
              <span class="note"> ${plural(stage.prompts, "prompt")} × ${plural(stage.siblings, "sibling")} a step</span>`}</td>
          <td class="number">${figure(stage.steps)}</td>
          <td>${figure(stage.samples)} of <span class="said">${visible(stage.task)}</span></td>
          <td>${stage.rewards?.length ? stage.rewards.map(rewardTerm) : html`<span class="faint">none</span>`}</td>
        </tr>`)}</tbody>
    </table></div>`;
}

function rewardTerm({ name, weight }, n) {
  return html`${n > 0 && " + "}${figure(weight)} × <span class="said">${visible(name)}</span>`;
}

function Measures({ evaluations }) {
  if (!evaluations.length) return null;
  return html`
    <h3>Measured on</h3>
    <div class="scroll-x"><table>
      <thead><tr><th>Held-out set</th><th class="number">Samples</th><th>Score</th><th>Further shares</th><th>Use</th></tr></thead>
      <tbody>${evaluations.map((one) => html`
        <tr>
          <th scope="row" class="said">${visible(one.name)}</th>
          <td class="number">${figure(one.samples)}</td>
          <td class="said">${visible(one.score)}</td>
          <td class="said">
            ${visible([...(one.shares ?? []), ...(one.totals ? ["figures of the whole set"] : [])].join(", "))}</td>
          <td>
            ${[one.is_shifted && "out of distribution", one.selects && "chooses the checkpoint"].filter(Boolean).join(", ") || "reported"}</td>
        </tr>`)}</tbody>
    </table></div>`;
}
