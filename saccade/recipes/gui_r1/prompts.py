"""The questions of GUI-R1 in our words: a screenshot, a command, what was done so far, and the actions to choose from.

    >>> question("Press the red button.", "None", ("click", "complete"))[:46]
    'Command: Press the red button. Done: None. Act'

One user message, the screenshot first, no system turn.  # C
"""

from __future__ import annotations

from collections.abc import Sequence

from saccade.rewards.read.actions import NO_POINT, NO_TEXT

FORM = (
    "Think in <think> tags, then answer in <answer> tags: "
    "[{'action': 'name', 'point': [x, y], 'input_text': '" + NO_TEXT + "'}]. "
)
HIGH = (
    "Command: {instruction} Done: {history}. Actions: {actions}. Which comes next? "
    + FORM
    + "The point is in pixels, " + str(list(NO_POINT)) + " where none is needed. "
    "type and select need a text, scroll needs up, down, left or right."
)  # fmt: skip
LOW = "Command: {instruction} Action: {actions}. Where? " + FORM + "The point is in pixels."


def question(instruction: str, history: str, actions: Sequence[str]) -> str:
    """The text of the user message. Of a list with click alone only the place is asked, and the history is left out. # C"""
    if tuple(actions) == ("click",):
        return LOW.replace("{instruction}", instruction).replace("{actions}", "click")
    filled = HIGH.replace("{actions}", ", ".join(actions)).replace("{history}", history)
    return filled.replace("{instruction}", instruction)


def answer(action: str, point: tuple[int, int] | None = None, text: str | None = None) -> str:
    """The answer block that says this action: its point in pixels of the picture as the model sees it.

    >>> answer("click", (12, 30))
    "<answer>[{'action': 'click', 'point': [12, 30], 'input_text': 'no input text'}]</answer>"
    """
    said = {"action": action, "point": list(point or NO_POINT), "input_text": text or NO_TEXT}
    return f"<answer>{[said]}</answer>"
