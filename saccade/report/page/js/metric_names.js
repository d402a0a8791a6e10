// What each metric is called on the page, in what unit it is and what it says, in a line. docs/metrics.md says it in full.

// Charts in the order in which they are shown. Keys of one chart are drawn together; a chart without any of its keys is left out.
// [group, title, unit, what it says, [[key, name of the line], ...]]
export const CHARTS = [
  ["rewards", "Flat groups", "share", "Groups whose answers all earn the same: they have no advantage and teach nothing.",
    [["rollout/flat_groups", "flat"]]],
  ["rewards", "Spread of rewards", "", "Standard deviation of rewards within a group, mean over groups.",
    [["rollout/group_std", "spread"]]],
  ["rewards", "Sampling rounds", "rounds", "Rounds that dynamic sampling took to fill the step.", [["rollout/rounds", "rounds"]]],
  ["rewards", "Filled", "share", "Of the step's prompts, groups that dynamic sampling found; below 100 % the step was not filled.",
    [["rollout/kept_groups", "filled"]]],
  ["answers", "Length", "tokens", "Mean sampled tokens of an answer.", [["rollout/tokens", "tokens"]]],
  ["answers", "Cut off", "share", "Answers that reached the token limit before their end.", [["rollout/truncated", "cut off"]]],
  ["answers", "Unscored", "share", "Answers of which a reward could not tell: no reward, no advantage.",
    [["rollout/unscored", "unscored"]]],
  ["answers", "Second thoughts", "share", "Answers gone on with after forced words, and those replaced by what became of them.",
    [["rollout/revision_tries", "tried"], ["rollout/revised", "replaced"]]],
  ["policy", "Entropy", "nats", "How undecided the policy is at a token: near 0 it tries nothing new.",
    [["rollout/entropy", "all sampled tokens"], ["policy/entropy", "trained tokens"]]],
  ["policy", "KL to the reference", "nats", "How far the policy has moved from its reference, per token.", [["policy/kl", "KL"]]],
  ["policy", "KL coefficient", "", "How strongly the KL penalty pulls.", [["policy/kl_coefficient", "coefficient"]]],
  ["policy", "Clipped tokens", "share", "Trained tokens whose gradient the clip switched off; about 0 with one update per sampling.",
    [["policy/clipped_positive", "better than siblings"], ["policy/clipped_negative", "worse than siblings"]]],
  ["policy", "Gradient norm", "", "Before clipping. A lone peak means that a few odd tokens decide the step.",
    [["policy/grad_norm", "norm"]]],
  ["policy", "Learning rate", "", "Of the step; parts of the model may scale it.", [["policy/lr", "rate"]]],
  ["policy", "Log-prob", "nats", "Mean log-prob of the trained tokens.", [["policy/logp", "log-prob"]]],
  ["sampler", "Gap, mean", "nats", "Difference of sampler's and learner's log-probs. Healthy: rounding error.",
    [["policy/sampler_gap", "gap"]]],
  ["sampler", "Gap, largest", "nats", "The largest difference at a single token. Healthy: below 5 even in bfloat16.",
    [["policy/sampler_gap_max", "largest gap"]]],
  ["sampler", "KL, sampler to learner", "nats", "Healthy: below 0.01 a token.", [["policy/sampler_kl", "KL"]]],
  ["sampler", "Ratio, sampler", "", "Largest ratio of the learner's to the sampler's probability of a token. Healthy: near 1.",
    [["policy/sampler_ratio_max", "largest"]]],
  ["sampler", "Ratio, mean", "", "Policy's probability of a token over that before the first update. Healthy: near 1.",
    [["policy/ratio_mean", "mean"]]],
  ["sampler", "Ratio, largest", "", "Its largest value in the step. Healthy: below 10 in most steps.", [["policy/ratio_max", "largest"]]],
  ["sampler", "Correction", "", "Importance weights of tokens where sampler and learner may differ.",
    [["correction/mean", "mean"], ["correction/max", "largest"]]],
  ["sampler", "Corrected", "share", "Tokens whose weight the correction cut, masked or rejected. Healthy: below 10 %.",
    [["correction/changed", "corrected"]]],
  ["learning", "Loss", "", "Without imitation. A policy-gradient loss hovers near 0 and says little: look at rewards.",
    [["loss/mean", "loss"]]],
  ["learning", "Imitation", "", "What imitated answers add to the loss.", [["loss/imitation", "loss"]]],
  ["learning", "Tokens", "tokens", "Through the model (each prompt once a group), and of these learned from or imitated.",
    [["learn/stream_tokens", "through the model"], ["learn/trained_tokens", "learned from"], ["learn/imitated_tokens", "imitated"]]],
  ["learning", "Packs", "packs", "Token streams that the step was computed in.", [["learn/packs", "packs"]]],
  ["learning", "Replayed", "share", "Experience that a replay drew once more.", [["learn/replayed", "replayed"]]],
  ["learning", "Replay weight", "", "Mean importance weight of replayed tokens.", [["replay/weight", "weight"]]],
  ["time", "Speed", "tokens/s", "Sampled tokens per second of the whole step (SFT: imitated ones).",
    [["speed/tokens_per_second", "speed"]]],
];

// Groups of charts in order: [id, title].
export const CHART_GROUPS = [
  ["rewards", "Rewards and signal"],
  ["held-out", "Held-out scores"],
  ["answers", "Answers"],
  ["policy", "Policy"],
  ["sampler", "Sampler against learner"],
  ["learning", "Learning"],
  ["time", "Time"],
  ["sets", "Held-out sets in detail"],
  ["more", "More"],
];

// Of one held-out set, beside its score: [title, unit, what it says, names of eval/<set>/<name>].
export const SET_CHARTS = [
  ["without pictures", "share", "Score with every picture grey, and what the picture adds. Gain near 0: the model answers blind.",
    ["blanked", "picture_gain"]],
  ["length", "tokens", "Mean tokens of a sampled answer.", ["tokens"]],
  ["cut off", "share", "Sampled answers that reached the token limit.", ["truncated"]],
  ["turns", "turns", "How often sampled answers turn to a trigger such as \"Wait\".", ["critical_tokens"]],
  ["entropy", "nats", "Entropy of a step: all tokens, where an answer turns, and right after. Mostly noise below 200 turns.",
    ["entropy", "critical_entropy", "after_critical_entropy"]],
  ["undecided tokens", "share", "Tokens whose step has an entropy above 6.8 nats.", ["high_entropy"]],
];

// Measured once before the first step: [key, name, unit, what it is, what is healthy by float type].
export const PROBES = [
  ["probe/separate_gap", "Packed against plain", "nats",
    "Largest difference of a token's log-prob between the packed learner and the plain model.", "below"],
  ["probe/sampler_gap", "Sampler against learner", "nats", "The same between sampler and learner.", "below"],
  ["probe/blank_shift", "Blanked picture", "nats",
    "Largest change of a log-prob when a picture is blanked. At 0 the model would not see pictures.", "above 0"],
];

// As in saccade/run/probe.py: what two ways of computing a log-prob may differ by.
export const PROBE_TOLERANCE = new Map([["float64", 1e-6], ["float32", 1e-3], ["bfloat16", 0.5]]);
