"""Writes a miniature of VLM-R1's data in their published format: JSONL rows of conversations, and a folder of pictures.

    folder/rec_train.jsonl, rec_test.jsonl, rec_test_ood_*.jsonl        one thing is asked for, its box is the gold
    folder/ovd_train.jsonl, ovd_test.jsonl, ovd_test_ood_*.jsonl        up to three names, some of them absent; a fenced list or None
    folder/defect_train.jsonl, defect_test.jsonl                        two pictures and what is wrong with the second
    folder/images/*.png

Boxes are in pixels of the file. Same seed, same bytes; train and test share no picture and no handwritten digit. Rows carry
a `thought`, which the published ones do not: what a worked answer may say first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image

from saccade.core.sample import DataError
from saccade.data.fresh import fresh
from saccade.data.miniature.digits import CELL
from saccade.data.miniature.objects import LABELS, Bounds, Layout, Thing, scene
from saccade.data.miniature.puzzle import SIDE

MOST_BOXES = 4  # O in a detection gold
DEFECTS = ("Missing", "Extra", "Moved", "Recolored")  # O stand for the four defects of a screen
NO_DEFECT = "No Defect"  # P


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A row before it is written: pictures uint8 [SIDE, SIDE, 3], the question, the gold text, how it is scored, the thought."""

    pictures: tuple[np.ndarray, ...]
    question: str
    gold: str
    method: str
    thought: str


Maker = Callable[[np.random.Generator, str], Drawn]


def rec(rng: np.random.Generator, split: str, *, layout: Layout = "grid", least: int = 2, most: int = 5, longer: bool = False) -> Drawn:
    """Where is the one thing of this name? `longer` says "red cube" instead of "red"."""
    picture, things = scene(rng, split, least=least, most=most, layout=layout)
    thing = things[int(rng.integers(len(things)))]
    question = f"Where is the {thing.words[1] if longer else thing.label}?"
    gold = json.dumps(list(thing.box))
    return Drawn(pictures=(picture,), question=question, gold=gold, method="rec", thought=f"It is at {cell(thing.box)}.")


def ovd(rng: np.random.Generator, split: str, *, layout: Layout = "grid", least: int = 2, most: int = 5) -> Drawn:
    """The boxes of all things of one to three names, about two of five of which name nothing in the picture."""
    while True:
        picture, things = scene(rng, split, least=least, most=most, layout=layout, repeat=True)
        names = _names(rng, things)
        wanted = [thing for thing in things if thing.label in names]
        if len(wanted) <= MOST_BOXES:
            break
    question = f"Find: {', '.join(names)}. List bbox_2d and label in a ```json fence, or None."
    items = [{"bbox_2d": list(thing.box), "label": thing.label} for thing in wanted]
    gold = f"```json\n{json.dumps(items)}\n```" if items else "None"
    thought = ", ".join(f"{thing.label} at {cell(thing.box)}" for thing in wanted) + "." if wanted else "Nothing is there."
    return Drawn(pictures=(picture,), question=question, gold=gold, method="odLength", thought=thought)


def defect(rng: np.random.Generator, split: str) -> Drawn:
    """Two pictures, and which of the defects the second one has against the first, or none."""
    before, things = scene(rng, split, least=3)
    thing = things[int(rng.integers(len(things)))]
    name = str(rng.choice([*DEFECTS, NO_DEFECT]))
    after = _with_defect(rng, before, things, thing, name)
    pictures = (after, before) if name == "Extra" else (before, after)
    where = "Nothing changed." if name == NO_DEFECT else f"It is at {cell(thing.box)}."
    question = f"Before and after. Which defect: {', '.join(DEFECTS)} or {NO_DEFECT}?"
    return Drawn(pictures=pictures, question=question, gold=name, method="all_match", thought=where)


# One line per file: where it goes, the split of its digits, and what draws one row.  # O the file names
FILES: dict[str, tuple[str, Maker]] = {
    "rec_train": ("train", rec),
    "ovd_train": ("train", ovd),
    "defect_train": ("train", defect),
    "rec_test": ("test", rec),
    "rec_test_ood_free": ("test", lambda rng, split: rec(rng, split, layout="free")),
    "rec_test_ood_crowded": ("test", lambda rng, split: rec(rng, split, least=7, most=7)),
    "rec_test_ood_words": ("test", lambda rng, split: rec(rng, split, longer=True)),
    "ovd_test": ("test", ovd),
    "ovd_test_ood_free": ("test", lambda rng, split: ovd(rng, split, layout="free")),
    "ovd_test_ood_crowded": ("test", lambda rng, split: ovd(rng, split, least=7, most=9)),
    "defect_test": ("test", defect),
}


def write_vlm_r1(folder: Path | str, *, seed: int = 0, n_train: int = 1000, n_test: int = 160) -> Path:
    """The folder, freshly written with `n_train` rows in each train file (a fifth in that of defects), `n_test` in each other.

    It is complete or not there at all. DataError if something is there already.
    """
    if n_train < 5 or n_test < 1:
        raise DataError(f"n_train must be at least 5 and n_test at least 1, got {n_train} and {n_test}")
    with fresh(folder) as beside:
        (beside / "images").mkdir()
        taken: set[bytes] = set()
        for name, (split, maker) in FILES.items():
            rng = np.random.default_rng([seed, *name.encode()])
            n = n_test if split == "test" else n_train if name != "defect_train" else n_train // 5
            rows = [_row(beside, name, number, _unseen(rng, split, maker, taken)) for number in range(n)]
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (beside / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return Path(folder)


def cell(box: Bounds) -> str:
    """Column and row of the cell of 28 pixels that holds the middle of a box: "0 2"."""
    x1, y1, x2, y2 = box
    return f"{(x1 + x2) // 2 // CELL} {(y1 + y2) // 2 // CELL}"


def _names(rng: np.random.Generator, things: list[Thing]) -> list[str]:
    """One to three labels in any order, each with three chances in five one that is there."""
    there = list(dict.fromkeys(thing.label for thing in things))
    absent = [label for label in LABELS if label not in there]
    n = int(rng.integers(1, 4))
    n_there = min(len(there), int(rng.binomial(n, 0.6)))
    labels = [*rng.permutation(there)[:n_there], *rng.permutation(absent)[: n - n_there]]
    return [str(label) for label in rng.permutation(labels)]


def _with_defect(rng: np.random.Generator, picture: np.ndarray, things: list[Thing], thing: Thing, name: str) -> np.ndarray:
    """The picture with the thing gone (also for Extra, where the order turns), elsewhere, in other colours, or as it was."""
    x1, y1, x2, y2 = thing.box
    after, patch, paper = picture.copy(), picture[y1:y2, x1:x2], picture[0, 0]
    if name == NO_DEFECT:
        return np.clip(after.astype(int) + int(rng.choice([-3, -2, 2, 3])), 0, 255).astype(np.uint8)  # shown once more
    if name == "Recolored":
        after[y1:y2, x1:x2] = 255 - patch
        return after
    after[y1:y2, x1:x2] = paper
    if name == "Moved":
        taken = {cell(other.box) for other in things}
        free = [(c, r) for r in range(4) for c in range(4) if f"{c} {r}" not in taken]
        column, row = free[int(rng.integers(len(free)))]
        x, y = column * CELL + (CELL - (x2 - x1)) // 2, row * CELL + (CELL - (y2 - y1)) // 2
        x, y = max(0, min(x, SIDE - (x2 - x1))), max(0, min(y, SIDE - (y2 - y1)))
        after[y : y + y2 - y1, x : x + x2 - x1] = patch
    return after


def _unseen(rng: np.random.Generator, split: str, maker: Maker, taken: set[bytes]) -> Drawn:
    """A row whose pictures stand in no other row."""
    while True:
        drawn = maker(rng, split)
        prints = [hashlib.sha256(picture.tobytes()).digest() for picture in drawn.pictures]
        if taken.isdisjoint(prints):
            taken.update(prints)
            return drawn


def _row(folder: Path, name: str, number: int, drawn: Drawn) -> dict:
    suffixes = [""] if len(drawn.pictures) == 1 else ["-before", "-after"]
    paths = [f"images/{name}-{number:05d}{suffix}.png" for suffix in suffixes]
    for path, picture in zip(paths, drawn.pictures, strict=True):
        PIL.Image.fromarray(picture).save(folder / path, compress_level=1)
    return {
        "id": number,
        "image": paths if len(paths) > 1 else paths[0],
        "conversations": [
            {"from": "human", "value": "<image>" * len(paths) + drawn.question},
            {"from": "gpt", "value": drawn.gold},
        ],
        "accu_reward_method": drawn.method,
        "thought": drawn.thought,
    }
