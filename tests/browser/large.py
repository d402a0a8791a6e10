"""A large run for measuring: 20,000 rollouts in 2,500 groups on 2,000 pictures of 224 pixels, unless told otherwise."""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path

import numpy as np
from PIL import Image

from tests.browser.described import COMMAND, recipe

WORDS = (
    "the a small large red blue left right above below circle square near far count see there are two three four "
    "picture shows which means therefore so answer is between edge corner object looks like wait check again sum"
).split()


def large(
    path: Path,
    *,
    groups: int = 2500,
    siblings: int = 8,
    pictures: int = 2000,
    steps: int = 250,
    words: int = 60,
    seed: int = 0,
) -> Path:
    """Writes the folder; a step is logged as a trainer does it."""
    rng = random.Random(seed)
    (path / "pictures").mkdir(parents=True)
    (path / "command.json").write_text(json.dumps(COMMAND))
    (path / "recipe.json").write_text(json.dumps(recipe()))
    shas = [_picture(path, n) for n in range(pictures)]
    with (
        open(path / "rollouts.jsonl", "w") as rollouts,
        open(path / "metrics.jsonl", "w") as metrics,
        open(path / "tokens.jsonl", "w") as tokens,
    ):
        for step in range(1, steps + 1):
            for index in range(groups // steps):
                number = (step - 1) * (groups // steps) + index
                rows = _rows(rng, step, index, sha=shas[number % pictures], siblings=siblings, words=words)
                rollouts.writelines(json.dumps(row) + "\n" for row in rows)
                if index == 0:
                    tokens.writelines(json.dumps(_trace(row, n, rng)) + "\n" for n, row in enumerate(rows))
            line = {f"reward/{key}": rng.random() for key in ("mean", "accuracy", "format")} | {
                f"policy/p{n}": rng.random() for n in range(40)
            }
            metrics.write(json.dumps({"run/stage": "rl", "run/step": step, "run/total_steps": step, **line}) + "\n")
    return path


def _picture(path: Path, n: int) -> str:
    """Smooth noise in few shades: about as large as a small photograph."""
    blocks = np.random.default_rng(n).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize((224, 224), Image.Resampling.BILINEAR).point(lambda value: value & 0xF0)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    sha = hashlib.sha256(buffer.getvalue()).hexdigest()
    (path / "pictures" / f"{sha}.png").write_bytes(buffer.getvalue())
    return sha


def _rows(rng: random.Random, step: int, index: int, *, sha: str, siblings: int, words: int) -> list[dict]:
    target = str(rng.randrange(20))
    rows = []
    for _ in range(siblings):
        said = target if rng.random() < 0.2 + 0.6 * step / 250 else str(rng.randrange(20))
        thought = " ".join(rng.choices(WORDS, k=rng.randrange(words // 2, words * 3 // 2)))
        value = float(said == target)
        box = [round(rng.random(), 6) for _ in range(4)]
        rows.append({
            "step": step, "stage": "rl", "group": f"rl-{step}/{index}", "sample": f"count/{rng.randrange(5000)}",
            "kind": ("count", "sum", "shape")[index % 3],
            "prompt": "[picture]How many are there? Think inside <think> tags, then answer inside <answer> tags.", "pictures": [sha],
            "seen": [[224, 224]], "target": target, "gold": [{"picture": 0, "box": [0.2, 0.2, 0.6, 0.7]}], "marks": [{"picture": 0, "box": box}],
            "text": f"<think>{thought}</think><answer>{said}</answer>", "tokens": len(thought) // 4, "stop": "eos", "reward": value + 1.0,
            "scores": {"accuracy": {"value": value, "why": "equal" if value else f"{said} is not {target}"},
                       "format": {"value": 1.0, "why": "think, then answer"}}, "advantage": round(rng.gauss(0, 1), 15),
        })  # fmt: skip
    return [{**row, "sample": rows[0]["sample"]} for row in rows]


def _trace(row: dict, sibling: int, rng: random.Random) -> dict:
    pieces = [row["text"][n : n + 4] for n in range(0, len(row["text"]), 4)]
    lists = {key: [float(f"{rng.gauss(0, 1):.4g}") for _ in pieces] for key in ("logp", "entropy", "change", "weight")}
    return {
        "step": row["step"],
        "stage": "rl",
        "group": row["group"],
        "sibling": sibling,
        "pieces": pieces,
        "sampled": [1] * len(pieces),
        **lists,
    }
