"""Writes a miniature of GUI-R1's data, in its published form: parquet files of steps on screens (saccade/data/gui_r1.py).

    folder/train.parquet, folder/test.parquet                       low-level and high-level steps on web and phone screens
    folder/screens_test.parquet                                     further screens of these, both levels
    folder/desktop_test.parquet                                     a platform that no other file shows, both levels

Same seed, same bytes. No screen of one of these groups of files is in another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saccade.core.sample import DataError
from saccade.data import parquet
from saccade.data.fresh import fresh
from saccade.data.miniature.puzzle import SIDE
from saccade.data.miniature.screens import Screen, screens, step

LEVELS = ("low", "high")
WATCHED = 3  # every third test screen is kept for test.parquet, by which a run chooses its checkpoint


def write_gui_r1(folder: Path | str, *, seed: int = 0, n_train: int = 480, n_watch: int = 80, n_test: int = 200) -> Path:
    """The folder, freshly written: `n_train` rows, `n_watch` in test.parquet, `n_test` of each benchmark, half of them of either level.

    DataError if something is there already.
    """
    if min(n_train, n_watch, n_test) < 2:
        raise DataError(f"n_train, n_watch and n_test must be at least 2, got {n_train}, {n_watch} and {n_test}")
    train, test, desktop = (screens(split) for split in ("train", "test", "shifted"))
    rest = [screen for number, screen in enumerate(test) if number % WATCHED]
    files = {
        "train": (train, n_train),
        "test": (test[::WATCHED], n_watch),
        "screens_test": (rest, n_test),
        "desktop_test": (desktop, n_test),
    }
    with fresh(folder) as beside:
        for name, (pool, count) in files.items():
            rng = np.random.default_rng([seed, *name.encode()])
            parquet.write(beside / f"{name}.parquet", _rows(rng, pool, count))
    return Path(folder)


def _rows(rng: np.random.Generator, pool: Sequence[Screen], count: int) -> list[dict[str, Any]]:
    """`count` rows, of which no two ask the same on the same screen, the levels by turns."""
    rows: list[dict[str, Any]] = []
    asked: set[tuple[str, str, str]] = set()
    while len(rows) < count:
        screen, level = pool[int(rng.integers(len(pool)))], LEVELS[len(rows) % 2]
        if level == "low" and screen.has_dialog:
            continue
        instruction, history, gold = step(rng, screen, level)
        if (screen.id, instruction, history) in asked:
            continue
        asked.add((screen.id, instruction, history))
        rows.append({
            "image": {"bytes": screen.png, "path": None},
            "instruction": instruction,
            "history": history,
            "task_type": level,
            "gt_bbox": [side / SIDE for side in gold["box"] or ()],
            "gt_action": gold["action"],
            "gt_input_text": gold["text"] or "no input text",
            "group": screen.platform,
            "id": f"{screen.id}/{len(rows)}",
        })  # fmt: skip
    return rows
