"""Entropy where a model turns in its reasoning: at "Wait", "Alternatively" and their like.

    >>> turns(("5", ".", "\\n", "Wa", "it", ",", " no"), ("wait",))
    (Turn(trigger='wait', first=3, next=5),)

Shen et al. 2025, "Skywork-R1V3 Technical Report", arXiv 2507.06167: where a model truly reasons it is unsure whether to
turn, where it imitates reasoning the turn is a reflex; so the entropy of the steps that produce such words is high or low,
and tracks what the checkpoint scores elsewhere. The paper defines a step's entropy and selects checkpoints by it; how steps
are found and averaged is INFERRED.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from saccade.core.rollout import Group, Rollout

if TYPE_CHECKING:
    from saccade.policy.protocol import Policy

HIGH = 6.8  # the share of tokens above it is the paper's figure 10; that it means nats is INFERRED
# A turn begins the answer or follows a sentence, a line or a tag; quotes, brackets and list marks may stand between.
ENDS = frozenset(".!?…。！？\n>")
MARKS = frozenset("\"'“”‘’«»()[]*#`-•")


@dataclass(frozen=True)
class Turn:
    """Where an answer turns: the token that begins the trigger, and the next after it that adds text, None at the end."""

    trigger: str
    first: int
    next: int | None


def turns(piece_T: Sequence[str], triggers: Sequence[str]) -> tuple[Turn, ...]:
    """The turns of an answer whose tokens add these pieces of text (`policy.pieces`), in order.

    A trigger counts in any case and however it was tokenised, as a whole word (or words) that begins the answer or follows
    a sentence end, a newline or a tag. Inside a sentence, as in "I cannot wait", it is no turn.
    """
    longest = sorted(triggers, key=len, reverse=True)
    text, end_T = "".join(piece_T), list(itertools.accumulate(map(len, piece_T)))
    adding = [t for t, piece in enumerate(piece_T) if piece]
    found = []
    for match in _pattern(longest).finditer(text):
        if _begins(text, match.start()):
            first, last = (bisect_right(end_T, place) for place in (match.start(), match.end() - 1))
            after = bisect_right(adding, last)
            found.append(Turn(longest[match.lastindex - 1], first, adding[after] if after < len(adding) else None))
    return tuple(found)


def critical_metrics(
    policy: Policy, groups: Sequence[Group], *, triggers: Sequence[str], temperature: float
) -> dict[str, float]:
    """The entropy, in nats, of the steps that sampled these answers, over all of them and where they turn.

    Each is of the whole distribution that the learner computes at `temperature`, less the vision tokens that are never
    sampled. Aggregation is INFERRED, as the paper does not say: a plain mean over all turns of all answers, so that an
    answer counts as often as it turns. A turn whose first token was not sampled (a word that was forced) is left out; so
    is a metric of which there is nothing to average.
    """
    at, by_trigger, after, everywhere = [], {trigger: [] for trigger in triggers}, [], []
    for rollout, entropy_T in _entropies(policy, groups, temperature=temperature):
        everywhere += [h for h in entropy_T if h is not None]
        for turn in turns(policy.pieces(rollout.token_T), triggers):
            if entropy_T[turn.first] is None:
                continue
            at.append(entropy_T[turn.first])
            by_trigger[turn.trigger].append(entropy_T[turn.first])
            if turn.next is not None and entropy_T[turn.next] is not None:
                after.append(entropy_T[turn.next])
    means = {
        "entropy": everywhere,
        "high_entropy": [h > HIGH for h in everywhere],
        "critical_entropy": at,
        **{f"critical_entropy/{metric_name(trigger)}": values for trigger, values in by_trigger.items()},
        "after_critical_entropy": after,
    }
    return {"critical_tokens": len(at), **{key: fmean(values) for key, values in means.items() if values}}


def metric_name(trigger: str) -> str:
    """A trigger as the last part of a metric's key: let me see -> let_me_see."""
    return re.sub(r"\W+", "_", trigger.casefold()).strip("_")


def require_triggers(triggers: Sequence[str], *, of: str) -> None:
    """ValueError unless each is a word or words that no other is, in any case."""
    names = [metric_name(trigger) for trigger in triggers]
    if isinstance(triggers, str) or len(set(names)) != len(names) or any(not re.match(r"\w", t) for t in triggers):
        raise ValueError(
            f"triggers of {of} are words that differ, as in ('wait', 'alternatively'), got {triggers!r}; "
            "begin each with a letter and name it once, as case does not count"
        )


def _pattern(longest: Sequence[str]) -> re.Pattern[str]:
    """A group for each trigger, as whole words, the longest first: "wait a moment" is not taken for "wait"."""
    words = "|".join("(" + r"\s+".join(map(re.escape, trigger.split())) + ")" for trigger in longest)
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


def _begins(text: str, start: int) -> bool:
    """Whether what stands at `start` begins the text, a sentence, a line or a section."""
    while start and text[start - 1] != "\n" and (text[start - 1].isspace() or text[start - 1] in MARKS):
        start -= 1
    return not start or text[start - 1] in ENDS


def _entropies(
    policy: Policy, groups: Sequence[Group], *, temperature: float
) -> list[tuple[Rollout, list[float | None]]]:
    """Each answer with the entropy of the step behind each of its tokens, None for tokens that were not sampled."""
    found: dict[tuple[int, int], list[float]] = {}
    for pack, members in policy.packs(groups):
        entropy_M = policy.logprobs(pack, temperature=temperature).entropy_M.double().cpu()
        lengths = [groups[g].rollouts[i].n_sampled for g, i in members]
        found |= {m: piece.tolist() for m, piece in zip(members, entropy_M.split(lengths), strict=True)}
    rows = []
    for g, group in enumerate(groups):
        for i, rollout in enumerate(group.rollouts):
            sampled = iter(found[g, i])
            rows.append((rollout, [next(sampled) if is_sampled else None for is_sampled in rollout.is_sampled_T]))
    return rows
