"""Screens with a command and the next action: the world of the GUI miniature.

    >>> picture, instruction, history, gold = lesson(np.random.default_rng(5), "train")
    >>> picture.shape, instruction, history, gold
    ((112, 112, 3), 'Write 66 in the yellow box.', 'None', {'action': 'click', 'box': (63, 69, 106, 87), 'text': None, 'level': 'high'})

The screens are photographs of pages with real widgets, laid out by a browser (scripts/make_screens.py): buttons, boxes to
write in, lists, checks, tabs and switches, each of another colour, on three platforms. A command asks for one to four steps; which
one is next, its history tells. Two things the picture alone can tell: a widget that is not in view wants a scroll down, and a window in
front must be closed before anything else.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow

from saccade.data import parquet
from saccade.data.miniature.solids import COLORS

SHIPPED = Path(__file__).with_name("screens.parquet")
_BOX = pyarrow.list_(pyarrow.int16(), 4)
SCHEMA = pyarrow.schema([
    ("id", pyarrow.string()),
    ("split", pyarrow.string()),
    ("platform", pyarrow.string()),
    ("has_dialog", pyarrow.bool_()),
    ("image", pyarrow.binary()),
    ("widgets", pyarrow.list_(pyarrow.struct([("color", pyarrow.string()), ("kind", pyarrow.string()), ("box", _BOX)]))),
])  # fmt: skip
COMMANDS = {"widget": 0.56, "look": 0.12, "scroll": 0.11, "back": 0.07, "home": 0.07, "delete": 0.07}  # shares of them
Gold = dict[str, Any]


@dataclass(frozen=True)
class Widget:
    """Something on a screen: its colour and kind, and its box (x1, y1, x2, y2) in pixels, right and bottom exclusive."""

    color: str
    kind: str
    box: tuple[int, int, int, int]

    @property
    def name(self) -> str:
        """What commands call it."""
        return f"{self.color} {self.kind}"


@dataclass(frozen=True, kw_only=True)
class Screen:
    """A screenshot (its PNG file) and what can be acted on in it. `has_dialog`: a window in front must be closed first."""

    id: str
    split: str
    platform: str
    png: bytes
    widgets: tuple[Widget, ...]
    has_dialog: bool = False

    @property
    def picture(self) -> np.ndarray:
        """Its pixels, uint8 [SIDE, SIDE, 3]."""
        return np.asarray(PIL.Image.open(io.BytesIO(self.png)).convert("RGB"))


@cache
def screens(split: str, path: Path = SHIPPED) -> tuple[Screen, ...]:
    """The screens of a split ("train", "test", "shifted") of a file that scripts/make_screens.py wrote."""
    found = tuple(
        Screen(
            id=row["id"],
            split=row["split"],
            platform=row["platform"],
            png=row["image"],
            widgets=tuple(Widget(w["color"], w["kind"], tuple(w["box"])) for w in row["widgets"]),
            has_dialog=row["has_dialog"],
        )
        for row in parquet.rows(path)
        if row["split"] == split
    )
    if not found:
        raise ValueError(f"split is {split!r}; have: train, test, shifted")
    return found


def lesson(
    rng: np.random.Generator, split: str = "train", *, level: str | None = None, pool: Sequence[Screen] | None = None
) -> tuple[np.ndarray, str, str, Gold]:
    """(picture uint8 [SIDE, SIDE, 3], instruction, history, gold) of one step of one command on a screen of the split.

    gold is {action, box, text, level}: box (x1, y1, x2, y2) in pixels where the action is a click, else None; text what to
    type or select or the direction to scroll, else None; level "high" (a command of several steps, any action) or "low"
    (find and click).
    """
    pool = screens(split) if pool is None else pool
    level = level or ("low" if rng.random() < 0.4 else "high")
    screen = _any(rng, pool)
    while level == "low" and screen.has_dialog:
        screen = _any(rng, pool)
    return screen.picture, *step(rng, screen, level)


def step(rng: np.random.Generator, screen: Screen, level: str) -> tuple[str, str, Gold]:
    """(instruction, history, gold) of one step on this screen; see `lesson`. A low-level one needs a screen without a dialog."""
    if level == "low":
        widget = _any(rng, screen.widgets)
        return f"Click the {widget.name}.", "None", _gold("click", widget, level="low")
    command, steps = _command(rng, screen)
    if screen.has_dialog:
        steps = [("close/delete", _gold("close/delete"))]
    shares = np.array([0.4 if gold["action"] == "complete" else 1.0 for _, gold in steps])  # else a third were "complete"
    at = int(rng.choice(len(steps), p=shares / shares.sum()))
    history = ", ".join(said for said, _ in steps[:at]) or "None"
    return command, history, steps[at][1]


def _command(rng: np.random.Generator, screen: Screen) -> tuple[str, list[tuple[str, Gold]]]:
    """A command that the screen allows, and its steps: what the history calls each, and its gold."""
    task = str(rng.choice(list(COMMANDS), p=list(COMMANDS.values())))
    match task:
        case "widget":
            widget = _any(rng, screen.widgets)
            return _on(rng, widget)
        case "look":
            shown = {widget.color for widget in screen.widgets}
            color, kind = _any(rng, [c for c in COLORS if c not in shown]), _any(rng, ("button", "tab"))
            return f"Press the {color} {kind}.", [_step("scroll", text="down")]
        case "scroll":
            way = str(rng.choice(["up", "down", "left", "right"]))
            return f"Scroll {way}.", [_step("scroll", text=way), _step("complete")]
        case "back":
            return "Go back.", [_step("press_back"), _step("complete")]
        case "home":
            return "Go to the start.", [_step("press_home"), _step("complete")]
    return "Close this page.", [_step("close/delete"), _step("complete")]


def _on(rng: np.random.Generator, widget: Widget) -> tuple[str, list[tuple[str, Gold]]]:
    click = _step("click", widget)
    match widget.kind:
        case "box":
            text = str(rng.integers(10, 100))
            return f"Write {text} in the {widget.name}.", [click, _step("type", text=text), _step("enter"), _step("complete")]
        case "list":
            text = str(rng.integers(0, 10))
            return f"Choose {text} in the {widget.name}.", [click, _step("select", text=text), _step("complete")]
    return f"Press the {widget.name}.", [click, _step("complete")]


def _step(action: str, widget: Widget | None = None, *, text: str | None = None) -> tuple[str, Gold]:
    said = " ".join(filter(None, (action, widget and widget.name, text)))
    return said, _gold(action, widget, text=text)


def _gold(action: str, widget: Widget | None = None, *, text: str | None = None, level: str = "high") -> Gold:
    return {"action": action, "box": widget and widget.box, "text": text, "level": level}


def _any(rng: np.random.Generator, things: Sequence[Any]) -> Any:
    return things[int(rng.integers(len(things)))]
