"""Second sight: the vision tower learns to name digits, solids and widgets anywhere in a picture, and to tell their edges.

The image token of a cell shall resemble the word embedding of the thing that stands in it, as after first sight
(tiny_sight.py), and a throwaway linear layer shall read the thing's box from it. The word embeddings are held: by their
likeness a question's words find the thing later, and a tower trained on answers wears it away.
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from grounding_lessons import CELL, covered
from grounding_screens import things
from tiny_checkpoint import Desk
from tiny_sight import NOTHING, image_tokens

from saccade.data.miniature import digits, objects, solids
from saccade.data.miniature.objects import LABELS, Thing
from saccade.data.miniature.puzzle import SIDE
from saccade.data.miniature.screens import Screen

SIDE_CELLS = SIDE // CELL
EMPTY = len(LABELS)  # the choice of a cell that nothing reaches into


def label_ids(desk: Desk) -> list[int]:
    """The token of each label as a question says it, then the token that stands for nothing."""
    words = [label if label in objects.KINDS["digit"] else f"Ġ{label}" for label in LABELS]
    ids = desk.tokenizer.convert_tokens_to_ids([*words, "<|vision_pad|>"])
    assert None not in ids and len(set(ids)) == len(ids), f"some of {words} are not single tokens"
    return ids


def shape_ids(desk: Desk) -> list[int]:
    return desk.tokenizer.convert_tokens_to_ids([f"Ġ{shape}" for shape in solids.SHAPES])


def seen(things: list[Thing]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of the 16 cells: the label's number, the shape's number, and the edges [4] in cells from the cell's middle.

    NOTHING and nan where nothing is asked: a thing reaches in with little of itself, or two things share the cell.
    """
    labels, shapes = np.full(SIDE_CELLS**2, EMPTY), np.full(SIDE_CELLS**2, NOTHING)
    edges = np.full((SIDE_CELLS**2, 4), np.nan, np.float32)
    claims = [covered(thing.box) for thing in things]
    for thing in things:
        labels[list(covered(thing.box, least=0))] = NOTHING
    for thing, claim in zip(things, claims, strict=True):
        for number in claim:
            if sum(number in other for other in claims) > 1:
                continue
            middle = np.array([number % SIDE_CELLS, number // SIDE_CELLS] * 2) * CELL + CELL / 2
            labels[number] = LABELS.index(thing.label)
            edges[number] = (np.array(thing.box) - middle) / CELL
            if thing.words[1].split()[-1] in solids.SHAPES:
                shapes[number] = solids.SHAPES.index(thing.words[1].split()[-1])
    return labels, shapes, edges


def second_sight(
    model,
    desk: Desk,
    pool: digits.Scans,
    rng: np.random.Generator,
    *,
    pictures: int,
    screens: tuple[Screen, ...],
    is_bfloat16: bool,
    batch: int = 64,
    rate: float = 1.5e-3,
) -> None:
    """Train the vision tower on `pictures` scenes, half of them free, and a quarter of screens; prints the share of cells named rightly."""
    embedding = model.get_input_embeddings().weight.detach()
    names, shapes_of = embedding[label_ids(desk)], embedding[shape_ids(desk)]
    ruler = torch.nn.Linear(embedding.shape[1], 4)
    tower = list(model.model.visual.parameters())
    groups = [{"params": tower, "share": 1.0}, {"params": ruler.parameters(), "share": 1.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    steps, start = max(1, pictures // batch), time.time()
    grid = torch.tensor([[1, 2 * SIDE_CELLS, 2 * SIDE_CELLS]]).repeat(batch, 1)
    weight = torch.tensor([1.0] * EMPTY + [0.3])
    for step in range(steps):
        for group in optimizer.param_groups:
            pace = min(1, (step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / steps)))
            group["lr"] = rate * pace
        shown = [screens[int(k)] for k in rng.integers(len(screens), size=batch // 4)]
        scenes = [(screen.picture, things(screen)) for screen in shown]
        scenes += [
            objects.scene(rng, pool, most=6, repeat=bool(i % 4 < 2), layout="free" if i % 2 else "grid")
            for i in range(batch - len(shown))
        ]
        patches = desk.patches(tuple(picture for picture, _ in scenes))
        gold = [seen(named) for _, named in scenes]
        label, shape, edges = (torch.from_numpy(np.concatenate([row[k] for row in gold])) for k in range(3))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_bfloat16):
            tokens = image_tokens(model, torch.from_numpy(patches), grid)
        tokens = tokens.float()
        logits, shape_logits = tokens @ names.T, tokens @ shapes_of.T
        has_box = ~edges[:, 0].isnan()
        read = ruler(tokens[has_box])
        loss = torch.nn.functional.cross_entropy(logits, label, weight, ignore_index=NOTHING)
        loss = loss + 0.5 * torch.nn.functional.cross_entropy(shape_logits, shape, ignore_index=NOTHING)
        loss = loss + 4 * torch.nn.functional.l1_loss(read, edges[has_box])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 49 or step == steps - 1:
            found = (logits.argmax(-1) == label)[has_box].view(-1).float()
            far = CELL * float((read - edges[has_box]).detach().abs().mean())
            shaped = float((shape_logits.argmax(-1) == shape)[shape != NOTHING].float().mean())
            print(
                f"second sight {step + 1}/{steps}  {time.time() - start:.0f} s  named {float(found.mean()):.2f}  "
                f"shapes {shaped:.2f}  edges off by {far:.1f} pixels",
                flush=True,
            )
