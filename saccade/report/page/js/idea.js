// A docstring as text: paragraphs flow, everything that was laid out by hand keeps its lines.

import { html, useState } from "./lib.js";
import { visible } from "./format.js";

const LINES = 8; // of about 90 letters, shown before the rest is asked for

export function Idea({ text }) {
  const [isOpen, setIsOpen] = useState(false);
  const blocks = blocksOf(String(text));
  const isLong = blocks.reduce((lines, block) => lines + linesOf(block), 0) > LINES;
  return html`
    <div class=${`idea ${isLong && !isOpen ? "folded" : ""}`}>
      ${blocks.map(({ words, isFlowing }) => html`<${isFlowing ? "p" : "pre"} class="said">${visible(words)}<//>`)}
    </div>
    ${isLong && html`
      <button class="quiet small" aria-expanded=${String(isOpen)} onClick=${() => setIsOpen(!isOpen)}>
        ${isOpen ? "Show less" : "Show all"}</button>`}`;
}

function linesOf({ words, isFlowing }) {
  return isFlowing ? Math.ceil(words.length / 90) : words.split("\n").length;
}

function blocksOf(text) {
  return text.trim().split(/\n[ \t]*\n/).filter((block) => block.trim()).map((block) => {
    const lines = block.split("\n");
    const isFlowing = lines.every((line) => /^[^\s\-*|>]/.test(line));
    return { words: isFlowing ? lines.join(" ") : block, isFlowing };
  });
}
