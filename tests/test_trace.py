"""Token traces: what stands at which token, and that looking changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from saccade.algo.algorithm import Algorithm
from saccade.algo.imitation import Imitation
from saccade.algo.keep import keep_informative
from saccade.algo.named import grpo
from saccade.algo.replay import RepeatedNonzero
from saccade.core.experience import Experience
from saccade.core.reward import reward, weighted
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import Task
from saccade.policy.logprobs import LogProbs
from saccade.policy.spec import ModelSpec, Optimization, Sampling
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.run.folder import RunFolder
from saccade.run.learn import learn
from saccade.run.memory import Memory
from saccade.run.recipe import Recipe
from saccade.run.stage import Round
from saccade.run.step import Part
from saccade.run.trace import Trace
from saccade.run.train import train
from tests.micro import micro
from tests.rollouts import SAMPLE

# Four digits are kept, and a difference of log-probs loses some of those that float32 norms leave (docs/exactness.md).
CLOSE = {"rel": 2e-3, "abs": 1e-6}


# ---- literal numbers


def rollout(text: str, logp_T: list[float], *, forced: tuple[int, ...] = ()) -> Rollout:
    """One token per letter."""
    is_sampled_T = tuple(t not in forced for t in range(len(text)))
    return Rollout(
        sample=SAMPLE, text=text, token_T=tuple(map(ord, text)), logp_T=tuple(logp_T), is_sampled_T=is_sampled_T, stop=Stop.EOS
    )


class Written:
    """A policy whose log-probs and entropies are written down: `turns`, one row of a number per sampled token each time it is asked.

    Its packs hold so many rollouts each, the last ones first.
    """

    def __init__(self, *turns: list[float], per_pack: int) -> None:
        self.turns, self.per_pack, self.asked = [list(turn) for turn in turns], per_pack, 0

    def packs(self, groups):
        members = [(g, i) for g, group in enumerate(groups) for i in range(len(group.rollouts))][::-1]
        taken = [members[i : i + self.per_pack] for i in range(0, len(members), self.per_pack)]
        return [(sum(groups[g].rollouts[i].n_sampled for g, i in some), tuple(some)) for some in taken]

    def logprobs(self, pack: int, *, temperature: float) -> LogProbs:
        assert temperature == 0.5
        while not self.turns[0]:
            self.turns.pop(0)
        row, self.turns[0] = self.turns[0][:pack], self.turns[0][pack:]
        assert len(row) == pack
        return LogProbs(torch.tensor(row), 10 * torch.tensor(row))

    def pieces(self, token_T):
        return tuple(map(chr, token_T))


def part(*lessons: Experience, weights: list[float], imitation: list[float] | None = None) -> Part:
    return Part(
        pack=None,
        experience=lessons,
        adv_M=torch.from_numpy(np.concatenate([one.advantage_T for one in lessons])),
        weight_M=torch.tensor(weights, dtype=torch.float64),
        imitation_M=None if imitation is None else torch.tensor(imitation, dtype=torch.float64),
    )


@pytest.mark.parametrize("per_pack", [1, 2, 3])
def test_every_number_stands_at_its_token(per_pack):
    a, b, c = rollout("ab", [-0.5, -1.5]), rollout("wxyz", [-2.0, 0.0, 0.0, -0.123456], forced=(1, 2)), rollout("q", [float("nan")])
    # In the order of the packs: c, b, a.
    policy = Written([-9.0, -4.0, -3.0, -2.0, -1.0], [-9.0, -3.0, -5.0, -2.5, -1.0], per_pack=per_pack)
    groups = [Group(sample=SAMPLE, rollouts=(a, b)), Group(sample=SAMPLE, rollouts=(c,))]
    trace = Trace(policy, groups, temperature=0.5)
    trace.learned(part(Experience(rollout=b, advantage=np.array([2.0, -1.0])), weights=[0.5, 0.25]))
    rows = trace.rows(policy, step=7, stage="rl")
    assert rows == [
        {
            "step": 7, "stage": "rl", "group": "rl-7/0", "sibling": 0, "pieces": ["a", "b"], "sampled": [1, 1],
            "logp": [-0.5, -1.5], "entropy": [-20.0, -10.0], "change": [-0.5, 0.0], "weight": [None, None],
        },
        {
            "step": 7, "stage": "rl", "group": "rl-7/0", "sibling": 1, "pieces": ["w", "x", "y", "z"], "sampled": [1, 0, 0, 1],
            "logp": [-2.0, None, None, -0.1235], "entropy": [-40.0, None, None, -30.0], "change": [1.0, None, None, -2.0],
            "weight": [1.0, None, None, -0.25],
        },
        {
            "step": 7, "stage": "rl", "group": "rl-7/1", "sibling": 0, "pieces": ["q"], "sampled": [1],
            "logp": [None], "entropy": [-90.0], "change": [0.0], "weight": [None],
        },
    ]  # fmt: skip


def test_what_stands_in_the_step_twice_weighs_twice_and_imitation_adds():
    a, other = rollout("ab", [-0.5, -1.5]), rollout("ab", [-0.5, -1.5])
    policy = Written([-1.0, -2.0], [-1.0, float("inf")], per_pack=1)
    trace = Trace(policy, [Group(sample=SAMPLE, rollouts=(a,))], temperature=0.5)
    one = Experience(rollout=a, advantage=-1.0)
    trace.learned(part(Experience(rollout=other, advantage=3.0), one, weights=[9.0, 9.0, 0.5, 0.5]))
    trace.learned(part(replace(one, advantage=2.0, is_replayed=True), weights=[0.1, 0.2], imitation=[0.01, 0.02]))
    (row,) = trace.rows(policy, step=1, stage="rl")
    assert row["weight"] == [-0.29, -0.08]  # -0.5 + 0.2 + 0.01, -0.5 + 0.4 + 0.02
    assert row["change"] == [0.0, None]


def test_no_group_is_no_row_and_no_question():
    trace = Trace(Written(per_pack=1), [], temperature=0.5)
    assert trace.rows(Written(per_pack=1), step=1, stage="rl") == []


def test_a_token_of_no_weight_has_no_minus_sign():
    policy = Written([-1.0], [-1.0], per_pack=1)
    a = rollout("a", [-0.0])
    trace = Trace(policy, [Group(sample=SAMPLE, rollouts=(a,))], temperature=0.5)
    trace.learned(part(Experience(rollout=a, advantage=-1.0), weights=[0.0]))
    (row,) = trace.rows(policy, step=1, stage="rl")
    assert str(row["weight"]) == str(row["change"]) == str(row["logp"]) == "[0.0]"


# ---- on the tiny model


def load() -> TransformersPolicy:
    policy = TransformersPolicy.load(ModelSpec(dtype="float64"))
    policy.start_optimizer(Optimization(lr=1e-3, max_grad_norm=1e9))
    return policy


def scored(group: Group, *rewards: float) -> Group:
    rollouts = tuple(r.scored({"points": Score(v)}, v) for r, v in zip(group.rollouts, rewards, strict=True))
    return replace(group, rollouts=rollouts)


def rolled_out(policy: TransformersPolicy, *, siblings: int = 3) -> list[Group]:
    """Three groups of different tasks: the first has three rewards, the second is flat, the third has two."""
    samples = micro().stages[0].task.samples[::3][:3]
    groups = policy.sample(samples, n=siblings, sampling=Sampling(max_tokens=9), seed=0)
    rewards = [(0.0, 1.0, 3.0), (1.0, 1.0, 1.0), (2.0, 0.0, 0.0)]
    return [scored(group, *row) for group, row in zip(groups, rewards, strict=True)]


def traced(policy: TransformersPolicy, groups: list[Group], algorithm: Algorithm, *, n: int, updates: int = 1, lr: float = 1e-3) -> list[dict]:
    """The rows of a step that learns from these groups."""
    rl = micro(f"stages.1.updates_per_rollout={updates}").stages[1]
    task = Task(name="few", split="train", samples=tuple(group.sample for group in groups))
    stage = replace(rl, algorithm=algorithm, optimization=replace(rl.optimization, lr=lr, warmup_steps=0), task=task)
    trace = Trace(policy, groups[:n], temperature=stage.temperature)
    learn(policy, stage, Round(groups=groups, asked=groups), step=0, seed=0, memory=Memory(), heed=trace.learned)
    return trace.rows(policy, step=1, stage="rl")


def plain(policy: TransformersPolicy, groups: list[Group]) -> list[list[float]]:
    """The log-probs of every rollout computed the slow way: one row, transformers' own attention."""
    return [policy.separate_logprobs(r.sample, r.token_T).tolist() for g in groups for r in g.rollouts]


@pytest.mark.parametrize("updates", [1, 3])
@pytest.mark.parametrize("budget", [0, 1], ids=["whole packs", "a pack per sibling"])
def test_change_is_what_the_plain_model_says_before_and_after_all_updates(updates, budget):
    policy = load()
    if budget:
        policy.spec = replace(policy.spec, learn_tokens=budget)
    groups = rolled_out(policy)
    before = plain(policy, groups)
    rows = traced(policy, groups, grpo(beta=0.0), n=2, updates=updates)
    after = plain(policy, groups)
    assert len(rows) == 6
    moved = [[b - a for a, b in zip(*pair, strict=True)] for pair in zip(before, after, strict=True)]
    assert min(max(map(abs, row)) for row in moved) > 1e-3  # the flat group's answers, too: what others taught moves them
    for row, change in zip(rows, moved, strict=False):
        assert row["change"] == pytest.approx(change, **CLOSE)
    for row, r in zip(rows, (r for g in groups[:2] for r in g.rollouts), strict=True):
        assert row["logp"] == pytest.approx(r.logp_T, rel=1e-3)
        assert "".join(row["pieces"]).strip() == r.text.strip()


def test_entropy_is_that_of_the_models_own_distribution():
    from saccade.policy.logprobs import allowed_logits

    policy = load()
    groups = rolled_out(policy)[:1]
    (row, *_) = traced(policy, groups, grpo(beta=0.0), n=1, lr=0.0)
    chosen = groups[0].rollouts[0]
    inputs = policy.reader.processed(chosen.sample)
    length = inputs["input_ids"].shape[1]
    whole = policy.encode(chosen.sample).followed_by(chosen.token_T)
    assert len(whole) == length + len(chosen.token_T)
    # One extra candidate per position: the entropy of a distribution is minus the mean of its own log-probs.
    seen: list[torch.Tensor] = []
    head = policy.model.get_output_embeddings()
    hook = head.register_forward_hook(lambda module, given, out: seen.append(out))
    policy.separate_logprobs(chosen.sample, chosen.token_T)
    hook.remove()
    logits_TV = seen[-1].reshape(-1, seen[-1].shape[-1])[: len(chosen.token_T)]
    logp_TV = allowed_logits(logits_TV, policy.forbidden, 1.0).log_softmax(-1)
    assert row["entropy"] == pytest.approx((-(logp_TV.exp() * logp_TV).sum(-1)).tolist(), rel=1e-3, abs=1e-6)
    assert row["change"] == [0.0] * len(row["change"])  # the rate was 0: not a bit has moved


def test_weights_are_grpos_advantage_over_rows_times_length():
    policy = load()
    groups = rolled_out(policy)
    rows = traced(policy, groups, grpo(beta=0.0, eps=0.0), n=3)
    n = 9
    for g, group in enumerate(groups):
        rewards = np.array(group.rewards)
        for i, r in enumerate(group.rollouts):
            row = rows[3 * g + i]
            if group.is_flat:
                assert row["weight"] == [None] * len(r.token_T)
                continue
            advantage = (rewards[i] - rewards.mean()) / rewards.std(ddof=1)
            assert row["weight"] == pytest.approx([advantage / (n * len(r.token_T))] * len(r.token_T), rel=1e-3)
            assert sum(row["weight"]) == pytest.approx(advantage / n, rel=1e-3)


def test_a_later_update_weighs_by_its_own_rows():
    policy = load()
    groups = rolled_out(policy)
    rows = traced(policy, groups, grpo(beta=0.0, eps=0.0), n=3, updates=3)
    rewards = np.array(groups[2].rewards)
    advantage = (rewards - rewards.mean()) / rewards.std(ddof=1)
    assert [sum(row["weight"]) for row in rows[6:]] == pytest.approx(advantage / 3, rel=1e-3)  # three rows to an update, not nine


def test_what_a_penalty_pulls_at_has_weight_0_and_what_is_filtered_none():
    policy = load()
    policy.hold_reference()
    rows = traced(policy, rolled_out(policy), grpo(beta=0.1), n=2)
    assert all(set(row["weight"]) == {0.0} for row in rows[3:])
    rows = traced(policy, rolled_out(policy), replace(grpo(beta=0.1), keep=keep_informative), n=2)
    assert all(set(row["weight"]) == {None} and None not in row["change"] for row in rows[3:])
    assert all(None not in row["weight"] for row in rows[:3])


def test_a_replay_that_repeats_the_informative_doubles_their_weight():
    """Nine rollouts, six with an advantage: nine experiences again, of which the first three stand there twice."""
    policy = load()
    groups = rolled_out(policy)
    rows = traced(policy, groups, replace(grpo(beta=0.0, eps=0.0), replay=RepeatedNonzero()), n=3)
    rewards = np.array([groups[0].rewards, groups[2].rewards])
    advantage = (rewards - rewards.mean(1, keepdims=True)) / rewards.std(1, ddof=1, keepdims=True)
    assert [sum(row["weight"]) for row in rows[:3]] == pytest.approx(2 * advantage[0] / 9, rel=1e-3)
    assert [sum(row["weight"]) for row in rows[6:]] == pytest.approx(advantage[1] / 9, rel=1e-3)


def test_forced_words_have_no_numbers_and_shift_none():
    """An answer goes on after two forced tokens: what follows them keeps its place, and is imitated, too."""
    policy = load()
    (group, *_) = rolled_out(policy)
    begun = group.rollouts[0]
    forced = policy.branch_of("Wait").token_T[:-1]
    longer = replace(
        begun, token_T=begun.token_T[:4] + forced, logp_T=begun.logp_T[:4] + (0.0,) * len(forced),
        is_sampled_T=(True,) * 4 + (False,) * len(forced),
    )  # fmt: skip
    (longer,) = policy.extend([longer], sampling=Sampling(max_tokens=5), seed=1)
    group = scored(replace(group, rollouts=(longer, *group.rollouts[1:])), 5.0, 1.0, 0.0)
    before = plain(policy, [group])
    algorithm = replace(grpo(beta=0.0, eps=0.0), imitation=Imitation(weight=0.5))
    rows = traced(policy, [group], algorithm, n=1)
    after = plain(policy, [group])
    is_sampled = list(longer.is_sampled_T)
    n = sum(is_sampled)
    assert rows[0]["sampled"] == [int(one) for one in is_sampled] and 0 in rows[0]["sampled"][4:5] and n > 4
    rewards = np.array([5.0, 1.0, 0.0])
    weight = (rewards[0] - rewards.mean()) / rewards.std(ddof=1) / (3 * n) + 0.5 / n
    for t, sampled in enumerate(is_sampled):
        if sampled:
            assert rows[0]["change"][t] == pytest.approx(after[0][t] - before[0][t], **CLOSE)
            assert rows[0]["logp"][t] == pytest.approx(before[0][t], rel=1e-3)
            assert rows[0]["weight"][t] == pytest.approx(weight, rel=1e-3)
        else:
            assert {rows[0][key][t] for key in ("logp", "entropy", "change", "weight")} == {None}
    assert rows[0]["pieces"][4 : 4 + len(forced)] == list(policy.pieces(forced))


# ---- in a run


@reward
def parity(rollout: Rollout) -> float:
    """Right for about half of the answers."""
    return float(sum(rollout.token_T) % 2)


def quick(*settings: str) -> Recipe:
    """The micro recipe's RL stage and one small set."""
    recipe = micro(*settings)
    rl = replace(recipe.stages[1], rewards=weighted((parity, 1.0)))
    return replace(recipe, stages=(rl,), evaluations=recipe.evaluations[:1])


def run(path: Path, *settings: str, **options) -> Path:
    """What such a run leaves."""
    with RunFolder.start(path) as folder:
        train(quick(*settings), folder, **options)
    return path


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_tracing_changes_no_metric_no_rollout_and_no_weight(tmp_path):
    """Byte for byte, but for the seconds that things took."""
    without, traced = (run(tmp_path / str(n), "stages.1.updates_per_rollout=2", trace=n) for n in (0, 2))
    assert (without / "tokens.jsonl").read_bytes() == b""
    for name in ("rollouts.jsonl", "evaluations.jsonl", "checkpoints/rl-4/model.safetensors"):
        assert (without / name).read_bytes() == (traced / name).read_bytes()
    timed = ("time/", "speed/")
    metrics = [[{k: v for k, v in line.items() if not k.startswith(timed)} for line in lines(path / "metrics.jsonl")] for path in (without, traced)]
    assert metrics[0] == metrics[1]
    rollouts = {(row["group"], i % 2): row for i, row in enumerate(lines(traced / "rollouts.jsonl"))}
    rows = lines(traced / "tokens.jsonl")
    assert [(row["group"], row["sibling"]) for row in rows] == [(f"rl-{step}/{g}", i) for step in range(1, 5) for g in (0, 1) for i in (0, 1)]
    for row in rows:
        rollout = rollouts[row["group"], row["sibling"]]
        assert "".join(row["pieces"]).strip() == rollout["text"].strip()
        assert sum(row["sampled"]) == rollout["tokens"]
        n = len(row["pieces"])
        assert [len(row[key]) for key in ("sampled", "logp", "entropy", "change", "weight")] == [n] * 5
        signs = {(weight > 0) - (weight < 0) for weight in row["weight"] if weight is not None}
        assert signs == ({(rollout["advantage"] > 0) - (rollout["advantage"] < 0)} if rollout["advantage"] else set())
    assert any(change for row in rows for change in row["change"])


def test_one_group_is_traced_unless_otherwise_said_and_a_resumed_run_writes_the_same_lines(tmp_path, monkeypatch):
    class Enough(Exception):
        pass

    whole = run(tmp_path / "whole")
    assert {row["group"] for row in lines(whole / "tokens.jsonl")} == {f"rl-{step}/0" for step in range(1, 5)}
    append = RunFolder.append_tokens

    def torn(folder: RunFolder, rows: list[dict]) -> None:
        append(folder, rows)
        if rows[0]["step"] == 4:
            raise Enough

    monkeypatch.setattr(RunFolder, "append_tokens", torn)
    with pytest.raises(Enough):
        run(tmp_path / "torn")
    assert lines(tmp_path / "torn/tokens.jsonl")[-1]["step"] == 4
    monkeypatch.setattr(RunFolder, "append_tokens", append)
    with RunFolder.resume(tmp_path / "torn") as folder:
        train(quick(), folder, is_resumed=True)
    assert (tmp_path / "torn/tokens.jsonl").read_bytes() == (whole / "tokens.jsonl").read_bytes()
