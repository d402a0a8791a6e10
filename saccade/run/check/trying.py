"""Asking one reward about every probe of every row: what it says, where it raises, how long it takes.

The rollouts are made of text alone: their tokens are words and `pieces` tells their text. The model is taken to have seen every
picture twice as wide and three times as high, so that a box compared in another frame than it was asked for shows at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saccade.core.picture import Picture
from saccade.core.reward import Reward, RewardError
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import Sample
from saccade.rewards.judges import Judged, Rule
from saccade.run.check.probes import AGAIN, EMPTY, GOLD, PROBES, columns_of

OFFERED = frozenset({"progress", "pieces"})  # what a check can offer of what a stage offers
STRETCH = (2, 3)  # O whole numbers, so that whole pixels stay whole
PATIENCE = 60.0  # seconds that a reward may take for one answer
LONG = 1.0  # seconds; a call that took longer is timed once more, as it may have loaded something
BEST = "a row, asked for its best"  # where a reward can raise before it scores
WAITS = 0.02  # seconds in which a reward did nothing; from there on rows are asked together
TOGETHER = 32  # rows asked together of a reward that waits
_WORD = re.compile(r"\s*\S+|\s+")


def as_seen(sample: Sample) -> Sample:
    """The sample with its pictures at the sizes at which the model is taken to see them."""
    return sample.showing([_seen(picture) for picture in sample.pictures])


def _seen(picture: Picture) -> Picture:
    if picture.model_size is not None:
        return picture
    width, height = picture.size
    return picture.seen_at((STRETCH[0] * width, STRETCH[1] * height))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A sample and its probes as rollouts, by name."""

    sample: Sample
    rollouts: Mapping[str, Rollout]


@dataclass(frozen=True)
class Failure:
    """A reward that raised: on which row, on what text, and what it said."""

    row: str
    probe: str
    why: str


@dataclass(frozen=True)
class Time:
    """What one call took, in seconds of this process and of the clock."""

    process: float
    clock: float
    row: str
    probe: str


@dataclass(kw_only=True)
class Tried:
    """What one reward said of R rows and Q probes (in the order of PROBES).

    `value_RQ` is NaN where there is no value, `was_tried_RQ` says where the reward was asked and answered; `best_R` what a perfect
    answer to the row earns, NaN where it does not say; `why` are the reasons of the gold answers' scores. `times` are of calls
    that were made alone (`is_timed`): beside others a call also takes their time.
    """

    reward: Reward
    value_RQ: np.ndarray
    was_tried_RQ: np.ndarray
    best_R: np.ndarray
    why: list[str]
    failures: list[Failure] = field(default_factory=list)
    times: list[Time] = field(default_factory=list)
    is_timed: bool = True

    @classmethod
    def nothing(cls, reward: Reward, n: int) -> Tried:
        """Before the first row of `n`."""
        return cls(
            reward=reward,
            value_RQ=np.full((n, len(PROBES)), np.nan),
            was_tried_RQ=np.zeros((n, len(PROBES)), dtype=bool),
            best_R=np.full(n, np.nan),
            why=[""] * n,
        )

    def of(self, probe: str) -> np.ndarray:
        """[R] values of one probe."""
        return self.value_RQ[:, PROBES.index(probe)]

    def tried(self, probe: str) -> np.ndarray:
        """[R] whether the reward answered about that probe, of hostile texts about one."""
        return self.was_tried_RQ[:, columns_of(probe)].any(axis=1)

    def is_full(self, probe: str) -> np.ndarray:
        """[R, texts] whether it gave its best; of hostile texts there are several."""
        return self.value_RQ[:, columns_of(probe)] >= self.best_R[:, None] - 1e-6

    @property
    def constant(self) -> float | None:
        """The one value of everything that was tried, where it is one."""
        values = self.value_RQ[self.was_tried_RQ & ~np.isnan(self.value_RQ)]
        has_best = not np.isnan(self.best_R).all()
        return float(values[0]) if len(values) > 3 and has_best and np.ptp(values) == 0 else None

    def _note(self, row: int, probe: str, score: Score) -> None:
        self.was_tried_RQ[row, PROBES.index(probe)] = True
        if score.value is not None:
            self.value_RQ[row, PROBES.index(probe)] = score.value
        if probe == GOLD:
            self.why[row] = score.why


def needs(reward: Reward) -> list[str]:
    """What the reward needs and a check without a model cannot give: names of parameters, "ask", or "a judge"."""
    function = reward.function
    absent = ["a judge"] if any(_asks_a_model(part) for part in _parts(function)) else []
    if getattr(function, "wants", None) is not None:
        return absent + sorted(reward.wants & {"ask"})
    first, *rest = inspect.signature(function).parameters.values()
    asked = {p.name for p in rest if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    return absent + sorted((asked | (reward.wants & {"ask"})) - OFFERED)


def _asks_a_model(function: Any) -> bool:
    return isinstance(function, Judged) and not isinstance(function.judge, (str, Rule))


def _parts(value: Any) -> Iterator[Any]:
    """The function and every function of a reward inside it, as a mix has them."""
    if isinstance(value, Reward):
        value = value.function
    yield value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif isinstance(value, Mapping):
        held = list(value.values())
    elif isinstance(value, (list, tuple)):
        held = list(value)
    else:
        held = []
    for inner in held:
        if isinstance(inner, (Reward, tuple, list, Mapping)):
            yield from _parts(inner)


class Words:
    """Texts as token ids, one per word, and back: what stands for a tokenizer."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._words: list[str] = []
        self._known: dict[str, tuple[int, ...]] = {}

    def tokens(self, text: str) -> tuple[int, ...]:
        """The ids of its words, each with the white space before it."""
        if text not in self._known:
            self._known[text] = tuple(self._id(word) for word in _WORD.findall(text))
        return self._known[text]

    def pieces(self, token_T: Sequence[int]) -> tuple[str, ...]:
        """The text of each token."""
        return tuple(self._words[token] for token in token_T)

    def _id(self, word: str) -> int:
        if word not in self._ids:
            self._ids[word] = len(self._words)
            self._words.append(word)
        return self._ids[word]

    def rollout(self, sample: Sample, text: str) -> Rollout:
        """The text as if a policy had written it."""
        token_T = self.tokens(text)
        return Rollout(
            sample=sample,
            text=text.strip(),
            token_T=token_T,
            logp_T=(-1.0,) * len(token_T),
            is_sampled_T=(True,) * len(token_T),
            stop=Stop.EOS,
            pictures=as_seen(sample).pictures,
        )


async def try_rows(found: Tried, rows: Sequence[Row], *, first: int, words: Words) -> None:
    """Ask the reward of `found` about these rows, which stand from place `first` on."""
    found.is_timed = True
    places = iter(enumerate(rows, start=first))
    for place, row in places:
        await _try_row(found, row, place, words)
        if _waits(found.times):
            break
    found.is_timed = False
    together = asyncio.Semaphore(TOGETHER)

    async def one(place: int, row: Row) -> None:
        async with together:
            await _try_row(found, row, place, words)

    await asyncio.gather(*(one(place, row) for place, row in places))


async def _try_row(found: Tried, row: Row, place: int, words: Words) -> None:
    reward = found.reward
    try:
        best = reward.best_for(row.sample)
        found.best_R[place] = np.nan if best is None else float(best)
    except Exception as error:  # the reward's own function: whatever it raises is a finding
        found.failures.append(Failure(row.sample.id, BEST, repr(error)))
        return
    sets = [list(row.rollouts)] if reward.scope == "group" else [[probe] for probe in row.rollouts]
    for probes in sets:
        await _ask(found, row, probes, place, pieces=words.pieces, progress=1.0)
    if "progress" in reward.wants:
        early = [probe for probe in (GOLD, EMPTY) if probe in row.rollouts]
        for probes in [early] if reward.scope == "group" else [[probe] for probe in early]:
            await _ask(found, row, probes, None, pieces=words.pieces, progress=0.0)
    if reward.scope == "group" and GOLD in row.rollouts:  # alone it would be compared with nobody
        again = await _scores(found, row, list(row.rollouts), pieces=words.pieces, progress=1.0)
        if again:
            found._note(place, AGAIN, again[list(row.rollouts).index(GOLD)])


async def _ask(found: Tried, row: Row, probes: Sequence[str], place: int | None, **offered: Any) -> None:
    """Score these rollouts as siblings; note what came, where `place` says."""
    scores = await _scores(found, row, probes, **offered)
    if place is not None:
        for probe, score in zip(probes, scores, strict=False):
            found._note(place, probe, score)


async def _scores(found: Tried, row: Row, probes: Sequence[str], **offered: Any) -> list[Score]:
    """One score each; none where the reward raised, which is noted."""
    group = Group(sample=row.sample, rollouts=tuple(row.rollouts[probe] for probe in probes))
    text = "a group of answers" if len(probes) > 1 else probes[0]
    try:
        scores, process, clock = await _timed(found.reward, group, **offered)
        if found.is_timed and max(process, clock) > LONG:  # once more: it may have loaded a library
            scores, *second = await _timed(found.reward, group, **offered)
            process, clock = min(process, second[0]), min(clock, second[1])
    except RewardError as error:
        found.failures.append(Failure(row.sample.id, text, repr(error.__cause__)))
        return []
    except TimeoutError:
        found.failures.append(Failure(row.sample.id, text, f"no score within {PATIENCE:g} s"))
        return []
    n = len(probes)
    if found.is_timed:
        found.times.append(Time(process / n, clock / n, row.sample.id, text))
    return scores


async def _timed(reward: Reward, group: Group, **offered: Any) -> tuple[list[Score], float, float]:
    process, clock = time.process_time(), time.perf_counter()
    scores = await asyncio.wait_for(reward.scores(group, **offered), PATIENCE)
    return scores, time.process_time() - process, time.perf_counter() - clock


def _waits(times: Sequence[Time]) -> bool:
    """Whether the reward mostly waits for others: then rows are asked together, as in training."""
    latest = times[-64:]
    return len(latest) >= 8 and float(np.median([t.clock - t.process for t in latest])) > WAITS
