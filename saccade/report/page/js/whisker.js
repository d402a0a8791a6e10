// Before and after as dots with their 95 % intervals, small enough for a table's row.

import { html } from "./lib.js";

const WHISKER_WIDTH = 102;
const WHISKER_EDGE = 5;

const WHISKER_HEIGHT = 25;

// `before` and `after`: {value, low?, high?} or null, from 0 to 1. The figures stand beside it as text.
export function Whiskers({ before, after, color }) {
  return html`
    <svg class="whiskers" width=${WHISKER_WIDTH} height=${WHISKER_HEIGHT} style=${{ color: `var(${color})` }} aria-hidden="true">
      ${[0, 0.25, 0.5, 0.75, 1].map((share) => [whiskerPlace(share), share % 1 === 0]).map(([x, isEnd]) => html`
        <line class=${isEnd ? "edge" : ""} x1=${x} x2=${x} y1="0" y2=${WHISKER_HEIGHT} />`)}
      <${WhiskerDot} figure=${before} y="7.5" kind="before" />
      <${WhiskerDot} figure=${after} y="17.5" kind="after" />
    </svg>`;
}

function WhiskerDot({ figure, y, kind }) {
  if (!figure || !(figure.value >= 0 && figure.value <= 1)) return null;
  return html`
    ${figure.low !== undefined && html`
      <line class="reach" x1=${whiskerPlace(figure.low)} x2=${whiskerPlace(figure.high)} y1=${y} y2=${y} />`}
    <circle class=${kind} cx=${whiskerPlace(figure.value)} cy=${y} r="3.6" />`;
}

function whiskerPlace(share) {
  return WHISKER_EDGE + share * (WHISKER_WIDTH - 2 * WHISKER_EDGE);
}
