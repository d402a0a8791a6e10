"""Forced rethinking: who is asked to think again, from where, with which words, and what is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from saccade.algo.rethinking import BARE, CORRECTION, QUESTION, VERIFICATION, Begun, ForcedRethinking
from saccade.core.reward import Reward, reward, weighted
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.policy.spec import ModelSpec, Sampling
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.run.memory import Memory
from saccade.run.revise import revised
from tests.micro import micro
from tests.rollouts import SAMPLE

END = 0  # the token that ends an answer; every other one is a character


def write(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def pieces(token_T) -> list[str]:
    return [chr(token) if token != END else "" for token in token_T]


def answer(text: str, is_right: bool | None, *, stop: Stop = Stop.EOS) -> Rollout:
    token_T = write(text) + ((END,) if stop is Stop.EOS else ())
    n = len(token_T)
    value = None if is_right is None else float(is_right)
    return Rollout(
        sample=SAMPLE, text=text, token_T=token_T, logp_T=(-1.0,) * n, is_sampled_T=(True,) * n, stop=stop,
        scores={"accuracy": Score(value)}, reward=value,
    )  # fmt: skip


def group(*answers: Rollout) -> Group:
    return Group(sample=SAMPLE, rollouts=answers)


def begun(groups, *, seed: int = 0, **options) -> list[Begun]:
    limit = options.pop("limit", 5000)
    rethink = ForcedRethinking(**{"share": 1.0, **options})
    return rethink.begun(groups, limit=limit, write=write, pieces=pieces, random=np.random.default_rng(seed))


def text_of(one: Begun) -> str:
    return "".join(pieces(one.rollout.token_T))


def test_the_end_goes_and_the_forced_words_were_not_sampled():
    (one,) = begun([group(answer("It is 7.", True))], cut=0.0)
    words = text_of(one).removeprefix("It is 7.")
    assert words in (BARE, QUESTION, VERIFICATION)
    n = len("It is 7.")
    assert one.rollout.is_sampled_T == (True,) * n + (False,) * len(words)
    assert one.rollout.logp_T == (-1.0,) * n + (0.0,) * len(words)
    assert (one.group, one.sibling) == (0, 0)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("One.\n\nTwo. So \\boxed{2}", "One."),
        ("One. So \\boxed{2}", "One. So "),
        ("One. Wait, no. Two. Wait, yes. So", "One. Wait, no. Two. "),
        ("<think>One.</think> <answer>2</answer>", "<think>One.</think> "),
        ("\\boxed{2}", "\\boxed{2}"),
        ("One, two.", "One, two."),
        ("So \\boxed{3}. Wait, no. It is \\boxed{4}.", "So "),
        ("The cat must wait here. So \\boxed{3}", "The cat must wait here. So "),
        ("\u0130\u0130 One. Answer: 2", "\u0130\u0130 One. "),
    ],
)
def test_half_of_them_are_cut_before_the_conclusion(text, kept):
    (one,) = begun([group(answer(text, False))], cut=1.0)
    assert any(text_of(one) == kept + words for words in (BARE, QUESTION, CORRECTION))


def test_the_words_fit_what_came_out():
    right, wrong = answer("a", True), answer("b", False)
    words: dict[str, set[str]] = {"a": set(), "b": set()}
    for seed in range(60):
        for one in begun([group(right, wrong)], seed=seed, cut=0.0):
            text = text_of(one)
            words[text[0]].add(text[1:])
    assert words == {"a": {BARE, QUESTION, VERIFICATION}, "b": {BARE, QUESTION, CORRECTION}}


def test_the_share_and_the_kinds_are_as_told():
    groups = [group(*(answer("x", i % 2 == 0) for i in range(8))) for _ in range(200)]
    found = begun(groups, share=0.65, cut=0.0)
    assert len(found) / 1600 == pytest.approx(0.65, abs=0.04)
    assert np.mean([text_of(one) == "x" + BARE for one in found]) == pytest.approx(0.5 * 0.4, abs=0.04)
    assert np.mean([text_of(one) == "x" + QUESTION for one in found]) == pytest.approx(0.5 * 0.6, abs=0.04)


def test_who_is_left_alone():
    cut_off, unknown = answer("x", True, stop=Stop.LENGTH), answer("x", None)
    long, bare = answer("x" * 50, False), answer("", False)
    assert begun([group(cut_off, unknown)]) == []
    assert [one.sibling for one in begun([group(long, answer("x", False), bare)], longest=20)] == [1]
    easy = group(*(answer("x", i != 0) for i in range(4)))  # 0.75 right: the wrong one is left alone
    assert [one.sibling for one in begun([easy])] == [1, 2, 3]
    assert [one.sibling for one in begun([easy], skip_above=0.8)] == [0, 1, 2, 3]
    assert begun([easy], share=0.0) == []


def test_one_groups_answers_do_not_change_anothers_luck():
    other = group(*(answer("y", i % 2 == 0) for i in range(8)))
    a = begun([group(answer("x", True), answer("x", False)), other], share=0.5)
    b = begun([group(answer("z" * 9, None), answer("z", False, stop=Stop.LENGTH)), other], share=0.5)
    assert [one.rollout for one in a if one.group == 1] == [one.rollout for one in b if one.group == 1] != []


def gone_on(one: Begun, added: str, is_right: bool | None, *, stop: Stop = Stop.EOS) -> Rollout:
    token_T = one.rollout.token_T + write(added)
    value = None if is_right is None else float(is_right)
    return replace(
        one.rollout, text="".join(pieces(token_T)), token_T=token_T, logp_T=(-1.0,) * len(token_T),
        is_sampled_T=(*one.rollout.is_sampled_T, *(True,) * len(added)), stop=stop, scores={"accuracy": Score(value)}, reward=value,
    )  # fmt: skip


def test_only_what_became_right_is_kept_in_its_own_place():
    groups = [group(*(answer(f"{i}", False) for i in range(4))), group(answer("a", True), answer("b", False))]
    rethink = ForcedRethinking(share=1.0, shortest=3)
    asked = rethink.begun(groups, limit=5000, write=write, pieces=pieces, random=np.random.default_rng(0))
    assert [(one.group, one.sibling) for one in asked] == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    after = [
        gone_on(asked[0], "no good", False), gone_on(asked[1], "now it is", True), gone_on(asked[2], "ab", True),
        gone_on(asked[3], "cut off", True, stop=Stop.LENGTH), gone_on(asked[4], "cannot say", None), gone_on(asked[5], "yes it is", True),
    ]  # fmt: skip
    found = rethink.accepted(groups, asked, after)
    assert [r.text[0] for g in found for r in g.rollouts] == ["0", "1", "2", "3", "a", "b"]
    assert [r is old for g, before in zip(found, groups) for r, old in zip(g.rollouts, before.rollouts)] == [
        True, False, True, True, True, False,
    ]  # fmt: skip
    assert found[0].rollouts[1].text.endswith("now it is") and found[1].rollouts[1].text.endswith("yes it is")
    assert found[0].rewards == (0.0, 1.0, 0.0, 0.0)


def test_of_one_sample_only_so_many_and_none_that_waits_for_ever():
    groups = [group(*(answer(f"{i}", False) for i in range(4)))]
    rethink = ForcedRethinking(share=1.0, shortest=1, most=2, waits=2)
    asked = rethink.begun(groups, limit=5000, write=write, pieces=pieces, random=np.random.default_rng(0))
    words = [" wait wait wait", " fine", " fine", " fine"]
    found = rethink.accepted(groups, asked, [gone_on(one, word, True) for one, word in zip(asked, words)])
    assert [r.reward for r in found[0].rollouts] == [0.0, 1.0, 1.0, 0.0]


def test_an_answer_and_what_is_added_stay_within_the_limit():
    groups = [group(answer("x" * 29, False), answer("x" * 31, False))]  # 30 and 32 tokens with their ends
    trigger = len(CORRECTION)
    assert [one.sibling for one in begun(groups, tokens=40, cut=0.0, limit=40 + 31 + trigger)] == [0]
    assert [one.sibling for one in begun(groups, tokens=40, cut=0.0, limit=40 + 32 + trigger)] == [0, 1]
    assert begun(groups, tokens=40, cut=0.0, limit=40) == []


def test_a_cut_within_a_token_loses_no_text():
    """Tokens of several characters, and a character of several tokens: what the cut would lose is forced with the words."""
    words = {1: "It is 12", 2: ".\n\nSo ", 3: "\\boxed{3}", 4: "\u00e9", 5: "", 6: ". Wait"}

    def pieces(token_T) -> list[str]:
        return [words.get(token, "") if token != 4 or 5 in token_T else "\ufffd" for token in token_T]

    def begun_of(*token_T: int) -> Begun:
        one = answer("", False)
        n = len(token_T) + 1
        one = replace(one, token_T=(*token_T, END), logp_T=(-1.0,) * n, is_sampled_T=(True,) * n)
        rethink = ForcedRethinking(share=1.0, cut=1.0)
        (found,) = rethink.begun([group(one)], limit=5000, write=write, pieces=pieces, random=np.random.default_rng(0))
        return found

    found = begun_of(1, 2, 3)
    assert found.rollout.token_T[:1] == (1,) and "".join(map(chr, found.rollout.token_T[1:])).startswith(".\n\nWait")
    assert found.rollout.is_sampled_T[:2] == (True, False)
    found = begun_of(1, 4, 5, 6)
    assert found.rollout.token_T[:3] == (1, 4, 5) and "".join(map(chr, found.rollout.token_T[3:])).startswith(". \n\nWait")


def test_one_that_another_reward_cannot_score_keeps_the_old_answer():
    groups = [group(answer("a", False))]
    rethink = ForcedRethinking(share=1.0, shortest=1)
    asked = rethink.begun(groups, limit=5000, write=write, pieces=pieces, random=np.random.default_rng(0))
    assert rethink.accepted(groups, asked, [replace(gone_on(asked[0], " fine", True), reward=None)]) == groups


@pytest.mark.parametrize("numbers", [{"share": 1.5}, {"cut": -0.1}, {"tokens": 0}, {"most": 0}, {"waits": 0}, {"longest": 0}, {"tokens": 20}])
def test_impossible_numbers_are_refused(numbers):
    with pytest.raises(ValueError, match="forced rethinking"):
        ForcedRethinking(**numbers)


# with a policy


@reward
def accuracy(rollout: Rollout) -> float:
    """Right once it was told to wait, whatever it says then."""
    return float("wait" in rollout.text.lower())


def test_the_policy_goes_on_and_what_is_kept_is_scored():
    policy = TransformersPolicy.load(ModelSpec())
    samples = micro().stages[1].task.samples[:2]
    rewards = weighted((accuracy, 1.0))
    sampling = Sampling(max_tokens=60)
    room = Sampling(max_tokens=200)
    groups = rewards.score_now(policy.sample(samples, n=4, sampling=sampling, seed=0))
    ended = sum(r.stop is Stop.EOS for g in groups for r in g.rollouts)
    assert ended >= 3
    rethink = ForcedRethinking(share=1.0, shortest=1, tokens=60, most=3)
    found, tried = revised(policy, groups, rethink, score=rewards.score_now, sampling=room, seed=1)
    assert tried.n_tries == ended and tried.n_replaced > 0
    kept = [(old, new) for a, b in zip(groups, found) for old, new in zip(a.rollouts, b.rollouts) if old is not new]
    assert len(kept) == tried.n_replaced
    for old, new in kept:
        assert (old.reward, new.reward) == (0.0, 1.0) and new.sample is old.sample and not all(new.is_sampled_T)
        n = new.is_sampled_T.index(False)
        assert new.token_T[:n] == old.token_T[:n] and "Wait" in new.text
    again, _ = revised(policy, groups, rethink, score=rewards.score_now, sampling=room, seed=1)
    assert again == found


def test_a_stage_revises_its_rounds_and_says_how_much():
    stage = micro("stages.1.siblings=4", "stages.1.sampling.max_tokens=120").stages[1]
    rethink = ForcedRethinking(share=1.0, shortest=1, tokens=40)
    stage = replace(stage, rewards=weighted((accuracy, 1.0)), revise=rethink)
    made = stage.round(TransformersPolicy.load(ModelSpec()), 0, seed=0, memory=Memory())
    assert made.metrics["rollout/revision_tries"] > 0 and made.metrics["rollout/revised"] > 0
    assert made.metrics["reward/mean"] == pytest.approx(made.metrics["rollout/revised"])
    assert made.metrics["reward/first"] == 0.0


def test_what_is_added_must_fit_the_stage():
    stage = micro("stages.1.sampling.max_tokens=60").stages[1]
    with pytest.raises(ValueError, match="adds up to 60 tokens to an answer that may have 60 in all"):
        replace(stage, rewards=weighted((accuracy, 1.0)), revise=ForcedRethinking(tokens=60))


def test_rewards_that_compare_siblings_cannot_be_revised():
    over_groups = Reward(name="length", function=lambda group: [0.0] * len(group.rollouts), scope="group", best=None)
    with pytest.raises(ValueError, match="revises answers one by one, but length compares siblings"):
        replace(micro().stages[1], rewards=weighted((accuracy, 1.0), (over_groups, 1.0)), revise=ForcedRethinking())
    with pytest.raises(ValueError, match="the revision looks at the reward 'correct'; have: accuracy"):
        replace(micro().stages[1], rewards=weighted((accuracy, 1.0)), revise=ForcedRethinking(by="correct", tokens=4, shortest=1))
