"""What is wrong with a run, read from its metrics: one plain sentence when something crosses a threshold.

    >>> health = Health(WATCHES)
    >>> for line in lines:                               # the dicts of metrics.jsonl, in order
    ...     for name, sentence in health.hear(line).items():
    ...         warn(sentence)                           # "25% of the rollouts over the last 10 steps were cut off ..."

A watch compares a stage's last steps with a threshold or with its first steps. It speaks when it crosses its threshold,
and again only when it was silent for `calm` lines and crosses anew. Every stage starts with an empty history. Nothing
but the lines counts, and no timings, so that a resumed run that hears its old lines again knows the same. The watches
themselves are in `watches.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median, variance

RECENT = 10  # O steps that a figure is the mean of: accuracy of the miniature wobbles by 0.08 a step, so by 0.025
NEEDS = 5  # O of them that must have the figure
KEPT = 50  # O newest steps that are remembered
CALM = 10  # O silent lines after which a watch may speak again: its window then holds none of the old trouble
TRAINING = ("reward/", "rollout/", "policy/", "loss/", "learn/")  # areas that only a step has


@dataclass(frozen=True, kw_only=True)
class Past:
    """What was heard of a stage. Figures that cannot be told are nan, which is neither above nor below anything."""

    line: Mapping[str, float] = field(default_factory=dict)
    first: tuple[Mapping[str, float], ...] = ()  # the stage's first RECENT steps
    last: tuple[Mapping[str, float], ...] = ()  # its last KEPT steps
    measured: tuple[Mapping[str, float], ...] = ()  # its last KEPT lines with evaluations
    selecting: frozenset[str] = frozenset()  # sets measured while it trains: those that choose the checkpoint
    steps: int = 0

    def after(self, line: Mapping[str, float]) -> Past:
        """This past and one more line."""
        past, sets = replace(self, line=line), {key.split("/")[1] for key in line if key.startswith("eval/")}
        if sets:
            past = replace(past, measured=(*past.measured, line)[-KEPT:])
        if not any(key.startswith(TRAINING) for key in line):
            return past
        first, last = (*past.first, line)[:RECENT], (*past.last, line)[-KEPT:]
        return replace(past, first=first, last=last, selecting=past.selecting | sets, steps=past.steps + 1)

    def recent(self, key: str, n: int = RECENT) -> list[float]:
        """The values over the last `n` steps."""
        return [line[key] for line in self.last[-n:] if key in line]

    def now(self, key: str, n: int = RECENT) -> float:
        """The mean over the last steps."""
        return _or_nan(fmean, self.recent(key, n))

    def middle(self, key: str) -> float:
        """The median over the last steps."""
        return _or_nan(median, self.recent(key))

    def then(self, key: str) -> float:
        """The mean over the stage's first steps, as soon as the last ones are others."""
        return _or_nan(fmean, self._start(key)) if self.steps >= 2 * RECENT else math.nan

    def change(self, key: str, n: int = RECENT) -> float:
        """From the first steps to the last ones, in standard errors."""
        difference = self.now(key, n) - self.then(key)
        if math.isnan(difference):
            return math.nan
        noise = math.sqrt(sum(variance(values) / len(values) for values in (self._start(key), self.recent(key, n))))
        return difference / noise if noise else math.copysign(math.inf, difference) if difference else 0.0

    def scores(self, name: str) -> list[float]:
        """The sampled scores of a held-out set, as often as it was measured."""
        return [line[key] for line in self.measured if (key := f"eval/{name}/sampled") in line]

    @property
    def over(self) -> str:
        """The window of `now`, in words."""
        return f"over the last {min(self.steps, RECENT)} steps"

    def _start(self, key: str) -> list[float]:
        return [line[key] for line in self.first if key in line]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One thing to look at; with another threshold: `replace(truncated, numbers={**truncated.numbers, "share": 0.4})`.

    look   takes the past and the numbers, and gives the sentence while the threshold is crossed, else ""
    keys   it is judged on lines with a key that begins so
    calm   silent lines after which it may speak again
    """

    look: Callable[..., str]
    keys: tuple[str, ...]
    numbers: Mapping[str, float]
    calm: int = CALM

    @property
    def name(self) -> str:
        """As in the key `health/<name>`."""
        return self.look.__name__

    @property
    def about(self) -> str:
        """What it looks at and its threshold, one line for a table: `look`'s docstring with the numbers filled in."""
        return (self.look.__doc__ or "").format(**self.numbers)

    def __call__(self, past: Past) -> str:
        return self.look(past, **self.numbers)


class Health:
    """Hears a run's metric lines in order, and says what newly crossed its threshold."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._watches = tuple(watches)
        self._stage = ""
        self._past = Past()
        self._silent: dict[str, float] = {}  # lines since each watch was last beyond its threshold

    def hear(self, line: Mapping[str, float | int | str | None]) -> dict[str, str]:
        """{watch: sentence} of what newly crossed its threshold. What is not a finite number counts as absent."""
        stage = str(line.get("run/stage") or self._stage)
        if stage != self._stage:
            self._stage, self._past, self._silent = stage, Past(), {}
        self._past = self._past.after({key: float(value) for key, value in line.items() if _is_number(value)})
        return {watch.name: sentence for watch in self._watches if (sentence := self._news(watch))}

    def _news(self, watch: Watch) -> str:
        if not any(key.startswith(watch.keys) for key in self._past.line):
            return ""
        sentence, silent = watch(self._past), self._silent.get(watch.name, math.inf)
        self._silent[watch.name] = 0 if sentence else silent + 1
        return sentence if silent >= watch.calm else ""


def watch(*keys: str, calm: int = CALM) -> Callable[[Callable[..., str]], Watch]:
    """Make a function a Watch; its keywords' defaults are the numbers."""
    return lambda look: Watch(look=look, keys=keys, numbers=look.__kwdefaults__, calm=calm)


def _or_nan(function: Callable[[list[float]], float], values: list[float]) -> float:
    return function(values) if len(values) >= NEEDS else math.nan


def _is_number(value: object) -> bool:
    """Also not so large that sums and squares of a few would overflow."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e150
