// The view of rollouts: filters and the list of groups on the left, the group that is read on the right. On a phone one at a time.

import { html, useEffect, useMemo, useRef, useState } from "./lib.js";
import { chosenGroups, filterOf, FILTERS } from "./filters.js";
import { byTime, groupSpan } from "./group_facts.js";
import { FilterBar } from "./filterbar.js";
import { GroupRow, ROW_HEIGHT } from "./grouprow.js";
import { GroupView } from "./group.js";
import { CompareView } from "./compare.js";
import { VirtualList } from "./virtual.js";
import { useNarrow } from "./near.js";
import { address, go } from "./route.js";
import { useKeys } from "./keys.js";
import { figure, plural, visible } from "./format.js";

export function Rollouts({ store, runs, params }) {
  const isNarrow = useNarrow();
  const [entries, waiting, take] = useEntries(runs);
  const span = useMemo(() => groupSpan(entries), [entries]);
  const traced = useMemo(() => runs.map((run) => new Set(run.traced)), runs.map((run) => run.traced.length));
  const filters = Object.fromEntries(FILTERS.concat("sort").map((key) => [key, params[key]]));
  const chosen = useMemo(() => chosenGroups(entries, filterOf(params), { traced, span }), [entries, span, traced, JSON.stringify(filters)]);
  const found = useMemo(() => entryOf(runs, params.group, params.in), [params.group, params.in, ...runs.map((run) => run.groups.length)]);
  const open = found ?? (isNarrow || params.group ? null : (chosen[0] ?? null));
  const openKey = open && keyOfEntry(open);
  const place = chosen.findIndex((entry) => keyOfEntry(entry) === openKey);

  const linked = ({ run, group }) => ({ ...params, ...cleared, group: group.id, in: run ? String(run) : undefined });
  const walked = useRef(place); // keys may come faster than the page is drawn
  walked.current = place;
  const walk = (by) => {
    walked.current = walked.current < 0 ? 0 : Math.min(chosen.length - 1, Math.max(0, walked.current + by));
    if (chosen[walked.current]) go("rollouts", linked(chosen[walked.current]), { replace: true });
  };
  useKeys({ j: () => walk(1), k: () => walk(-1), "/": () => document.getElementById("group-search")?.focus() });
  const leave = useReturn(isNarrow && Boolean(params.group));
  const before = useRef(openKey);
  useEffect(() => {
    if (!isNarrow && before.current !== openKey) scrollTo(0, 0);
    before.current = openKey;
  }, [openKey]);
  const box = useRef();
  const welcome = () => { take(); box.current.scrollTop = 0; };

  const back = address("rollouts", { ...params, ...cleared, group: undefined, in: undefined });
  const isList = !isNarrow || !params.group;
  if (!entries.length) return html`<section class="card"><h2>Rollouts</h2><${NoRollouts} store=${store} runs=${runs} /></section>`;
  return html`
    <div class="rollouts ${isNarrow ? "is-narrow" : ""}">
      <h2 class="unseen">Rollouts</h2>
      ${isList && html`
        <section class="groups" aria-label="Groups">
          <${FilterBar} runs=${runs} params=${params} span=${span} />
          <p class="groups-count note" role="status">${counted(chosen.length, entries.length)}</p>
          ${waiting > 0 && html`<button class="primary groups-new" onClick=${welcome}>${plural(waiting, "new group")}</button>`}
          <div class="group-scroll" ref=${box}>
            <${VirtualList} items=${chosen} height=${ROW_HEIGHT} keyOf=${keyOfEntry} shownKey=${openKey} label="Groups that match"
              row=${(entry) => html`
                <${GroupRow} store=${store} runs=${runs} entry=${entry} span=${span} isTraced=${traced[entry.run].has(entry.group.id)}
                  isOpen=${keyOfEntry(entry) === openKey} href=${address("rollouts", linked(entry))} onOpen=${leave} />`} />
            ${!chosen.length && html`<div class="empty"><p>No group matches.</p><a
              href=${address("rollouts", { group: params.group, in: params.in })}>Show all groups</a></div>`}
          </div>
        </section>`}
      ${(!isNarrow || params.group) && html`
        <section class="reading" aria-label="The open group">
          ${isNarrow && html`<a class="back" href=${back}>‹ All groups</a>`}
          ${open
            ? params.with && withOf(runs, params.with)
              ? html`<${CompareView} store=${store} runs=${runs} here=${open} there=${withOf(runs, params.with)} params=${params} />`
              : html`<${GroupView} key=${openKey} store=${store} runs=${runs} entry=${open} params=${params} traced=${traced[open.run]}
                  place=${place} many=${chosen.length} onWalk=${walk} />`
            : params.group
              ? html`<p class="empty">There is no group <span
                class="said">${visible(params.group)}</span> in this file. Choose one from the list.</p>`
              : html`<p class="empty">No group is chosen.</p>`}
        </section>`}
    </div>`;
}

const cleared = { with: undefined, a: undefined, b: undefined };
const keyOfEntry = ({ run, group }) => `${run}:${group.id}`;
const counted = (n, all) => (all ? `${n === all ? "All" : `${figure(n)} of`} ${plural(all, "group")}` : "");

// What lies before the reader: groups of all runs in order of steps, how many more have come since, and how to take them in.
// A list that is being read does not move by itself.
function useEntries(runs) {
  const [taken, setTaken] = useState([]);
  const counts = runs.map((run, n) => (taken[n] && taken[n] <= run.groups.length ? taken[n] : run.groups.length));
  useEffect(() => { if (counts.some((count, n) => count !== taken[n])) setTaken(counts); }, [counts.join()]);
  const entries = useMemo(() => {
    const all = runs.flatMap((run, n) => run.groups.slice(0, counts[n]).map((group, index) => ({ run: n, group, index })));
    if (runs.length > 1) all.sort(byTime(runs));
    return all.map((entry, place) => ({ ...entry, place }));
  }, [counts.join(), ...runs.flatMap((run, n) => [run.groups[0], run.groups[counts[n] - 1]])]);
  const waiting = runs.reduce((sum, run, n) => sum + run.groups.length - counts[n], 0);
  return [entries, waiting, () => setTaken(runs.map((run) => run.groups.length))];
}

function entryOf(runs, id, run = "0") {
  const n = Number(run) || 0;
  const index = id && runs[n] ? runs[n].groups.findIndex((group) => group.id === id) : -1;
  return index < 0 ? null : { run: n, group: runs[n].groups[index], index };
}

// "1:rl-8/3": group rl-8/3 of run B.
function withOf(runs, text) {
  const cut = text.indexOf(":");
  return entryOf(runs, text.slice(cut + 1), text.slice(0, cut));
}

// On a phone the list is where it was when one comes back to it. Returns what to call before leaving.
function useReturn(isReading) {
  const left = useRef(0);
  useEffect(() => { scrollTo(0, isReading ? 0 : left.current); }, [isReading]);
  return () => { left.current = scrollY; };
}

function NoRollouts({ store, runs }) {
  const isWaiting = store.live || runs.some((run) => run.state === "running");
  const hasStage = runs.some((run) => run.recipe?.stages?.some((stage) => stage.kind === "RL"));
  const why = isWaiting ? "The first groups stand here when a step of an RL stage is done."
    : runs.every((run) => run.recipe) && !hasStage ? "This recipe has no RL stage, so no answers were sampled in training."
      : "This run ended before a step of an RL stage was done.";
  return html`<p class="empty">${isWaiting ? "No rollouts yet." : "No rollouts."} ${why}</p>`;
}
