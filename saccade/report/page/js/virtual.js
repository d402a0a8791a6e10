// A long list of rows of one height, of which only those near the viewport are drawn. It scrolls in its box or with the page.

import { html, useEffect, useRef, useState } from "./lib.js";

const SPARE = 6; // rows drawn beyond what is seen

// `row(item, index)` draws one; `keyOf(item)` names it. The row of `shownKey` is scrolled into view when another is named.
export function VirtualList({ items, height, row, keyOf, shownKey, label }) {
  const list = useRef();
  const [range, setRange] = useState([0, 20]);
  const measured = () => {
    if (!list.current) return;
    const box = list.current.getBoundingClientRect();
    const [top, bottom] = viewOf(list.current);
    const first = Math.max(0, Math.floor((top - box.top) / height) - SPARE);
    const last = Math.max(first, Math.ceil((bottom - box.top) / height) + SPARE);
    setRange((old) => (old[0] === first && old[1] === last ? old : [first, last]));
  };
  useEffect(() => {
    let asked = 0;
    const later = () => { asked ||= requestAnimationFrame(() => { asked = 0; measured(); }); };
    addEventListener("scroll", later, { capture: true, passive: true });
    addEventListener("resize", later);
    return () => {
      cancelAnimationFrame(asked);
      removeEventListener("scroll", later, { capture: true });
      removeEventListener("resize", later);
    };
  }, [height]);
  useEffect(measured, [items, height]);
  useEffect(() => {
    const place = items.findIndex((item) => keyOf(item) === shownKey);
    if (place >= 0) reveal(list.current, place * height, height);
    measured();
  }, [shownKey]);
  return html`
    <ul class="virtual" ref=${list} aria-label=${label} style=${{ height: `${items.length * height}px` }}>
      ${items.slice(...range).map((item, n) => html`
        <li key=${keyOf(item)} style=${{ top: `${(range[0] + n) * height}px`, height: `${height}px` }} aria-posinset=${range[0] + n + 1}
          aria-setsize=${items.length}>
          ${row(item, range[0] + n)}
        </li>`)}
    </ul>`;
}

function scroller(element) {
  for (let parent = element.parentElement; parent; parent = parent.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(parent).overflowY)) return parent;
  }
  return null;
}

// Top and bottom of what is seen of the list's surroundings, in coordinates of the window.
function viewOf(element) {
  const box = scroller(element)?.getBoundingClientRect();
  return box ? [Math.max(0, box.top), Math.min(innerHeight, box.bottom)] : [0, innerHeight];
}

function reveal(element, top, height) {
  const box = scroller(element);
  if (!box) return; // a list that scrolls with the page is left where the reader put it
  const offset = element.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop;
  if (offset + top < box.scrollTop) box.scrollTop = offset + top;
  else if (offset + top + height > box.scrollTop + box.clientHeight) box.scrollTop = offset + top + height - box.clientHeight;
}
