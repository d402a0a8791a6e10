// A picture over the whole page, with its marks, to be zoomed and moved.

import { html, useEffect, useRef, useState } from "./lib.js";
import { figure } from "./format.js";

const ZOOM_STEP = 1.5;

export function PictureDialog({ url, alt, natural, seen, layer, onClose }) {
  const dialog = useRef();
  const room = useRef();
  const [size, setSize] = useState(null); // how wide the room is: what "fit" means
  const [zoom, setZoom] = useState(null); // null: fit
  useEffect(() => {
    dialog.current.showModal();
    const measured = () => setSize([room.current.clientWidth, room.current.clientHeight]);
    measured();
    addEventListener("resize", measured);
    return () => removeEventListener("resize", measured);
  }, []);
  const [width, height] = natural ?? [1, 1];
  const fit = size ? Math.min(size[0] / width, size[1] / height) : 1;
  const scale = zoom ?? fit;
  const zoomed = (next) => setZoom(Math.min(64, Math.max(Math.min(fit, 1) / 2, next)));
  const keyed = (event) => {
    event.stopPropagation(); // the page's own keys rest; one of them would keep Escape from closing this
    const change = { "+": scale * ZOOM_STEP, "=": scale * ZOOM_STEP, "-": scale / ZOOM_STEP }[event.key];
    if (change) zoomed(change);
    if (event.key === "0") setZoom(null);
  };
  const drag = useRef(null);
  const moved = (event) => {
    if (!drag.current || event.buttons !== 1) { drag.current = null; return; }
    room.current.scrollLeft = drag.current.left - (event.clientX - drag.current.x);
    room.current.scrollTop = drag.current.top - (event.clientY - drag.current.y);
  };
  const held = (event) => {
    if (event.pointerType !== "mouse") return;
    event.preventDefault();
    drag.current = { x: event.clientX, y: event.clientY, left: room.current.scrollLeft, top: room.current.scrollTop };
  };
  return html`
    <dialog ref=${dialog} class="picture-dialog" onClose=${onClose} onKeyDown=${keyed} aria-label=${`Picture: ${alt}`}>
      <div class="row picture-tools">
        <span class="note">
          ${figure(width)} × ${figure(height)} pixels here${seen && html`, ${figure(seen[0])} × ${figure(seen[1])} as the model saw it`}
        </span>
        <span class="row zooms">
          <button onClick=${() => zoomed(scale / ZOOM_STEP)} aria-label="Smaller" title="Smaller (-)">−</button>
          <span class="zoom-value" aria-live="polite">${figure(100 * scale)} %</span>
          <button onClick=${() => zoomed(scale * ZOOM_STEP)} aria-label="Larger" title="Larger (+)">+</button>
          <button onClick=${() => setZoom(null)} aria-pressed=${zoom === null} title="Fit (0)">Fit</button>
          <button onClick=${() => zoomed(1)} title="One pixel of the picture for one of the screen">100 %</button>
          <button class="primary" onClick=${onClose}>Close</button>
        </span>
      </div>
      <div class="picture-room" ref=${room} tabindex="0" autofocus role="region" aria-label="The picture; scroll or drag to move"
        onPointerDown=${held} onPointerMove=${moved}>
        ${size && html`
          <div class="picture-sheet" style=${{ width: `${Math.round(width * scale)}px`, height: `${Math.round(height * scale)}px` }}>
            <img src=${url} alt=${alt} class=${scale >= 2 ? "pixels" : ""} draggable=${false} />
            ${layer}
          </div>`}
      </div>
    </dialog>`;
}
