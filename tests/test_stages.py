"""What an RL stage does between steps: dynamic sampling, curricula, staged limits and sizes, replay, references that move."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import PIL.Image
import pytest
import torch

from saccade.algo.algorithm import Refill
from saccade.algo.curriculum import Curriculum
from saccade.algo.keep import PassRate, unless_truncated
from saccade.algo.named import dapo, grpo, named, rloo
from saccade.algo.penalties import k3
from saccade.algo.replay import RepeatedNonzero, SelectiveReplay, paper_replay
from saccade.algo.schedules import Adaptive, Linear, Staged
from saccade.algo.surrogates import WithoutStaleFailures, policy_gradient
from saccade.core.reward import Rewards, reward, weighted
from saccade.core.picture import Picture
from saccade.core.rollout import Rollout
from saccade.core.sample import DataError, Message, Sample, Task
from saccade.policy.spec import LoRA, ModelSpec, Optimization
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.run.folder import RunFolder
from saccade.run.learn import learn
from saccade.run.memory import Memory
from saccade.run.recipe import Recipe
from saccade.run.stage import RL, SFT
from saccade.run.train import train
from tests.micro import micro
from tests.test_train import killed_after, last, logged, run, weights


@reward
def accuracy(rollout: Rollout) -> bool:
    """Right for about half of the answers, so that most groups differ."""
    return sum(rollout.token_T) % 2 == 0


@reward
def only_even_rows(rollout: Rollout) -> bool:
    """Always wrong for half of the samples: their groups are flat."""
    return int(rollout.sample.id[-1]) % 2 == 0 and sum(rollout.token_T) % 2 == 0


def stage(*, rewards: Rewards | None = None, **changes) -> RL:
    rl = micro(task="counting").stages[1]
    changes = {"algorithm": grpo(beta=0.0), "optimization": replace(rl.optimization, lr=0.0)} | changes
    return replace(rl, rewards=rewards or weighted((accuracy, 1.0)), **{"siblings": 3, **changes})


@pytest.fixture(scope="module")
def policy() -> TransformersPolicy:
    policy = TransformersPolicy.load(ModelSpec())
    policy.start_optimizer(Optimization(lr=0.0))
    return policy


# imitation


def test_a_stage_may_write_its_answers_in_the_frame_in_which_the_model_sees_the_picture(policy):
    """Pictures of 224 x 56 pixels stay so, one of 100 x 100 becomes 112 x 112."""
    asked = []

    def answer(sample):
        asked.append([picture.model_size for picture in sample.pictures])
        return None if sample.id == "none" else f"{sample.pictures[0].model_size[0]} wide"

    pictures = {"wide": (224, 56), "square": (100, 100)}
    samples = tuple(
        Sample(id=name, messages=(Message("user", (Picture.of(PIL.Image.new("RGB", size)), "?")),), target="")
        for name, size in pictures.items()
    )
    sft = SFT(task=Task(name="t", split="train", samples=samples), steps=1, batch=2, optimization=Optimization(lr=0.0), answer=answer)
    made = sft.round(policy, 0, seed=0, memory=Memory())
    texts = {group.sample.id: group.rollouts[0].text for group in made.groups}
    assert texts == {"wide": "224 wide", "square": "112 wide"} and sorted(asked) == [[(112, 112)], [(224, 56)]]
    assert all(group.rollouts[0].token_T == policy.branch_of(group.rollouts[0].text).token_T for group in made.groups)
    silent = replace(samples[0], id="none")
    with pytest.raises(DataError, match="answer to sample 'none' is None; leave the sample out, or answer it"):
        replace(sft, task=Task(name="t", split="train", samples=(silent,))).round(policy, 0, seed=0, memory=Memory())
    with pytest.raises(DataError, match="give the rows a solution or the stage an answer"):
        replace(sft, answer=None)


# dynamic sampling


def test_dynamic_sampling_asks_until_the_step_is_full_of_groups_that_differ(policy):
    rewards = weighted((replace(only_even_rows, name="accuracy"), 1.0))
    rl = stage(rewards=rewards, algorithm=dapo(), prompts=4)
    memory = Memory()
    made = rl.round(policy, 0, seed=0, memory=memory)
    assert len(made.groups) == 4
    assert all(not group.is_flat for group in made.groups)
    assert len(made.asked) > 4 and memory.drawn == len(made.asked)
    assert made.metrics["rollout/rounds"] > 1 and made.metrics["rollout/kept_groups"] == 1.0
    assert made.metrics["rollout/flat_groups"] == fmean(group.is_flat for group in made.asked) > 0
    again = rl.round(policy, 1, seed=0, memory=memory)  # goes on in the row of samples where the last step stopped
    assert memory.drawn == len(made.asked) + len(again.asked)


def test_further_rounds_ask_no_more_than_should_be_needed():
    refill = Refill()
    assert refill.count(16, kept=0, asked=0) == 16
    assert refill.count(16, kept=14, asked=16) == 3  # 2 missing, 7 of 8 kept
    assert refill.count(16, kept=8, asked=16) == 16
    assert refill.count(16, kept=1, asked=16) == 16  # 240 would be needed; a round is never larger than the first
    assert Refill(oversampling=3.0).count(16, kept=10, asked=48) == 29
    assert Refill(oversampling=0.01).count(16, kept=0, asked=0) == 1


def test_dynamic_sampling_that_finds_nothing_stops_at_its_cap_and_moves_nothing(policy):
    @reward
    def accuracy(rollout):
        return 1.0

    rl = stage(rewards=weighted((accuracy, 1.0)), algorithm=dapo(refill=Refill(rounds=3)), prompts=2)
    memory = Memory()
    made = rl.round(policy, 0, seed=0, memory=memory)
    assert made.groups == [] and len(made.asked) == 6
    assert made.metrics["rollout/rounds"] == 3 and made.metrics["rollout/kept_groups"] == 0.0
    before = [p.clone() for p in policy.model.parameters()]
    learned = learn(policy, rl, made, step=0, seed=0, memory=memory)
    assert learned.metrics["learn/packs"] == 0 and learned.advantages == {}
    assert all(torch.equal(a, b) for a, b in zip(before, policy.model.parameters(), strict=True))


def test_it_is_accuracy_that_filters_and_not_the_shaped_reward(policy):
    @reward
    def length(rollout):
        return -len(rollout.text) / 100

    @reward
    def accuracy(rollout):
        return 0.0

    rewards = weighted((accuracy, 1.0), (length, 1.0))
    made = stage(rewards=rewards, algorithm=dapo(refill=Refill(rounds=1)), prompts=2).round(policy, 0, seed=0, memory=Memory())
    assert any(not group.is_flat for group in made.asked) and made.groups == []


def test_surrogates_without_a_ratio_take_only_what_is_fresh():
    with pytest.raises(ValueError, match="rloo has no ratio to correct replayed experience with"):
        stage(algorithm=replace(rloo(), replay=paper_replay()))
    with pytest.raises(ValueError, match="has no ratio to correct later updates with"):
        stage(algorithm=replace(rloo(), surrogate=WithoutStaleFailures(surrogate=policy_gradient, limit=1.0)), updates_per_rollout=2)
    stage(algorithm=replace(rloo(), replay=SelectiveReplay()))
    stage(algorithm=replace(rloo(), replay=RepeatedNonzero()))


def test_a_limit_may_be_a_plain_number(policy):
    (group,) = stage(prompts=1, limit=5).round(policy, 0, seed=0, memory=Memory()).groups
    assert max(rollout.n_sampled for rollout in group.rollouts) <= 5


@pytest.mark.parametrize("rate", ["0.5", 75, -0.1, [0.5]])
def test_a_pass_rate_that_is_no_share_is_refused(rate):
    rl = stage()
    task = replace(rl.task, samples=(replace(rl.task.samples[0], data={"pass_rate": rate}), *rl.task.samples[1:]))
    with pytest.raises(DataError, match="give a share from 0 to 1"):
        stage(task=task, curriculum=Curriculum())
    stage(task=task)


def test_a_penalty_whose_coefficient_is_zero_moves_nothing(policy):
    """Not even by AdamW's momentum."""
    rl = stage(algorithm=grpo(beta=Staged(values=(0.1, 0.0), starts=(0, 0.5))), steps=2, prompts=2)
    made = rl.round(policy, 1, seed=0, memory=Memory())
    flat = [replace(g, rollouts=tuple(r.scored({}, 1.0) for r in g.rollouts)) for g in made.groups]
    learned = learn(policy, rl, replace(made, groups=flat), step=1, seed=0, memory=Memory())
    assert learned.metrics["learn/packs"] == 0 and "policy/grad_norm" not in learned.metrics


def test_a_credit_that_is_not_a_number_is_named(policy):
    rl = stage(algorithm=replace(grpo(beta=0.0), credit=lambda groups, costs: [[float("nan")] * 3 for _ in groups]), prompts=1)
    made = rl.round(policy, 0, seed=0, memory=Memory())
    with pytest.raises(ValueError, match=f"the advantage of a rollout of sample '{made.groups[0].sample.id}' is nan"):
        learn(policy, rl, made, step=0, seed=0, memory=Memory())


@pytest.mark.parametrize("name", ["vespo", "reinforce_pp", "grpo_trl_1", "grpo"])
def test_an_engine_that_did_not_score_every_token_stops_nothing(policy, name):
    policy.hold_reference()
    rl = stage(algorithm=named(name, limit=9), prompts=6)
    made = rl.round(policy, 0, seed=0, memory=Memory())
    holes = [replace(g, rollouts=tuple(replace(r, logp_T=(float("nan"), *r.logp_T[1:])) for r in g.rollouts)) for g in made.groups]
    foreign = Elsewhere(policy)
    learned = learn(foreign, rl, replace(made, groups=holes), step=0, seed=0, memory=Memory())
    assert learned.metrics["policy/grad_norm"] > 0
    policy.drop_reference()


class Elsewhere:
    """The policy, as if another engine had sampled for it."""

    samples_elsewhere = True

    def __init__(self, policy: TransformersPolicy) -> None:
        self._policy = policy

    def __getattr__(self, name: str):
        return getattr(self._policy, name)


def test_rollouts_of_another_engine_are_corrected_and_our_own_are_not(policy):
    rl = stage(prompts=6)
    made = rl.round(policy, 0, seed=0, memory=Memory())
    own = learn(policy, rl, made, step=0, seed=0, memory=Memory()).metrics
    assert not any(key.startswith("correction/") for key in own)
    # An engine that thought every token half as likely as it is: ratios of 4 in truth, and at most 2 are believed.
    other = [
        replace(g, rollouts=tuple(replace(r, logp_T=tuple(logp - 1.3863 for logp in r.logp_T)) for r in g.rollouts))
        for g in made.groups
    ]
    found = learn(Elsewhere(policy), rl, replace(made, groups=other), step=0, seed=0, memory=Memory()).metrics
    assert found["correction/mean"] == found["correction/max"] == 2.0 and found["correction/changed"] == 1.0
    assert found["policy/sampler_gap"] == pytest.approx(1.3863, abs=1e-3)
    uncorrected = replace(rl, algorithm=replace(rl.algorithm, correction=None))
    plain = learn(Elsewhere(policy), uncorrected, replace(made, groups=other), step=0, seed=0, memory=Memory()).metrics
    assert found["policy/grad_norm"] == pytest.approx(2 * plain["policy/grad_norm"], rel=1e-3)


def test_later_updates_are_not_compared_with_the_sampler():
    moving = TransformersPolicy.load(ModelSpec())
    moving.start_optimizer(Optimization(lr=3e-3))
    rl = stage(algorithm=named("vespo", limit=9), prompts=4, updates_per_rollout=4)
    rl = replace(rl, optimization=replace(rl.optimization, lr=3e-3, warmup_steps=0))
    made = rl.round(moving, 0, seed=0, memory=Memory())
    metrics = learn(moving, rl, made, step=0, seed=0, memory=Memory()).metrics
    assert metrics["policy/ratio_max"] > 1.01 and metrics["policy/sampler_gap_max"] < 1e-3


def test_a_term_that_an_algorithm_looks_at_must_be_there():
    @reward
    def points(rollout):
        return 1.0

    with pytest.raises(ValueError, match="dapo looks at the reward 'accuracy'; have: points"):
        stage(rewards=weighted((points, 1.0)), algorithm=dapo())
    stage(rewards=weighted((points, 1.0)), algorithm=dapo(by="points"))
    with pytest.raises(ValueError, match="looks at the reward 'accuracy'"):
        stage(rewards=weighted((points, 1.0)), curriculum=Curriculum())


def test_truncated_answers_count_in_their_group_and_are_not_learned_from(policy):
    rl = stage(algorithm=replace(grpo(beta=0.0), trains=unless_truncated), prompts=3, siblings=8)
    rl = replace(rl, sampling=replace(rl.sampling, max_tokens=24))
    made = rl.round(policy, 0, seed=0, memory=Memory())
    whole = {id(r) for g in made.groups for r in g.rollouts if not r.is_truncated}
    cut = {id(r) for g in made.groups for r in g.rollouts if r.is_truncated}
    assert whole and cut
    learned = learn(policy, rl, made, step=0, seed=0, memory=Memory())
    assert learned.advantages.keys() == whole
    everything = learn(policy, replace(rl, algorithm=grpo(beta=0.0)), made, step=0, seed=0, memory=Memory())
    assert learned.advantages == {key: everything.advantages[key] for key in whole}


# plain values of progress


def test_sizes_and_limits_follow_progress(policy):
    """PTST (specs/vision_r1.md 1.4): siblings times limit stays the same."""
    rl = stage(
        steps=4, prompts=1, siblings=Staged(values=(8, 4), starts=(0, 0.5)), limit=Staged(values=(6, 12), starts=(0, 0.5))
    )
    for step, (siblings, limit) in enumerate([(8, 6), (8, 6), (4, 12), (4, 12)]):
        (group,) = rl.round(policy, step, seed=0, memory=Memory()).groups
        assert len(group.rollouts) == siblings
        assert max(r.n_sampled for r in group.rollouts) == limit


def test_stages_of_nonsense_are_refused():
    with pytest.raises(ValueError, match="at least 2 siblings"):
        stage(siblings=Staged(values=(8, 1), starts=(0, 0.5)))
    with pytest.raises(ValueError, match="at least 1 token"):
        stage(limit=Linear(start=64, end=0))
    with pytest.raises(ValueError, match="sync_every"):
        stage(sync_every=-1)


def test_a_curriculum_prefers_its_target_and_never_switches(policy):
    rl = stage(curriculum=Curriculum(target=1.0, width=0.1, mix=0.2), prompts=2)
    memory = Memory(pass_rates={i: float(i == 0) for i in range(len(rl.task))})
    asked = [rl.round(policy, step, seed=0, memory=replace(memory)).asked[0].sample.id for step in range(12)]
    assert asked.count(rl.task.samples[0].id) >= 6 and len(set(asked)) > 1


def test_a_curriculum_remembers_how_often_each_sample_was_right(policy):
    rl = stage(curriculum=Curriculum(memory=0.5), prompts=3)
    memory = Memory()
    made = rl.round(policy, 0, seed=0, memory=memory)
    places = {sample.id: i for i, sample in enumerate(rl.task.samples)}
    assert memory.pass_rates == {places[g.sample.id]: fmean(g.rewards) for g in made.asked}


# replay


def test_a_replay_fills_the_step_with_what_once_said_something(policy):
    algorithm = replace(grpo(beta=0.0), replay=SelectiveReplay(clear_every=8))
    rewards = weighted((replace(only_even_rows, name="accuracy"), 1.0))
    rl, memory = stage(rewards=rewards, algorithm=algorithm, prompts=6), Memory()
    shares = []
    for step in range(1, 4):
        made = rl.round(policy, step, seed=0, memory=memory)
        learned = learn(policy, rl, made, step=step, seed=0, memory=memory)
        shares.append(learned.metrics["learn/replayed"])
        zeros = fmean(advantage == 0 for advantage in learned.advantages.values())
        assert shares[-1] == pytest.approx(zeros if memory.held else 0.0)
        assert learned.metrics.get("policy/sampler_gap_max", 0.0) < 1e-3
    assert max(shares) > 0
    assert memory.held and all(one.size > 0 for one in memory.held)


def test_an_adaptive_coefficient_follows_the_kl(policy):
    policy.hold_reference()
    with torch.no_grad():
        for weight in policy._reference.values():
            weight.mul_(1.05)
    for target, rises in ((1e-6, True), (1e6, False)):
        algorithm = replace(grpo(), beta=Adaptive(start=0.1, target=target, horizon=100))
        rl, memory = stage(algorithm=algorithm, prompts=2), Memory()
        made = rl.round(policy, 0, seed=0, memory=memory)
        first = learn(policy, rl, made, step=0, seed=0, memory=memory)
        assert first.metrics["policy/kl_coefficient"] == 0.1
        assert memory.beta == pytest.approx(0.1 * (1 + (0.2 if rises else -0.2) * 6 / 100))
        second = learn(policy, rl, made, step=1, seed=0, memory=memory)
        assert second.metrics["policy/kl_coefficient"] == memory.beta / (1 + (0.2 if rises else -0.2) * 6 / 100)
    policy.drop_reference()


# everything at once, killed


def stateful(lora: bool) -> Recipe:
    """A run whose every step depends on what was remembered: refilled, replayed, by curriculum, adaptive, with a moving reference."""
    recipe = micro("checkpoint_every=1", task="counting")
    algorithm = replace(
        dapo(refill=Refill(rounds=2)),
        penalty=k3,
        beta=Adaptive(start=0.1, target=1e-4, horizon=50),
        keep=PassRate(low=-1.0, high=0.7),  # groups that are always wrong stay, and have to be replayed over
        replay=SelectiveReplay(clear_every=5),
    )
    rl = stage(
        rewards=weighted((replace(only_even_rows, name="accuracy"), 1.0)),
        algorithm=algorithm,
        prompts=3,
        steps=6,
        siblings=Staged(values=(4, 2), starts=(0, 0.5)),
        curriculum=Curriculum(target=Linear(start=0.8, end=0.3)),
        updates_per_rollout=2,
        sync_every=2,
        sync_mix=0.6,
    )
    rl = replace(rl, optimization=replace(rl.optimization, lr=1e-4))
    model = replace(recipe.model, lora=LoRA(rank=2)) if lora else recipe.model
    return replace(recipe, model=model, stages=(recipe.stages[0], rl))


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_all_that_a_stage_remembers_survives_a_kill(tmp_path: Path, lora: bool):
    recipe = stateful(lora)
    begin = time.monotonic()
    run(recipe, tmp_path / "whole")
    length = time.monotonic() - begin
    chance, kills = random.Random(5), 0
    for attempt in range(12):
        patience = chance.uniform(0.05, 0.25) * length if kills < 5 else 300
        kills += killed_after(patience, recipe, tmp_path / "killed", is_resumed=attempt > 0)
        if (tmp_path / "killed" / "summary.json").exists():
            break
    assert kills >= 2  # a machine that was busy with the whole run alone leaves time for few
    assert logged(tmp_path / "killed") == logged(tmp_path / "whole")
    assert (tmp_path / "killed" / "rollouts.jsonl").read_bytes() == (tmp_path / "whole" / "rollouts.jsonl").read_bytes()
    name = "adapter_model.safetensors" if lora else "model.safetensors"
    assert (last(tmp_path / "killed") / name).read_bytes() == (last(tmp_path / "whole") / name).read_bytes()
    steps = [line for line in logged(tmp_path / "whole") if line["run/stage"] == "rl" and "policy/kl_coefficient" in line]
    assert len({line["policy/kl_coefficient"] for line in steps}) > 3
    assert any(line.get("learn/replayed", 0) > 0 for line in steps)


@pytest.mark.parametrize("forgotten", ["drawn", "beta", "pass_rates", "held", "reference"])
def test_anything_forgotten_at_a_checkpoint_would_be_noticed(tmp_path: Path, forgotten: str, monkeypatch):
    """The mutants of the test above: a checkpoint that lacks one thing goes on as another run."""
    recipe = stateful(lora=False)
    if forgotten == "drawn":
        recipe = replace(recipe, stages=(recipe.stages[0], replace(recipe.stages[1], curriculum=None)))
    run(recipe, tmp_path / "whole")

    class Enough(Exception):
        pass

    from saccade.run import train as training

    whole_step, done = training._Run._step, []

    def stopping(self, stage):
        if stage.name == "rl" and self.progress.step == 3:
            raise Enough
        return whole_step(self, stage)

    monkeypatch.setattr(training._Run, "_step", stopping)
    with pytest.raises(Enough), RunFolder.start(tmp_path / "cut") as folder:
        train(recipe, folder)
    monkeypatch.setattr(training._Run, "_step", whole_step)
    if forgotten == "reference":
        monkeypatch.setattr(TransformersPolicy, "hold_reference", lambda self, state=None, hold=TransformersPolicy.hold_reference: hold(self))
    else:
        fresh = getattr(Memory(), forgotten)
        kept = Memory.restored
        monkeypatch.setattr(Memory, "restored", lambda saved, task: replace(kept(saved, task), **{forgotten: fresh}))
    with RunFolder.resume(tmp_path / "cut") as folder:
        train(recipe, folder, is_resumed=True)
    assert logged(tmp_path / "cut") != logged(tmp_path / "whole")
    assert weights(last(tmp_path / "cut")) != weights(last(tmp_path / "whole"))
