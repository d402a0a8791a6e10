// A picture with what is asked for and what answers point at. Used by every view that shows one.

import { html, useEffect, useMemo, useRef, useState } from "./lib.js";
import { MarkLayer } from "./marks.js";
import { drawable, told, whereabouts } from "./shapes.js";
import { plural, visible } from "./format.js";
import { useNear } from "./near.js";
import { PictureDialog } from "./zoom.js";

const PREDICTED = [{ name: "predicted", color: "--said" }];
const TALLEST = { large: 27, medium: 15 }; // rem: no picture is shown taller

// `gold`, `marks`: as the run has them; a mark may also carry `tone`, its place in `tones`, and `of`, a key that `lit` can single out.
// `tones`: [{ name, color: "--s0" }], what the legend calls them. `index`: only marks of the picture at this place (all if left out).
// `seen`: [width, height] as the model saw it. `size`: "large", "medium" or "thumb" (no legend, no dialog). `caption`: text beneath.
export function PictureView({
  store, run, sha, alt = "picture of the sample", gold = [], marks = [], tones = PREDICTED, lit, index, seen, size = "large", caption,
}) {
  const box = useRef();
  const isNear = useNear(box);
  const url = usePicture(store, run, sha, isNear);
  const [natural, setNatural] = useState(null);
  const [hidden, setHidden] = useState([]);
  const [isOpen, setIsOpen] = useState(false);
  const shapes = useMemo(() => ({ gold: usableShapes(gold, index), said: usableShapes(marks, index) }), [gold, marks, index]);
  const shownGold = hidden.includes("gold") ? [] : shapes.gold;
  const shownSaid = shapes.said.filter((shape) => !hidden.includes(shape.tone));
  const [width, height] = natural ?? (isPictureSize(seen) ? seen : [1, 1]);

  if (size === "thumb") {
    return html`
      <span class="thumb" ref=${box}>
        ${url && html`<img src=${url} alt=${alt} decoding="async" class=${isTinyPicture(natural) ? "pixels" : ""}
          onLoad=${onceSized(setNatural)} />`}
        ${url && natural && shownGold.length + shownSaid.length > 0 && html`
          <span class="thumb-marks" style=${heldIn(natural)}><${MarkLayer} gold=${shownGold} said=${shownSaid} tones=${tones}
            hasLabels=${false} /></span>`}
      </span>`;
  }
  const layer = html`<${MarkLayer} gold=${shownGold} said=${shownSaid} tones=${tones} lit=${lit} />`;
  const toggle = (key) => setHidden(hidden.includes(key) ? hidden.filter((one) => one !== key) : [...hidden, key]);
  const frame = { aspectRatio: `${width} / ${height}`, width: `min(100%, ${(TALLEST[size] ?? TALLEST.large) * (width / height)}rem)` };
  return html`
    <figure class="picture ${size}" ref=${box}>
      ${url === null
        ? html`<p class="picture-missing">This picture is not in the file.</p>`
        : html`
          <button class="picture-frame" style=${frame} onClick=${() => setIsOpen(true)} disabled=${!url}
            aria-label=${`Open full size: ${alt}`} title="Open full size">
            ${url && html`<img src=${url} alt=${alt} decoding="async" class=${isTinyPicture(natural) ? "pixels" : ""}
              onLoad=${onceSized(setNatural)} />`}
            ${url && natural && layer}
          </button>`}
      <${MarkLegend} shapes=${shapes} tones=${tones} hidden=${hidden} onToggle=${toggle} />
      <${OutsideNote} shapes=${shapes} tones=${tones} />
      ${caption && html`<figcaption class="note">${caption}</figcaption>`}
      ${isOpen && html`<${PictureDialog} url=${url} alt=${alt} natural=${natural} seen=${seen} layer=${layer}
        onClose=${() => setIsOpen(false)} />`}
    </figure>`;
}

// The picture's address once it is wanted: undefined while it is not known, null where the file has none.
export function usePicture(store, run, sha, isWanted = true) {
  const [found, setFound] = useState({});
  useEffect(() => {
    if (!isWanted || found.sha === sha) return undefined;
    let isCurrent = true;
    store.picture(run, sha).then((url) => isCurrent && setFound({ sha, url }), () => isCurrent && setFound({ sha, url: null }));
    return () => { isCurrent = false; };
  }, [sha, isWanted]);
  return found.sha === sha ? found.url : undefined;
}

function MarkLegend({ shapes, tones, hidden, onToggle }) {
  const of = (n) => shapes.said.filter((shape) => shape.tone === n);
  const used = tones.map((tone, n) => ({ ...tone, n, many: of(n) })).filter(({ many }) => many.length);
  if (!shapes.gold.length && !used.length) return null;
  const entry = (key, name, style, color, many) => html`
    <button class="legend-entry" aria-pressed=${!hidden.includes(key)} onClick=${() => onToggle(key)}
      title=${hidden.includes(key) ? "Show" : "Hide"}>
      <svg class="drawn ${style}" viewBox="0 0 26 10" style=${{ "--tone": `var(${color})` }} aria-hidden="true"><path class="halo"
        d="M2 5H24" /><path class="ink" d="M2 5H24" /></svg>
      ${name}<span class="unseen">: ${many.slice(0, 20).map(told).map(visible).join("; ")}</span>
    </button>`;
  return html`
    <div class="legend" role="group" aria-label="Marks">
      ${shapes.gold.length > 0 && entry("gold", "asked for", "gold", "--gold", shapes.gold)}
      ${used.map(({ n, name, color, many }) => entry(n, name, `tone-${n % 3}`, color, many))}
    </div>`;
}

function OutsideNote({ shapes, tones }) {
  const named = [["asked for", shapes.gold], ...tones.map(({ name }, n) => [name, shapes.said.filter((shape) => shape.tone === n)])];
  const notes = named.flatMap(([name, many]) => {
    const places = many.map(whereabouts);
    const count = (place) => places.filter((one) => one === place).length;
    return [
      count("outside") && `${plural(count("outside"), "mark")} (${name}) ${count("outside") === 1 ? "is" : "are"} outside the picture`,
      count("partly") && `${plural(count("partly"), "mark")} (${name}) ${count("partly") === 1 ? "reaches" : "reach"} outside the picture`,
    ].filter(Boolean);
  });
  return notes.length > 0 && html`<p class="note outside">${notes.join("; ")}.</p>`;
}

const usableShapes = (marks, index) =>
  (marks ?? []).map(drawable).filter((shape) => shape && (index === undefined || shape.picture === index));
const isPictureSize = (size) => Array.isArray(size) && size.every((side) => Number.isFinite(side) && side > 0);
// So few pixels that they are better seen as squares than blurred.
const isTinyPicture = (natural) => natural && Math.max(...natural) <= 300;
const onceSized = (set) => (event) => set([event.target.naturalWidth || 1, event.target.naturalHeight || 1]);

// Where an image of this size lies in the square of a thumb, which holds it whole.
function heldIn([width, height]) {
  const long = Math.max(width, height);
  const [across, down] = [(100 * width) / long, (100 * height) / long];
  return { left: `${50 - across / 2}%`, width: `${across}%`, top: `${50 - down / 2}%`, height: `${down}%` };
}
