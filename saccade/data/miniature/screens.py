"""Screens with a command and the next action: the world of the GUI miniature.

    >>> picture, instruction, history, gold = lesson(np.random.default_rng(1), "train")
    >>> picture.shape, instruction, history, gold["action"]
    ((112, 112, 3), ..., 'None', 'click')
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw

from saccade.data.miniature.puzzle import SIDE
from saccade.data.miniature.solids import COLORS

KINDS = ("button", "box", "list", "check", "tab")
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
    """A screenshot and what can be acted on in it. `has_dialog`: a window in front must be closed first."""

    id: str
    platform: str
    picture: np.ndarray
    widgets: tuple[Widget, ...]
    has_dialog: bool = False


def lesson(
    rng: np.random.Generator, split: str = "train", *, level: str | None = None, pool: Sequence[Screen] | None = None
) -> tuple[np.ndarray, str, str, Gold]:
    """(picture uint8 [SIDE, SIDE, 3], instruction, history, gold) of one step of one command on a screen of the split.

    gold is {action, box, text, level}: box (x1, y1, x2, y2) in pixels where the action is a click, else None; text what to
    type or select or the direction to scroll, else None; level "high" (a command of several steps, any action) or "low"
    (find and click).
    """
    screen = _stand_in(rng) if pool is None else pool[int(rng.integers(len(pool)))]
    level = level or ("low" if rng.random() < 0.4 else "high")
    if level == "low":
        widget = _any(rng, screen.widgets)
        return screen.picture, f"Click the {widget.name}.", "None", _gold("click", widget, level="low")
    command, steps = _command(rng, screen)
    if screen.has_dialog:
        steps = [("close/delete", _gold("close/delete"))]
    at = int(rng.integers(len(steps)))
    history = ", ".join(said for said, _ in steps[:at]) or "None"
    return screen.picture, command, history, steps[at][1]


def _command(rng: np.random.Generator, screen: Screen) -> tuple[str, list[tuple[str, Gold]]]:
    """A command that the screen allows, and its steps: what the history calls each, and its gold."""
    task = str(rng.choice(["widget", "widget", "widget", "look", "scroll", "back", "home", "delete"]))
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


def _stand_in(rng: np.random.Generator) -> Screen:
    """A drawn screen, until the rendered ones are here."""
    n = int(rng.integers(2, 6))
    image = PIL.Image.new("RGB", (SIDE, SIDE), tuple(int(v) for v in rng.integers(225, 256, size=3)))
    pen = PIL.ImageDraw.Draw(image)
    boxes: list[tuple[int, int, int, int]] = []
    while len(boxes) < n:
        w, h = int(rng.integers(24, 46)), int(rng.integers(15, 22))
        x, y = int(rng.integers(2, SIDE - w - 2)), int(rng.integers(12, SIDE - h - 2))
        if all(x + w + 2 < a or c + 2 < x or y + h + 2 < b or d + 2 < y for a, b, c, d in boxes):
            boxes.append((x, y, x + w, y + h))
    widgets = []
    for color, box in zip(rng.permutation(list(COLORS))[:n].tolist(), boxes, strict=True):
        pen.rounded_rectangle((box[0], box[1], box[2] - 1, box[3] - 1), 4, fill=COLORS[color], outline=(90, 90, 90))
        widgets.append(Widget(color, str(rng.choice(KINDS)), box))
    return Screen(id="drawn", platform="drawn", picture=np.asarray(image), widgets=tuple(widgets))
