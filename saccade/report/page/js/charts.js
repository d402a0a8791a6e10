// A chart with its title, meaning, legend and table. Drawn when it comes near the viewport; follows theme, width and data.
//
// Chart({title, about, unit, series, height, xLabel, marks, smoothing, stack, sync, ends, level, hint})
//   series     [{name, x: [..], y: [..], low?: [..], high?: [..], color: "--s0", dash?, points?}]; x may differ; y may hold null
//   unit       "share" is written in %, "s" as time, "" as a bare number, any other word behind the number
//   marks      [{x, label}] thin verticals, such as the ends of stages; means begin anew behind them
//   smoothing  steps that the strong line is a mean of (0: none); the single steps stay as a faint line
//   stack      draw the series on top of one another
//   sync       a name: charts with the same share cursor and zoom
//   ends       [low, high] that the horizontal axis covers at least
//   level      of the heading, 4 unless told;   hint: shown where the mouse rests on the title, such as the metric's key

import { html, useEffect, useMemo, useRef, useState } from "./lib.js";
import { chartLines, evenly, placeAt } from "./chart_data.js";
import { dataOf, newPlot } from "./chart_plot.js";
import { figure, percent, plural, seconds, visible } from "./format.js";

const ROWS = 200; // of the table that stands for a chart
const NO_MARKS = [];
const NO_ENDS = [];

// A number in its unit, for a person.
export function withUnit(value, unit) {
  if (value === null || value === undefined) return "none";
  if (unit === "share") return percent(value);
  if (unit === "s") return seconds(value);
  return unit ? `${figure(value)} ${unit}` : figure(value);
}

// The same for an axis, shorter.
function onAxis(unit) {
  if (unit === "share") return (value) => `${Number((100 * value).toPrecision(4))} %`;
  return (value) => (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6) ? value.toExponential(0).replace("+", "") : String(Number(value.toPrecision(4))));
}

export function Chart(props) {
  const { title, about, unit = "", series, height = 168, xLabel = "step", level = 4, hint } = props;
  const [asTable, setAsTable] = useState(false);
  const [isWide, setIsWide] = useState(false);
  const filled = useMemo(() => series.filter((one) => one.y.some((value) => value !== null)), [series]);
  return html`
    <figure class="chart ${isWide ? "wide" : ""}">
      <figcaption>
        <${`h${level}`} title=${hint && visible(hint)}><span class="said">${visible(title)}</span>${unit && unit !== "share" && html`<span class="unit">${unit}</span>`}<//>
        <span class="chart-tools">
          <button class="quiet" aria-pressed=${String(asTable)} onClick=${() => setAsTable(!asTable)} title="Show as a table">table<span class="unseen"> of ${visible(title)}</span></button>
          <button class="quiet" aria-pressed=${String(isWide)} onClick=${() => setIsWide(!isWide)} title="Show larger">large<span class="unseen">: ${visible(title)}</span></button>
        </span>
      </figcaption>
      <p class="about">${about && visible(about)}</p>
      ${filled.length === 0 ? html`<p class="empty">Nothing measured yet.</p>`
    : asTable ? html`<${ChartTable} series=${filled} unit=${unit} xLabel=${xLabel} title=${title} hint=${hint} />`
    : html`<${Drawing} ...${props} series=${filled} unit=${unit} xLabel=${xLabel} height=${isWide ? 2 * height : height} />`}
    </figure>`;
}

function Drawing({ title, unit, series, height, xLabel, marks = NO_MARKS, smoothing = 0, stack = false, sync, ends = NO_ENDS }) {
  const box = useRef();
  const plot = useRef(null);
  const legend = useRef();
  const latest = useRef();
  const isNear = useNear(box);
  const [isFocused, setIsFocused] = useState(false);
  latest.current = useMemo(() => {
    if (!isNear) return latest.current;
    const breaks = marks.map((mark) => mark.x);
    return { series, marks, unit, stack, sync, written: onAxis(unit), ...chartLines(series, { smoothing, stack, ends, breaks }) };
  }, [isNear, series, smoothing, stack, marks, ends, unit, sync]);
  const spec = latest.current;
  const shape = spec && spec.lines.map(({ of, role }) => `${role}${of}${spec.series[of].color}${spec.series[of].dash}`).join() + spec.lines.some(({ y }) => y.length < 3);

  useEffect(() => {
    if (!shape) return undefined;
    const onCursor = (drawn) => told(legend.current, latest.current, drawn.cursor.idx === null || drawn.cursor.left < 0 ? null : drawn.data[0][drawn.cursor.idx], xLabel);
    const made = newPlot(live(latest), { box: box.current, width: box.current.clientWidth, height, onCursor });
    plot.current = made;
    const redraw = () => made.redraw(false);
    const sized = new ResizeObserver(() => made.width === box.current.clientWidth || made.setSize({ width: box.current.clientWidth, height }));
    sized.observe(box.current);
    addEventListener("themechange", redraw);
    return () => {
      removeEventListener("themechange", redraw);
      sized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, height]);
  useEffect(() => {
    if (!plot.current || !spec) return;
    if (plot.current.data[1] !== spec.lines[0].y) {
      const { min, max } = plot.current.scales.x;
      const before = plot.current.data[0];
      const isZoomed = min !== null && (min > before[0] || max < before[before.length - 1]);
      plot.current.setData(dataOf(spec), !isZoomed);
      if (isZoomed) plot.current.redraw();
    }
    told(legend.current, spec, null, xLabel);
  }, [spec]);

  return html`
    <div class="plot" ref=${box} style=${{ height: `${height}px` }} role="img" tabindex="0" aria-label=${summed(title, series, unit, xLabel)}
      onKeyDown=${(event) => moved(event, plot.current)} onFocus=${() => setIsFocused(true)} onBlur=${() => setIsFocused(false)}></div>
    <ul class="legend" ref=${legend} aria-live=${isFocused ? "polite" : "off"}>
      ${series.map((one) => html`
        <li><i class="key ${one.dash ? "dashed" : ""}" style=${{ color: `var(${one.color})` }} aria-hidden="true"></i><span class="said">${visible(one.name)}</span> <b></b></li>`)}
      <li class="at"></li>
    </ul>`;
}

// The plot reads what it draws through this, so that new data needs no new plot.
function live(latest) {
  return new Proxy({}, { get: (_, name) => latest.current[name] });
}

// Writes the values at position `at` into the legend, or the last ones where it is null. Past preact: it follows the mouse.
function told(legend, spec, at, xLabel) {
  if (!legend || !spec) return;
  const items = legend.querySelectorAll("b");
  spec.own.forEach((one, n) => {
    const i = at === null ? one.x.length - 1 : placeAt(one.x, at);
    const value = i < 0 ? null : one.y[i];
    const range = i >= 0 && one.low && one.low[i] !== null ? ` [${withUnit(one.low[i], spec.unit).replace(" %", "")}, ${withUnit(one.high[i], spec.unit)}]` : "";
    const mean = i >= 0 && one.shown !== one.y ? ` (mean ${withUnit(one.shown[i], spec.unit)})` : "";
    if (items[n]) items[n].textContent = value === null ? "–" : `${withUnit(value, spec.unit)}${range}${mean}`;
  });
  legend.querySelector(".at").textContent = at === null ? "" : `${xLabel} ${figure(at)}`;
}

// Arrow keys move the cursor from point to point.
function moved(event, drawn) {
  const last = drawn ? drawn.data[0].length - 1 : -1;
  const now = drawn?.cursor.idx ?? last;
  const step = event.shiftKey ? 10 : 1;
  const to = { ArrowLeft: now - step, ArrowRight: now + step, Home: 0, End: last }[event.key];
  if (last < 0 || (to === undefined && event.key !== "Escape")) return;
  event.preventDefault();
  const x = drawn.data[0][Math.min(last, Math.max(0, to))];
  drawn.setCursor(event.key === "Escape" ? { left: -10, top: -10 } : { left: drawn.valToPos(x, "x"), top: drawn.height / 3 }, true, true);
}

// The chart in a sentence, for people who do not see it.
function summed(title, series, unit, xLabel) {
  const parts = series.slice(0, 8).map(({ name, x, y }) => {
    const has = y.map((value, i) => (value === null ? -1 : i)).filter((i) => i >= 0);
    const [first, last] = [has[0], has[has.length - 1]];
    if (first === last) return `${name} ${withUnit(y[first], unit)} at ${xLabel} ${figure(x[first])}`;
    return `${name} from ${withUnit(y[first], unit)} at ${xLabel} ${figure(x[first])} to ${withUnit(y[last], unit)} at ${xLabel} ${figure(x[last])}`;
  });
  const more = series.length > 8 ? `; ${plural(series.length - 8, "more line")}` : "";
  return visible(`${title}: ${parts.join("; ")}${more}. Arrow keys read single values.`);
}

function ChartTable({ series, unit, xLabel, title, hint }) {
  const { positions, n } = useMemo(() => {
    const all = [...new Set(series.flatMap((one) => one.x))].sort((a, b) => a - b);
    return { positions: evenly(all.length, ROWS).map((i) => all[i]), n: all.length };
  }, [series]);
  const where = useMemo(() => series.map((one) => new Map(one.x.map((x, i) => [x, i]))), [series]);
  return html`
    <div class="chart-table" tabindex="0" role="region" aria-label=${visible(`${title} as a table`)}>
      ${hint && html`<p class="note"><code class="said">${visible(hint)}</code></p>`}
      ${n > ROWS && html`<p class="note">${ROWS} of ${figure(n)} rows, evenly spaced.</p>`}
      <table>
        <thead><tr><th class="number">${xLabel}</th>${series.map((one) => html`<th class="number"><span class="said">${visible(one.name)}</span></th>`)}</tr></thead>
        <tbody>${positions.map((x) => html`
          <tr><th scope="row" class="number">${figure(x)}</th>${series.map((one, s) => {
    const i = where[s].get(x);
    return html`<td class="number">${i === undefined || one.y[i] === null ? "" : withUnit(one.y[i], unit)}${i !== undefined && one.low && one.low[i] !== null
      && html` <span class="faint">[${figure(one.low[i])}, ${figure(one.high[i])}]</span>`}</td>`;
  })}</tr>`)}</tbody>
      </table>
    </div>`;
}

// Whether the element has come near the viewport. Stays so once it has, but new data waits until it is near again.
function useNear(element) {
  const [isNear, setIsNear] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => setIsNear(entries[entries.length - 1].isIntersecting), { rootMargin: "400px 0px" });
    watch.observe(element.current);
    return () => watch.disconnect();
  }, []);
  return isNear;
}
