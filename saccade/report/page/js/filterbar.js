// Search, order and filters of the list of groups. Every change goes into the address.

import { html, useEffect, useRef, useState } from "./lib.js";
import { BADGES, RIGHTS, SORTS, FILTERS, chosenFilters, filterOf } from "./filters.js";
import { go } from "./route.js";
import { figure, visible } from "./format.js";

export function FilterBar({ runs, params, span }) {
  const [isOpen, setIsOpen] = useState(() => chosenFilters({ ...params, q: undefined, sample: undefined }) > 0);
  const set = (changes) => go("rollouts", { ...params, ...changes }, { replace: true });
  const n = chosenFilters(params);
  const inPanel = chosenFilters({ ...params, q: undefined });
  const reset = () => set(Object.fromEntries(FILTERS.map((key) => [key, undefined])));
  return html`
    <div class="filterbar">
      <${SearchField} value=${params.q ?? ""} onChange=${(q) => set({ q })} />
      <div class="filterbar-row">
        <select aria-label="Order" value=${params.sort ?? "latest"}
          onChange=${(event) => set({ sort: event.target.value === "latest" ? undefined : event.target.value })}>
          ${SORTS.map(([key, name]) => html`<option value=${key}>${name}</option>`)}
        </select>
        <button aria-expanded=${isOpen} aria-controls="group-filters"
          onClick=${() => setIsOpen(!isOpen)}>Filters${inPanel > 0 ? ` (${inPanel})` : ""}</button>
        ${n > 0 && html`<button class="quiet" onClick=${reset}>Reset</button>`}
      </div>
      ${params.sample && html`
        <p class="note">Only sample <b class="said">${visible(params.sample)}</b> <button class="quiet small"
          onClick=${() => set({ sample: undefined })}>all samples</button></p>`}
      ${isOpen && html`<${FilterPanel} runs=${runs} params=${params} span=${span} onSet=${set} />`}
    </div>`;
}

// Typing waits a moment before the list follows; what is typed is never lost to a redraw.
function SearchField({ value, onChange }) {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  const latest = useRef(onChange);
  latest.current = onChange;
  useEffect(() => { if (value !== sent.current) { sent.current = value; setText(value); } }, [value]);
  useEffect(() => {
    if (text === sent.current) return undefined;
    const timer = setTimeout(() => { sent.current = text; latest.current(text); }, 150);
    return () => clearTimeout(timer);
  }, [text]);
  const keyed = (event) => {
    if (event.key === "Escape") {
      setText("");
      event.target.blur();
    }
  };
  return html`
    <input id="group-search" type="search" value=${text} onInput=${(event) => setText(event.target.value)} onKeyDown=${keyed}
      placeholder="Search prompts and answers  /"
      aria-label="Search prompts and answers" title='All words must occur; "quoted" is found exactly as written' spellcheck=${false} />`;
}

function FilterPanel({ runs, params, span, onSet }) {
  const { is, at } = filterOf(params);
  const choice = (key, label, options, none = "any") => html`
    <label>${label}
      <select value=${params[key] ?? ""} onChange=${(event) => onSet({ [key]: event.target.value })}>
        <option value="">${none}</option>
        ${options.map(([value, name]) => html`<option value=${value}>${visible(name)}</option>`)}
      </select>
    </label>`;
  const field = (key, label, shown) => html`
    <input type="number" step="any" inputmode="decimal" aria-label=${label} placeholder=${shown} value=${params[key] ?? ""}
      onInput=${(event) => onSet({ [key]: event.target.value })} />`;
  const toggled = (name) => onSet({ is: (is.includes(name) ? is.filter((one) => one !== name) : [...is, name]).join(",") });
  const [first, last] = span.steps;
  const [low, high] = span.rewards;
  return html`
    <div class="filters" id="group-filters">
      ${runs.length > 1 && choice("run", "Run", runs.map((run, n) => [String(n), `${"AB"[n]}: ${run.name}`]), "both")}
      ${span.stages.length > 1 && choice("stage", "Stage", span.stages.map((stage) => [stage, stage]))}
      ${span.kinds.length > 1 && choice("kind", "Kind", span.kinds.map((kind) => [kind, kind]))}
      <fieldset>
        <legend>Steps</legend>${field("from", "From step", figure(first))}<span>to</span>${field("to", "To step", figure(last))}
      </fieldset>
      <fieldset title="mean reward of the siblings">
        <legend>Reward</legend>${field("least", "Least mean reward", figure(low))}<span>to</span>
        ${field("most", "Highest mean reward", figure(high))}
      </fieldset>
      ${span.scores.length > 0 && html`
        ${choice("right", "Answers", RIGHTS)}
        <fieldset class="by-score">
          <legend>right by</legend>
          <select aria-label="Score that decides" value=${params.score ?? span.scores[0]}
            onChange=${(event) => onSet({ score: event.target.value })}>
            ${span.scores.map((name) => html`<option value=${name}>${visible(name)}</option>`)}
          </select>
          <span>≥</span>${field("at", "Right from this score", String(at))}
        </fieldset>`}
      <fieldset class="badges"><legend class="unseen">Only groups with</legend>
        ${BADGES.map(([key, name, why]) => html`<label title=${why}><input type="checkbox" checked=${is.includes(key)}
          onChange=${() => toggled(key)} /> ${name}</label>`)}
      </fieldset>
    </div>`;
}
