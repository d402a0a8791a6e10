"""Telling other people's tools of a run, where that is asked for (docs/tracking.md). No service of others may stop a run.

    run = Tracked(path=folder.path, recipe="reason_rft", id="reason_rft-2026-11-20-1-3f9c2a1b", settings=recipe.settings())
    with Tracking.open(["tensorboard"], run) as tracking:
        tracking.log({"run/stage": "rl", "run/step": 1, "run/total_steps": 21, "reward/mean": 0.5})        # under step 21
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import PIL.Image

from saccade.core.rollout import Group
from saccade.run.trackers import STEP, TRACKERS, Row, Tracked, Tracker

SHOW_EVERY = 10  # steps from one table of rollouts to the next
SHOWN = 2  # groups in each
SIDE = 640  # pixels, the longest side of a picture in a table
BEST = "best/"


class TrackerError(RuntimeError):
    """A tool that cannot be used; the message says what to do."""


def require_installed(names: Sequence[str]) -> None:
    """TrackerError for a tool that is unknown or whose package is not there."""
    for name in names:
        if name not in TRACKERS:
            raise TrackerError(f"there is no tracker {name!r}; have: {', '.join(TRACKERS)}")
        package = TRACKERS[name].package
        if importlib.util.find_spec(package) is None:
            raise TrackerError(f"--track {name} needs the package {package}; install it with `pip install {package}`, or leave it out")


class Tracking:
    """Tools that are told of a run, all alike; none by default. What they return are sentences that a person should hear."""

    def __init__(self, tools: Mapping[str, Tracker] | None = None) -> None:
        self._tools = dict(tools or {})
        self._line, self._known = 0, 0

    @classmethod
    def open(cls, names: Sequence[str], run: Tracked, *, excuse: Callable[[str], None] | None = None) -> Tracking:
        """TrackerError for one that is not installed or does not begin, such as a service that one is not logged in to.

        `excuse`, where given, is told that sentence instead, and the tool is left out.
        """
        opened: dict[str, Tracker] = {}
        for name in dict.fromkeys(names):
            try:
                opened[name] = _begun(name, run)
            except TrackerError as fault:
                if excuse is None:
                    Tracking(opened).close(is_finished=False)
                    raise
                excuse(str(fault))
        return cls(opened)

    def go_on(self, *, kept: int, known: int) -> None:
        """A run is resumed: `kept` lines stand before its checkpoint, and of `known` lines the tools were told already.

        Those between are written once more, the same, and are not told again.
        """
        self._line, self._known = kept, known

    def log(self, line: Mapping[str, float | int | str | None]) -> list[str]:
        """A line of metrics.jsonl at the run's total step. That of the checkpoint which is handed over stands under best/."""
        number, self._line = self._line, self._line + 1
        if number < self._known:
            return []
        step = int(line[STEP] if STEP in line else line["run/step"])
        head = BEST if str(line["run/stage"]).startswith("best ") else ""
        values = {head + key: value for key, value in line.items() if value is not None and not key.startswith("run/")}
        return self._tell(lambda tool: tool.log(values, step=step, line=number))

    def show(self, groups: Sequence[Group], *, step: int) -> list[str]:
        """Every tenth step, before its line, the first few of its groups as a table."""
        if self._line < self._known or not self._tools or (step - 1) % SHOW_EVERY:
            return []
        rows = [_row(group) for group in groups[:SHOWN]]
        return self._tell(lambda tool: tool.table("rollouts", rows, step=step, line=self._line))

    def finish(self, summary: Mapping[str, Any]) -> list[str]:
        """What the run came to, a row per evaluation."""
        rows = [
            {"set": name, "samples": found["n"], "before": found["before"]["greedy"]["mean"],
             **{f"after, {key}": found["after"]["greedy"][key] for key in ("mean", "low", "high")}}
            for name, found in summary["evaluations"].items()
        ]  # fmt: skip
        step = sum(summary["steps"].values())
        return self._tell(lambda tool: tool.table("evaluations", rows, step=step, line=self._line)) if rows else []

    def close(self, *, is_finished: bool) -> list[str]:
        """Let go of all of them."""
        found = self._tell(lambda tool: tool.close(is_finished=is_finished))
        self._tools = {}
        return found

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for sentence in self.close(is_finished=kind is None):
            print(sentence, file=sys.stderr)

    def _tell(self, what: Callable[[Tracker], None]) -> list[str]:
        """Tell every tool; the sentences on those that failed, which are told nothing more."""
        sentences = []
        for name, tool in list(self._tools.items()):
            try:
                what(tool)
            except Exception as fault:  # others' code and services; the run goes on
                del self._tools[name]
                sentences.append(f"{name} is told nothing more of this run, as it failed: {_said(fault)}")
        return sentences


def _begun(name: str, run: Tracked) -> Tracker:
    require_installed([name])
    try:
        return TRACKERS[name](run)
    except Exception as fault:  # others' code, which may raise anything
        raise TrackerError(f"--track {name} could not begin: {_said(fault)}") from fault


def _said(fault: Exception) -> str:
    """What went wrong, in one line."""
    return " ".join(str(fault).split()) or type(fault).__name__


def _row(group: Group) -> Row:
    """A group as a row of a table: what was asked, and every answer under its reward."""
    answers = (
        f"{'no reward' if rollout.reward is None else f'{rollout.reward:.3g}'}\n{rollout.text}" for rollout in group.rollouts
    )
    sample = group.sample
    return {
        "pictures": _strip([picture.image for picture in sample.pictures]),
        "sample": sample.id,
        "prompt": sample.prompt_text,
        "target": str(sample.target),
        "answers": "\n\n".join(answers),
    }


def _strip(images: Sequence[PIL.Image.Image]) -> PIL.Image.Image | None:
    """The pictures side by side, small enough for a table."""
    if not images:
        return None
    small = [image.convert("RGB") for image in images]
    for image in small:
        image.thumbnail((SIDE, SIDE))
    strip = PIL.Image.new("RGB", (sum(image.width for image in small), max(image.height for image in small)))
    left = 0
    for image in small:
        strip.paste(image, (left, 0))
        left += image.width
    return strip
