"""The sets of samples that Vision-R1 (Griffon) trains and is tested on, by their names."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saccade.core.sample import DataError
from saccade.data import detection
from saccade.data.vision_r1_griffon import MOST, categories, files, from_annotations, is_published, one_by_one, read

Sets = Mapping[str, Callable[[int], list[dict[str, Any]]]]  # name -> its rows with at least so many objects


def sets_of(folder: Path, *, seed: int) -> Sets:
    """The sets of a folder in the published format, or of one of annotated pictures, by their names; one is "train".

    Annotated pictures may be in any format of `saccade.data.detection`; their own test part, or a fifth of them, is held out
    and asked in both ways.
    """
    return _published(folder) if is_published(folder) else _annotated(folder, seed=seed)


def _published(folder: Path) -> Sets:
    have = files(folder)
    if "train" not in have:
        raise DataError(f"{folder} has no train set; it has: {', '.join(have)}")
    return {_set_name(name): functools.partial(_rows_of, folder, name) for name in have}


def _set_name(name: str) -> str:
    """A file's name as that of a set; "val" is what chooses the checkpoint."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "set"
    return "val-published" if plain == "val" else plain


def _rows_of(folder: Path, name: str, least: int) -> list[dict[str, Any]]:
    return read(folder, name, least=least)


def _annotated(folder: Path, *, seed: int) -> Sets:
    rows = detection.read_boxes(folder)
    names = categories(rows)  # of all rows, so that the questions are the same in training and test
    train, held_out = detection.parted(rows, held_out=0.2, seed=seed)  # O
    return {
        "train": lambda least: from_annotations(train, names, least=least, most=MOST),
        "held-out": lambda least: from_annotations(held_out, names, least=least),
        "held-out-one": lambda least: one_by_one(held_out),
    }
