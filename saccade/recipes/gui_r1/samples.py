"""Rows into Samples, and Samples into the answers that deserve full marks: gold places into pixels of the model's picture.

    >>> sample = ask({"id": "a/1", "image": "a.png", "instruction": "Go back.", "history": "None", "task_type": "high",
    ...               "gt_bbox": [], "gt_action": "press_back", "gt_input_text": "no input text", "set": "train", "beside": "."})
    >>> worked(sample)
    "<think>The next action is press_back.</think><answer>[{'action': 'press_back', 'point': [-100, -100], ...}]</answer>"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from saccade.core.picture import Box, Frame, Picture
from saccade.core.sample import DataError, Message, Sample
from saccade.data.parquet import picture
from saccade.recipes.gui_r1.prompts import answer, question
from saccade.rewards.papers.gui_r1.action import ACTIONS, POINT_ACTIONS, GoldAction

LEVELS = ("_high", "_low")  # C the two halves of AndroidControl share one list of actions
MORE = ("group", "verify_bbox", "success_rate", "scale", "ui_type")


def ask(row: Mapping[str, Any]) -> Sample:
    """The Sample of one row of `saccade.data.gui_r1`. DataError, PictureError or ValueError with what is wrong.

    `target` is a GoldAction, its place in fractions; `kind` is low or high; `data` holds the row's further columns.
    """
    if "fault" in row:
        raise DataError(row["fault"])
    screen = picture(row["image"], beside=row["beside"])
    gold = GoldAction.of(row)
    if isinstance(gold.place, Box) and gold.name.lower() in POINT_ACTIONS and gold.place.area <= 0:
        raise DataError(f"gt_bbox {list(row['gt_bbox'])} has no area, and nothing could be clicked")
    words = question(row["instruction"], row["history"], offered(row["set"], row["task_type"]))
    return Sample(
        id=row["id"],
        messages=(Message("user", (screen, words)),),
        target=gold,
        kind="high" if row["task_type"] == "high" else "low",
        data={"set": row["set"], **{name: row[name] for name in MORE if row.get(name) is not None}},
    )


def offered(name: str, level: str) -> tuple[str, ...]:
    """The actions to choose from in a set: a benchmark's own, else those of training at this level. # C

    >>> offered("omniact_desktop", "high"), offered("train", "low")
    (('click', 'moveto', 'press_pgdn'), ('click',))
    """
    for suffix in ("", *LEVELS):
        if name.removesuffix(suffix) in ACTIONS and name != "train":
            return ACTIONS[name.removesuffix(suffix)]
    return ACTIONS["train" if level == "high" else "train_low"]


def worked(sample: Sample, *, thinks: bool = True) -> str:
    """The answer that deserves full marks, its point in the middle of the gold place, in pixels as the model sees the picture.

    ValueError where there is a point and the picture does not know its size there.
    """
    gold: GoldAction = sample.target
    said = answer(gold.name, _middle(gold, sample.pictures[-1]), gold.text)
    return f"<think>The next action is {gold.name}.</think>{said}" if thinks else said


def solved(samples: Iterable[Sample], seen: Callable[[Sample], Sequence[Picture]]) -> tuple[Sample, ...]:
    """The samples with the bare answer to imitate, as the rows bring no thoughts.

    `seen` gives a sample's pictures as the model sees them; it is asked once for each size that screens have. DataError where the
    model sees none at one size.
    """
    known: dict[tuple[int, int], tuple[int, int] | None] = {}
    answered = []
    for sample in samples:
        (message,), (screen,) = sample.messages, sample.pictures
        if screen.size not in known:
            known[screen.size] = seen(sample)[0].model_size
        size = known[screen.size]
        if size is None:
            raise DataError("SFT on points needs a model that sees a picture whole, at one size; this family cuts it into tiles")
        sized = replace(sample, messages=(Message(message.role, (screen.seen_at(size), message.text)),))
        answered.append(replace(sample, solution=worked(sized, thinks=False)))
    return tuple(answered)


def _middle(gold: GoldAction, screen: Picture) -> tuple[int, int] | None:
    if gold.place is None or gold.name.lower() not in POINT_ACTIONS:
        return None
    there = screen.convert(gold.place, to=Frame.MODEL)
    x, y = ((there.x1 + there.x2) / 2, (there.y1 + there.y2) / 2) if isinstance(there, Box) else (there.x, there.y)
    return round(x), round(y)
