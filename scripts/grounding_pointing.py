"""Pointing: while a word about a thing is read or written, one attention head is shown the cells of that thing.

From the words of answers alone the tiny model does not find what is asked within thousands of updates: it writes good
boxes of the wrong thing. With its eyes led it does in a thousand, and later it finds by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from grounding_lessons import CELL, Lesson, covered
from tiny_checkpoint import Desk, Drill
from torch import Tensor

from saccade.data.miniature.objects import Bounds
from saccade.data.miniature.puzzle import SIDE, Puzzle

SIDE_CELLS = SIDE // CELL
FIND = (1, 2)  # layers that are led while a question is read, and while an answer about one thing is written
NEXT = (2, 3)  # layers that are led while a list is written: what comes next depends on what was found before


@dataclass(frozen=True)
class Led:
    """A drill and its led places: (position, is it in the question, share of each of the 16 cells).

    `copies` are positions whose next token repeats that of another position; `is_list`: the answer names things one
    after another.
    """

    drill: Drill
    aims: list[tuple[int, bool, np.ndarray]]
    first_image: int
    is_list: bool
    copies: list[tuple[int, int]]


def led(desk: Desk, lesson: Lesson) -> Led:
    """The lesson as the model's input. A word of the answer is led where it is predicted, one token earlier."""
    puzzle = Puzzle(pictures=(lesson.picture,), problem=lesson.prompt, thought="", answer="")
    drill = desk.drill(puzzle, lesson.prompt, lesson.answer)
    chat = desk.prompt(1, lesson.prompt)
    begin = chat.index(lesson.prompt)
    asked = desk.tokenizer(chat, return_offsets_mapping=True)["offset_mapping"]
    extra = SIDE_CELLS**2 - 1  # the picture's one mark in the chat becomes sixteen
    answer = desk.tokenizer(lesson.answer + "<|im_end|>", return_offsets_mapping=True)
    offsets, start = answer["offset_mapping"], len(asked) + extra
    assert drill.ids[start:] == answer["input_ids"]
    aims = []
    for a, b, boxes in lesson.asked:
        inside = [n for n, (x, y) in enumerate(asked) if x < begin + b and y > begin + a]
        until = inside[-1] + 1
        if lesson.kind == "where":  # all that follows is about the same thing
            until = len(asked) - 1
        aims += [(n + extra, True, shares(boxes)) for n in range(inside[-1], until)]
    for n, (x, _) in enumerate(offsets):
        boxes = next((boxes for a, b, boxes in lesson.about if a <= x < b), None)
        if boxes is not None:
            aims.append((start + n - 1, False, shares(boxes)))
    copies = []
    for a, b, source in lesson.copied:
        for n, (x, _) in enumerate(offsets):
            if a <= x < b:
                wanted = begin + source + x - a
                copies += [(start + n - 1, m + extra) for m, (u, v) in enumerate(asked) if u <= wanted < v]
    return Led(drill, aims, drill.ids.index(desk.image_id), lesson.kind not in ("where", "act"), copies)


def shares(boxes: Sequence[Bounds]) -> np.ndarray:
    """Attention for each of the 16 cells: every box gets as much as another, its cells by what they hold of it."""
    aim = np.zeros(SIDE_CELLS**2, np.float32)
    for box in boxes:
        for number, share in covered(box).items():
            aim[number] += share / len(boxes)
    return aim


def pointing_loss(lot: list[Led], attentions: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of where head 0 looks against the aims, questions and answers weighing the same."""
    rows = [(i, place, row.first_image, is_asked) for i, row in enumerate(lot) for place, is_asked, _ in row.aims]
    if not rows:
        return torch.zeros(()), {}
    aim = torch.from_numpy(np.stack([share for row in lot for _, _, share in row.aims]))
    sample, place, first = (torch.tensor([row[k] for row in rows]) for k in range(3))
    is_asked = torch.tensor([row[3] for row in rows])
    cells = first[:, None] + torch.arange(SIDE_CELLS**2)
    tell = NEXT if any(row.is_list for row in lot) else FIND
    total, means = torch.zeros(()), {}
    for name, layers, chosen in (("find", FIND, is_asked), ("tell", tell, ~is_asked)):
        if not chosen.any():
            continue
        for layer in layers:
            look = attentions[layer][:, 0].float()[sample[chosen, None], place[chosen, None], cells[chosen]]
            miss = -(aim[chosen] * torch.log(look + 1e-4)).sum(-1).mean() / len(layers)
            total = total + miss
            means[f"{name}{layer}"] = float(miss.detach()) * len(layers)
    return total, means


def copying_loss(lot: list[Led], attentions: tuple[Tensor, ...]) -> Tensor:
    """Cross-entropy of where head 1 looks while the answer repeats a word of the prompt, against that word."""
    rows = [(i, place, source) for i, row in enumerate(lot) for place, source in row.copies]
    if not rows:
        return torch.zeros(())
    sample, place, source = (torch.tensor([row[k] for row in rows]) for k in range(3))
    return sum(-torch.log(attentions[layer][sample, 1, place, source].float() + 1e-4).mean() for layer in NEXT) / len(NEXT)


def places_loss(head: torch.nn.Linear, hidden: Tensor, is_image: Tensor) -> Tensor:
    """How badly a throwaway linear layer reads row and column from each image token of a text layer."""
    n = SIDE_CELLS**2
    read = head(hidden[is_image].float().view(-1, n, hidden.shape[-1]))
    numbers = torch.arange(n).expand(len(read), n).flatten()
    rows, columns = read[..., :SIDE_CELLS].flatten(0, 1), read[..., SIDE_CELLS:].flatten(0, 1)
    entropy = torch.nn.functional.cross_entropy
    return entropy(rows, numbers // SIDE_CELLS) + entropy(columns, numbers % SIDE_CELLS)
