// A chart with its title, meaning, legend and table. Drawn when it comes near the viewport; follows theme, width and data.
//
// Chart({title, about, unit, series, height, xLabel, marks, smoothing, stack, sync, ends, level, hint})
//   series     [{name, x: [..], y: [..], low?: [..], high?: [..], color: "--s0", dash?: 0 to 3, points?}]; x may differ; y may hold null
//   unit       "share" is written in %, "s" as time, "" as a bare number, any other word behind the number
//   marks      [{x, label}] thin verticals, such as the ends of stages; means begin anew behind them
//   smoothing  steps that the strong line is a mean of (0: none); the single steps stay as a faint line
//   stack      draw the series on top of one another
//   sync       a name: charts with the same share cursor and zoom
//   ends       [low, high] that the horizontal axis covers at least
//   level      of the heading, 4 unless told;   hint: shown where the mouse rests on the title, such as the metric's key

import { Plot, html, useEffect, useMemo, useRef, useState } from "./lib.js";
import { chartLines, evenlySpaced, placeAt } from "./chart_data.js";
import { dashOf, dataOf, newPlot } from "./chart_plot.js";
import { figure, percent, plural, seconds, visible } from "./format.js";

const TABLE_ROWS = 200; // of the table that stands for a chart
const NO_CHART_MARKS = [];
const NO_CHART_ENDS = [];

// A number in its unit, for a person.
export function withUnit(value, unit) {
  if (value === null || value === undefined) return "none";
  if (unit === "share") return percent(value);
  if (unit === "s") return seconds(value);
  return unit ? `${figure(value)} ${unit}` : figure(value);
}

// The same for an axis whose ticks lie `step` apart: as many digits as tell them apart.
function axisText(unit) {
  const isWhole = (value) => Math.abs(value - Math.round(value)) < 1e-6 * Math.abs(value);
  const digits = (step) => [0, 1, 2, 3, 4, 5, 6, 7, 8].find((n) => isWhole(step * 10 ** n)) ?? 9;
  if (unit === "share") return (value, step) => `${(100 * value).toFixed(digits(100 * step))} %`;
  return (value, step, most) => {
    if (value === 0) return "0";
    if (most < 1e-3 || most >= 1e6) return Number(value.toPrecision(2)).toExponential().replace("+", "");
    return value.toFixed(digits(step));
  };
}

export function Chart(props) {
  const { title, about, unit = "", series, height = 168, xLabel = "step", level = 4, hint } = props;
  const [asTable, setAsTable] = useState(false);
  const [isWide, setIsWide] = useState(false);
  const filled = useMemo(() => series.filter((one) => one.y.some((value) => value !== null)), [series]);
  return html`
    <figure class="chart ${isWide ? "wide" : ""}">
      <figcaption>
        <div class="chart-title">
          <${`h${level}`} class="said" title=${hint && visible(hint)}>${visible(title)}<//>
          ${unit && unit !== "share" && html`<span class="unit">${unit}</span>`}
        </div>
        <span class="chart-tools">
          <${ChartSwitch} of=${title} word="table" about="Show as a table" value=${asTable} onChange=${setAsTable} />
          <${ChartSwitch} of=${title} word="large" about="Show larger" value=${isWide} onChange=${setIsWide} />
        </span>
      </figcaption>
      <p class="about">${about && visible(about)}</p>
      ${filled.length === 0 ? html`<p class="empty">Nothing measured yet.</p>`
    : asTable ? html`<${ChartTable} series=${filled} unit=${unit} xLabel=${xLabel} title=${title} hint=${hint} />`
    : html`<${ChartDrawing} ...${props} series=${filled} unit=${unit} xLabel=${xLabel} height=${isWide ? 2 * height : height} />`}
    </figure>`;
}

function ChartSwitch({ of, word, about, value, onChange }) {
  return html`
    <button class="quiet" aria-pressed=${String(value)} onClick=${() => onChange(!value)} title=${about}>
      ${word}<span class="unseen"> of ${visible(of)}</span>
    </button>`;
}

function ChartDrawing(props) {
  const { title, unit, series, height, xLabel, marks = NO_CHART_MARKS, smoothing = 0, stack = false, sync, ends = NO_CHART_ENDS } = props;
  const box = useRef();
  const plot = useRef(null);
  const legend = useRef();
  const latest = useRef();
  const isNear = useInView(box);
  const [isFocused, setIsFocused] = useState(false);
  latest.current = useMemo(() => {
    if (!isNear) return latest.current;
    const breaks = marks.map((mark) => mark.x);
    return { series, marks, unit, stack, sync, written: axisText(unit), ...chartLines(series, { smoothing, stack, ends, breaks }) };
  }, [isNear, series, smoothing, stack, marks, ends, unit, sync]);
  const spec = latest.current;
  const shape = spec && plotShape(spec);

  useEffect(() => {
    if (!shape) return undefined;
    const onCursor = ({ cursor, data }) => {
      const isAway = cursor.idx === null || cursor.idx === undefined || cursor.left < 0;
      writeLegend(legend.current, latest.current, isAway ? null : data[0][cursor.idx], xLabel);
    };
    const made = newPlot(latestOf(latest), { box: box.current, width: box.current.clientWidth, height, onCursor });
    plot.current = made;
    const redraw = () => made.redraw(false);
    const sized = new ResizeObserver(() => {
      const width = box.current.clientWidth;
      if (width && width !== made.width) made.setSize({ width, height });
    });
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
    writeLegend(legend.current, spec, null, xLabel);
  }, [spec]);

  useEffect(() => {
    if (!sync || !plot.current) return;
    Plot.sync(sync).unsub(plot.current);
    if (isNear) Plot.sync(sync).sub(plot.current); // the cursor moves only in charts that can be seen
  }, [isNear, shape, height]);

  const words = useMemo(() => chartInWords(title, series, unit, xLabel), [title, series, unit, xLabel]);
  return html`
    <div class="plot" ref=${box} style=${{ height: `${height}px` }} role="img" tabindex="0" aria-label=${words}
      onKeyDown=${(event) => moveCursor(event, plot.current)} onFocus=${() => setIsFocused(true)} onBlur=${() => setIsFocused(false)}></div>
    <ul class="chart-legend" ref=${legend} aria-live=${isFocused ? "polite" : "off"}>
      ${series.map((one) => html`
        <li>
          <svg class="chart-key" width="22" height="6" style=${{ color: `var(${one.color})` }} aria-hidden="true">
            <line x1="0" x2="22" y1="3" y2="3" stroke-dasharray=${dashOf(one).join(" ")} /></svg>
          <span class="said">${visible(one.name)}</span> <b></b> <small></small>
        </li>`)}
      <li class="at"></li>
    </ul>`;
}

// What a plot is made for. While it stays the same, new data goes into the same plot.
function plotShape({ series, lines, stack }) {
  const parts = lines.map(({ of, role, y }) => `${role} ${of} ${series[of].color} ${series[of].dash} ${y.length < 3}`);
  return `${stack} ${parts.join()}`;
}

// The plot reads what it draws through this, so that new data needs no new plot.
function latestOf(latest) {
  return new Proxy({}, { get: (_, name) => latest.current[name] });
}

// Writes the values at position `at` into the legend, or the last ones where it is null. Past preact: it follows the mouse.
function writeLegend(legend, spec, at, xLabel) {
  if (!legend || !spec) return;
  const [values, means] = [legend.querySelectorAll("b"), legend.querySelectorAll("small")];
  spec.own.forEach((one, n) => {
    const i = at === null ? one.x.length - 1 : placeAt(one.x, at);
    const value = i < 0 ? null : one.y[i];
    const range = i >= 0 && one.low && one.low[i] !== null ? rangeText(one.low[i], one.high[i], spec.unit) : "";
    const mean = i >= 0 && one.shown !== one.y && one.shown[i] !== value ? withUnit(one.shown[i], spec.unit) : "";
    if (!values[n]) return;
    values[n].textContent = value === null ? "–" : withUnit(value, spec.unit);
    means[n].textContent = mean ? `mean ${mean}` : range;
  });
  legend.querySelector(".at").textContent = at === null ? "" : `${xLabel} ${figure(at)}`;
}

// "[41.7, 63.1]": the unit stands behind the value already.
export function rangeText(low, high, unit) {
  const bare = (value) => (unit === "share" ? (100 * value).toFixed(1) : figure(value));
  return `[${bare(low)}, ${bare(high)}]`;
}

// Arrow keys move the cursor from point to point.
function moveCursor(event, drawn) {
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
function chartInWords(title, series, unit, xLabel) {
  const parts = series.slice(0, 8).map(({ name, x, y }) => {
    const has = y.map((value, i) => (value === null ? -1 : i)).filter((i) => i >= 0);
    const [first, last] = [has[0], has[has.length - 1]];
    const at = (i) => `${withUnit(y[i], unit)} at ${xLabel} ${figure(x[i])}`;
    return first === last ? `${name} ${at(first)}` : `${name} from ${at(first)} to ${at(last)}`;
  });
  const more = series.length > 8 ? `; ${plural(series.length - 8, "more line")}` : "";
  return visible(`${title}: ${parts.join("; ")}${more}. Arrow keys read single values.`);
}

function ChartTable({ series, unit, xLabel, title, hint }) {
  const { positions, n } = useMemo(() => {
    const all = [...new Set(series.flatMap((one) => one.x))].sort((a, b) => a - b);
    return { positions: evenlySpaced(all.length, TABLE_ROWS).map((i) => all[i]), n: all.length };
  }, [series]);
  const where = useMemo(() => series.map((one) => new Map(one.x.map((x, i) => [x, i]))), [series]);
  return html`
    <div class="chart-table" tabindex="0" role="region" aria-label=${visible(`${title} as a table`)}>
      ${hint && html`<p class="note"><code class="said">${visible(hint)}</code></p>`}
      ${n > TABLE_ROWS && html`<p class="note">${TABLE_ROWS} of ${figure(n)} rows, evenly spaced.</p>`}
      <table>
        <thead><tr>
          <th class="number">${xLabel}</th>
          ${series.map((one) => html`<th class="number"><span class="said">${visible(one.name)}</span></th>`)}
        </tr></thead>
        <tbody>${positions.map((x) => html`
          <tr>
            <th scope="row" class="number">${figure(x)}</th>
            ${series.map((one, n) => html`<${ChartCell} one=${one} i=${where[n].get(x)} unit=${unit} />`)}
          </tr>`)}
        </tbody>
      </table>
    </div>`;
}

function ChartCell({ one, i, unit }) {
  if (i === undefined || one.y[i] === null) return html`<td></td>`;
  const range = one.low && one.low[i] !== null && html` <span class="faint">${rangeText(one.low[i], one.high[i], unit)}</span>`;
  return html`<td class="number">${withUnit(one.y[i], unit)}${range}</td>`;
}

// Whether the element is near the viewport now: new data of a chart that is far off waits until it comes near again.
function useInView(element) {
  const [isNear, setIsNear] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => setIsNear(entries[entries.length - 1].isIntersecting), { rootMargin: "400px 0px" });
    watch.observe(element.current);
    return () => watch.disconnect();
  }, []);
  return isNear;
}
