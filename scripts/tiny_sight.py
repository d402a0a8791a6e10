"""First sight: the tiny model's vision tower learns to name what stands in each cell, before any text is read.

Every image token of a scene should resemble the word embeddings of what its cell shows: a digit for a drawn digit or a
written length, the four attribute words for a solid, `<|vision_pad|>` for nothing. Minutes of this save an hour: a
language model that must learn from its answers alone that there is something to see stays blind for long.
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from tiny_checkpoint import Desk
from tiny_lessons import draw_puzzle
from torch import Tensor

from saccade.data.miniature import digits, solids
from saccade.data.miniature.puzzle import SIDE, Puzzle

CELL = 28  # pixels, one image token
SIDE_CELLS = SIDE // CELL
NOTHING = -100  # what cross-entropy ignores


def words(desk: Desk) -> dict[str, list[int]]:
    """The token ids that each question about a cell chooses from."""
    one = desk.tokenizer.convert_tokens_to_ids
    ids = {"digit": [one(str(n)) for n in range(10)] + [one("<|vision_pad|>")]}
    for name, values in solids.ATTRIBUTES.items():
        ids[name] = [one(f"Ġ{value}") for value in values]
    unknown = [name for name, tokens in ids.items() if None in tokens or len(set(tokens)) < len(tokens)]
    assert not unknown, f"words of {unknown} are not single tokens"
    return ids


def seen_in_cells(task: str, puzzle: Puzzle) -> dict[str, np.ndarray]:
    """For the first picture, per question the right choice in each of the 16 cells, NOTHING where it is not asked."""
    gold = {name: np.full(SIDE_CELLS**2, NOTHING) for name in ("digit", *solids.ATTRIBUTES)}
    gold["digit"][:] = 10
    truth = puzzle.truth
    if task == "spatial":
        for solid in truth["before"]:
            cell = solid.place[1] * SIDE_CELLS + solid.place[0]
            gold["digit"][cell] = NOTHING
            for name, values in solids.ATTRIBUTES.items():
                gold[name][cell] = values.index(getattr(solid, name))
        return gold
    numbers = truth["digits"] if task == "counting" else truth["lengths"]
    for number, place in zip(numbers, truth["places"], strict=True):
        x, y = (place[0] + place[2] / 2, place[1] + place[2] / 2) if task == "counting" else place
        gold["digit"][int(y // CELL) * SIDE_CELLS + int(x // CELL)] = number
    return gold


def first_sight(
    model,
    desk: Desk,
    pool: digits.Scans,
    rng: np.random.Generator,
    *,
    pictures: int,
    is_bfloat16: bool,
    batch: int = 64,
) -> None:
    """Train the vision tower and the word embeddings on `pictures` scenes; prints the share of cells named rightly."""
    choices = {name: torch.tensor(ids) for name, ids in words(desk).items()}
    embedding = model.get_input_embeddings().weight
    learned = [*model.model.visual.parameters(), embedding]
    optimizer = torch.optim.AdamW(learned, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    steps, start = max(1, pictures // batch), time.time()
    shares = {"counting": 0.375, "structure": 0.4375, "spatial": 0.1875}  # structure has the fewest digits a picture
    tasks = [task for task, share in shares.items() for _ in range(round(batch * share))]
    grid = torch.tensor([[1, 2 * SIDE_CELLS, 2 * SIDE_CELLS]]).repeat(batch, 1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        scenes = [(task, draw_puzzle(rng, task, pool)) for task in tasks]
        patches = desk.patches(tuple(puzzle.pictures[0] for _, puzzle in scenes))
        gold = [seen_in_cells(task, puzzle) for task, puzzle in scenes]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_bfloat16):
            tokens = image_tokens(model, torch.from_numpy(patches), grid)
        tokens = tokens.float()
        loss, named = torch.zeros(()), {}
        for name, ids in choices.items():
            right = torch.from_numpy(np.concatenate([cells[name] for cells in gold]))
            logits = tokens @ embedding[ids].T
            weight = torch.tensor([1.0] * 10 + [0.3]) if name == "digit" else None
            loss = loss + torch.nn.functional.cross_entropy(logits, right, weight, ignore_index=NOTHING)
            asked = (right != NOTHING) & ((right != 10) | (name != "digit"))
            named[name] = float((logits.argmax(-1) == right)[asked].float().mean())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 49 or step == steps - 1:
            parts = "  ".join(f"{name} {share:.2f}" for name, share in named.items())
            print(f"first sight {step + 1}/{steps}  {time.time() - start:.0f} s  cells named: {parts}", flush=True)


def image_tokens(model, patches: Tensor, grid: Tensor) -> Tensor:
    """What the language model would get for the pictures, [image tokens, hidden]."""
    out = model.model.visual(patches, grid_thw=grid)
    return getattr(out, "pooler_output", out)
