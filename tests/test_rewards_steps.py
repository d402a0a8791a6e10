"""Where the steps of an answer end, in sampled tokens."""

from __future__ import annotations

import pytest

from saccade.algo.credit import StepRewards
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.rewards.steps import steps_of
from tests.rollouts import SAMPLE


def rollout_of_pieces(*pieces: str, unsampled: tuple[int, ...] = ()) -> tuple[Rollout, object]:
    """A rollout whose tokens 0, 1, ... add these texts, and what tells so."""
    n = len(pieces)
    rollout = Rollout(
        sample=SAMPLE,
        text="".join(pieces).strip(),
        token_T=tuple(range(n)),
        logp_T=(-1.0,) * n,
        is_sampled_T=tuple(t not in unsampled for t in range(n)),
        stop=Stop.EOS,
    )
    return rollout, lambda token_T: [pieces[t] for t in token_T]


@pytest.mark.parametrize(
    ("pieces", "unsampled", "expected"),
    [
        (("a", "\n", "b", " 7", "\n"), (), [(1, "a"), (4, "b 7")]),
        (("a", "\n\n", "b", " 7", "\n"), (), [(1, "a"), (4, "b 7")]),  # one token for both ends of line
        (("a", "\n", "\n", "b"), (), [(2, "a"), (3, "b")]),  # an empty line belongs to the step before
        (("\n", "a", "", ""), (), [(3, "a")]),  # the last step ends with the answer, end token and all
        (("a", ".\nb", "c"), (), [(1, "a.\nb"), (2, "c")]),  # a token in which one ends and another begins
        (("a", "\n", "Wait", ",\n", "b"), (2, 3), [(1, "a"), (1, "Wait,"), (2, "b")]),  # forced words were not sampled
        (("x", "y"), (0, 1), []),
        ((), (), []),
    ],
)
def test_where_steps_end(pieces, unsampled, expected):
    rollout, texts = rollout_of_pieces(*pieces, unsampled=unsampled)
    assert steps_of(rollout, texts) == expected


def test_each_token_is_credited_with_the_steps_to_come():
    """The first answer's steps are right and wrong, the second's one step is right: scores 1, 0, 1."""
    one, texts = rollout_of_pieces("3", "\n", "5", "")
    two, more = rollout_of_pieces("3", "")
    scored = []
    for rollout, pieces in ((one, texts), (two, more)):
        steps = tuple((end, float("3" in text)) for end, text in steps_of(rollout, pieces))
        scored.append(rollout.scored({"steps": Score(0.0, steps=steps)}, 0.0))
    ((first, second),) = StepRewards(term="steps", eps=0.0, is_unbiased=False)([Group(sample=SAMPLE, rollouts=tuple(scored))])
    right, wrong = 0.5**0.5, -(2**0.5)  # (1 - 2/3) and (0 - 2/3) over the standard deviation, the root of 2/9
    assert first.tolist() == pytest.approx([right + wrong, right + wrong, wrong, wrong])
    assert second.tolist() == pytest.approx([right, right])
