"""Rows into Samples, and Samples into the answers that deserve full marks: gold places into pixels of the model's picture.

    >>> sample = ask({"id": "a/1", "image": "a.png", "instruction": "Go back.", "history": "None", "task_type": "high",
    ...               "gt_bbox": [], "gt_action": "press_back", "gt_input_text": "no input text", "set": "train", "beside": "."})
    >>> worked(sample)
    "<think>The next action is press_back.</think><answer>[{'action': 'press_back', 'point': [-100, -100], ...}]</answer>"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saccade.core.marks import Mark
from saccade.core.picture import Box, Frame, Picture, Point
from saccade.core.rollout import Rollout
from saccade.core.sample import DataError, Message, Sample
from saccade.data.parquet import picture
from saccade.recipes.gui_r1.prompts import answer, question
from saccade.rewards.papers.gui_r1.action import ACTIONS, POINT_ACTIONS, TEXT_ACTIONS, GoldAction, one_action
from saccade.rewards.papers.gui_r1.released import released_action
from saccade.rewards.read.actions import NO_TEXT

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
    if gold.name.lower() in TEXT_ACTIONS and gold.text.strip() in ("", NO_TEXT):
        raise DataError(f"gt_action {gold.name} has no gt_input_text, and no answer could be told right from wrong")
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


def worked(sample: Sample) -> str:
    """The answer that deserves full marks: a word of thought, and `bare`."""
    return f"<think>The next action is {sample.target.name}.</think>{bare(sample)}"


def bare(sample: Sample) -> str:
    """The gold action as the model would write it, its point in the middle of the gold place, in pixels as the model
    sees the picture.

    ValueError where there is a point and the picture does not know its size there.
    """
    gold: GoldAction = sample.target
    return answer(gold.name, _middle(gold, sample.pictures[-1]), gold.text)


def marks(rollout: Rollout, *, as_released: bool = False) -> list[Mark]:
    """What the answer does and where, as its rewards read it; an action without a place is one of the whole screen."""
    said = released_action(rollout.text) if as_released else one_action(rollout.text).value
    if said is None:
        return []
    has_place = said.name.lower() in POINT_ACTIONS or not as_released  # the released reading has a point for everything
    return [_mark(said.name, said.point if has_place else None, said.text, screen=len(rollout.pictures) - 1)]


def gold_marks(sample: Sample) -> list[Mark]:
    """The gold action and its place."""
    gold: GoldAction = sample.target
    return [_mark(gold.name, gold.place, gold.text, screen=len(sample.pictures) - 1)]


def _mark(name: str, place: Box | Point | None, text: str | None, *, screen: int) -> Mark:
    """An action for a person: click, scroll up, type 'abc'."""
    said = "" if not text or text == NO_TEXT else f" {text}" if name.lower() == "scroll" else f" {text!r}"
    return Mark(shape=place or Box(0, 0, 1, 1, Frame.UNIT), picture=screen, verb=f"{name}{said}")


def _middle(gold: GoldAction, screen: Picture) -> tuple[int, int] | None:
    if gold.place is None or gold.name.lower() not in POINT_ACTIONS:
        return None
    there = screen.convert(gold.place, to=Frame.MODEL)
    x, y = ((there.x1 + there.x2) / 2, (there.y1 + there.y2) / 2) if isinstance(there, Box) else (there.x, there.y)
    return round(x), round(y)
