// Which groups are listed, and in which order. The choice lives in the address; here it is read from there and applied.

import { groupFacts, scoreOf } from "./group_facts.js";

// The parameters of the address that choose groups; the rest say which one is open and how.
export const FILTERS = ["q", "run", "stage", "kind", "from", "to", "least", "most", "score", "right", "at", "is", "sample"];
export const SORTS = [
  ["latest", "Latest first"],
  ["first", "First step first"],
  ["best", "Best mean reward"],
  ["worst", "Worst mean reward"],
  ["spread", "Widest spread of rewards"],
  ["long", "Longest answers"],
  ["short", "Shortest answers"],
];
export const BADGES = [
  ["disagree", "Siblings disagree", "the best and the worst answer lie at least half of the run's range of rewards apart"],
  ["flat", "No signal", "all siblings have the same reward, so their advantage is 0"],
  ["truncated", "Cut off", "an answer met the token limit"],
  ["unscored", "Unscored", "a reward could not tell"],
  ["traced", "Has token traces", "token by token, what training did"],
];
export const RIGHTS = [["all", "all right"], ["some", "some right, some wrong"], ["any", "at least one right"], ["none", "all wrong"]];

export function filterOf(params) {
  const number = (text) => (text === undefined || text === "" || !Number.isFinite(Number(text)) ? null : Number(text));
  return {
    ...params,
    from: number(params.from),
    to: number(params.to),
    least: number(params.least),
    most: number(params.most),
    at: number(params.at) ?? 0.5,
    is: (params.is ?? "").split(",").filter(Boolean),
    terms: searchTerms(params.q ?? ""),
  };
}

// How many choices are made; a search counts as one.
export function chosenFilters(params) {
  const { is } = filterOf(params);
  return FILTERS.filter((key) => params[key] && !["is", "score", "at"].includes(key)).length + is.length;
}

// "a cat "Exactly This"" as [{ text: "a" }, { text: "cat" }, { text: "Exactly This", isExact: true }].
export function searchTerms(query) {
  const found = [...query.matchAll(/"([^"]+)"?|([^\s"]+)/g)];
  return found.map(([, exact, word]) => (exact ? { text: exact, isExact: true } : { text: word.toLowerCase() }));
}

// Those of `entries`, [{ run, group, place }], that the filter lets through, sorted. `traced`: a Set of group ids per run.
export function chosenGroups(entries, filter, { traced, span }) {
  const half = (span.rewards[1] - span.rewards[0]) / 2;
  const has = {
    disagree: ({ group }) => half > 0 && groupFacts(group).spread >= half,
    flat: ({ group }) => groupFacts(group).isFlat,
    truncated: ({ group }) => groupFacts(group).truncated > 0,
    unscored: ({ group }) => groupFacts(group).unscored > 0,
    traced: ({ run, group }) => traced[run].has(group.id),
  };
  const tests = [
    filter.run && (({ run }) => String(run) === filter.run),
    filter.stage && (({ group }) => group.stage === filter.stage),
    filter.kind && (({ group }) => group.kind === filter.kind),
    filter.sample && (({ group }) => group.sample === filter.sample),
    filter.from !== null && (({ group }) => group.step >= filter.from),
    filter.to !== null && (({ group }) => group.step <= filter.to),
    filter.least !== null && (({ group }) => (groupFacts(group).mean ?? -Infinity) >= filter.least),
    filter.most !== null && (({ group }) => (groupFacts(group).mean ?? Infinity) <= filter.most),
    filter.right && isRight(filter),
    ...filter.is.filter((name) => Object.hasOwn(has, name)).map((name) => has[name]),
    filter.terms.length > 0 && (({ group }) => filter.terms.every((term) => isIn(group, term))),
  ].filter(Boolean);
  return entries.filter((entry) => tests.every((test) => test(entry))).sort(order(filter.sort));
}

// Where the terms stand in a text, for highlighting: [[from, to], ...], at most 300.
export function placesOf(terms, text) {
  const places = [];
  const lower = lowered(text);
  for (const { text: term, isExact } of terms) {
    const [within, sought] = isExact ? [text, term] : [lower, term];
    let at = within.indexOf(sought);
    while (at >= 0 && places.length < 300) {
      places.push([at, at + sought.length]);
      at = within.indexOf(sought, at + sought.length);
    }
  }
  return places;
}

function isRight({ score, right, at }) {
  return ({ group }) => {
    const name = score ?? Object.keys(group.rollouts[0]?.scores ?? {})[0];
    const values = group.rollouts.map((rollout) => scoreOf(rollout, name)).filter((value) => value !== null);
    const n = values.filter((value) => value >= at).length;
    if (!values.length) return false;
    return { all: n === values.length, some: n > 0 && n < values.length, any: n > 0, none: n === 0 }[right] ?? true;
  };
}

const TEXTS = new WeakMap(); // group -> its texts in small letters, made at the first search

function isIn(group, { text, isExact }) {
  if (isExact) return group.prompt.includes(text) || group.rollouts.some((rollout) => rollout.text.includes(text));
  if (!TEXTS.has(group)) TEXTS.set(group, lowered([group.prompt, ...group.rollouts.map((rollout) => rollout.text)].join("\n")));
  return TEXTS.get(group).includes(text);
}

// Small letters, of the same length as the text: a few capitals grow when they are made small.
function lowered(text) {
  const lower = text.toLowerCase();
  return lower.length === text.length ? lower : text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function order(sort) {
  const fact = (name, sign, missing) => {
    const value = ({ group }) => groupFacts(group)[name] ?? missing;
    return (a, b) => sign * (value(a) - value(b)) || a.place - b.place;
  };
  const orders = {
    first: (a, b) => a.place - b.place,
    best: fact("mean", -1, -Number.MAX_VALUE),
    worst: fact("mean", 1, Number.MAX_VALUE),
    spread: fact("spread", -1, 0),
    long: fact("length", -1, 0),
    short: fact("length", 1, 0),
  };
  return Object.hasOwn(orders, sort ?? "") ? orders[sort] : (a, b) => b.place - a.place;
}
