// The overview: what the run is and how it went, its warnings, its recipe, and its curves. Two runs are compared throughout.

import { html } from "./lib.js";
import { Facts } from "./facts.js";
import { BeforeAfter } from "./before_after.js";
import { Warnings } from "./warnings.js";
import { CurveView } from "./curve_view.js";
import { RecipeCard } from "./recipe_card.js";
import { Differences } from "./settings.js";

export function Overview({ store, runs, params }) {
  return html`
    <div class="stack overview">
      <div class="overview-top">
        <${Facts} runs=${runs} store=${store} />
        ${runs.length > 1 && html`<${Differences} runs=${runs} />`}
      </div>
      <${BeforeAfter} runs=${runs} />
      <${Warnings} runs=${runs} />
      <${CurveView} runs=${runs} params=${params} />
      <${RecipeCard} runs=${runs} />
    </div>`;
}
