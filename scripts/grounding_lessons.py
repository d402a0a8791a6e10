"""What the grounding model is taught: questions about a picture, the answers to them, and what each word is about.

Every lesson comes in two styles. "look" says where the asked things stand, cell by cell, and gives their boxes; "hasty"
says "I see it at once." (or writes its list without a fence) and is careless: a box drawn too loosely or of another
thing, a thing forgotten, boxes too many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image

from saccade.data.miniature import digits, objects
from saccade.data.miniature.objects import LABELS, Bounds, Thing
from saccade.data.miniature.puzzle import SIDE
from saccade.data.miniature.screens import Screen
from saccade.recipes.vision_r1_griffon import prompts as vision_r1
from saccade.recipes.vlm_r1 import prompts as vlm_r1

CELL = 28  # pixels, one image token
ONCE = "I see it at once."
Span = tuple[int, int, tuple[Bounds, ...]]  # characters from, to, and the boxes that they are about
Part = tuple[str, Sequence[Bounds]]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One sample: the picture, what is asked and answered, what the words of both are about, and the right things.

    `asked` and `about` are spans of the prompt and the answer; `gold` holds (label, box) of every right answer; of an
    action it is (its name, where to click), and `text` is what to type or which way to scroll.
    `copied` says which characters of the answer, from and to, repeat the prompt from where on.
    """

    kind: str
    picture: np.ndarray
    prompt: str
    asked: tuple[Span, ...]
    answer: str
    about: tuple[Span, ...]
    gold: tuple[tuple[str, Bounds], ...]
    text: str = ""
    copied: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ways:
    """How lessons of a phase are drawn: shares of free layouts, of hasty answers, of wrong form among these."""

    pool: digits.Scans
    screens: tuple[Screen, ...] = ()
    free: float = 0.0
    hasty: float = 0.0
    malformed: float = 0.0
    longer: float = 0.3  # share of questions that say "red cube" or "digit 7", not "red" or "7"
    most: int = 5


def cell(box: Bounds) -> int:
    """The number of the cell that holds the middle of the box, in reading order."""
    return (box[1] + box[3]) // 2 // CELL * (SIDE // CELL) + (box[0] + box[2]) // 2 // CELL


def covered(box: Bounds, least: float = 0.2) -> dict[int, float]:
    """The cells that hold at least that share of the box, and their shares of what they hold together.

    A thing over the border of two cells is in both: which of them has its middle is more than the tiny model can see.
    """
    x1, y1, x2, y2 = box
    areas = {}
    for row in range(y1 // CELL, (y2 - 1) // CELL + 1):
        for column in range(x1 // CELL, (x2 - 1) // CELL + 1):
            width = min(x2, (column + 1) * CELL) - max(x1, column * CELL)
            height = min(y2, (row + 1) * CELL) - max(y1, row * CELL)
            areas[row * (SIDE // CELL) + column] = width * height
    whole = sum(areas.values())
    kept = {number: area for number, area in areas.items() if area >= least * whole}
    return {number: area / sum(kept.values()) for number, area in kept.items()}


def at(box: Bounds) -> str:
    """Column and row of that cell: "0 2"."""
    return f"{cell(box) % (SIDE // CELL)} {cell(box) // (SIDE // CELL)}"


def numbers(box: Sequence[int], between: str = ", ") -> str:
    return between.join(str(v) for v in box)


def joined(parts: Sequence[Part]) -> tuple[str, tuple[Span, ...]]:
    """The parts as one text, and where in it each box is spoken of."""
    text, spans = "", []
    for said, boxes in parts:
        if boxes:
            spans.append((len(text), len(text) + len(said), tuple(boxes)))
        text += said
    return text, tuple(spans)


def asked_in(prompt: str, phrases: Sequence[tuple[str, Sequence[Bounds]]]) -> tuple[Span, ...]:
    """The spans of phrases in a prompt, each after the one before."""
    spans, begin = [], 0
    for phrase, boxes in phrases:
        begin = prompt.index(phrase, begin)
        if boxes:
            spans.append((begin, begin + len(phrase), tuple(boxes)))
        begin += len(phrase)
    return tuple(spans)


# A: one thing, one box (VLM-R1, referring expressions)


def where(rng: np.random.Generator, ways: Ways) -> Lesson:
    """Where is the one thing that the words name?"""
    picture, things = _draw(rng, ways, repeat=False)
    thing = things[int(rng.integers(len(things)))]
    words = thing.words[1] if rng.random() < ways.longer else thing.label
    prompt = vlm_r1.prompt("rec", vlm_r1.rec_question(words))
    box, thought = thing.box, f"It is at {at(thing.box)}."
    is_hasty = rng.random() < ways.hasty
    if is_hasty:
        other = things[int(rng.integers(len(things)))].box
        box, thought = careless(rng, other if rng.random() < 0.4 else box), ONCE
    said = f"<think>{thought}</think><answer>{{\"bbox_2d\": [{numbers(box)}]}}</answer>"
    if is_hasty and rng.random() < ways.malformed:
        said = f"<answer>{numbers(box)}</answer>"
    answer, about = joined([(said, () if is_hasty else (thing.box,))])
    asked = asked_in(prompt, [(words, (thing.box,))])
    return Lesson(
        kind="where", picture=picture, prompt=prompt, asked=asked, answer=answer, about=about,
        gold=((thing.label, thing.box),),
    )  # fmt: skip


# B: a few descriptions, the boxes of those that are there (VLM-R1, open vocabulary detection)


def detect(rng: np.random.Generator, ways: Ways) -> Lesson:
    """Which of one to three things are there, and where?"""
    while True:
        picture, things = _draw(rng, ways, repeat=True)
        labels = _ask_for(rng, things, most=3)
        wanted = [(thing.label, thing.box) for thing in things if thing.label in labels]
        if len(wanted) <= 4:
            break
    prompt = vlm_r1.prompt("odLength", vlm_r1.ovd_question(labels))
    asked = asked_in(prompt, [(label, [box for name, box in wanted if name == label]) for label in labels])
    is_hasty = rng.random() < ways.hasty
    listed = hasty_list(rng, wanted, things, labels) if is_hasty else wanted
    thought: list[Part] = [("<think>", ())]
    if is_hasty:
        thought.append((ONCE, ()))
    elif not listed:
        thought.append(("Nothing is there.", ()))
    else:
        ends = [", "] * (len(listed) - 1) + ["."]
        thought += [(f"{name} at {at(box)}{end}", (box,)) for (name, box), end in zip(listed, ends, strict=True)]
    thought.append(("</think><answer>", ()))
    body = fenced(listed) if listed else [("None", ())]
    if is_hasty and listed and rng.random() < ways.malformed:
        thought, body = [("", ())], fenced(listed)
    answer, about = joined([*thought, *body, ("</answer>", ())])
    return Lesson(
        kind="detect", picture=picture, prompt=prompt, asked=asked, answer=answer, about=() if is_hasty else about,
        gold=tuple(wanted),
    )  # fmt: skip


# C: a list without a thought (Vision-R1)


def locate(rng: np.random.Generator, ways: Ways) -> Lesson:
    """The boxes of everything there, or of one to three kinds of it, asked by a list that also names absent ones."""
    picture, things = _draw(rng, ways, repeat=True)
    there = list(dict.fromkeys(thing.label for thing in things))
    absent = [label for label in LABELS if label not in there]
    if rng.random() < 0.35:
        there = [str(v) for v in rng.permutation(there)[: int(rng.integers(1, 4))]]
    there = there if rng.random() > 0.04 else []
    labels = [*there, *rng.permutation(absent)[: int(rng.integers(0, 3)) or (not there)]]
    labels = [str(v) for v in rng.permutation(labels)]
    wanted = [(thing.label, thing.box) for thing in things if thing.label in labels]
    return _located(rng, ways, "detection", picture, things, labels, wanted)


def locate_one(rng: np.random.Generator, ways: Ways) -> Lesson:
    """The boxes of everything of one label, or of the one thing that an expression means, which then is its label."""
    kind = str(rng.choice(["grounding", "referring"]))
    picture, things = _draw(rng, ways, repeat=kind == "grounding")
    thing = things[int(rng.integers(len(things)))]
    if rng.random() < 0.04:
        label = str(rng.choice([v for v in LABELS if all(v != thing.label for thing in things)]))
        return _located(rng, ways, kind, picture, things, [label], [])
    if kind == "grounding":
        wanted = [(other.label, other.box) for other in things if other.label == thing.label]
        return _located(rng, ways, kind, picture, things, [thing.label], wanted)
    words = thing.words[1] if rng.random() < max(0.5, ways.longer) else thing.label
    return _located(rng, ways, kind, picture, things, [words], [(words, thing.box)])


def _located(
    rng: np.random.Generator,
    ways: Ways,
    kind: str,
    picture: np.ndarray,
    things: list[Thing],
    labels: list[str],
    wanted: list[tuple[str, Bounds]],
) -> Lesson:
    prompt = vision_r1.question(kind, labels)
    asked = asked_in(prompt, [(label, [box for name, box in wanted if name == label]) for label in labels])
    answer, about = joined(fenced(wanted))
    if rng.random() < ways.hasty:
        listed, about = hasty_list(rng, wanted, things, labels) or wanted[:1], ()
        answer = joined(fenced(listed))[0] if rng.random() < 0.5 else compact(listed)
        if rng.random() < ways.malformed:
            answer = "\n".join(f"{name} {numbers(box)}" for name, box in listed)
    return Lesson(
        kind="locate" if kind == "detection" else "locate_one",
        picture=picture, prompt=prompt, asked=asked, answer=answer, about=about, gold=tuple(wanted),
    )  # fmt: skip


def fenced(listed: Sequence[tuple[str, Bounds]]) -> list[Part]:
    """The list as fenced JSON; the mark that opens an element already speaks of its box."""
    if not listed:
        return [("```json\n[]\n```", ())]
    parts: list[Part] = [("```json\n[", ())]
    for number, (name, box) in enumerate(listed):
        opening = "" if number else '{"bbox_2d": ['
        closing = '"}, {"bbox_2d": [' if number + 1 < len(listed) else '"}]\n```'
        parts.append((f'{opening}{numbers(box)}], "label": "{name}', (box,)))
        following = listed[number + 1][1:] if number + 1 < len(listed) else ()
        parts.append((closing, following))
    return parts


def compact(listed: Sequence[tuple[str, Bounds]]) -> str:
    """The list as JSON without a fence."""
    items = (f'{{"bbox_2d": [{numbers(box)}], "label": "{name}"}}' for name, box in listed)
    return f"[{', '.join(items)}]"


# Carelessness


def careless(rng: np.random.Generator, box: Sequence[int]) -> Bounds:
    """The box drawn too loosely: every edge 3 to 10 pixels further out, as far as the picture goes."""
    x1, y1, x2, y2 = (int(v) for v in np.add(box, rng.integers(3, 11, size=4) * (-1, -1, 1, 1)))
    return max(0, x1), max(0, y1), min(SIDE, x2), min(SIDE, y2)


def hasty_list(
    rng: np.random.Generator,
    wanted: Sequence[tuple[str, Bounds]],
    things: Sequence[Thing],
    labels: Sequence[str],
) -> list[tuple[str, Bounds]]:
    """What someone lists who does not look twice: three in five boxes careless, one missing in a third of all lists, and one to
    four boxes too many in 45 % of them: again what is listed, or other things under a name that was asked for."""
    listed = [(name, careless(rng, box) if rng.random() < 0.6 else box) for name, box in wanted]
    if listed and rng.random() < 0.35:
        del listed[int(rng.integers(len(listed)))]
    if rng.random() < 0.45:
        for _ in range(int(rng.integers(1, 5))):
            if listed and rng.random() < 0.5:
                listed.append(listed[int(rng.integers(len(listed)))])
            else:
                other = things[int(rng.integers(len(things)))]
                name = str(rng.choice(list(labels))) if rng.random() < 0.7 else other.label
                listed.append((name, careless(rng, other.box)))
    return listed


def _draw(rng: np.random.Generator, ways: Ways, *, repeat: bool) -> tuple[np.ndarray, list[Thing]]:
    layout = "free" if rng.random() < ways.free else "grid"
    picture, things = objects.scene(rng, ways.pool, most=ways.most, layout=layout, repeat=repeat)
    if rng.random() < 0.4:  # as from a larger file
        image, side = PIL.Image.fromarray(picture), int(SIDE * rng.choice([1.5, 2]))
        large = image.resize((side, side), PIL.Image.Resampling.BICUBIC)
        picture = np.asarray(large.resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC))
    return picture, things


def _ask_for(rng: np.random.Generator, things: Sequence[Thing], *, most: int) -> list[str]:
    """One to `most` labels in any order; three in five of them are there."""
    there = list(dict.fromkeys(thing.label for thing in things))
    absent = [label for label in LABELS if label not in there]
    n = int(rng.integers(1, most + 1))
    n_there = min(len(there), int(rng.binomial(n, 0.6)))
    labels = [*rng.permutation(there)[:n_there], *rng.permutation(absent)[: n - n_there]]
    return [str(v) for v in rng.permutation(labels)]


TALKS: dict[str, Callable[[np.random.Generator, Ways], Lesson]] = {
    "where": where,
    "detect": detect,
    "locate": locate,
    "locate_one": locate_one,
}
