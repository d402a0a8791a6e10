"""What the recipe trains and is measured on: the published format, or a folder of pictures with boxes in a native format.

    >>> published(sources("rec_train.jsonl:rec_test.jsonl", folders="."), detection=None)
    >>> native("bccd", method="odLength", most_boxes=10, seed=0)         # VOC, COCO, YOLO, DeepPCB
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from saccade.core.sample import BadRow, DataError, Sample, Task
from saccade.data import detection as native_formats
from saccade.data.detection.pictures import existing
from saccade.data.vlm_r1 import Source, read, sources
from saccade.data.vlm_r1 import files as files_in
from saccade.recipes.vlm_r1.samples import ask, ask_native

KINDS = ("rec", "ovd", "text")
TEST = re.compile(r"(^|[^a-z])(test|val|eval|dev)", re.IGNORECASE)  # I the published files are told apart by their names
SHIFTED = re.compile(r"ood|shift|lisa", re.IGNORECASE)  # I
HELD_OUT = 0.2  # O of a data set without a test part of its own
TEST_PARTS = ("test", "val", "valid", "val2017")  # O of a native data set, the first that is there


@dataclass(frozen=True, kw_only=True)
class Sets:
    """Training samples by kind, test sets (name, kind, task, is_shifted), bad training rows, and what there is to say."""

    train: Mapping[str, list[Sample]]
    tests: tuple[tuple[str, str, Task, bool], ...]
    bad_rows: tuple[BadRow, ...]
    is_native: bool = False
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Lists:
    """The published ":"-separated parallel lists of files, picture folders and methods, counted from the data folder. # C"""

    files: str = ""
    images: str = ""
    methods: str = ""


def sets_of(
    data: Path,
    *,
    lists: Lists,
    task: str,
    method: str | None,
    most_boxes: int,
    most_tests: int | None,
    seed: int,
) -> Sets:
    """The sets of a folder or file, of the kinds that `task` names ("all": whatever is there). DataError if it has none.

    A folder with annotations in a native detection format is read as that, unless files are named.
    """
    if not lists.files and _is_native(data):
        return native(data, method=method or "odLength", most_boxes=most_boxes, seed=seed)
    files = lists.files or (data.name if data.is_file() else ":".join(f"{name}.jsonl" for name in files_in(data)))
    root = data.parent if data.is_file() else data
    listed = sources(files, folders=lists.images or ".", methods=lists.methods or None, root=root)
    found = published(listed, detection=method, most_tests=most_tests)
    chosen = {kind: found.train[kind] for kind in KINDS if kind in found.train and task in ("all", kind)}
    if not chosen:
        raise DataError(f"task is {task!r}; {data} has training rows of: {', '.join(found.train) or 'none'}")
    return replace(found, train=chosen, tests=tuple(test for test in found.tests if test[1] in chosen))


def published(sources: Sequence[Source], *, detection: str | None, most_tests: int | None = None) -> Sets:
    """The rows of VLM-R1's files: those named as tests (test, val, eval) are measured on, all others trained on.

    `detection` scores detection rows another way than they say. Of a test set at most `most_tests` samples are taken, drawn
    with seed 42. # C
    """
    question = partial(ask, detection=detection)
    train: dict[str, list[Sample]] = {}
    bad: list[BadRow] = []
    tests: list[tuple[str, str, Task, bool]] = []
    for source in sources:
        name = _file_name(source.path.stem)
        is_test = bool(TEST.search(name))
        task = Task.from_rows(read(source), question, name=name, split="test" if is_test else "train")
        kinds = _by_kind(task)
        if is_test:
            for kind, samples in kinds.items():
                named = name if len(kinds) == 1 else f"{name}-{kind}"
                few = _some(samples, most_tests)
                part = Task(name=named, split="test", samples=tuple(few), bad_rows=task.bad_rows)
                tests.append((named, kind, part, bool(SHIFTED.search(name))))
            continue
        bad += task.bad_rows
        for kind, samples in kinds.items():
            train.setdefault(kind, []).extend(samples)
    if not train:
        names = ", ".join(source.path.name for source in sources)
        raise DataError(f"no file to train on among {names}: names with test, val or eval are test sets")
    return Sets(train=train, tests=tuple(tests), bad_rows=tuple(bad))


def native(folder: Path | str, *, method: str, most_boxes: int, seed: int) -> Sets:
    """A detection data set in its native format, asked as open-vocabulary detection.

    Its own test part is measured on, else a fifth of its pictures, held out by their pixels; a picture of the test part
    that training shows, too, is taken out of training.
    """
    root = existing(folder)
    rows = native_formats.read(root)
    names = sorted({thing.label for row in rows for thing in row.get("objects", ())})
    if not names:
        raise DataError(f"{root} ({native_formats.format_of(root)}) has no boxes to find; detection needs labelled boxes")
    train_rows, test_rows = _parted(rows, seed=seed)
    question = partial(ask_native, names=names, method=method, most_boxes=most_boxes, seed=seed)
    name = _file_name(root.name)
    train = Task.from_rows(train_rows, question, name=name, split="train")
    test = Task.from_rows(test_rows, question, name=name, split="test")
    shown = {picture.sha for sample in test for picture in sample.pictures}
    kept = without_pictures(shown, train)
    left_out = sum(sample.data["left_out"] for sample in (*kept, *test))
    about = f"{len(names)} labels, {len(kept)} pictures to train on and {len(test)} held out"
    about += f"; {left_out} objects of crowded labels are not asked for" if left_out else ""
    tests = ((f"{name}-test", "ovd", test, False),)
    return Sets(train={"ovd": kept}, tests=tests, bad_rows=train.bad_rows, is_native=True, about=about)


Kinds = dict[str, list[Sample]]


def held_back(train: Mapping[str, list[Sample]], most: int) -> tuple[Kinds, Kinds]:
    """(training samples, those held back) by kind: the last of each, at most a fifth; training shows no picture of them."""
    held = {kind: samples[-max(1, min(most, len(samples) // 5)) :] for kind, samples in train.items()}
    shown = {picture.sha for samples in held.values() for sample in samples for picture in sample.pictures}
    rest = {kind: without_pictures(shown, samples[: len(samples) - len(held[kind])]) for kind, samples in train.items()}
    return rest, held


def without_pictures(shown: set[str], samples: Sequence[Sample] | Task) -> list[Sample]:
    """The samples that show none of these pictures (by their pixels)."""
    return [sample for sample in samples if not any(picture.sha in shown for picture in sample.pictures)]


def _is_native(folder: Path) -> bool:
    return folder.is_dir() and any(module.is_here(folder.resolve()) for module in native_formats.FORMATS.values())


def _parted(rows: Sequence[Mapping[str, Any]], *, seed: int) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    parts = {str(row.get("part", "")) for row in rows}
    own = next((part for part in TEST_PARTS if part in parts), None)
    if own is None or parts == {own}:
        return native_formats.split(rows, held_out=HELD_OUT, seed=seed)
    test = [row for row in rows if row.get("part") == own]
    return [row for row in rows if row.get("part") not in TEST_PARTS], test


def _by_kind(task: Task) -> dict[str, list[Sample]]:
    kinds: dict[str, list[Sample]] = {}
    for sample in task:
        kinds.setdefault(sample.kind, []).append(sample)
    return kinds


def _some(samples: list[Sample], most: int | None) -> list[Sample]:
    if most is None or len(samples) <= most:
        return samples
    return random.Random(42).sample(samples, most)  # C the seed


def _file_name(stem: str) -> str:
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "set"
