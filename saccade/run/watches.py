"""The watches over a run's metrics: what each looks at, when it speaks, and the likely cause that it names.

Each is a function of the stage's past that returns a sentence while its threshold is crossed, else "". Its keywords' defaults are
the thresholds, with the reason in the comment above; its docstring is its row in docs/algorithms.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

from saccade.run.health import KEPT, RECENT, Past, watch

CLEAR = 2.0  # O standard errors from which a change is more than luck
EASY, HARD = 0.9, 0.1  # O accuracy beyond which near half of all groups of 8 are equal by chance: 0.9^8 is 0.43
ANSWER, FORM, REWARD = "reward/accuracy", "reward/format", "reward/mean"
GO_BACK = "go back to an earlier checkpoint, with a lower learning rate or a KL penalty"


@watch("rollout/flat_groups")  # O a quarter of the sampling teaches; sound runs of the miniature end at 0.4
def flat_groups(past: Past, *, share: float = 0.75) -> str:
    """`rollout/flat_groups` at {share:.0%} or more; why, by accuracy, format and entropy"""
    flat = past.now("rollout/flat_groups")
    if not flat >= share or "rollout/rounds" in past.line:  # dynamic sampling has its own watch
        return ""
    said = f"{flat:.0%} of the groups had equal rewards {past.over}, so most of the sampling taught nothing"
    return f"{said}: {_why_flat(past)}"


@watch("rollout/rounds")  # O a step now and then may stay unfilled; 5 is half of what Refill allows
def dynamic_sampling(past: Past, *, full: float = 0.9, rounds: float = 5) -> str:
    """`rollout/kept_groups` below {full:.0%}, or `rollout/rounds` at {rounds} or more; why, as for flat_groups"""
    kept, asked = past.now("rollout/kept_groups"), past.now("rollout/rounds")
    if not (asked >= rounds or (asked >= 1 and kept < full)):
        return ""
    filled = f"filled only {kept:.0%} of a step" if kept < full else "filled a step"
    return f"dynamic sampling {filled} in {asked:.1f} rounds {past.over}: {_why_flat(past)}"


@watch("rollout/truncated")  # O at 0.2 nearly two of a group of 8 have no end, and so no answer
def truncated(past: Past, *, share: float = 0.2, grown: float = 1.25) -> str:
    """`rollout/truncated` at {share:.0%} or more; a limit too low from the start, or answers grown {grown} times"""
    cut, cut_then = past.now("rollout/truncated"), past.then("rollout/truncated")
    tokens, tokens_then = past.now("rollout/tokens"), past.then("rollout/tokens")
    if not cut >= share:
        return ""
    said = f"{cut:.0%} of the rollouts {past.over} were cut off by the token limit"
    if tokens >= grown * tokens_then:
        said = f"{said}: answers grew from {tokens_then:.0f} to {tokens:.0f} tokens; raise max_tokens"
        return f"{said}, punish overlong answers (soft_overlong), or leave out what is cut (trains=unless_truncated)"
    if not cut_then < share / 2:
        return f"{said}, as from the start: it is too low for this model; raise max_tokens, or ask for short answers"
    return f"{said}, at first {cut_then:.0%}, with lengths as they were: look for repetition, lower the learning rate"


@watch("rollout/tokens")  # O growth counts only without a rising reward: to think longer and better is the aim
def length(past: Past, *, shrunk: float = 0.5, grown: float = 2.0) -> str:
    """`rollout/tokens` {shrunk} times the first steps or less, or {grown} times or more without a rising reward"""
    now, then, rises = past.now("rollout/tokens"), past.then("rollout/tokens"), past.change(REWARD) >= CLEAR
    said = f"answers went from {then:.0f} tokens in the stage's first steps to {now:.0f}"
    if now <= shrunk * then > 0 and rises:
        return f"{said} while the reward rose: being short pays; if they should still reason, reward that"
    if now <= shrunk * then > 0:
        return f"{said}: reasoning collapses; use dr_grpo or a mean over tokens (dapo), or a lower learning rate"
    if now >= grown * then and not rises:
        return f"{said} and the reward did not rise: use dr_grpo, or punish overlong answers (soft_overlong)"
    return ""


# O sound runs of the miniature halve it, 2505.22617 sees 73 % gone after 200 steps; Skywork-R1V3 saw it explode
@watch("rollout/tokens")  # on sampled steps only: imitation is meant to make sure of its tokens
def entropy(past: Past, *, collapsed: float = 0.2, exploded: float = 2.5) -> str:
    """`rollout/entropy` {collapsed} times the first steps or less, accuracy below 0.9, or {exploded} times or more"""
    now, then = past.now("rollout/entropy"), past.then("rollout/entropy")
    said = f"the policy's entropy went from {then:.3g} nats in the stage's first steps to {now:.3g}"
    if now <= collapsed * then > 0 and not past.now(ANSWER) >= EASY:
        return f"{said}: nothing new is tried; clip higher (dapo), or use a higher temperature or lower learning rate"
    if now >= exploded * then > 0:
        return f"{said}: the policy comes apart; {GO_BACK}"
    return ""


# O GSPO clips 15 % by design (specs/01-algorithms.md 0.6), and 46 % of one sign in a sound run of the miniature
@watch("policy/clipped_")
def clipped(past: Past, *, share: float = 0.6) -> str:
    """`policy/clipped_positive` or `policy/clipped_negative` at {share:.0%} or more"""
    signs = (past.now("policy/clipped_positive"), "better"), (past.now("policy/clipped_negative"), "worse")
    most, sign = max((pair for pair in signs if pair[0] >= share), default=(0.0, ""))
    if not sign:
        return ""
    said = f"{most:.0%} of tokens of answers {sign} than their siblings were clipped {past.over}, much even for GSPO"
    return f"{said}: later updates hardly teach; use fewer updates_per_rollout, or a lower learning rate"


@watch("policy/ratio_max")  # O three times the dual clip of verl and EasyR1; the median, as one odd step is harmless
def ratio(past: Past, *, most: float = 10) -> str:
    """median of `policy/ratio_max` at {most} or more"""
    largest = past.middle("policy/ratio_max")
    if not largest >= most:
        return ""
    replay = "younger experience in the replay, " if past.line.get("learn/replayed", 0) > 0 else ""
    said = f"some token became {largest:.3g} times as likely in half of the steps {past.over}: updates go too far"
    return f"{said}; use {replay}fewer updates_per_rollout, a lower learning rate, or a dual clip"


@watch("policy/sampler_")  # O 0.01 is ten times a sound engine, lost pictures gave 5.24 (design/PEERS.md 2b)
def sampler(past: Past, *, kl: float = 0.01, gap: float = 5.0) -> str:
    """`policy/sampler_kl` at {kl} nats or more, or median of `policy/sampler_gap_max` at {gap} or more"""
    now, then = past.now("policy/sampler_kl"), past.then("policy/sampler_kl")
    peak = past.middle("policy/sampler_gap_max")  # in bfloat16 a rare token differs by 1 or 2
    if not (now >= kl or peak >= gap):
        return ""
    figures = [f"KL {now:.2g} nats a token"] * (now >= 0) + [f"single tokens by {peak:.2g} nats"] * (peak >= 0)
    said = f"sampler and learner disagree {past.over} ({', '.join(figures)})"
    if now >= kl > 3 * then:
        return f"{said}, and did not at first ({then:.2g}): see that updates reach the sampler, or correct the ratios"
    return f"{said}: compare temperature, top_p, precision, weights and pictures on both sides"


@watch("correction/changed")  # O a cap of 2 touches far below 1 % of one model's tokens in two engines
def correction(past: Past, *, share: float = 0.1) -> str:
    """`correction/changed` at {share:.0%} or more"""
    changed = past.now("correction/changed")
    if not changed >= share:
        return ""
    said = f"{changed:.0%} of the ratios of learner to sampler were corrected {past.over}, more than rounding explains"
    return f"{said}: find what differs (weights, precision, temperature, pictures) instead"


@watch("policy/kl")  # O per token; the entropy itself is 0.1 to 0.4 in most policies
def kl(past: Past, *, nats: float = 0.5) -> str:
    """`policy/kl` at {nats} nats or more; steps with wild tokens told from a policy that runs away by the median"""
    mean, middle = past.now("policy/kl"), past.middle("policy/kl")
    said = f"the KL against the reference is {mean:.2g} nats a token {past.over}"
    if middle >= nats:
        return f"{said}: the penalty does not hold the policy; raise its coefficient, or lower the learning rate"
    if mean >= nats > past.line["policy/kl"]:  # a last step that is high could be the first of many
        return f"{said}, but {middle:.2g} in half of them: a few wild tokens; bound the estimate (Bounded), or use k2"
    return ""


@watch("policy/grad_norm")  # O the first steps of the miniature's sound runs reach 6 times the rest, later ones 3
def gradient(past: Past, *, times: float = 10) -> str:
    """`policy/grad_norm` of one step {times} times the median of those before, or more"""
    norm = past.line.get("policy/grad_norm", math.nan)
    before = [one for one in past.recent("policy/grad_norm", KEPT)[:-1] if one > 0]  # 0 where a step taught nothing
    if len(before) < RECENT or not norm >= times * median(before):
        return ""
    said = f"the gradient norm of a step was {norm:.3g}, usually {median(before):.3g}: a few odd tokens decide it"
    return f"{said}; look at its rollouts, and lower the learning rate if it comes again"


@watch("reward/accuracy", "reward/format")  # O sound noise of the miniature moves a mean of ten steps by a tenth
def reward(past: Past, *, fell: float = 0.6) -> str:
    """`reward/accuracy` or `reward/format` {fell} times the first steps or less"""
    for key in (ANSWER, FORM):
        now, then = past.now(key), past.then(key)
        if now <= fell * then > 0 and past.change(key) <= -CLEAR:
            said = f"{key[7:]} fell from {then:.2f} in the stage's first steps to {now:.2f}"
            return f"{said}: training makes it worse, unless a curriculum grew harder; {GO_BACK}"
    return ""


# O the answer may take hundreds of steps to move; looked at so often, luck makes falls of 2 standard errors, not of 4
@watch("reward/format", calm=KEPT)
def form(past: Past, *, full: float = 0.9, rise: float = 0.1, steps: int = 300) -> str:
    """`reward/format` up {rise} to {full} or more while accuracy clearly fell, or did not rise in {steps} steps"""
    now, then, answer = past.now(FORM), past.then(FORM), past.now(ANSWER)
    if not (now >= full and now >= then + rise and answer < EASY):
        return ""
    fell = past.change(ANSWER) <= -2 * CLEAR
    if not (fell or past.steps >= steps and past.change(ANSWER, KEPT) < 1):
        return ""
    moved = f"{'fell' if fell else 'hardly rose'} ({past.then(ANSWER):.2f} to {answer:.2f})"
    said = f"format rose from {then:.2f} to {now:.2f} while accuracy {moved}: the model learns the form, not the answer"
    return f"{said}; weigh accuracy higher, use easier samples or SFT first, and check that gold answers score as right"


@watch("rollout/unscored")  # O a quarter of what a stage allows by default
def unscored(past: Past, *, share: float = 0.05) -> str:
    """`rollout/unscored` at {share:.0%} or more; growing, or so from the start"""
    now, then = past.now("rollout/unscored"), past.then("rollout/unscored")
    if not now >= share:
        return ""
    when = f"{then:.1%} at first and growing" if now >= 2 * then else "as from the start"
    said = f"{now:.0%} of the rollouts {past.over} have no reward, {when}"
    return f"{said}: a judge fails, or an answer cannot be read; look at the 'why' of scores in rollouts.jsonl"


@watch("eval/", calm=3)  # O two standard errors of 400 answers; wobbles as well, as the best of many is a lucky one
def held_out(past: Past, *, drop: float = 0.05, noise: float = 4) -> str:
    """`eval/<set>/sampled` of a selecting set twice {drop} and {noise} wobbles below its best; why, by the reward"""
    falls = {name: _fall(past.scores(name), drop=drop, noise=noise) for name in sorted(past.selecting)}
    name = max(falls, key=lambda name: falls[name], default="")
    if not name or not falls[name]:
        return ""
    scores, change = past.scores(name), past.change(REWARD)
    said = f"the score on {name} fell from {max(scores):.2f} to {scores[-1]:.2f}"
    moved = f"{past.then(REWARD):.2f} to {past.now(REWARD):.2f}"
    if change >= CLEAR:
        said = f"{said} while the reward rose ({moved}): samples are learned by heart, or the reward has a weakness"
        return f"{said}; keep the best checkpoint, use more samples, and read rollouts with high rewards"
    if change <= -CLEAR:
        return f"{said}, the reward too ({moved}): training makes it worse; {GO_BACK}"
    return f"{said}, which training does not show: it leads away from this set; keep the best checkpoint, stop earlier"


@watch("eval/", calm=1)  # O below 0.3 a model mostly guesses, and a guess needs no picture
def picture(past: Past, *, share: float = 0.2, score: float = 0.3) -> str:
    """`eval/<set>/picture_gain` at {share:.0%} of `eval/<set>/sampled` or less, where that is {score} or more"""
    gains = {key.split("/")[1]: value for key, value in past.line.items() if key.endswith("/picture_gain")}
    scores = {name: past.line.get(f"eval/{name}/sampled", math.nan) for name in gains}
    blind = [name for name in gains if scores[name] >= score and gains[name] <= share * scores[name]]
    if not blind:
        return ""
    name = min(blind, key=lambda name: gains[name] / scores[name])
    more = f" (and {len(blind) - 1} more)" if len(blind) > 1 else ""
    first = next(line[key] for line in past.measured if (key := f"eval/{name}/picture_gain") in line)
    said = f"pictures are worth {gains[name]:.2f} of the score of {scores[name]:.2f} on {name}{more}"
    if first > max(2 * gains[name], share * scores[name]):
        said = f"{said} and were worth {first:.2f} earlier in the stage"
    return f"{said}: the model answers from the words alone; use samples, and a set, whose words do not give it away"


@watch("eval/", calm=1)  # O half of what it was; below 200 positions the mean says little (specs/skywork_r1v3.md 5.4)
def critical(past: Past, *, fell: float = 0.5, positions: float = 200) -> str:
    """`eval/<set>/critical_entropy` {fell} times its first value in the stage or less, over {positions} tokens or more"""
    for key in (key for key in past.line if key.endswith("/critical_entropy")):
        name, now = key.split("/")[1], past.line[key]
        first = next(line[key] for line in past.measured if key in line)
        if past.line.get(f"eval/{name}/critical_tokens", 0) >= positions and now <= fell * first > 0:
            said = f"where answers to {name} turn in their reasoning the entropy fell from {first:.2g} to {now:.2g} nats"
            return f"{said}: the turns become a habit; stop earlier, or choose the checkpoint by it (HighestCriticalEntropy)"
    return ""


WATCHES = (
    flat_groups, dynamic_sampling, truncated, length, entropy, clipped, ratio, sampler, correction, kl, gradient,
    reward, form, unscored, held_out, picture, critical,
)  # fmt: skip


def _why_flat(past: Past) -> str:
    """Why siblings have equal rewards, and what helps."""
    answer, form, entropy = past.now(ANSWER), past.now(FORM), past.now("rollout/entropy")
    figures, easier = f"(accuracy {answer:.2f})", "use easier samples or SFT first"
    dapo = "" if "rollout/rounds" in past.line else ", or dynamic sampling (dapo)"
    if answer >= EASY:
        return f"the samples are too easy {figures}; use harder ones or a curriculum{dapo}"
    if answer <= HARD and past.then(ANSWER) > max(2 * answer, HARD):
        return f"accuracy fell from {past.then(ANSWER):.2f} in the stage's first steps to {answer:.2f}; {GO_BACK}"
    if answer <= HARD and form <= HARD:
        return f"no answer can be read (format {form:.2f}); check that the prompt asks for the form, or begin with SFT"
    if answer <= HARD and form >= EASY:
        return f"the form is right, the answer never {figures}; {easier}, and check that gold answers score as right"
    if form >= EASY and math.isclose(past.now(REWARD), form):
        return f"the reward is the form alone, and that is learned (format {form:.2f}); give accuracy a weight"
    if answer <= HARD:
        return f"the samples are too hard {figures}; {easier}, or more siblings"
    if answer > HARD:
        sure = f" at an entropy of {entropy:.2g} nats" if entropy >= 0 else ""
        return f"siblings are all right or all wrong {figures}{sure}; use a higher temperature or more siblings{dapo}"
    return "too easy or too hard samples, or a reward that says the same of all; look at the scores in rollouts.jsonl"


def _fall(scores: Sequence[float], *, drop: float, noise: float) -> float:
    """How far the last two are below the best before them; 0 where that is little."""
    if len(scores) < 3:
        return 0.0
    steps = [abs(b - a) for a, b in zip(scores, scores[1:], strict=False)]
    wobble = fmean(steps) if len(steps) >= 4 else 0.0  # near the standard error of a score where none is better
    fall = max(scores[:-2]) - max(scores[-2:])
    return fall if fall >= max(drop, noise * wobble) else 0.0
