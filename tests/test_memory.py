"""What a stage remembers survives a checkpoint: through plain values, and through torch.save and its safe loader."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from saccade.algo.credit import BatchWhitened
from saccade.algo.replay import SelectiveReplay, as_held, paper_replay
from saccade.core.experience import Experience
from saccade.core.picture import Picture
from saccade.core.rollout import Score, Stop
from saccade.core.sample import Message, Sample, Task
from saccade.run.memory import Memory
from tests.rollouts import group_of, rollout_of, sample_of

TASK = Task(name="t", split="train", samples=tuple(sample_of(f"s{i}") for i in range(4)))


def through_a_file(saved: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(saved, file)
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


def through_a_value(saved: dict[str, Any]) -> dict[str, Any]:
    return saved


both_ways = pytest.mark.parametrize("through", [through_a_value, through_a_file])


def held(advantage: Any, *, place: int = 0, reward: float | None = 1.0, **changes: Any) -> Experience:
    rollout = replace(rollout_of(reward, tokens=3, text="abc", sample=TASK.samples[place]), **changes)
    return as_held(Experience(rollout=rollout, advantage=advantage))


def round_trip(memory: Memory, through=through_a_file) -> Memory:
    return Memory.restored(through(memory.saved(TASK)), TASK)


@both_ways
def test_an_empty_memory_and_a_full_one_come_back(through):
    full = Memory(drawn=77, beta=0.0101, pass_rates={3: 0.25, 0: 1.0}, held=(held(0.5), held(-0.25, place=3, reward=None)))
    for memory in (Memory(), full):
        assert round_trip(memory, through) == memory


@both_ways
def test_an_advantage_of_any_kind_comes_back_as_it_was(through):
    """A NumPy number, as credit functions give, and an array over the sampled tokens."""
    given = (np.float64(0.1) * 3, np.array([0.1, -0.2, 0.3]), 2)
    found = round_trip(Memory(held=tuple(held(advantage) for advantage in given)), through).held
    assert [one.advantage_T.tolist() for one in found] == [[0.1 * 3] * 3, [0.1, -0.2, 0.3], [2.0] * 3]
    assert [one.size for one in found] == [0.1 * 3, 0.3, 2.0]


def test_what_credit_functions_give_can_be_saved():
    rollouts = [rollout_of(reward, tokens=3, sample=TASK.samples[1]) for reward in (1.0, 0.0)]
    (credit,) = BatchWhitened()([group_of(*rollouts, sample=TASK.samples[1])])
    lessons = tuple(as_held(Experience(rollout=r, advantage=a)) for r, a in zip(rollouts, credit, strict=True))
    found = round_trip(Memory(held=lessons)).held
    assert [one.advantage_T.tolist() for one in found] == [one.advantage_T.tolist() for one in lessons]


def test_samples_are_those_of_the_stages_task_by_place():
    found = round_trip(Memory(held=(held(1.0, place=2), held(1.0, place=2), held(1.0, place=0)))).held
    assert [one.rollout.sample is TASK.samples[place] for one, place in zip(found, (2, 2, 0), strict=True)] == [True] * 3


def test_an_environments_words_stay_apart_from_the_policys():
    """Only sampled tokens have a log-prob to take ratios to."""
    one = held(0.5, is_sampled_T=(True, False, True), logp_T=(-0.5, 0.0, -0.125), stop=Stop.WORLD)
    (found,) = round_trip(Memory(held=(one,))).held
    assert (found.old_T, found.rollout.is_sampled_T, found.rollout.stop) == ((-0.5, -0.125), (True, False, True), Stop.WORLD)
    assert found == one


def test_log_probs_and_coefficients_come_back_to_the_last_bit():
    logps = (-0.1, -1 / 3, -math.pi)
    memory = round_trip(Memory(beta=0.1 + 0.2, pass_rates={1: 1 / 3}, held=(held(1 / 7, logp_T=logps),)))
    assert (memory.beta, memory.pass_rates) == (0.1 + 0.2, {1: 1 / 3})
    assert (memory.held[0].old_T, memory.held[0].advantage) == (logps, 1 / 7)


def test_the_rollout_knows_which_pictures_the_learner_must_encode():
    pictures = tuple(Picture.of(PIL.Image.new("RGB", (4, 4), color)) for color in ("red", "blue"))
    sample = Sample(id="p", messages=(Message("user", (*pictures, "?")),), target="7")
    task = Task(name="p", split="train", samples=(sample,))
    rollout = replace(rollout_of(1.0, sample=sample), pictures=tuple(p.seen_at((28, 28)) for p in pictures))
    memory = Memory(held=(as_held(Experience(rollout=rollout, advantage=1.0)),))
    (found,) = Memory.restored(through_a_file(memory.saved(task)), task).held
    assert found.rollout.picture_shas == rollout.picture_shas == tuple(picture.sha for picture in pictures)


def test_scores_are_not_kept_but_the_reward_is():
    (found,) = round_trip(Memory(held=(held(1.0, reward=0.75, scores={"accuracy": Score(0.75)}),))).held
    assert (found.rollout.reward, dict(found.rollout.scores)) == (0.75, {})


@pytest.mark.parametrize("replay", [SelectiveReplay(), paper_replay()], ids=["ours", "paper"])
def test_a_resumed_replay_draws_what_the_uninterrupted_one_draws(replay):
    """Five steps in one go, and with a checkpoint after each."""

    def step(number: int, experience: tuple[Experience, ...]) -> tuple[list[Experience], tuple[Experience, ...]]:
        fresh = [
            Experience(rollout=rollout_of(0.0, tokens=2, text=f"{number} {i}", sample=TASK.samples[i % 4]), advantage=a)
            for i, a in enumerate((0.5, 0.0, 0.0, -1.5 / (number + 1), 0.0))
        ]
        return replay(fresh, experience, step=number, random=np.random.default_rng(number))

    straight, resumed = Memory(), Memory()
    for number in range(5):
        chosen, straight.held = step(number, straight.held)
        again, resumed.held = step(number, resumed.held)
        resumed = round_trip(resumed)
        assert again == chosen
    assert resumed == straight


def test_saving_takes_a_copy():
    memory = Memory(pass_rates={1: 0.5})
    saved = memory.saved(TASK)
    memory.pass_rates[1] = 0.9
    restored = Memory.restored(saved, TASK)
    restored.pass_rates[2] = 0.1
    assert saved["pass_rates"] == {1: 0.5}
