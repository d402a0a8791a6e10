"""Rows into Samples, and Samples into answers of full marks: boxes of the file become boxes of the model's picture.

    >>> sample = ask({"id": "a/1", "image": ["cat.jpg"], "problem": "Where is the cat?", "answer": "[10, 20, 30, 40]",
    ...               "accu_reward_method": "rec"})
    >>> sample.kind, sample.target
    ('rec', Box(x1=10, y1=20, x2=30, y2=40, frame=<Frame.PIXEL: 'pixel'>))
    >>> worked(sample, frame=Frame.MODEL)                     # of a sample whose pictures know the model's size
    '<think>I look.</think><answer>{"bbox_2d": [5, 10, 15, 20]}</answer>'

Kinds: `rec` one box, `ovd` a list of labelled boxes or None, `text` whatever is answered in words. Gold boxes are in pixels
of the file (# C); they lie in a sample's first picture.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from saccade.core.marks import Mark
from saccade.core.picture import Box, Frame, Labelled, Picture
from saccade.core.rollout import Rollout
from saccade.core.sample import DataError, Message, Sample
from saccade.data.miniature.digits import CELL
from saccade.data.vlm_r1 import METHOD
from saccade.recipes.vlm_r1.prompts import ovd_answer, ovd_question, prompt, rec_answer, text_answer
from saccade.rewards.papers.vlm_r1.grounding import Grounding
from saccade.rewards.papers.vlm_r1.reading import detections
from saccade.rewards.read.boxes import box, boxes

KINDS = {"rec": "rec"} | dict.fromkeys(("od_ap", "od_ap50", "odLength", "map", "weighted_sum"), "ovd")
TEMPLATE_OF = {"rec": "rec", "ovd": "odLength", "text": "default"}
UNSURE = frozenset({"difficult", "crowd"})  # O flags of objects that are no target
ALL_NAMES = 8  # O so many labels of a data set are all asked for; of more, those in the picture and a few others
NEGATIVES = (1, 3)  # P least and most descriptions of other samples that are added


def kind_of(method: str | None) -> str:
    """rec, ovd or text, by how a row is scored."""
    return KINDS.get(method or "default", "text")


def ask(row: Mapping[str, Any], *, detection: str | None = None) -> Sample:
    """The Sample of one row of `saccade.data.vlm_r1`; `detection` scores its rows of boxes another way than they say.

    DataError or PictureError with what is wrong.
    """
    if "fault" in row:
        raise DataError(row["fault"])
    method = row[METHOD] or "default"
    if method == "llm":
        raise DataError("the method 'llm' needs a judge, and this recipe has none; take another method, or a recipe of your own")
    kind = kind_of(method)
    if kind == "ovd" and detection is not None:
        method = detection
    pictures = tuple(Picture.open(path) for path in row["image"])
    if kind != "text" and not pictures:
        raise DataError(f"a row scored by {method} needs a picture to find boxes in")
    question = row["problem"]
    data = {METHOD: method, "problem": question, "thought": row.get("thought")}
    return _sample(str(row["id"]), pictures, question, kind=kind, target=_target(kind, row["answer"]), data=data)


def ask_native(row: Mapping[str, Any], *, names: Sequence[str], method: str, most_boxes: int, seed: int) -> Sample:
    """The Sample of one row of `saccade.data.detection`: find the things of these names, all of them or some.

    Labels with more than `most_boxes` things in the picture are not asked for (# P, there of COCO) but the least
    crowded of those that are there, where all of them are so; difficult ones and crowds are no target. All names are
    asked for if they are few, else those in the picture and one to three others (# P). The data count `boxes`,
    `boxes_asked` and `unsure` ones.
    """
    if "fault" in row:
        raise DataError(row["fault"])
    pictures = tuple(Picture.open(path) for path in row["image"])
    sure = [thing for thing in row["objects"] if not UNSURE & set(thing.flags)]
    count = {name: sum(thing.label == name for thing in sure) for name in names}
    there = [name for name in names if count[name]]
    asked = [name for name in names if count[name] <= most_boxes]
    if there and not set(there) & set(asked):
        asked = sorted([*asked, min(there, key=count.__getitem__)])
    if len(asked) > ALL_NAMES:
        rng = random.Random(f"{seed} {pictures[0].sha}")
        absent = [name for name in asked if not count[name]]
        asked = [name for name in asked if count[name]]
        asked += rng.sample(absent, min(len(absent), rng.randint(*NEGATIVES)))
        rng.shuffle(asked)
    target = tuple(Labelled(thing.label, thing.box) for thing in sure if thing.label in asked)
    counts = {"boxes": len(sure), "boxes_asked": len(target), "unsure": len(row["objects"]) - len(sure)}
    data = {METHOD: method, "asked": tuple(asked), **counts}
    return _sample(str(row["id"]), pictures, ovd_question(asked), kind="ovd", target=target, data=data)


def worked(
    sample: Sample, *, frame: Frame, decimals: int = 2, thought: str | None = "I look.", cells: bool = False
) -> str:
    """The answer that deserves full marks, with boxes in the frame that the model answers in, rounded to `decimals`.

    The sample's own thought goes before `thought`; None is an answer without any. `cells` names where things are, as the
    embedded model does. ValueError where the model's frame is asked for and the pictures do not know their size in it.
    """
    own = None if thought is None else sample.data.get("thought") or (_at_cells(sample) if cells else "") or thought

    def numbers(place: Box) -> tuple[float, ...]:
        there = sample.pictures[0].convert(place, to=frame)
        return tuple(_plain(round(v, decimals)) for v in (there.x1, there.y1, there.x2, there.y2))

    if sample.kind == "rec":
        return rec_answer(numbers(sample.target), own)
    if sample.kind == "ovd":
        return ovd_answer([(thing.label, numbers(thing.box)) for thing in sample.target], own)
    return text_answer(sample.target, own)


def _at_cells(sample: Sample) -> str:
    """What stands in which cell of the embedded model's picture: "cat at 0 2, dog at 3 1."; empty for words. # O"""
    things = [Labelled("It is", sample.target)] if sample.kind == "rec" else sample.target if sample.kind == "ovd" else ()
    places = [(thing.label, sample.pictures[0].convert(thing.box, to=Frame.MODEL)) for thing in things]
    said = [f"{label} at {int(b.x1 + b.x2) // 2 // CELL} {int(b.y1 + b.y2) // 2 // CELL}" for label, b in places]
    return f"{', '.join(said)}." if said else "Nothing is there." if sample.kind == "ovd" else ""


def marks(rollout: Rollout, *, frame: Frame) -> list[Mark]:
    """The boxes that an answer says, as its rewards read them; they lie in the first picture."""
    if rollout.sample.kind == "rec":
        said = Grounding(frame=frame).read(rollout.text).value
        return [] if said is None else [Mark(shape=said)]
    found = detections(rollout.text, frame).value if rollout.sample.kind == "ovd" else None
    return [] if found is None else [Mark(shape=thing.box, label=thing.label) for thing in found.found]


def _sample(
    name: str, pictures: Sequence[Picture], question: str, *, kind: str, target: Any, data: Mapping[str, Any]
) -> Sample:
    text = prompt(TEMPLATE_OF[kind], question)
    return Sample(id=name, messages=(Message("user", (*pictures, text)),), target=target, kind=kind, data=data)


def _target(kind: str, answer: str) -> Any:
    if kind == "text":
        return answer
    if kind == "rec":
        read = box(answer, frame=Frame.PIXEL)
        if read.value is None or read.value.area <= 0:
            raise DataError(f"the gold of a rec row must be one box [x1, y1, x2, y2], got {answer[:60]!r}")
        return read.value
    found = boxes(answer, frame=Frame.PIXEL)
    if found.value is None:
        raise DataError(f"the gold of a detection row must be a list of boxes or the word None, got {answer[:60]!r}")
    flat = [thing for thing in found.value if thing.box.area <= 0]
    if found.value.dropped or flat:
        why = found.value.dropped[0] if found.value.dropped else "a box has no area"
        raise DataError(f"a gold box cannot be used: {why}")
    return tuple(found.value)


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value
