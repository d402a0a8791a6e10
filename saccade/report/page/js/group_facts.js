// What a list says about a group, reckoned once per group.

const KNOWN_FACTS = new WeakMap();
const ALIKE = 1e-9; // rewards no further apart are equal

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

// { rewards, mean, low, high, spread, length, isFlat, truncated, unscored }: rewards in order of sampling, null where there is none;
// `length` is the mean of the answers in tokens, `truncated` and `unscored` are counts.
export function groupFacts(group) {
  const known = KNOWN_FACTS.get(group);
  if (known) return known;
  const rewards = group.rollouts.map(({ reward }) => (isNumber(reward) ? reward : null));
  const scored = rewards.filter((reward) => reward !== null);
  const low = scored.length ? Math.min(...scored) : null;
  const high = scored.length ? Math.max(...scored) : null;
  const found = {
    rewards,
    mean: scored.length ? averageOf(scored) : null,
    low,
    high,
    spread: scored.length ? high - low : 0,
    length: averageOf(group.rollouts.map(({ tokens }) => (isNumber(tokens) ? tokens : 0))),
    isFlat: scored.length > 1 && scored.length === rewards.length && high - low < ALIKE,
    truncated: group.rollouts.filter(({ stop }) => stop === "length").length,
    unscored: rewards.length - scored.length,
  };
  KNOWN_FACTS.set(group, found);
  return found;
}

// The value of a score of one answer: null where it is missing or could not be told.
export function scoreOf(rollout, name) {
  const scores = rollout.scores ?? {};
  if (!Object.hasOwn(scores, name)) return null;
  const value = scores[name]?.value;
  if (typeof value === "boolean") return Number(value);
  return isNumber(value) ? value : null;
}

// What the groups of all runs span, for the filters: { steps, rewards: [low, high], stages, kinds, scores: [name] }.
export function groupSpan(entries) {
  const steps = [Infinity, -Infinity];
  const rewards = [Infinity, -Infinity];
  const [stages, kinds, scores] = [new Set(), new Set(), new Set()];
  for (const { group } of entries) {
    const { low, high } = groupFacts(group);
    widened(steps, group.step, group.step);
    if (low !== null) widened(rewards, low, high);
    stages.add(group.stage);
    kinds.add(group.kind);
    for (const rollout of group.rollouts) for (const name of Object.keys(rollout.scores ?? {})) scores.add(name);
  }
  return { steps: orZero(steps), rewards: orZero(rewards), stages: [...stages], kinds: [...kinds].sort(), scores: [...scores] };
}

// Orders entries of several runs: stages as they were trained, then steps; run A before run B.
export function byTime(runs) {
  const stages = new Map();
  for (const run of runs) for (const { stage } of run.groups) if (!stages.has(stage)) stages.set(stage, stages.size);
  const stage = ({ group }) => stages.get(group.stage);
  return (a, b) => stage(a) - stage(b) || a.group.step - b.group.step || a.run - b.run || a.index - b.index;
}

// Indices of the answers of a group, best reward first; as sampled where rewards are equal; what has no reward comes last.
export function bestFirst(group) {
  const { rewards } = groupFacts(group);
  const value = (n) => rewards[n] ?? -Number.MAX_VALUE;
  return rewards.map((_, n) => n).sort((a, b) => value(b) - value(a) || a - b);
}

function widened(range, low, high) {
  range[0] = Math.min(range[0], low);
  range[1] = Math.max(range[1], high);
}

const orZero = (range) => (range[0] <= range[1] ? range : [0, 0]);
const averageOf = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : 0);
