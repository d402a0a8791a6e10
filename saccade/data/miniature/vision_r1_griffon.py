"""Writes a miniature of the Vision-R1 (Griffon) data set, in its published columns.

    folder/data/train-00000-of-00001.parquet       detection, grounding and referring, mixed about as published
    folder/data/id-..., grounding-..., referring-..., ood-free-..., ood-crowded-...        sets to be tested on

Pictures are scenes of digits and solids (objects.py) of 112 pixels, two thirds of them stored larger, so that the boxes of a row count
other pixels than a model that sees 112 x 112 does. Same seed, same bytes. Train and test share no digit scan and no picture.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image

from saccade.core.sample import DataError
from saccade.data import parquet
from saccade.data.fresh import fresh
from saccade.data.miniature.objects import LABELS, Layout, Thing, scene
from saccade.data.miniature.puzzle import SIDE
from saccade.data.vision_r1_griffon import PROBLEMS

Kind = Literal["detection", "grounding", "referring"]
TRAIN_MIX: Mapping[str, float] = {"detection": 30 / 49, "grounding": 9 / 49, "referring": 10 / 49}  # P
NEGATIVES = 0.04  # O of the training rows ask for what is not there; the paper says "some"
HARD = 4  # O objects of a hard scene; the paper's are more than 10 in a photograph
SIZES = (112, 168, 224)  # O pixels of a side, as stored


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """A set to be tested on: how its scenes are drawn, and what is asked of them."""

    kind: Kind
    least: int = 2
    most: int = 5
    layout: Layout = "grid"


TESTS: Mapping[str, TestSet] = {
    "id": TestSet(kind="detection"),
    "grounding": TestSet(kind="grounding"),
    "referring": TestSet(kind="referring"),
    "ood-free": TestSet(kind="detection", layout="free"),
    "ood-crowded": TestSet(kind="detection", least=6, most=8),
}


def write_vision_r1_griffon(folder: Path | str, *, seed: int = 0, n_train: int = 1500, n_test: int = 120) -> Path:
    """The folder, freshly written, with so many rows to train on and in each test set. DataError if something is there already."""
    if n_train < 1 or n_test < 1:
        raise DataError(f"n_train and n_test must be at least 1, got {n_train} and {n_test}")
    with fresh(folder) as beside:
        (beside / "data").mkdir()
        taken: set[bytes] = set()
        rng = np.random.default_rng([seed, *b"train"])
        _save(beside, "train", (_drawn(lambda: _training(rng), rng, taken) for _ in range(n_train)))
        for name, test in TESTS.items():
            rng = np.random.default_rng([seed, *name.encode()])
            _save(beside, name, [_tested(test, rng, taken, n_test)])
    return Path(folder)


Drawn = tuple[np.ndarray, list[tuple[Kind, list[str], list[Thing]]]]  # a scene, and what is asked of it: names, what is there


def _training(rng: np.random.Generator) -> Drawn:
    """A training scene with one question; half of the scenes are hard."""
    kind: Kind = str(rng.choice(list(TRAIN_MIX), p=list(TRAIN_MIX.values())))  # type: ignore[assignment]
    least, most = (HARD, 5) if rng.random() < 0.5 else (2, HARD - 1)
    picture, things = scene(rng, "train", least=least, most=most, repeat=kind != "referring")
    if rng.random() < NEGATIVES:
        return picture, [(kind, _absent(rng, things, n=1 if kind != "detection" else 2), [])]
    return picture, [_asked(rng, kind, things)]


def _tested(test: TestSet, rng: np.random.Generator, taken: set[bytes], n: int) -> list[dict[str, Any]]:
    """n rows of a test set. Grounding asks once for every category that a picture shows (ODinW: positive categories). # C"""
    rows: list[dict[str, Any]] = []
    while len(rows) < n:
        rows += _drawn(lambda: _test_scene(rng, test), rng, taken)
    return rows[:n]


def _test_scene(rng: np.random.Generator, test: TestSet) -> Drawn:
    picture, things = scene(
        rng, "test", least=test.least, most=test.most, layout=test.layout, repeat=test.kind != "referring"
    )
    if test.kind != "grounding":
        return picture, [_asked(rng, test.kind, things)]
    labels = dict.fromkeys(thing.label for thing in things)
    return picture, [("grounding", [label], [t for t in things if t.label == label]) for label in labels]


def _asked(rng: np.random.Generator, kind: Kind, things: list[Thing]) -> tuple[Kind, list[str], list[Thing]]:
    """A question of the kind with an answer in the scene: names, and the things that they name, in reading order."""
    if kind == "detection":
        there = list(dict.fromkeys(thing.label for thing in things))
        names = [*there, *_absent(rng, things, n=int(rng.integers(1, 3)))]
        return kind, [str(name) for name in rng.permutation(names)], list(things)
    thing = things[int(rng.integers(len(things)))]
    if kind == "grounding":
        return kind, [thing.label], [other for other in things if other.label == thing.label]
    return kind, [str(rng.choice(thing.words))], [thing]


def _absent(rng: np.random.Generator, things: list[Thing], *, n: int) -> list[str]:
    shown = {thing.label for thing in things}
    return [str(name) for name in rng.permutation([label for label in LABELS if label not in shown])[:n]]


def _drawn(draw: Callable[[], Drawn], rng: np.random.Generator, taken: set[bytes]) -> list[dict[str, Any]]:
    """The rows of one scene that looks like no other."""
    while True:
        picture, questions = draw()
        print_of = hashlib.sha256(picture.tobytes()).digest()
        if print_of not in taken:
            break
    taken.add(print_of)
    side = int(rng.choice(SIZES))
    return [_row(_png(picture, side), side, *question) for question in questions]


def _row(png: bytes, side: int, kind: Kind, names: list[str], things: list[Thing]) -> dict[str, Any]:
    # An object is called as it was asked for: an expression is its own class.
    called = [(names[0] if kind == "referring" else t.label, [v * side / SIDE for v in t.box]) for t in things]
    return {
        "problem": PROBLEMS[kind].format(names=", ".join(names)),
        "image": {"bytes": png, "path": None},
        "solution": json.dumps(called),
        "width": side,
        "height": side,
        "num_instances": len(called),
        "target_id_maps": json.dumps({name.lower(): number for number, name in enumerate(names, start=1)}),
    }


def _png(picture: np.ndarray, side: int) -> bytes:
    image, buffer = PIL.Image.fromarray(picture), io.BytesIO()
    if side != SIDE:
        image = image.resize((side, side), PIL.Image.Resampling.BICUBIC)
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _save(folder: Path, split: str, rows: Iterable[list[dict[str, Any]]]) -> None:
    parquet.write(folder / "data" / f"{split}-00000-of-00001.parquet", [row for few in rows for row in few])
