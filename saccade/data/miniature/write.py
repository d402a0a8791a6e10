"""Writes a miniature of the Reason-RFT data set, in its published on-disk format.

    folder/train_jsons/A3-Visual-Counting-train.json ...     [{id, image, problem, answer, solution, cot}, ...]
    folder/test_jsons/Visual-Counting-id-test.json ...
    folder/images/train_images/*.png, folder/images/test_images/*.png

Same seed, same bytes. Train and test show disjoint handwritten digits and share no picture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image

from saccade.core.sample import DataError
from saccade.data.fresh import fresh
from saccade.data.miniature import digits, geometry, solids
from saccade.data.miniature.puzzle import Puzzle

Maker = Callable[[np.random.Generator], Puzzle]

# One line per file: where it goes, the id's stem, and what draws one problem.  # I the file names, C the ids' marks
TRAIN: dict[str, tuple[str, Maker]] = {
    "A1-Spatial-Transformation-train": ("trance", lambda rng: solids.spatial(rng)),
    "A2-Structure-Perception-train": ("geomath", lambda rng: geometry.structure(rng)),
    "A3-Visual-Counting-train": ("clevr-math", lambda rng: digits.counting(rng, digits.scans("train"))),
}
TEST: dict[str, tuple[str, Maker]] = {
    "Spatial-Transformation-id-test": ("trance-id", lambda rng: solids.spatial(rng)),
    "Spatial-Transformation-ood-left-test": ("trance-ood-left", lambda rng: solids.spatial(rng, view="left")),
    "Spatial-Transformation-ood-right-test": ("trance-ood-right", lambda rng: solids.spatial(rng, view="right")),
    "Structure-Perception-id-test": ("geomath-id", lambda rng: geometry.structure(rng)),
    "Structure-Perception-ood-test": ("geomath-ood", lambda rng: geometry.structure(rng, family="other")),
    "Visual-Counting-id-test": ("clevr-math-id", lambda rng: digits.counting(rng, digits.scans("test"))),
    "Visual-Counting-ood-layout-test": (
        "clevr-math-ood-layout",
        lambda rng: digits.counting(rng, digits.scans("test"), layout="free"),
    ),
    "Visual-Counting-ood-more-test": (
        "clevr-math-ood-more",
        lambda rng: digits.counting(rng, digits.scans("test"), least=9, most=11),
    ),
}


def write_reason_rft(folder: Path | str, *, seed: int = 0, n_train: int = 1000, n_test: int = 200) -> Path:
    """The folder, freshly written with `n_train` rows in each train file and `n_test` in each test file.

    It is written beside its place and moved there when complete, so a torn data set never stands under its name.
    DataError if something is there already.
    """
    if n_train < 1 or n_test < 1:
        raise DataError(f"n_train and n_test must be at least 1, got {n_train} and {n_test}")
    with fresh(folder) as beside:
        taken: set[bytes] = set()
        for split, files, n in (("train", TRAIN, n_train), ("test", TEST, n_test)):
            (beside / f"{split}_jsons").mkdir()
            (beside / "images" / f"{split}_images").mkdir(parents=True)
            for name, (stem, maker) in files.items():
                rng = np.random.default_rng([seed, *name.encode()])
                rows = [_row(beside, split, f"{stem}-{number:05d}", maker, rng, taken) for number in range(n)]
                text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
                (beside / f"{split}_jsons" / f"{name}.json").write_text(text, encoding="utf-8")
    return Path(folder)


def _row(folder: Path, split: str, row_id: str, maker: Maker, rng: np.random.Generator, taken: set[bytes]) -> dict:
    """Draw one problem that looks like no other, save its pictures, and return its row."""
    while True:
        puzzle = maker(rng)
        prints = [hashlib.sha256(picture.tobytes()).digest() for picture in puzzle.pictures]
        if taken.isdisjoint(prints):
            break
    taken.update(prints)
    suffixes = [""] if len(prints) == 1 else ["-before", "-after"]
    paths = [f"images/{split}_images/{row_id}{suffix}.png" for suffix in suffixes]
    for path, picture in zip(paths, puzzle.pictures, strict=True):
        PIL.Image.fromarray(picture).save(folder / path, compress_level=1)
    return {
        "id": row_id,
        "image": paths if len(paths) > 1 else paths[0],
        "problem": puzzle.problem,
        "answer": puzzle.answer,
        "solution": f"<answer>{puzzle.answer}</answer>",
        "cot": puzzle.cot,
    }
