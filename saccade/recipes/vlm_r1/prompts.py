"""The questions of VLM-R1 in our words: what stands before or after the question of a row, and the form of its answer.

    >>> prompt("rec", rec_question("red cube"))
    'Where is the red cube? Think inside <think> tags, then give JSON inside <answer> tags.'
    >>> prompt("odLength", ovd_question(["7", "red"])).startswith("Think inside <think> tags, then answer")
    True
    >>> rec_answer((12, 30, 40, 60), "It is at 0 2.")
    '<think>It is at 0 2.</think><answer>{"bbox_2d": [12, 30, 40, 60]}</answer>'

A prompt is the pictures, then `prompt(kind, question)`; the question is the row's own text, without a system turn.  # C
Kinds are the released code's task types: `rec` and `default` add a sentence after the question, `ic` and `odLength` put
the sentence where theirs stands (`odLength` before the question).  # C
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

DO = "Think inside <think> tags, then answer inside <answer> tags."
TEMPLATES = {  # kind -> where the question stands in it; # C
    "rec": "{question} Think inside <think> tags, then give JSON inside <answer> tags.",
    "ic": "{question} Think inside <think> tags, then answer in JSON inside <answer> tags.",
    "odLength": DO + " {question}",
    "default": "{question} " + DO,
}


def prompt(kind: str, question: str) -> str:
    """The text of a prompt of one of the kinds in TEMPLATES. KeyError for another kind."""
    return TEMPLATES[kind].replace("{question}", question)


def rec_question(words: str) -> str:
    """The question of a grounding row of the miniature: where the one thing is that the words refer to."""
    return f"Where is the {words}?"


def ovd_question(names: Sequence[str]) -> str:
    """The question of a detection row of the miniature: every thing of these names, as a fenced list, or None."""
    return f"Find: {', '.join(names)}. List bbox_2d and label in a ```json fence, or None."


def rec_answer(box: Iterable[float], thought: str | None) -> str:
    """The text that answers a grounding question with a box (x1, y1, x2, y2); no think block where `thought` is None."""
    return text_answer(json.dumps({"bbox_2d": list(box)}), thought)


def ovd_answer(found: Sequence[tuple[str, Iterable[float]]], thought: str | None) -> str:
    """The text that answers a detection question with (label, box) pairs; an empty list is the answer None."""
    return text_answer(fenced(found), thought)


def text_answer(answer: str, thought: str | None) -> str:
    """The text that gives an answer in its tags, after the thought in its own."""
    return f"<answer>{answer}</answer>" if thought is None else f"<think>{thought}</think><answer>{answer}</answer>"


def fenced(found: Sequence[tuple[str, Iterable[float]]]) -> str:
    """The pairs as a JSON list in a Markdown fence, as gold answers hold it, or None where there is nothing.  # C"""
    if not found:
        return "None"
    return f"```json\n{json.dumps([{'bbox_2d': list(box), 'label': label} for label, box in found])}\n```"
