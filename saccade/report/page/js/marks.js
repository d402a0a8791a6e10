// Marks over a picture: SVG in fractions of it, masks on a canvas, labels as small plates that stay within the frame.

import { html, useEffect, useRef, useState } from "./lib.js";
import { maskBits } from "./shapes.js";
import { visible } from "./format.js";

// `gold` and `said` come from drawable(). Gold is drawn solid with a halo; tones are dashed, each in a way of its own.
// Where several answers point at once, theirs have no labels, and masks only their outline, until one of them is lit.
export function MarkLayer({ gold, said, tones, lit, hasLabels = true }) {
  const isLit = lit !== undefined && lit !== null && said.some((shape) => shape.of === lit);
  const isFaint = (shape) => isLit && shape.of !== lit;
  const isCrowd = !isLit && new Set(said.map(({ of }) => of)).size > 1;
  const all = [
    ...gold.map((shape) => ({ shape, style: "gold", color: "--gold" })),
    ...said.map((shape) => {
      const { color } = tones[shape.tone] ?? tones[0];
      return { shape, style: `tone-${shape.tone % 3}`, color, isFaint: isFaint(shape), isBare: isCrowd };
    }),
  ];
  const labelled = hasLabels ? all.filter(({ shape, isFaint: faint, isBare }) => !faint && !isBare && (shape.label || shape.verb)) : [];
  return html`
    <div class="mark-layer" aria-hidden="true">
      ${all.filter(({ shape }) => shape.shape === "mask").map((one) => html`<${MaskCanvas} ...${one} />`)}
      <svg>
        ${all.map(({ shape, style, color, isFaint: faint }) => html`
          <g class="drawn ${style} ${faint ? "is-faint" : ""}" style=${{ "--tone": `var(${color})` }}>
            <${DrawnShape} shape=${shape} />
          </g>`)}
      </svg>
      ${labelled.map(({ shape, style, color }) => html`
        <${MarkPlate} shape=${shape} style=${style} color=${color} />`)}
    </div>`;
}

const ofFrame = (value) => `${value * 100}%`;

// Each shape twice: a halo that stands out from any picture, and the shape.
function DrawnShape({ shape }) {
  const [x1, y1, x2, y2] = shape.at;
  if (shape.shape === "box") {
    const box = { x: ofFrame(x1), y: ofFrame(y1), width: ofFrame(Math.max(0, x2 - x1)), height: ofFrame(Math.max(0, y2 - y1)), rx: 2 };
    return html`<rect class="halo" ...${box} /><rect class="ink" ...${box} />`;
  }
  if (shape.shape === "point") {
    const at = { cx: ofFrame(x1), cy: ofFrame(y1) };
    return html`<circle class="halo" ...${at} r="9" /><circle class="ink" ...${at} r="9" /><circle class="dot" ...${at} r="2.5" />`;
  }
  if (shape.shape === "line") {
    const points = shape.line.map(([x, y]) => `${x},${y}`).join(" ");
    return html`
      <svg viewBox="0 0 1 1" preserveAspectRatio="none" width="100%" height="100%" overflow="visible">
        <polyline class="halo" points=${points} vector-effect="non-scaling-stroke" /><polyline class="ink" points=${points}
          vector-effect="non-scaling-stroke" />
      </svg>`;
  }
  return null;
}

// The label hangs above its shape where there is room, else below, else within; at the right half it grows leftwards.
function MarkPlate({ shape, style, color }) {
  const [x1, y1, x2, y2] = shape.at.map((value) => Math.min(1, Math.max(0, value)));
  const isPoint = shape.shape === "point";
  const side = (x1 + x2) / 2 > 0.6 ? { right: ofFrame(1 - x2) } : { left: ofFrame(x1) };
  const room = isPoint ? 0.16 : 0.09;
  const [edge, place] = y1 > room ? ["above", { bottom: ofFrame(1 - y1) }]
    : y2 < 1 - room ? ["below", { top: ofFrame(y2) }] : ["within", { top: ofFrame(y1) }];
  const words = [shape.verb, shape.label].filter(Boolean).map(visible).join(" ");
  return html`
    <span class="plate ${style} ${edge} ${isPoint ? "at-point" : ""}" style=${{ ...side, ...place, "--tone": `var(${color})` }}
      title=${words}>
      ${shape.verb && html`<${VerbIcon} verb=${shape.verb} />`}<span class="said">${words}</span>
    </span>`;
}

const VERB_ICONS = {
  press: "M5 2v13l3.4-3 2 4.6 2-.9-2-4.5H15Z",
  move: "M9 2l5 6h-3.4v8H7.4V8H4Z",
  write: "M5 3h3l1 .7 1-.7h3M5 15h3l1-.7 1 .7h3M9 4v10",
  other: "M9 4a5 5 0 1 0 0 10a5 5 0 1 0 0-10Z",
};
const VERB_KINDS = [
  ["press", /^(click|tap|press|long|double|select|open)/], ["move", /scroll|swipe|drag/], ["write", /type|input|text|enter/],
];
const VERB_TURNS = [["right", 90], ["down", 180], ["left", 270]];

function VerbIcon({ verb }) {
  const word = verb.toLowerCase();
  const kind = VERB_KINDS.find(([, words]) => words.test(word))?.[0] ?? "other";
  const turn = kind === "move" ? (VERB_TURNS.find(([name]) => word.includes(name))?.[1] ?? 0) : 0;
  return html`<svg class="verb ${kind}" viewBox="0 0 18 18"><path d=${VERB_ICONS[kind]} transform="rotate(${turn} 9 9)" /></svg>`;
}

const MASK_SIDE = 384; // pixels of the longer side: outlines and hatches are as fine on a coarse mask as on a fine one

// Gold masks are filled evenly, said ones hatched; both have their outline.
function MaskCanvas({ shape, style, color, isFaint, isBare }) {
  const canvas = useRef();
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const changed = () => setTheme((n) => n + 1);
    addEventListener("themechange", changed);
    return () => removeEventListener("themechange", changed);
  }, []);
  useEffect(() => {
    const { width, height, bits } = maskBits(shape.mask, MASK_SIDE);
    canvas.current.width = width;
    canvas.current.height = height;
    const context = canvas.current.getContext("2d");
    const image = context.createImageData(width, height);
    const [red, green, blue] = rgbOf(getComputedStyle(document.documentElement).getPropertyValue(color), context);
    const thick = Math.max(1, Math.round(Math.max(width, height) / 200));
    const period = Math.max(4, Math.round(Math.max(width, height) / 40));
    const isIn = (x, y) => x >= 0 && y >= 0 && x < width && y < height && bits[y * width + x];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (!bits[y * width + x]) continue;
        const isOutline = !isIn(x - thick, y) || !isIn(x + thick, y) || !isIn(x, y - thick) || !isIn(x, y + thick);
        const isHatch = style === "gold" || (x + y) % period < period / 3;
        const opacity = isOutline ? 255 : isBare ? 0 : !isHatch ? 25 : style === "gold" ? 110 : 190;
        image.data.set([red, green, blue, opacity], 4 * (y * width + x));
      }
    }
    context.putImageData(image, 0, 0);
  }, [shape.mask, style, color, isBare, theme]);
  return html`<canvas ref=${canvas} class="mask ${isFaint ? "is-faint" : ""}"></canvas>`;
}

// A colour as CSS writes it, as three numbers: the canvas gives it back as #rrggbb.
function rgbOf(color, context) {
  context.fillStyle = color.trim();
  return [1, 3, 5].map((place) => Number.parseInt(String(context.fillStyle).slice(place, place + 2), 16) || 0);
}
