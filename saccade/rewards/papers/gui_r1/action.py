"""What GUI-R1 can do on a screen, which action of it is right, and which one an answer names.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saccade.core.picture import Box, Frame, Point
from saccade.rewards.read.actions import NO_TEXT, Action, actions
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import last_section

SCROLLS = ("left", "right", "up", "down")  # C
NEEDS_TEXT = ("type", "select", "open_app")  # C to be well formed
POINT_ACTIONS = ("click", "long_press", "moveto", "doubleclick", "rightclick")  # C in evaluation
TEXT_ACTIONS = ("open_app", "type", "scroll", "select")  # C in evaluation

# C what the prompt offers, in training and for each benchmark
ACTIONS: Mapping[str, tuple[str, ...]] = {
    "train": ("complete", "close/delete", "press_home", "click", "press_back", "type", "select", "scroll", "enter"),
    "train_low": ("click",),
    "androidcontrol": ("wait", "long_press", "click", "press_back", "type", "open_app", "scroll"),
    "guiact_web": ("scroll", "click", "complete"),
    "guiodyssey": (
        "press_back", "press_recent", "press_home", "complete", "long_press", "scroll", "click", "impossible", "type",
    ),
    "omniact_desktop": ("click", "moveto", "press_pgdn"),
    "omniact_web": (
        "press_tab", "moveto", "rightclick", "press_enter", "scroll", "click", "press_down", "hotkey", "press_space",
        "doubleclick",
    ),
    "screenspot": ("click",),
    "screenspot_pro": ("click",),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GoldAction:
    """What should be done: the action, where (the element's box, or a point), and with which text."""

    name: str
    place: Box | Point | None = None
    text: str = NO_TEXT

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("a gold action needs a name")
        if self.name.lower() in POINT_ACTIONS and self.place is None:
            raise ValueError(f"a gold {self.name} needs a place, a Box or a Point")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> GoldAction:
        """From a row of the released files: gt_action, gt_bbox (2 or 4 fractions) and gt_input_text.

        ValueError for a click whose place is neither, or is no fraction of the picture. Other actions need none.
        """
        values = [float(value) for value in row["gt_bbox"]]
        name, is_place = str(row["gt_action"]), len(values) in (2, 4)
        if name.lower() in POINT_ACTIONS and not (is_place and all(0 <= value <= 1 for value in values)):
            raise ValueError(f"gt_bbox of a {name} must be 2 or 4 fractions between 0 and 1, got {values}")
        shape = {2: Point, 4: Box}.get(len(values))
        return cls(name=name, place=shape and shape(*values, Frame.UNIT), text=str(row["gt_input_text"]))


def one_action(text: str, *, frame: Frame = Frame.MODEL) -> Reading[Action]:
    """The one action of the last answer block; a list of several, or of none, is not one."""
    return last_section(text, "answer").then(lambda block: actions(block, frame=frame)).then(_only)


def lacks_text(name: str, text: str) -> str:
    """Why an action lacks the text that it needs, empty where it does not."""
    if name in NEEDS_TEXT and text == NO_TEXT:
        return f"{name} without a text"
    return f"scroll {text[:40]!r}" if name == "scroll" and text not in SCROLLS else ""


def _only(found: tuple[Action, ...]) -> Reading[Action]:
    return Reading(found[0]) if len(found) == 1 else Reading(None, f"{len(found)} actions instead of one")
