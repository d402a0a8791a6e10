// Which words two texts do not share: Myers' greedy search for the shortest edit, over words, numbers, spaces and signs.
// E. W. Myers, An O(ND) difference algorithm and its variations, Algorithmica 1 (1986).

const MOST_WORDS = 6000;
const MOST_EDITS = 1500;

// { removed: [[from, to], ...] in `before`, added: [[from, to], ...] in `after` }; null where the texts are too long or too unlike.
export function wordChanges(before, after) {
  const a = wordsIn(before);
  const b = wordsIn(after);
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) return null;
  let start = 0;
  while (start < a.length && start < b.length && a[start].text === b[start].text) start++;
  let [aEnd, bEnd] = [a.length, b.length];
  while (aEnd > start && bEnd > start && a[aEnd - 1].text === b[bEnd - 1].text) { aEnd--; bEnd--; }
  const edits = shortestEdit(a.slice(start, aEnd), b.slice(start, bEnd));
  return edits && { removed: joined(a, edits.removed.map((n) => n + start)), added: joined(b, edits.added.map((n) => n + start)) };
}

function wordsIn(text) {
  const found = [...text.matchAll(/\s+|\d+(?:\.\d+)?|[\p{L}\p{N}_]+|./gsu)];
  return found.map(({ 0: word, index }) => ({ text: word, from: index, to: index + word.length }));
}

// Places of the words that only one side has.
function shortestEdit(a, b) {
  const most = Math.min(a.length + b.length, MOST_EDITS);
  const reach = new Int32Array(2 * most + 3); // furthest place in a, by diagonal
  const trace = [];
  for (let d = 0; d <= most; d++) {
    trace.push(reach.slice(most - d, most + d + 3));
    for (let k = -d; k <= d; k += 2) {
      const at = most + 1 + k;
      let x = k === -d || (k !== d && reach[at - 1] < reach[at + 1]) ? reach[at + 1] : reach[at - 1] + 1;
      while (x < a.length && x - k < b.length && a[x].text === b[x - k].text) x++;
      reach[at] = x;
      if (x >= a.length && x - k >= b.length) return walkedBack(trace, a.length, b.length);
    }
  }
  return null;
}

// From the end to the beginning, by the reach that each number of edits had before.
function walkedBack(trace, x, y) {
  const found = { removed: [], added: [] };
  for (let d = trace.length - 1; d > 0; d--) {
    const before = (k) => trace[d][k + d + 1];
    const k = x - y;
    const isAdded = k === -d || (k !== d && before(k - 1) < before(k + 1));
    const from = isAdded ? k + 1 : k - 1;
    const place = before(from);
    if (isAdded) found.added.push(place - from);
    else found.removed.push(place);
    [x, y] = [place, place - from];
  }
  return { removed: found.removed.reverse(), added: found.added.reverse() };
}

// Neighbouring words as one range.
function joined(words, places) {
  const ranges = [];
  for (const { from, to } of places.map((place) => words[place])) {
    if (ranges.length && ranges.at(-1)[1] === from) ranges.at(-1)[1] = to;
    else ranges.push([from, to]);
  }
  return ranges;
}
