"""Small drawn problems with answers of a chosen quality, for the run folders of runs.py. Deterministic: a seed says everything."""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageDraw

COLOURS = {"red": "#c0392b", "blue": "#2467c9", "green": "#1e8449", "orange": "#d98319", "purple": "#7d3c98"}
KINDS = ("box", "click", "mask", "compare", "sum", "route", "phone")
THINK = "Think inside <think> tags, then answer inside <answer> tags."


@dataclass(frozen=True)
class Problem:
    """A sample with its pictures as PNG bytes and, as the page wants them, what is asked for and where."""

    id: str
    kind: str
    prompt: str
    pictures: tuple[bytes, ...]
    sizes: tuple[tuple[int, int], ...]
    target: Any
    gold: list[dict[str, Any]]
    solution: str
    secret: dict[str, Any] = field(default_factory=dict)  # what `answer` needs to be right, or wrong in a likely way

    @property
    def shas(self) -> list[str]:
        """Names of the pictures."""
        return [hashlib.sha256(data).hexdigest() for data in self.pictures]


def problem(number: int, *, split: str = "train") -> Problem:
    """The problem with this number; kinds take turns."""
    kind = KINDS[number % len(KINDS)]
    rng = random.Random(f"{split}/{number}")
    return _MAKERS[kind](f"{kind}_{split}/{number}", rng)


def answer(problem: Problem, rng: random.Random, *, skill: float) -> dict[str, Any]:
    """An answer's text, marks, stop, scores and extras; right with the chance `skill`."""
    is_right, has_form = rng.random() < skill, rng.random() < 0.6 + 0.4 * skill
    said, marks, value, why = _ANSWERS[problem.kind](problem, rng, is_right)
    thought = (
        rng.choice(("Let me look.", "I see several things.", "It is near the middle.")) + f" It should be {said[:24]}."
    )
    text = f"<think>{thought}</think><answer>{said}</answer>" if has_form else f"<think>{thought}<answer>{said}"
    found: dict[str, Any] = {"text": text, "marks": marks, "stop": "eos" if has_form else "length"}
    found["scores"] = {
        "accuracy": {
            "value": value,
            "why": why,
            **({"route": problem.kind} if problem.kind in ("box", "click") else {}),
        },
        "format": {
            "value": float(has_form),
            "why": "think, then answer" if has_form else "the think block is not closed",
        },
    }
    return found


def jaccard(a: list[float], b: list[float]) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared) if shared else 0.0


def _canvas(rng: random.Random, size: tuple[int, int] = (112, 112)) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", size, (236 + rng.randrange(16), 234 + rng.randrange(16), 230 + rng.randrange(16)))
    return image, ImageDraw.Draw(image)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _place(rng: random.Random, size: tuple[int, int], low: int = 18, high: int = 34) -> tuple[int, int, int, int]:
    width, height = rng.randrange(low, high), rng.randrange(low, high)
    x, y = rng.randrange(2, size[0] - width - 2), rng.randrange(2, size[1] - height - 2)
    return x, y, x + width, y + height


def _unit(box: tuple[int, ...], size: tuple[int, int]) -> list[float]:
    return [round(value / size[n % 2], 6) for n, value in enumerate(box)]


def _box(name: str, rng: random.Random) -> Problem:
    image, draw = _canvas(rng)
    colours = rng.sample(list(COLOURS), 3)
    boxes = [_place(rng, image.size) for _ in colours]
    for colour, box in zip(colours, boxes, strict=True):
        draw.rectangle(box, fill=COLOURS[colour])
    box = boxes[-1]
    return Problem(
        id=name, kind="box", prompt=f"[picture]Where is the {colours[-1]} square? {THINK}",
        pictures=(_png(image),), sizes=(image.size,),
        target=dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)) | {"frame": "pixel"},
        gold=[{"picture": 0, "label": f"{colours[-1]} square", "box": _unit(box, image.size)}],
        solution=f"<answer>{list(box)}</answer>", secret={"box": box},
    )  # fmt: skip


def _say_box(problem: Problem, rng: random.Random, is_right: bool) -> tuple[str, list, float, str]:
    wide = 4 if is_right else 60
    box = [value + rng.randrange(-wide, wide + 1) for value in problem.secret["box"]]
    box = [min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]) + 1, max(box[1], box[3]) + 1]
    unit = _unit(tuple(box), problem.sizes[0])
    value = round(jaccard(unit, problem.gold[0]["box"]), 4)
    return str(box), [{"picture": 0, "box": unit}], value, f"IoU {value:.2f}"


def _click(name: str, rng: random.Random) -> Problem:
    size = (160, 240)
    image, draw = _canvas(rng, size)
    words = rng.sample(["Save", "Open", "Share", "Back", "Send", "Copy"], 4)
    boxes = [(16, 20 + 52 * n, 144, 56 + 52 * n) for n in range(4)]
    for word, box in zip(words, boxes, strict=True):
        draw.rounded_rectangle(box, 6, fill="#ffffff", outline="#8a93a0")
        draw.text((24, box[1] + 12), word, fill="#222222")
    n = rng.randrange(4)
    return Problem(
        id=name, kind="click", prompt=f"[picture]Tap {words[n]}. {THINK}", pictures=(_png(image),), sizes=(size,),
        target={"action": "click", "box": _unit(boxes[n], size), "text": ""},
        gold=[{"picture": 0, "label": words[n], "box": _unit(boxes[n], size)}],
        solution=f"<answer>click {(boxes[n][0] + boxes[n][2]) // 2}, {(boxes[n][1] + boxes[n][3]) // 2}</answer>",
        secret={"box": boxes[n], "boxes": boxes},
    )  # fmt: skip


def _say_click(problem: Problem, rng: random.Random, is_right: bool) -> tuple[str, list, float, str]:
    x1, y1, x2, y2 = problem.secret["box"] if is_right else rng.choice(problem.secret["boxes"])
    x, y = rng.randrange(x1 + 2, x2 - 2), rng.randrange(y1 + 2, y2 - 2)
    gold = problem.secret["box"]
    value = float(gold[0] <= x <= gold[2] and gold[1] <= y <= gold[3])
    mark = {"picture": 0, "verb": "click", "point": _unit((x, y), problem.sizes[0])}
    return f"click {x}, {y}", [mark], value, "inside" if value else "outside the button"


def _mask(name: str, rng: random.Random) -> Problem:
    image, draw = _canvas(rng)
    box, colour = _place(rng, image.size, 30, 60), rng.choice(list(COLOURS))
    draw.ellipse(box, fill=COLOURS[colour])
    counts = _runs(box, image.size)
    middle = _unit(((box[0] + box[2]) // 2, (box[1] + box[3]) // 2), image.size)
    return Problem(
        id=name, kind="mask", prompt=f"[picture]Segment the {colour} disc: give a box and one point. {THINK}",
        pictures=(_png(image),), sizes=(image.size,), target={"mask": "28 x 28 run lengths", "colour": colour},
        gold=[{"picture": 0, "label": f"{colour} disc", "mask": {"size": [28, 28], "counts": counts}}],
        solution=f"<answer>{list(box)}</answer>", secret={"box": box, "middle": middle},
    )  # fmt: skip


def _runs(box: tuple[int, ...], size: tuple[int, int], grid: int = 28) -> list[int]:
    x1, y1, x2, y2 = _unit(box, size)
    inside = [
        ((x + 0.5) / grid - (x1 + x2) / 2) ** 2 / ((x2 - x1) / 2) ** 2
        + ((y + 0.5) / grid - (y1 + y2) / 2) ** 2 / ((y2 - y1) / 2) ** 2 <= 1
        for y in range(grid) for x in range(grid)
    ]  # fmt: skip
    counts, now = [0], False
    for value in inside:
        if value != now:
            counts.append(0)
            now = value
        counts[-1] += 1
    return counts


def _say_mask(problem: Problem, rng: random.Random, is_right: bool) -> tuple[str, list, float, str]:
    move = 3 if is_right else 30
    box = tuple(value + rng.randrange(-move, move + 1) for value in problem.secret["box"])
    box = (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]) + 1, max(box[1], box[3]) + 1)
    unit = _unit(box, problem.sizes[0])
    value = round(jaccard(unit, _unit(problem.secret["box"], problem.sizes[0])), 4)
    middle = [round((unit[0] + unit[2]) / 2, 6), round((unit[1] + unit[3]) / 2, 6)]
    mask = {"size": [28, 28], "counts": _runs(box, problem.sizes[0])}
    marks = [
        {"picture": 0, "mask": mask},
        {"picture": 0, "box": unit},
        {"picture": 0, "point": middle, "verb": "point"},
    ]
    return str(list(box)), marks, value, f"mask IoU {value:.2f}"


def _compare(name: str, rng: random.Random) -> Problem:
    images, counts = [], (rng.randrange(1, 5), rng.randrange(1, 5))
    for count in counts:
        image, draw = _canvas(rng)
        for n in range(count):
            draw.ellipse((8 + 25 * n, 30, 28 + 25 * n, 50), fill=COLOURS["blue"])
        images.append(image)
    marks = [
        {"picture": which, "label": "disc", "box": _unit((8 + 25 * n, 30, 28 + 25 * n, 50), (112, 112))}
        for which, count in enumerate(counts) for n in range(count)
    ]  # fmt: skip
    target = str(abs(counts[0] - counts[1]))
    return Problem(
        id=name, kind="compare", prompt=f"First: [picture] Second: [picture] By how many discs do they differ? {THINK}",
        pictures=tuple(map(_png, images)), sizes=tuple(image.size for image in images), target=target, gold=marks,
        solution=f"<think>{counts[0]} and {counts[1]}</think><answer>{target}</answer>", secret={"answer": target},
    )  # fmt: skip


def _say_word(problem: Problem, rng: random.Random, is_right: bool) -> tuple[str, list, float, str]:
    right = problem.secret["answer"]
    said = right if is_right else str(rng.randrange(10))
    return said, [], float(said == right), "equal" if said == right else f"{said} is not {right}"


def _sum(name: str, rng: random.Random) -> Problem:
    image, draw = _canvas(rng)
    a, b = rng.randrange(1, 6), rng.randrange(1, 5)
    draw.text((34, 44), f"{a} + {b}", fill="#111111", font_size=22)
    return Problem(
        id=name, kind="sum", prompt=f"[picture]What is the sum? {THINK}", pictures=(_png(image),), sizes=(image.size,),
        target=str(a + b), gold=[], solution=f"<think>{a}+{b}={a + b}</think><answer>{a + b}</answer>",
        secret={"answer": str(a + b)},
    )  # fmt: skip


def _route(name: str, rng: random.Random) -> Problem:
    image, draw = _canvas(rng)
    line = [[round(0.08 + 0.14 * n, 3), round(rng.uniform(0.15, 0.85), 3)] for n in range(7)]
    draw.line([(112 * x, 112 * y) for x, y in line], fill="#7a8088", width=4)
    return Problem(
        id=name, kind="route", prompt=f"[picture]Follow the road. {THINK}", pictures=(_png(image),), sizes=(image.size,),
        target={"line": line}, gold=[{"picture": 0, "label": "road", "line": line}], solution="", secret={"line": line},
    )  # fmt: skip


def _say_route(problem: Problem, rng: random.Random, is_right: bool) -> tuple[str, list, float, str]:
    wide = 0.02 if is_right else 0.3
    line = [[x, round(y + rng.uniform(-wide, wide), 4)] for x, y in problem.secret["line"]]
    off = sum(abs(a[1] - b[1]) for a, b in zip(line, problem.secret["line"], strict=True)) / len(line)
    value = round(max(0.0, 1 - 4 * off), 4)
    return (
        " ".join(f"{x:.2f},{y:.2f}" for x, y in line),
        [{"picture": 0, "line": line}],
        value,
        f"{100 * off:.0f} % off",
    )


def _phone(name: str, rng: random.Random) -> Problem:
    first = _click(name, rng)
    image, draw = _canvas(rng, (160, 240))
    draw.text((60, 110), "Done", fill="#1e8449", font_size=18)
    return Problem(
        id=name, kind="phone", prompt=first.prompt, pictures=(first.pictures[0], _png(image)), sizes=((160, 240),) * 2,
        target=first.target, gold=first.gold, solution="", secret=first.secret,
    )  # fmt: skip


_MAKERS = {
    "box": _box,
    "click": _click,
    "mask": _mask,
    "compare": _compare,
    "sum": _sum,
    "route": _route,
    "phone": _phone,
}
_ANSWERS = {"box": _say_box, "click": _say_click, "mask": _say_mask, "compare": _say_word, "sum": _say_word,
            "route": _say_route, "phone": _say_click}  # fmt: skip
