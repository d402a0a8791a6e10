// A list or gallery with what is open read beside it, on a phone or from a gallery in its place. For cases and for samples.

import { html, useEffect, useRef, useState } from "./lib.js";
import { VirtualList } from "./virtual.js";
import { useNarrow } from "./near.js";
import { useKeys } from "./keys.js";

const TILE_WIDTH = 176; // px at least
const TILE_HEIGHT = 228; // px, as in 2-evaluation.css

// Which of `items` is read: the one with the key `wanted`, also where a filter hides it, else the first if there is room for it.
// {open, place, isSingle, openKey}: `place` is -1 where it is not listed, `isSingle` whether it is read in place of the list. j, k and / work.
export function useOpened({ items, all, keyOf, wanted, isGallery, searchId, onOpen }) {
  const isSingle = useNarrow() || isGallery;
  const named = wanted === undefined ? undefined : items.find((item) => keyOf(item) === wanted) ?? all.find((item) => keyOf(item) === wanted);
  const open = named ?? (isSingle ? null : items[0] ?? null);
  const place = open ? items.indexOf(open) : -1;
  const walked = useRef(place); // keys may come faster than the page is drawn
  walked.current = place;
  const walk = (by) => {
    walked.current = walked.current < 0 ? 0 : Math.min(items.length - 1, Math.max(0, walked.current + by));
    if (items[walked.current]) onOpen(items[walked.current]);
  };
  useKeys({ j: () => walk(1), k: () => walk(-1), "/": () => document.getElementById(searchId)?.focus() });
  return { open, place, isSingle, openKey: open ? keyOf(open) : undefined };
}

// `row(item, isOpen)` and `tile(item)` draw one; `reading` is what is open, drawn. `empty` is said where nothing matches.
export function Browse({ id, items, keyOf, row, height, tile, opened, isGallery, reading, label, empty, onClose }) {
  const { open, place, isSingle, openKey } = opened;
  useListPlace(id, isSingle && open !== null);
  const last = useRef();
  if (openKey !== undefined) last.current = openKey;
  const hasList = !isSingle || !open;
  return html`
    <div class="case-body ${isSingle ? "is-single" : ""} ${isGallery ? "is-gallery" : ""}">
      ${hasList && (items.length === 0 ? html`<p class="empty">${empty}</p>` : html`
        <div class="case-list">
          ${isGallery
            ? html`<${Gallery} items=${items} keyOf=${keyOf} tile=${tile} label=${label} shownKey=${last.current} />`
            : html`<${VirtualList} items=${items} height=${height} keyOf=${keyOf} shownKey=${openKey ?? last.current} label=${label} row=${(item) => row(item, item === open)} />`}
        </div>`)}
      ${open && html`
        <div class="case-reading">
          ${isSingle && html`<button class="case-back" onClick=${onClose}>‹ All ${label.toLowerCase()}</button>`}
          ${place < 0 && html`<p class="note">Not among those that are listed.</p>`}
          ${reading}
        </div>`}
    </div>`;
}

// Pictures in rows; only rows near the viewport are drawn.
function Gallery({ items, keyOf, tile, label, shownKey }) {
  const box = useRef();
  const [columns, setColumns] = useState(4);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setColumns(Math.max(2, Math.floor(entry.contentRect.width / TILE_WIDTH))));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const rows = [];
  for (let n = 0; n < items.length; n += columns) rows.push(items.slice(n, n + columns));
  const shownRow = rows.find((some) => some.some((item) => keyOf(item) === shownKey));
  return html`
    <div ref=${box}>
      <${VirtualList} items=${rows} height=${TILE_HEIGHT} keyOf=${(some) => keyOf(some[0])} shownKey=${shownRow && keyOf(shownRow[0])} label=${label}
        row=${(some) => html`<div class="tiles" style=${{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}>${some.map(tile)}</div>`} />
    </div>`;
}

export function LayoutChoice({ params, onChange }) {
  const isGallery = params.layout === "gallery";
  return html`
    <div class="segments" role="group" aria-label="Layout">
      <button aria-pressed=${String(!isGallery)} onClick=${() => onChange({ layout: undefined })}>list</button>
      <button aria-pressed=${String(isGallery)} onClick=${() => onChange({ layout: "gallery" })}>gallery</button>
    </div>`;
}

// Brings what is opened in place of a list into view, and afterwards the reader back to where the list was left.
function useListPlace(id, isAway) {
  const left = useRef(null);
  if (isAway && left.current === null) left.current = scrollY; // while drawing: once it is drawn the page may be shorter
  useEffect(() => {
    if (isAway) {
      const element = document.getElementById(id);
      if (element?.getBoundingClientRect().top < 0) element.scrollIntoView();
    } else if (left.current !== null) {
      const place = left.current;
      left.current = null;
      requestAnimationFrame(() => scrollTo(0, place));
    }
  }, [isAway]);
}
