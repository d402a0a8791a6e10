"""The sets of samples that Vision-R1 (Griffon) trains and is tested on, and the gold answers that SFT imitates."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image

from saccade.core.picture import Picture
from saccade.core.sample import DataError, Message, Sample, Task
from saccade.data import detection
from saccade.data.vision_r1_griffon import MOST, files, from_annotations, is_published, one_by_one, read
from saccade.policy.reader import Reader
from saccade.policy.spec import ModelSpec
from saccade.recipes.vision_r1_griffon.prompts import gold_answer

Sets = Mapping[str, Callable[[int], list[dict[str, Any]]]]  # name -> its rows with at least so many objects


def sets_of(folder: Path, *, seed: int) -> Sets:
    """The sets of a folder in the published format, or of one of annotated pictures, by their names; one is "train".

    Annotated pictures may be in any format of `saccade.data.detection`; a fifth of them is held out and asked in both ways.
    """
    return _published(folder) if is_published(folder) else _annotated(folder, seed=seed)


def _published(folder: Path) -> Sets:
    have = files(folder)
    if "train" not in have:
        raise DataError(f"{folder} has no train set; it has: {', '.join(have)}")
    return {name: functools.partial(_rows_of, folder, name) for name in have}


def _rows_of(folder: Path, name: str, least: int) -> list[dict[str, Any]]:
    return read(folder, name, least=least)


def _annotated(folder: Path, *, seed: int) -> Sets:
    train, held_out = detection.split(detection.read(folder), held_out=0.2, seed=seed)  # O
    return {
        "train": lambda least: from_annotations(train, least=least, most=MOST),
        "held-out": lambda least: from_annotations(held_out, least=least),
        "held-out-one": lambda least: one_by_one(held_out),
    }


def with_solutions(task: Task, spec: ModelSpec) -> Task:
    """The task with gold answers in pixels of the pictures as this model will see them."""
    seen = _sizes(Reader.of(spec))
    samples = []
    for sample in task:
        messages = tuple(
            Message(m.role, tuple(p.seen_at(seen(p)) if isinstance(p, Picture) else p for p in m.parts))
            for m in sample.messages
        )
        samples.append(replace(sample, solution=gold_answer(replace(sample, messages=messages))))
    return replace(task, samples=tuple(samples))


def _sizes(reader: Reader) -> Callable[[Picture], tuple[int, int]]:
    """At which size a model sees a picture. The processor is asked once for each size that pictures have."""
    known: dict[tuple[int, int], tuple[int, int]] = {}

    def seen(picture: Picture) -> tuple[int, int]:
        if picture.size not in known:
            blank = Picture.of(PIL.Image.new("RGB", picture.size))
            sizes = reader.read(Sample(id="size", messages=(Message("user", (blank,)),), target=None)).model_sizes
            if not sizes:
                raise DataError("SFT on boxes needs a model that sees a picture whole, at one size; this family cuts it into tiles")
            known[picture.size] = sizes[0]
        return known[picture.size]

    return seen
