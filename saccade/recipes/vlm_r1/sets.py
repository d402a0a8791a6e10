"""What the recipe trains and is measured on: the published format, or a folder of pictures with boxes in a native format.

    >>> published(sources("rec_train.jsonl:rec_test.jsonl", folders="."), detection=None)
    >>> native("bccd", method="odLength", most_boxes=10, seed=0)         # VOC, COCO, YOLO, DeepPCB

No picture of a test set is trained on, whatever the files hold; a run says how many rows that took out of training.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from saccade.core.sample import DataError, Task
from saccade.data import detection as native_formats
from saccade.data.detection.pictures import existing
from saccade.data.vlm_r1 import Source, read, sources
from saccade.data.vlm_r1 import files as files_in
from saccade.recipes.vlm_r1.samples import ask, ask_native

KINDS = ("rec", "ovd", "text")
TEST = re.compile(r"(?<![a-z])(test|val|eval|validation|evaluation)(?![a-z])", re.IGNORECASE)  # I whole words of a file's name
SHIFTED = re.compile(r"(?<![a-z])(ood|shifted|lisa)(?![a-z])", re.IGNORECASE)  # I
HELD_OUT = 0.2  # O of a data set without a test part of its own


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """A set to report on: its samples are all of one kind."""

    __test__ = False  # it is no test case of pytest

    kind: str
    task: Task
    is_shifted: bool = False


@dataclass(frozen=True, kw_only=True)
class Sets:
    """Training tasks by kind, the sets to report on, and what there is to say of both."""

    train: Mapping[str, Task]
    tests: tuple[TestSet, ...]
    is_native: bool = False
    about: str = ""

    def apart(self) -> Sets:
        """The sets without training samples that show a picture of a test set. DataError if none is left."""
        held = [sample for test in self.tests for sample in test.task]
        train = {kind: task.apart_from(held) for kind, task in self.train.items()}
        if not all(len(task) for task in train.values()):
            raise DataError("every training row shows a picture of a test set; leave that set out, or train on other rows")
        return replace(self, train=train)


@dataclass(frozen=True, kw_only=True)
class Lists:
    """The published ":"-separated parallel lists of files, picture folders and methods, from the data folder. # C"""

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
        if task not in ("all", "ovd") or lists.images or lists.methods:
            raise DataError(f"{data} is a detection data set in a native format: it takes task=all or ovd, no images, no methods")
        return native(data, method=method or "odLength", most_boxes=most_boxes, seed=seed)
    files = lists.files or (data.name if data.is_file() else ":".join(f"{name}.jsonl" for name in files_in(data)))
    root = data.parent if data.is_file() else data
    listed = sources(files, folders=lists.images or ".", methods=lists.methods or None, root=root)
    found = published(listed, detection=method, most_tests=most_tests)
    chosen = {kind: found.train[kind] for kind in KINDS if kind in found.train and task in ("all", kind)}
    if not chosen:
        raise DataError(f"task is {task!r}; {data} has training rows of: {', '.join(found.train) or 'none'}")
    return replace(found, train=chosen, tests=tuple(test for test in found.tests if test.kind in chosen)).apart()


def published(listed: Sequence[Source], *, detection: str | None, most_tests: int | None = None) -> Sets:
    """The rows of VLM-R1's files: those named as tests (test, val, eval) are measured on, all others trained on.

    `detection` scores detection rows another way than they say. Of a test set at most `most_tests` samples are taken,
    drawn with seed 42. # C
    """
    question = partial(ask, detection=detection)
    train: dict[str, list[Task]] = {}
    tests: list[TestSet] = []
    for source in listed:
        name = _file_name(source.path.stem)
        is_test = bool(TEST.search(name.replace("_", "-")))
        task = Task.from_rows(read(source), question, name=name, split="test" if is_test else "train")
        for kind, part in _by_kind(task).items():
            if is_test:
                tests.append(TestSet(kind=kind, task=_some(part, most_tests), is_shifted=bool(SHIFTED.search(name.replace("_", "-")))))
            else:
                train.setdefault(kind, []).append(part)
    if not train:
        names = ", ".join(source.path.name for source in listed)
        raise DataError(f"no file to train on among {names}: names with test, val or eval are test sets")
    return Sets(train={kind: _joined(kind, tasks) for kind, tasks in train.items()}, tests=tuple(tests))


def native(folder: Path | str, *, method: str, most_boxes: int, seed: int) -> Sets:
    """A detection data set in its native format, asked as open-vocabulary detection.

    Its own test part is measured on and all else trained on; without one a fifth of its pictures are held out, by their
    pixels.
    """
    root = existing(folder)
    rows = native_formats.read_boxes(root)
    names = sorted({thing.label for row in rows for thing in row.get("objects", ())})
    train_rows, test_rows = native_formats.parted(rows, held_out=HELD_OUT, seed=seed)
    question = partial(ask_native, names=names, method=method, most_boxes=most_boxes, seed=seed)
    name = _file_name(root.name)
    train = Task.from_rows(train_rows, question, name=name, split="train")
    test = Task.from_rows(test_rows, question, name=f"{name}-test", split="test")
    sets = Sets(train={"ovd": train}, tests=(TestSet(kind="ovd", task=test),), is_native=True).apart()
    asked = [sample.data for sample in (*sets.train["ovd"], *test)]
    n_boxes, n_asked, n_unsure = (sum(data[key] for data in asked) for key in ("boxes", "boxes_asked", "unsure"))
    about = f"{len(names)} labels, {len(sets.train['ovd'])} pictures to train on, {len(test)} held out; "
    about += f"{n_asked} of {n_boxes} boxes asked for, as labels with more than {most_boxes} in a picture are not"
    about += f"; {n_unsure} difficult ones and crowds are no target" if n_unsure else ""
    return replace(sets, about=about)


def held_back(train: Mapping[str, Task], most: int) -> tuple[dict[str, Task], dict[str, Task]]:
    """(training tasks, those held back) by kind: the last samples of each, at most a fifth; no picture is in both."""
    held = {kind: task.hold_out(max(1, min(most, len(task) // 5)))[1] for kind, task in train.items()}
    shown = [sample for task in held.values() for sample in task]
    ids = {sample.id for sample in shown}
    rest = {kind: replace(t, samples=tuple(s for s in t if s.id not in ids)).apart_from(shown) for kind, t in train.items()}
    return rest, held


def _is_native(folder: Path) -> bool:
    return folder.is_dir() and any(module.is_here(folder.resolve()) for module in native_formats.FORMATS.values())


def _by_kind(task: Task) -> dict[str, Task]:
    """The task, or where it mixes kinds a task of each; bad rows stay with the first."""
    kinds = list(dict.fromkeys(sample.kind for sample in task))
    parts = {}
    for place, kind in enumerate(kinds):
        samples = tuple(sample for sample in task if sample.kind == kind)
        name = task.name if len(kinds) == 1 else f"{task.name}-{kind}"
        parts[kind] = replace(task, name=name, samples=samples, bad_rows=() if place else task.bad_rows)
    return parts


def _joined(name: str, tasks: Sequence[Task]) -> Task:
    samples = tuple(sample for task in tasks for sample in task)
    return Task(name=name, split="train", samples=samples, bad_rows=tuple(bad for task in tasks for bad in task.bad_rows))


def _some(task: Task, most: int | None) -> Task:
    if most is None or len(task) <= most:
        return task
    return replace(task, samples=tuple(random.Random(42).sample(list(task), most)))  # C the seed


def _file_name(stem: str) -> str:
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "set"
