// Token by token: what sampling thought of each token and what the step's training did to it.

import { html, useEffect, useMemo, useRef, useState } from "./lib.js";
import { isNumber } from "./group_facts.js";
import { address } from "./route.js";
import { figure, plural, signed, visible } from "./format.js";

// `isSigned`: the scale has two sides.
export const MEASURES = [
  ["change", "Log-prob change", true, "Log-prob after this step's updates less before, in nats: what the step taught"],
  ["entropy", "Entropy", false, "How undecided the policy was at this token, in nats"],
  ["weight", "Advantage weight", true, "Advantage times the token's weight in the loss: how hard the step pushed"],
  ["logp", "Log-prob", false, "The sampler's log-prob of the token, in nats; a strong colour is a surprise"],
];
const MOST = 1500; // tokens drawn before one asks for the rest

export function useTraces(store, run, id, isWanted) {
  const [found, setFound] = useState({});
  useEffect(() => {
    if (!isWanted || found.id === id) return undefined;
    let isCurrent = true;
    store.tokens(run, id).then((traces) => isCurrent && setFound({ id, traces }), () => isCurrent && setFound({ id, traces: null }));
    return () => { isCurrent = false; };
  }, [id, isWanted]);
  return found.id === id ? found.traces : undefined;
}

// The value at which colours are full: all but a twentieth of the group's tokens lie below it.
export function tokenScale(traces, measure) {
  const sizes = traces.flatMap((trace) => trace[measure] ?? []).filter(isNumber).map(Math.abs).sort((a, b) => a - b);
  return sizes.length ? Math.max(sizes[Math.floor(0.95 * (sizes.length - 1))], 1e-12) : null;
}

// The choice of what colours the tokens; where this group has no traces, which ones have.
export function TokenBar({ run, group, traced, measure, scale, params, onChoose }) {
  const has = traced.has(group.id);
  const others = useMemo(() => (has ? [] : nearest(run, group, traced)), [has, run.groups.length, group, traced]);
  const [, , isSigned, about] = MEASURES.find(([key]) => key === measure) ?? [];
  return html`
    <div class="segments" role="group" aria-label="Colour of the tokens">
      <button aria-pressed=${measure === ""} onClick=${() => onChoose(undefined)}>Plain</button>
      ${MEASURES.map(([key, name, , why]) => html`<button aria-pressed=${measure === key} title=${why}
        disabled=${!has && measure !== key} onClick=${() => onChoose(key)}>${name}</button>`)}
    </div>
    ${measure && has && scale === null && html`
      <p class="note answers-note">No token of this group has this value: it was not trained on in this step.</p>`}
    ${measure && has && scale !== null && html`
      <div class="token-legend">
        <span class="note">${about}.</span>
        ${isSigned
          ? html`
            <span class="ramp-label">−${figure(scale)}, underlined in dashes</span><i class="ramp two-sided" aria-hidden="true"></i>
            <span class="ramp-label">+${figure(scale)}, underlined</span>`
          : html`
            <span class="ramp-label">0</span><i class="ramp" aria-hidden="true"></i>
            <span class="ramp-label">${measure === "logp" ? "−" : ""}${figure(scale)} or beyond</span>`}
        <span class="note">Point at a token, or use the arrow keys, for its values.</span>
      </div>`}
    ${!has && html`
      <p class="note answers-note">
        ${others.length
          ? html`This group has no token traces. Nearest with some: ${others.map((one, n) => html`${n > 0 && ", "}<a
            href=${address("rollouts", { ...params, group: one.id })}>step ${figure(one.step)}</a>`)}.`
          : html`This run has no token traces; <code>saccade train --trace 1</code> records them.`}
      </p>`}`;
}

function nearest(run, group, traced) {
  const all = run.groups.filter(({ id }) => traced.has(id));
  return all.sort((a, b) => Math.abs(a.step - group.step) - Math.abs(b.step - group.step)).slice(0, 3).sort((a, b) => a.step - b.step);
}

export function TokenView({ trace, measure, scale }) {
  const [at, setAt] = useState(null);
  const [isWhole, setIsWhole] = useState(false);
  const [isTable, setIsTable] = useState(false);
  const box = useRef();
  const note = useRef();
  const [, , isSigned] = MEASURES.find(([key]) => key === measure) ?? [];
  const n = isWhole ? trace.pieces.length : Math.min(MOST, trace.pieces.length);
  const spans = () => trace.pieces.slice(0, n).map((_, place) => tokenSpan(trace, place, { measure, scale, isSigned }));
  const drawn = useMemo(spans, [trace, measure, scale, n]);
  const pointed = (event) => {
    const place = event.target.closest?.("[data-token]")?.dataset.token;
    if (place !== undefined) setAt(Number(place));
  };
  const walked = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    setAt(Math.min(n - 1, Math.max(0, (at ?? -1) + by)));
  };
  useEffect(() => {
    box.current?.querySelector(".is-at")?.classList.remove("is-at");
    const token = at === null ? null : box.current?.querySelector(`[data-token="${at}"]`);
    if (!token) return;
    token.classList.add("is-at");
    note.current.style.top = `${token.offsetTop + token.offsetHeight + 6}px`;
    note.current.style.left = `${Math.max(0, Math.min(token.offsetLeft, box.current.clientWidth - note.current.offsetWidth))}px`;
  }, [at, drawn]);
  return html`
    <div class="token-view">
      <div class="tokens said" ref=${box} tabindex="0" role="group"
        aria-label="Tokens of this answer; arrow keys read the values of each" onMouseOver=${pointed} onClick=${pointed} onKeyDown=${walked}
        onFocus=${() => at === null && setAt(0)} onBlur=${() => setAt(null)}
          onMouseLeave=${() => box.current !== document.activeElement && setAt(null)}>${drawn}</div>
      <p class="token-values ${at === null ? "unseen" : ""}" role="status"
        ref=${note}>${at !== null && html`<${TokenValues} trace=${trace} at=${at} />`}</p>
      <div class="row">
        ${n < trace.pieces.length && html`<button class="quiet small"
          onClick=${() => setIsWhole(true)}>Show all ${figure(trace.pieces.length)} tokens</button>`}
        <button class="quiet small" aria-expanded=${isTable}
          onClick=${() => setIsTable(!isTable)}>${isTable ? "Hide the table" : "As a table"}</button>
      </div>
      ${isTable && html`<${TokenTable} trace=${trace} n=${n} />`}
    </div>`;
}

// A two-sided scale also underlines: solid for up, dashed for down, where the value is more than a quarter of the scale.
function tokenSpan(trace, place, { measure, scale, isSigned }) {
  const piece = trace.pieces[place];
  const value = trace[measure]?.[place];
  const isForced = trace.sampled && !trace.sampled[place];
  const share = isNumber(value) && scale ? Math.min(1, Math.abs(value) / scale) : 0;
  const side = isSigned && share > 0.25 ? (value > 0 ? "goes-up" : "goes-down") : "";
  const tone = share > 0 && { background: `rgb(var(${isSigned && value < 0 ? "--down" : "--up"}) / ${(0.5 * share).toFixed(3)})` };
  return html`<span class="token ${side} ${isForced ? "forced" : ""}" data-token=${place}
    style=${tone || undefined}>${shownPiece(piece)}</span>`;
}

function valueShown(value, isSigned) {
  if (!isNumber(value)) return undefined;
  return isSigned ? signed(value) : figure(value).replace("-", "−");
}

const shownPiece = (piece) => visible(piece).replaceAll("\n", "⏎\n") || "∅";

function TokenValues({ trace, at }) {
  const values = MEASURES.map(([key, name, isSigned]) => `${name.toLowerCase()} ${valueShown(trace[key]?.[at], isSigned) ?? "none"}`);
  return html`
    <b>${figure(at + 1)}</b> <code class="said">${shownPiece(trace.pieces[at] ?? "").trim()}</code>${" "}
    ${trace.sampled && !trace.sampled[at] ? "not sampled by the policy" : values.map((value) => html`<span>${value}</span>`)}`;
}

function TokenTable({ trace, n }) {
  return html`
    <div class="scroll-x token-table" tabindex="0" role="region" aria-label="Tokens as a table">
      <table>
        <thead><tr><th class="number">#</th><th>Token</th>${MEASURES.map(([, name]) => html`<th class="number">${name}</th>`)}</tr></thead>
        <tbody>${trace.pieces.slice(0, n).map((piece, place) => html`
          <tr><td class="number">${place + 1}</td><td><code class="said">${shownPiece(piece)}</code></td>
            ${MEASURES.map(([key, , isSigned]) => html`<td class="number">${valueShown(trace[key]?.[place], isSigned) ?? "–"}</td>`)}</tr>`)}
        </tbody>
      </table>
      ${n < trace.pieces.length && html`<p class="note">The first ${plural(n, "token")}.</p>`}
    </div>`;
}
