"""The sets of a folder in VL-Rethinker's format: what is trained on, held out and reported, apart from one another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

from saccade.core.sample import DataError, Sample, Task
from saccade.data.vl_rethinker import files, passable, read
from saccade.recipes.vl_rethinker.prompts import ask

MEASURED = "7B"  # P the untrained model whose pass rates choose the rows, where there are any


@dataclass(frozen=True, kw_only=True)
class Sets:
    """`reason` and `rethink` are the same rows under the instructions of the two stages.

    They show no picture of `val` or of a reported set, and ask nothing without picture that one of these asks.
    """

    reason: Task
    rethink: Task
    val: Task
    reported: tuple[Task, ...]

    @property
    def asked(self) -> list[Sample]:
        """Everything that must not be trained on."""
        return [sample for task in (self.val, *self.reported) for sample in task]


def sets_of(folder: Path, pass_rate: str, *, reason: str, rethink: str, most_held: int) -> Sets:
    """The sets of a folder; at most `most_held` rows, and a fifth, are held out. DataError when nothing is left to
    train on."""
    rows = read(folder, "train")
    if pass_rate not in ("", MEASURED) and not any(row.get("pass_rates") for row in rows):
        raise DataError(f"{folder} has no pass rates, so pass_rate={pass_rate} would do nothing; leave it out")
    rows = passable(rows, pass_rate)
    plain, again = (_task(rows, instruction, "train", "train") for instruction in (reason, rethink))
    reported = _reported(folder, rethink)
    n_held = max(1, min(most_held, len(again) // 5))  # O
    val = Task(name="val", split="train", samples=again.samples[-n_held:])
    left = replace(again, samples=again.samples[:-n_held])
    apart = left.apart_from([sample for task in (val, *reported) for sample in task])
    if not apart.samples:
        raise DataError(
            f"{folder} has {len(again)} row(s) to train on, and none is left beside the {n_held} held out and what is reported on: "
            "more rows are needed"
        )
    ids = {sample.id for sample in apart}  # by id, as the instruction of the first stage may be another
    return Sets(
        reason=replace(plain, samples=tuple(sample for sample in plain if sample.id in ids), left_out=apart.left_out),
        rethink=apart,
        val=val,
        reported=reported,
    )


def _reported(folder: Path, instruction: str) -> tuple[Task, ...]:
    """One task of each benchmark that the folder holds, told by the beginning of its rows' ids. # C"""
    if "eval" not in files(folder):
        return ()
    by_benchmark: dict[str, list[Mapping[str, Any]]] = {}
    for row in read(folder, "eval"):
        by_benchmark.setdefault(row["benchmark"], []).append(row)
    names = _names(list(by_benchmark))
    return tuple(_task(rows, instruction, name, "test") for name, rows in zip(names, by_benchmark.values(), strict=True))


def _names(benchmarks: Sequence[str]) -> list[str]:
    """A name for the evaluation of each: what no name may hold is "-", and none is "val" or stands twice.

    >>> _names(["MMMU Pro", "MMMU/Pro", "val"])
    ['MMMU-Pro', 'MMMU-Pro-2', 'val-2']
    """
    names: list[str] = []
    for benchmark in benchmarks:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", benchmark).strip("-.") or "eval"
        taken = {"val", *(name.lower() for name in names)}
        names.append(next(name for name in chain([plain], (f"{plain}-{n}" for n in count(2))) if name.lower() not in taken))
    return names


def _task(rows: Sequence[Mapping[str, Any]], instruction: str, name: str, split: str) -> Task:
    return Task.from_rows(rows, partial(ask, instruction=instruction), name=name, split=split)
