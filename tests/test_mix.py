"""Several rewards as one: what each mix gives, what it does not ask, and what a run logs of it."""

from __future__ import annotations

import asyncio

import pytest

from saccade.core.reward import Reward, RewardError, reward, weighted
from saccade.core.rollout import Group, Rollout, Score
from saccade.core.sample import Message, Sample
from saccade.rewards.mix import all_of, any_of, blended, gated, routed
from saccade.run.records import rollout_rows
from saccade.run.stage import rollout_metrics
from tests.rollouts import group_of, rollout_of, sample_of


def giving(value: float | None, name: str = "r", *, best: float = 1.0, asked: list[str] | None = None) -> Reward:
    """A reward that always gives this, and notes that it was asked."""

    async def function(rollout: Rollout) -> Score:
        if asked is not None:
            asked.append(name)
        await asyncio.sleep(0)
        return Score(value, f"says {value}")

    return Reward(name=name, function=function, best=best)


def score_of(term: Reward, rollout: Rollout | None = None, **offered) -> Score:
    rollout = rollout or rollout_of(None)
    (group,) = asyncio.run(weighted((term, 1.0)).score([Group(sample=rollout.sample, rollouts=(rollout,))], **offered))
    return group.rollouts[0].scores[term.name]


def sample_with(**data) -> Sample:
    return Sample(id="row 7", messages=(Message("user", ("?",)),), target="7", data=data)


def test_a_sample_takes_its_own_route_and_no_other():
    asked: list[str] = []
    mixed = routed("route", {"digit": giving(0.25, "digit", asked=asked), "iou": giving(0.5, "iou", asked=asked)}, name="accuracy")
    score = score_of(mixed, rollout_of(None, sample=sample_with(route="iou")))
    assert (score.value, score.route, asked) == (0.5, "iou", ["iou"])


def test_routes_by_kind_and_by_function():
    routes = {"a": giving(0.1), "b": giving(0.2)}
    assert score_of(routed("kind", routes, name="m"), rollout_of(None, sample=sample_of(kind="b"))).value == 0.2
    assert score_of(routed(lambda sample: "a", routes, name="m")).value == 0.1


@pytest.mark.parametrize("route", ["dgit", None, 3])
def test_an_unknown_route_names_the_row_and_what_there_is(route):
    mixed = routed("route", {"digit": giving(1.0), "iou": giving(1.0)}, name="accuracy")
    with pytest.raises(RewardError, match=r"'accuracy' failed on row 'row 7'.*route .*; have: digit, iou"):
        score_of(mixed, rollout_of(None, sample=sample_with(route=route)))


def test_a_route_that_the_row_does_not_say_or_says_as_a_number_is_told():
    named_wrongly = routed("task", {"1": giving(1.0)}, name="m")
    with pytest.raises(RewardError, match="'row 7' has no column 'task' to take its route from; its columns: level, kind"):
        score_of(named_wrongly, rollout_of(None, sample=sample_with(level=1, kind="x")))
    for level, said in ((1, "1, which is no text but int"), (["1"], r"\['1'\], which is no text but list")):
        with pytest.raises(RewardError, match=f"'row 7' asks for the route {said}; have: 1"):
            score_of(routed("level", {"1": giving(1.0)}, name="m"), rollout_of(None, sample=sample_with(level=level)))


@pytest.mark.parametrize(
    ("gate", "value", "asked"), [(1.0, 0.3, ["inner"]), (0.5, -1.0, []), (0.0, -1.0, []), (None, None, [])]
)
def test_a_gate_opens_only_fully_and_what_is_behind_a_closed_one_is_not_asked(gate, value, asked):
    found: list[str] = []
    score = score_of(gated(giving(gate, "gate"), giving(0.3, "inner", asked=found), name="g", closed=-1.0))
    assert (score.value, found) == (value, asked)


@pytest.mark.parametrize(
    ("values", "expected", "n_asked"),
    [((1.0, 1.0), 1.0, 2), ((0.9, 1.0), 0.0, 1), ((1.0, 0.0), 0.0, 2), ((None, 1.0), None, 2), ((None, 0.0), 0.0, 2)],
)
def test_all_of(values, expected, n_asked):
    asked: list[str] = []
    term = all_of(*(giving(v, f"r{i}", asked=asked) for i, v in enumerate(values)), name="all")
    assert (score_of(term).value, len(asked)) == (expected, n_asked)


@pytest.mark.parametrize(
    ("values", "expected", "n_asked", "route"),
    [
        ((1.0, 0.0), 1.0, 1, "r0"), ((0.0, 1.0), 1.0, 2, "r1"), ((0.0, 0.5), 0.0, 2, "none"), ((0.0, None), None, 2, ""),
        ((None, 1.0), 1.0, 2, "r1"), ((None, 0.0), None, 2, ""),
    ],
)  # fmt: skip
def test_any_of_asks_the_judge_only_where_the_rule_says_no(values, expected, n_asked, route):
    asked: list[str] = []
    score = score_of(any_of(*(giving(v, f"r{i}", asked=asked) for i, v in enumerate(values)), name="any"))
    assert (score.value, len(asked), score.route) == (expected, n_asked, route)


def test_full_is_what_each_reward_calls_its_best():
    assert score_of(all_of(giving(3.0, best=3.0), name="m")).value == 1.0
    assert score_of(any_of(giving(1.0, best=3.0), name="m")).value == 0.0


def test_a_blend_is_the_weighted_sum_and_unknown_where_a_part_is():
    term = blended((giving(1.0, "a"), 0.7), (giving(0.5, "b"), 0.3), name="hybrid")
    score = score_of(term)
    assert score.value == pytest.approx(0.85) and term.best == pytest.approx(1.0)
    assert score.why == "0.7 x a 1 (says 1.0) + 0.3 x b 0.5 (says 0.5)"
    assert score_of(blended((giving(1.0, "a"), 0.7), (giving(None, "b"), 0.3), name="m")).value is None


def test_mixes_nest_and_pass_on_what_their_parts_want():
    @reward
    def late(rollout: Rollout, progress: float) -> float:
        return progress

    inner = any_of(giving(0.0, "rule"), late, name="inner")
    outer = routed("kind", {"": gated(giving(1.0, "gate"), inner, name="g")}, name="outer")
    assert outer.wants >= {"progress"} and "pieces" not in outer.wants
    score = score_of(outer, progress=1.0, pieces=None)
    assert (score.value, score.route) == (1.0, "/late")


def test_what_compares_siblings_cannot_be_mixed():
    over_groups = Reward(name="length", function=lambda group: [0.0], scope="group")
    with pytest.raises(ValueError, match="'m' mixes length, which compares siblings; make it a term of weighted"):
        all_of(giving(1.0), over_groups, name="m")
    with pytest.raises(ValueError, match="mixes no rewards"):
        any_of(name="m")


def test_one_without_a_best_cannot_be_asked_for_it():
    silent = Reward(name="open", function=lambda rollout: 0.4, best=None)
    for make in (lambda: any_of(silent, name="m"), lambda: gated(silent, giving(1.0), name="m")):
        with pytest.raises(ValueError, match="'m' asks open whether it gave its best, which it does not say; give it best="):
            make()
    assert score_of(gated(giving(1.0), silent, name="m")).value == 0.4
    by_kind = routed("kind", {"a": giving(1.0, best=2.0), "b": silent}, name="by_kind")  # known sample by sample
    assert score_of(any_of(by_kind, name="m"), rollout_of(None, sample=sample_of(kind="a"))).value == 0.0
    with pytest.raises(RewardError, match="does not say for this sample; give it best="):
        score_of(any_of(by_kind, name="m"), rollout_of(None, sample=sample_of(kind="b")))


def test_what_is_no_reward_is_named():
    def overlap(rollout: Rollout) -> float:
        return 1.0

    make = (
        lambda: any_of(giving(1.0), overlap, name="m"), lambda: gated(overlap, giving(1.0), name="m"),
        lambda: routed("kind", {"a": overlap}, name="m"), lambda: blended((overlap, 1.0), name="m"),
    )  # fmt: skip
    for one in make:
        with pytest.raises(TypeError, match="'m' mixes rewards, and overlap is none: put @reward on a function"):
            one()


def test_who_decided_has_a_name_of_its_own():
    for mix in (all_of, any_of):
        with pytest.raises(ValueError, match="'m' needs distinct names to log which decided, got rule, rule; give them name="):
            mix(giving(0.0, "rule"), giving(1.0, "rule"), name="m")


def test_a_reason_that_nobody_gives_leaves_no_colon():
    def plain(value: float | None, name: str) -> Reward:
        return Reward(name=name, function=lambda rollout: value)

    assert score_of(any_of(plain(0.0, "a"), plain(0.0, "b"), name="m")).why == "a; b"
    assert score_of(gated(plain(None, "a"), giving(1.0), name="m")).why == "a cannot tell"


def test_the_best_of_a_route_is_the_samples_own():
    mixed = routed("route", {"a": giving(1.0), "b": giving(1.0, best=2.0), "c": Reward(name="c", function=abs, best=None)}, name="m")
    assert mixed.best is None
    assert [mixed.best_for(sample_with(route=route)) for route in "abc"] == [1.0, 2.0, None]


def test_a_run_logs_share_and_mean_of_every_route():
    rewards = weighted((giving(0.0, "accuracy"), 1.0))

    def scored(value: float | None, route: str) -> Rollout:
        return rollout_of(value, scores={"accuracy": Score(value, route=route)})

    metrics = rollout_metrics([group_of(scored(1.0, "rule"), scored(0.0, "rule"), scored(1.0, "judge"), scored(None, "judge"))], rewards)
    assert {key: value for key, value in metrics.items() if "accuracy/" in key} == {
        "reward/accuracy/rule": 0.5, "route/accuracy/rule": 0.5, "reward/accuracy/judge": 1.0, "route/accuracy/judge": 0.5,
    }  # fmt: skip
    (row,) = rollout_rows([group_of(scored(1.0, "rule"))], step=0, stage="rl")
    assert row["scores"]["accuracy"] == {"value": 1.0, "why": "", "route": "rule"}
