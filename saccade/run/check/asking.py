"""Every reward about every probe of every row, and the rows whose answers are wrong for another."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from saccade.core.reward import Reward
from saccade.core.sample import Sample
from saccade.run.check.probes import AGAIN, GOLD, hostiles_of, listing, wrong_answers
from saccade.run.check.trying import Row, Tried, Words, needs, try_rows
from saccade.run.records import plain

CHUNK = 256  # rows whose rollouts exist at a time
LISTED = 8  # O other answers in the probe that lists many
SEARCHED = 64  # rows that are looked through for other targets


def needs_of(reward: Reward) -> list[str] | str:
    """What `needs` says, or as text why a reward cannot be asked at all."""
    try:
        return needs(reward)
    except (TypeError, ValueError) as error:  # no signature, or no parameter
        return repr(error)


def other_rows(samples: Sequence[Sample], golds: Sequence[str | None], *, seed: int) -> list[tuple[int, ...]]:
    """For each row the places of a few of the same kind, with other targets and gold answers than it and than one another."""
    random = np.random.default_rng(seed)
    targets = [target_text(sample) for sample in samples]
    answers = ["" if gold is None else gold.strip() for gold in golds]
    places: dict[str, list[int]] = {}
    for place in random.permutation(len(samples)).tolist():
        if golds[place] is not None:
            places.setdefault(samples[place].kind, []).append(place)
    chosen: list[tuple[int, ...]] = [()] * len(samples)
    for same_kind in places.values():
        n = len(same_kind)
        for at, place in enumerate(same_kind):
            known, found = {targets[place], answers[place]}, []
            for step in range(1, min(n, SEARCHED)):
                other = same_kind[(at + step) % n]
                if targets[other] not in known and answers[other] not in known:
                    known |= {targets[other], answers[other]}
                    found.append(other)
                    if len(found) == LISTED:
                        break
            chosen[place] = tuple(found)
    return chosen


async def tried(
    rewards: Sequence[Reward],
    samples: Sequence[Sample],
    golds: Sequence[str | None],
    others: Sequence[Sequence[int]] | None = None,
) -> list[Tried]:
    """What each reward says of every probe of every row; of the gold answers alone without `others`."""
    table = [Tried.nothing(reward, len(samples)) for reward in rewards]
    for start in range(0, len(samples), CHUNK):
        words, rows = Words(), []
        for place in range(start, min(start + CHUNK, len(samples))):
            gold = golds[place]
            texts = {} if gold is None else {GOLD: gold, AGAIN: gold}
            if others is not None:
                texts |= _wrong(place, samples, golds, others[place])
            rollouts = {probe: words.rollout(samples[place], text) for probe, text in texts.items()}
            rows.append(Row(sample=samples[place], rollouts=rollouts))
        for found in table:
            await try_rows(found, rows, first=start, words=words)
    return table


def _wrong(place: int, samples: Sequence[Sample], golds: Sequence[str | None], others: Sequence[int]) -> dict[str, str]:
    gold, attacks = golds[place], hostiles_of(place, rows=len(samples))
    if gold is None or not others:
        return wrong_answers(gold, other=None, hostile=attacks)
    told = [(golds[at], written(samples[at])) for at in others]
    listed = listing((gold, written(samples[place])), told)
    return wrong_answers(gold, other=told[0][0], listed=listed, hostile=attacks)


def target_text(sample: Sample) -> str:
    """A sample's target as JSON, to compare with others."""
    return json.dumps(plain(sample.target), sort_keys=True, default=str)


def written(sample: Sample) -> str:
    """A sample's target as an answer would say it: a text as it stands, anything else as JSON."""
    return sample.target if isinstance(sample.target, str) else json.dumps(plain(sample.target), default=str)
