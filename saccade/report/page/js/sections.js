// An answer as the model meant it: <tags>, nested or not, code fences, and what stands between.

const TAG = /<(\/?)([A-Za-z][\w-]{0,30})((?:\s[^<>]{0,200})?)>/g;
const FENCE = /```([\w+-]{0,20})[^\S\n]*\n?([\s\S]*?)(```|$)/g;
const MOST_TAGS = 400; // an answer with more is shown as it is from there

// Parts in order: { text: [from, to] } is text between tags; { tag, about, isClosed, isOpened, parts } is a tag with what is in it.
export function sectionsOf(text) {
  const tags = [...text.matchAll(TAG)].slice(0, MOST_TAGS).map((match) => ({
    name: match[2], about: match[3].trim(), isEnd: match[1] === "/", from: match.index, to: match.index + match[0].length, partner: -1,
  }));
  const open = [];
  tags.forEach((tag, n) => {
    if (!tag.isEnd) { open.push(n); return; }
    let at = open.length - 1;
    while (at >= 0 && tags[open[at]].name !== tag.name) at--;
    if (at < 0) return;
    tags[open[at]].partner = n;
    tag.partner = open[at];
    open.length = at; // what was opened within and not closed stays unclosed
  });
  return partsWithin(text, tags, [0, tags.length], [0, text.length]);
}

function partsWithin(text, tags, [first, last], [from, to]) {
  const parts = [];
  let place = from;
  const said = (end) => { if (end > place && text.slice(place, end).trim()) parts.push({ text: trimmed(text, place, end) }); };
  for (let n = first; n < last; n++) {
    const tag = tags[n];
    said(tag.from);
    place = tag.to;
    if (tag.isEnd) {
      parts.push({ tag: tag.name, about: "", isOpened: false, isClosed: true, parts: [] });
    } else if (tag.partner < 0) {
      // Never closed: it holds the text up to the next tag.
      const end = n + 1 < last ? tags[n + 1].from : to;
      const within = partsWithin(text, tags, [0, 0], [place, end]);
      parts.push({ tag: tag.name, about: tag.about, isOpened: true, isClosed: false, parts: within });
      place = end;
    } else {
      const end = tags[tag.partner];
      const within = partsWithin(text, tags, [n + 1, tag.partner], [place, end.from]);
      parts.push({ tag: tag.name, about: tag.about, isOpened: true, isClosed: true, parts: within });
      place = end.to;
      n = tag.partner;
    }
  }
  said(to);
  return parts;
}

// A stretch of text as [{ from, to, fence, isClosed }]: `fence` is the language of code, null outside of fences.
export function fencesOf(text, [from, to]) {
  const within = text.slice(from, to);
  const found = [];
  let place = 0;
  for (const match of within.matchAll(FENCE)) {
    if (within.slice(place, match.index).trim()) found.push({ from: from + place, to: from + match.index, fence: null });
    const start = from + match.index + match[0].length - match[3].length - match[2].length;
    const [first, last] = trimmed(text, start, start + match[2].length);
    found.push({ from: first, to: last, fence: match[1], isClosed: match[3] !== "" });
    place = match.index + match[0].length;
  }
  if (place < within.length && within.slice(place).trim()) found.push({ from: from + place, to, fence: null });
  return found;
}

// Ranges counted in characters, as Python counts, in the units of this language: they differ after an emoji.
export function inUnits(text, ranges) {
  if (!/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return ranges;
  const starts = [];
  let place = 0;
  for (const letter of text) {
    starts.push(place);
    place += letter.length;
  }
  starts.push(place);
  return ranges.map(([from, to]) => [starts[Math.min(from, starts.length - 1)], starts[Math.min(to, starts.length - 1)]]);
}

function trimmed(text, from, to) {
  let [first, last] = [from, to];
  while (first < last && /\s/.test(text[first]) && text[first] !== " ") first++;
  while (last > first && /\s/.test(text[last - 1])) last--;
  return [first, last];
}
