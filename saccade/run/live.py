"""What a person sees while a run trains: one status block that refreshes, and sentences that stay.

    >>> live = Live(total_steps=80)
    >>> live.begin("rl", steps=60)
    >>> live.step({"reward/mean": 0.5, "reward/format": 0.9, "rollout/tokens": 41.0, "speed/tokens_per_second": 5210.0})
    >>> live.warn("2 of 200 rows have no picture and are left out.")
    >>> live.close()

On a terminal the block is redrawn in place and fits; elsewhere a plain line comes at the first and last step of a stage
and every half minute.
"""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

from saccade.run.terminal import can_show, fit, printable, width_of

REWARD = "reward/"  # every key that begins so is shown
LOSS = "loss/"  # likewise, where there are no rewards
LENGTH = "rollout/tokens"
SPEED = "speed/tokens_per_second"
PLAIN_EVERY = 30.0  # seconds between lines where the output is not a terminal
PACE_OVER = 20  # steps that the time left is estimated from
BAR = 20


class Live:
    """Progress of one run. `done` steps of `total_steps` lie behind it where it is resumed."""

    def __init__(
        self,
        total_steps: int,
        *,
        done: int = 0,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.out = out or sys.stderr
        self.warnings: list[str] = []
        self._total, self._done = total_steps, done
        self._stage, self._stage_steps, self._stage_done = "", total_steps, done
        self._clock = clock
        self._times: deque[float] = deque([clock()], maxlen=PACE_OVER + 1)
        self._rewards: deque[float] = deque(maxlen=BAR)
        self._metrics: Mapping[str, Any] = {}
        self._shows: Sequence[str] | None = None
        self._note = ""
        self._drawn = 0
        self._printed_at: float | None = None
        self._is_terminal = self.out.isatty() and os.environ.get("TERM") != "dumb"

    def begin(self, stage: str, *, steps: int, done: int = 0, shows: Sequence[str] | None = None) -> None:
        """A stage of so many steps begins, or goes on after `done` of them.

        `shows` names the metrics to show beside answer length and speed; None means every reward, or else every loss.
        """
        self._shows = shows
        self._stage, self._stage_steps, self._stage_done = stage, steps, done
        self._times = deque([self._clock()], maxlen=PACE_OVER + 1)
        self._rewards.clear()
        self._metrics, self._note, self._printed_at = {}, "", None
        self._draw()

    def step(self, metrics: Mapping[str, Any]) -> None:
        """One more step is done, and these are its metrics."""
        self._done += 1
        self._stage_done += 1
        self._times.append(self._clock())
        self._metrics, self._note = metrics, ""
        if (mean := metrics.get(f"{REWARD}mean")) is not None:
            self._rewards.append(mean)
        is_due = self._printed_at is None or self._clock() - self._printed_at >= PLAIN_EVERY
        if not self._is_terminal and (is_due or self._stage_done == self._stage_steps):
            self._printed_at = self._clock()
            self._print(printable(" | ".join([f"{self._stage} {self._count}", *self._facts, self._pace])))
        self._draw()

    def note(self, text: str) -> None:
        """Say what happens between two steps, such as an evaluation. The next step clears it."""
        self._note = text
        if not self._is_terminal:
            self._print(printable(text))
        self._draw()

    def warn(self, sentence: str) -> None:
        """Print a sentence that stays, once however often it is said. All of them are in `warnings` afterwards."""
        if sentence in self.warnings:
            return
        self.warnings.append(sentence)
        self.say(f"warning: {sentence}")

    def say(self, sentence: str) -> None:
        """Print a sentence that stays."""
        self._clear()
        self._print("\n".join(textwrap.wrap(printable(sentence), self._width, subsequent_indent="  ") or [""]))
        self._draw()

    def close(self) -> None:
        """Leave the last block where it is and write no more."""
        self._draw()
        self._drawn = 0

    @property
    def _width(self) -> int:
        return width_of(self.out)

    @property
    def _count(self) -> str:
        return f"{self._stage_done}/{self._stage_steps}"

    @property
    def _facts(self) -> list[str]:
        """The metrics worth a look, each in a few words."""
        chosen = self._shows
        if chosen is None:
            chosen = [key for key in self._metrics if key.startswith(REWARD)]
            chosen = chosen or [key for key in self._metrics if key.startswith(LOSS)]
        shown = [_fact(key, self._metrics[key]) for key in chosen if self._metrics.get(key) is not None]
        if (length := self._metrics.get(LENGTH)) is not None:
            shown.append(f"answer {length:,.0f} tokens")
        if (speed := self._metrics.get(SPEED)) is not None:
            shown.append(f"{speed:,.0f} tokens/s")
        return shown

    @property
    def _pace(self) -> str:
        steps = len(self._times) - 1
        if steps == 0:
            return "ETA -:--:--"
        seconds = (self._times[-1] - self._times[0]) / steps
        left = max(0, self._total - self._done)
        return f"{_seconds(seconds)}/step | ETA {_clock_time(seconds * left)}"

    def _draw(self) -> None:
        if not self._is_terminal or not self._stage:
            return
        width, has_blocks = self._width, can_show("█▁", self.out)
        share = self._stage_done / self._stage_steps if self._stage_steps else 1.0
        full = round(min(share, 1.0) * BAR)
        bar = "█" * full + "░" * (BAR - full) if has_blocks else "#" * full + "." * (BAR - full)
        lines = [f"{self._stage}  {bar}  {self._count}  {self._pace.replace(' | ', '  ')}"]
        if len(lines[0]) >= width:
            lines = [f"{self._stage}  {self._count}  {self._pace.replace(' | ', '  ')}"]
        lines += _flowed(self._facts, width - 1)
        if has_blocks and len(self._rewards) > 1:
            lines.append(f"reward, last {len(self._rewards)} steps  {_trend(self._rewards)}")
        if self._note:
            lines.append(self._note)
        self._clear()
        self.out.write("".join(f"{fit(line, width - 1)}\n" for line in lines))
        self.out.flush()
        self._drawn = len(lines)

    def _clear(self) -> None:
        if self._drawn:
            self.out.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0

    def _print(self, text: str) -> None:
        self.out.write(f"{text}\n")
        self.out.flush()


def _fact(key: str, value: float | str) -> str:
    """`reward/mean` as "reward 0.53", `reward/format` as "format 0.9", `loss/sft` as "loss sft 1.2"."""
    area, _, name = key.partition("/")
    label = area if name == "mean" else name if key.startswith(REWARD) else f"{area} {name}"
    return f"{label} {value if isinstance(value, str) else format(value, '.3g')}"


def _flowed(facts: Iterable[str], width: int) -> list[str]:
    """The facts side by side, on as many lines as they need."""
    lines: list[str] = []
    for fact in facts:
        if lines and len(lines[-1]) + 3 + len(fact) <= width:
            lines[-1] += f"   {fact}"
        else:
            lines.append(fact)
    return lines


def _trend(values: Iterable[float]) -> str:
    values = list(values)
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join("▁▂▃▄▅▆▇█"[int(7 * (value - low) / span)] for value in values)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


def _clock_time(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"
