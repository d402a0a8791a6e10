"""How good the grounding model's answers are: marks for each lesson, and the tables that training prints."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from grounding_lessons import Lesson, Ways
from tiny_checkpoint import Desk

from saccade.data.miniature import digits, screens
from saccade.data.miniature.puzzle import Puzzle

Teach = Callable[[np.random.Generator, Ways], Lesson]
ITEM = re.compile(r'"bbox_2d": ?\[(\d+), ?(\d+), ?(\d+), ?(\d+)\](?:, ?"label": ?"([^"]*)")?')


def boxes_in(answer: str) -> list[tuple[str, tuple[int, ...]]]:
    """(label, box) of each element of an answer, "" where it has no label."""
    return [(label or "", tuple(int(v) for v in box)) for *box, label in ITEM.findall(answer)]


def iou(a, b) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0, width) * max(0, height)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union > 0 else 0.0


def marks(lesson: Lesson, answer: str) -> dict[str, float]:
    """How good an answer is: `exact` (every right thing found with IoU > 0.5 under its name, nothing else said), the
    recall and precision of that, and the mean IoU of what should be found."""
    if lesson.kind == "act":
        return marks_of_action(lesson, answer)
    said, left, found, overlaps = boxes_in(answer), list(lesson.gold), 0, []
    for label, box in lesson.gold:
        overlaps.append(max((iou(box, b) for name, b in said if name in ("", label)), default=0.0))
    for name, box in said:
        hit = next((g for g in left if name in ("", g[0]) and iou(box, g[1]) > 0.5), None)
        if hit:
            left.remove(hit)
            found += 1
    result = {"exact": float(not left and found == len(said)), "overlap": float(np.mean(overlaps)) if overlaps else None}
    result["recall"] = found / len(lesson.gold) if lesson.gold else None
    result["precision"] = found / len(said) if said else None
    result["extra"] = float(len(said) > len(lesson.gold))
    if lesson.kind == "detect" and not lesson.gold:
        result["none"] = float("<answer>None</answer>" in answer)
    result["hasty"] = float("at once" in answer or not answer.startswith(("<think>", "```")))
    return result


ACTION = re.compile(r"'action': '([^']*)', 'point': \[(-?\d+), (-?\d+)\], 'input_text': '([^']*)'")


def marks_of_action(lesson: Lesson, answer: str) -> dict[str, float]:
    """Whether the action is the right one, a click lies inside, the text is right, and all of it."""
    said = ACTION.search(answer)
    ((action, box),) = lesson.gold
    result = {"type": float(said is not None and said[1] == action)}
    if action == "click":
        result["inside"] = float(
            said is not None and box[0] < int(said[2]) < box[2] and box[1] < int(said[3]) < box[3]
        )
    if lesson.text:
        result["text"] = float(said is not None and said[4] == lesson.text)
    result["exact"] = min(result.values())
    result["hasty"] = float("at once" in answer)
    return result


def evaluate(
    model, desk: Desk, lessons: Mapping[str, Teach], kinds: list[str], *, n: int, ways: tuple[str, ...] = ("greedy",)
) -> None:
    """Print the marks of answers to n fresh questions a kind about held-out digits, on the grid and free."""
    model.eval()
    for kind in kinds:
        for layout, free in (("grid", 0.0), ("free", 1.0)) if kind != "act" else (("test", 0.0), ("shifted", 0.0)):
            for longer in (0.0, 1.0) if kind == "where" else (0.0,):
                rng = np.random.default_rng(10_009)
                seen = screens.screens(layout if kind == "act" else "test")
                drawn = Ways(pool=digits.scans("test"), screens=seen, free=free, longer=longer)
                asked = [lessons[kind](rng, drawn) for _ in range(n)]
                for way in ways:
                    torch.manual_seed(0)
                    replies = answers(model, desk, asked, is_sampled=way == "sampled")
                    tally = defaultdict(list)
                    for lesson, reply in zip(asked, replies, strict=True):
                        for name, value in marks(lesson, reply).items():
                            if value is not None:
                                tally[name].append(value)
                    parts = "  ".join(f"{name} {np.mean(values):.2f}" for name, values in tally.items())
                    print(f"  {kind:10s} {layout} {'longer' if longer else '      '} {way:8s} {parts}", flush=True)
                if layout in ("grid", "test"):
                    print(f"      {asked[0].gold} <- {replies[0]!r}", flush=True)
    model.train()


@torch.no_grad()
def answers(model, desk: Desk, lessons: list[Lesson], *, is_sampled: bool, batch: int = 64) -> list[str]:
    """One reply per lesson, greedy or at temperature 1."""
    replies = []
    for i in range(0, len(lessons), batch):
        drills = []
        for lesson in lessons[i : i + batch]:
            puzzle = Puzzle(pictures=(lesson.picture,), problem=lesson.prompt, thought="", answer="")
            drill = desk.drill(puzzle, lesson.prompt, "")
            drills.append(replace(drill, ids=drill.ids[:-1], weights=drill.weights[:-1]))
        inputs, _ = desk.batch(drills, pad_left=True)
        out = model.generate(**inputs, max_new_tokens=130, do_sample=is_sampled, top_k=0, top_p=1.0, temperature=1.0)
        replies += desk.tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return replies
