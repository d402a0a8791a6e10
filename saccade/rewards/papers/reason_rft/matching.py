"""How many calls of a prediction can be paired with calls of the gold answer, each call used once.

A pair is exact (all three parts agree), close (function and object, or function and value), or by function alone.

The released code pairs greedily, tier by tier, over hash-ordered sets. Order is then not the only trouble: with gold
{f(1, b), f(3, a)} and prediction {f(1, a), f(2, b)}, taking the pair that shares object 1 first leaves f(2, b) with
f(3, a), by function alone (0.5 + 0.25); the other way round both pairs are close (0.5 + 0.5). So:

- exact pairs first: undoing one frees at most two lesser pairs, which are never worth more;
- then as many close pairs as there can be, by augmenting paths (Kuhn's maximum matching);
- the rest of a function's calls pair up by function: however they do, their number is the same.

The three counts are then unique, whatever the order, and give the highest sum for each of the published credits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from saccade.rewards.read.calls import Call


class Pairs(NamedTuple):
    """Numbers of pairs, best kind first."""

    n_exact: int
    n_close: int
    n_func: int


def pair_up(said: set[Call], gold: set[Call]) -> Pairs:
    """The best one-to-one pairing. Time grows with len(said) * len(gold)^2, and gold answers are short."""
    exact = said & gold
    said_left, gold_left = sorted(said - exact), sorted(gold - exact)
    said_of, gold_of = (Counter(call.func for call in side) for side in (said_left, gold_left))
    n_pairs = sum(min(count, said_of[func]) for func, count in gold_of.items())
    n_close = _maximum_matching({call: [other for other in said_left if _is_close(call, other)] for call in gold_left})
    return Pairs(len(exact), n_close, n_pairs - n_close)


def _is_close(a: Call, b: Call) -> bool:
    return a.func == b.func and (a.object_id == b.object_id or a.value == b.value)


def _maximum_matching(partners: Mapping[Call, Sequence[Call]]) -> int:
    """The most keys that can be given one of their partners each, no partner twice."""
    taken_by: dict[Call, Call] = {}

    def find(call: Call, seen: set[Call]) -> bool:
        for partner in partners[call]:
            if partner not in seen:
                seen.add(partner)
                if partner not in taken_by or find(taken_by[partner], seen):
                    taken_by[partner] = call
                    return True
        return False

    return sum(find(call, set()) for call in partners)
