"""What the grounding model is taught about screens: which action comes next, and where (GUI-R1's questions and answers)."""

from __future__ import annotations

import numpy as np
from grounding_lessons import ONCE, Lesson, Ways, asked_in, at, joined

from saccade.data.miniature import screens
from saccade.data.miniature.objects import Bounds, Thing
from saccade.data.miniature.puzzle import SIDE
from saccade.recipes.gui_r1 import prompts as gui_r1
from saccade.rewards.papers.gui_r1 import ACTIONS

TEXTS = 0.3  # share of lessons in which something is typed, selected or scrolled to: rare, and slow to learn
WAYS = ("up", "left", "right", "down")


def things(screen: screens.Screen) -> list[Thing]:
    """The widgets as things, called by their colours."""
    return [Thing(widget.color, (widget.color, widget.name), widget.box) for widget in screen.widgets]


def act(rng: np.random.Generator, ways: Ways) -> Lesson:
    """The next action of a command on a screen of the pool, with its point and its text."""
    is_said = rng.random() < TEXTS
    for _ in range(8):
        screen = ways.screens[int(rng.integers(len(ways.screens)))]
        picture, instruction, history, gold = screens.lesson(rng, pool=[screen], level=_level(rng, screen))
        if (gold["text"] is not None) == is_said:
            break
    actions = ACTIONS["train_low" if gold["level"] == "low" else "train"]
    prompt = gui_r1.question(instruction, history, actions)
    named = [w for w in screen.widgets if w.name in instruction]
    asked = asked_in(prompt, [(w.name, (w.box,)) for w in named])
    is_hasty = rng.random() < ways.hasty
    action, box, text = gold["action"], gold["box"], gold["text"]
    thought = f"It is at {at(box)}." if box else f"Next is {action}."
    if screen.has_dialog and action == "close/delete":
        thought = "A window is in front."
    elif action == "scroll" and instruction.startswith("Press"):
        thought = "It is not here."
    point = middle(box) if box else None
    if is_hasty:
        thought, (action, point, text) = ONCE, hasty_action(rng, screen, action, box, text)
    said = f"<think>{thought}</think>" + gui_r1.answer(action, point, text)
    if is_hasty and rng.random() < ways.malformed:
        said = f"<think>{thought}</think>{action} {list(point or ())}"
    answer, about = joined([(said, (box,) if box and not is_hasty else ())])
    copied = ()
    if gold["text"] and not is_hasty and f" {gold['text']}" in instruction:
        begin = answer.rindex(f"'{gold['text']}'") + 1
        copied = ((begin, begin + len(gold["text"]), prompt.index(f" {gold['text']}") + 1),)
    return Lesson(
        kind="act", picture=picture, prompt=prompt, asked=asked, answer=answer, about=about,
        gold=((gold["action"], box or (0, 0, 0, 0)),), text=gold["text"] or "", copied=copied,
    )  # fmt: skip


def middle(box: Bounds) -> tuple[int, int]:
    return (box[0] + box[2]) // 2, (box[1] + box[3]) // 2


def hasty_action(
    rng: np.random.Generator, screen: screens.Screen, action: str, box: Bounds | None, text: str | None
) -> tuple[str, tuple[int, int] | None, str | None]:
    """What someone does who looked away: a click too low or on another thing, another action, another text."""
    if box is None and rng.random() < 0.5:
        action = str(rng.choice(ACTIONS["train"]))
        text = {"scroll": str(rng.choice(WAYS)), "type": "1", "select": "1"}.get(action)
        box = screen.widgets[int(rng.integers(len(screen.widgets)))].box if action == "click" else None
    elif text and rng.random() < 0.5:
        text = str(rng.choice(WAYS)) if action == "scroll" else str(rng.integers(0, 100))
    if box is None:
        return action, None, text
    if rng.random() < 0.4:
        box = screen.widgets[int(rng.integers(len(screen.widgets)))].box
    x, y = middle(box)[0] + int(rng.integers(-6, 15)), middle(box)[1] + int(rng.integers(5, 15))
    return action, (min(max(x, 0), SIDE - 1), min(y, SIDE - 1)), text


def _level(rng: np.random.Generator, screen: screens.Screen) -> str:
    return "low" if not screen.has_dialog and rng.random() < 0.5 else "high"
