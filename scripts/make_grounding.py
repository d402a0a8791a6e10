"""Makes saccade/policy/tiny_grounding: the tiny model taught to find what is asked, to write boxes, and to act on screens.

    python scripts/make_screens.py --out screens.parquet --train 4000 --test 0 --seed 1      (a minute; needs chromium)
    python scripts/make_grounding.py --screens screens.parquet                                half an hour on one free core
    python scripts/make_grounding.py --scale 0.01 --out /tmp/grounding --exam 8               a quick look

It starts from saccade/policy/tiny, whose vocabulary grows by what the new questions and answers say word for word
(grounding_checkpoint.py). Then the vision tower learns to name digits, solids and widgets wherever they stand
(grounding_sight.py) and is held still. Then the language model is shown where to look while it reads and writes
(grounding_pointing.py), first for one thing, then for lists and actions (grounding_lessons.py, grounding_screens.py). At
last its answers come in two styles, looked-at ones and, in 55 %, hasty ones, so that a sampled answer is often wrong and
what is left to learn is to look. Every phase has its own random stream; digits and screens are of the train part only.

The shipped weights were made on the way to this script, on one shared core and in several commands, seeds 1, 3 and 5:

    sight        60,000 pictures    320 s    then pointing, 1,600 updates of 16 in 229 s, and able, 1,500 updates in 309 s
    sight        32,000 pictures    250 s    again, from there: newer screens, and a thing named in every cell with a fifth of it
    able          3,800 updates     884 s    what is shown: every cell by what it holds of a thing, before that its middle's cell
    able            700 updates     316 s    act at 40 %, and copying shown
    styles          500 updates     242 s

PHASES states that course in one run from nothing, which has not been made; that the phases follow each other and start
again has been tried with --scale 0.004. COPIED came after the shipped weights, which write the wrong text to type or select.

Greedy answers to fresh questions about scenes of held-out digits, before and after the styles (192 and 128 questions a
row, evaluate()): every right thing found with IoU > 0.5 and nothing else said. Sampled is at temperature 1.

    lesson                          able      shipped greedy   shipped sampled
    where, on the grid              1.00      0.69             0.41        "red cube" for "red": 1.00, 0.72, 0.41
    where, anywhere                 0.19      0.10             0.05
    detect, on the grid             0.54      0.27             0.16        things found: 0.75, 0.72, 0.42
    locate (lists), on the grid     0.70      0.46             0.08        things found: 0.92, 0.91, 0.54
    locate_one, on the grid         0.81      0.59             0.27
    locate, locate_one anywhere     0.01 0.10     0.00 0.05    0.00 0.05
    act, screens of the test part   0.81      0.55             0.38        action 0.93, 0.75, 0.58; click inside 0.89, 0.63, 0.35
    act, a platform never shown     0.58      0.48             0.36        click inside 0.46, 0.44, 0.20

(act asks for more texts here than commands do: TEXTS.) What was tried and did not help: a tower that names a thing only in
the cell of its middle (it cannot tell which cell that is near a border: cells named 0.85 for 0.96 on screens); pointing at
the middle's cell alone for things that reach over borders (click inside 0.38 after 1,500 updates, 0.68 by shares).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from grounding_checkpoint import extended, grown
from grounding_exam import evaluate
from grounding_lessons import TALKS, Ways
from grounding_pointing import copying_loss, led, places_loss, pointing_loss
from grounding_screens import act
from grounding_sight import second_sight
from tiny_checkpoint import Desk, save
from tiny_lessons import augmented
from transformers import AutoModelForImageTextToText, AutoProcessor

from saccade.data.miniature import digits, screens
from saccade.policy.embedded import EMBEDDED

EAGER = {"text_config": "eager", "vision_config": "sdpa"}  # pointing reads attention, which only the eager kind tells


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One leg of the language model's training, the vision tower held still: updates, and what their batches are.

    `lessons` are shares by kind. The learning rate begins at `rate` and follows a cosine through `turn` half turns;
    `pointing` weighs what is shown (pointing_loss, and places_loss at half of it) against the answers.
    """

    name: str
    steps: int
    batch: int = 16
    lessons: Mapping[str, float]
    free: float = 0.0
    hasty: float = 0.0
    malformed: float = 0.0
    longer: float = 0.3
    rate: float
    turn: float = 1.0
    pointing: float = 1.0


LESSONS = {**TALKS, "act": act}
ALL = {"where": 0.12, "detect": 0.28, "locate": 0.28, "locate_one": 0.12, "act": 0.2}
PHASES = (
    Phase(
        name="pointing",
        steps=1600,
        lessons={"where": 0.55, "locate_one": 0.25, "act": 0.2},
        free=0.15,
        rate=1e-3,
        turn=0.4,
    ),
    Phase(name="able", steps=5500, lessons=ALL, free=0.15, rate=1e-3),
    Phase(name="styles", steps=500, lessons=ALL, free=0.1, hasty=0.55, malformed=0.1, rate=5e-4, pointing=0.3),
)
SIGHT_PICTURES = 60_000
MERGES = 240
COPIED = 10.0  # loss weight of a word that repeats the command: one of a hundred


def texts(seed: int, n: int = 400) -> list[str]:
    """Prompts and answers of all kinds, for the tokenizer."""
    rng = np.random.default_rng([seed, 100])
    ways = Ways(pool=digits.scans("train"), screens=screens.screens("train"), hasty=0.5)
    lessons = [draw(rng, ways) for draw in LESSONS.values() for _ in range(n)]
    return [text for lesson in lessons for text in (lesson.prompt, lesson.answer)]


def train(model, desk: Desk, processor, args: argparse.Namespace) -> None:
    """Second sight, then every phase; each has its own random stream, and begins from saved weights as from these."""
    pool = augmented(digits.scans("train"), copies=12, seed=args.seed)
    shown = screens.screens("train", Path(args.screens)) if args.screens else screens.screens("train")
    if not args.start:
        rng = np.random.default_rng([args.seed, 101])
        pictures = int(SIGHT_PICTURES * args.scale)
        second_sight(model, desk, pool, rng, pictures=pictures, screens=shown, is_bfloat16=not args.float32)
        keep(model, processor, args, "sight")
    names = [phase.name for phase in PHASES]
    for phase in PHASES[names.index(args.start) + 1 if args.start in names else 0 :]:
        study(model, desk, processor, Ways(pool=pool, screens=shown), phase, args)
        keep(model, processor, args, phase.name)
        if phase.name == args.until:
            return


def study(model, desk: Desk, processor, ways: Ways, phase: Phase, args: argparse.Namespace) -> None:
    """AdamW over fresh batches of a phase, each of one kind of lesson; prints progress and examines now and then."""
    number = [other.name for other in PHASES].index(phase.name)
    rng = np.random.default_rng([args.seed, 102 + number])
    torch.manual_seed(args.seed + number)
    ways = replace(ways, free=phase.free, hasty=phase.hasty, malformed=phase.malformed, longer=phase.longer)
    for p in model.model.visual.parameters():
        p.requires_grad_(False)
    text = [p for name, p in model.named_parameters() if "visual" not in name]
    head = torch.nn.Linear(model.config.text_config.hidden_size, 8)
    optimizer = torch.optim.AdamW(
        [*text, *head.parameters()], lr=phase.rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True
    )
    steps, start, losses = max(1, int(phase.steps * args.scale)), time.time(), defaultdict(list)
    kinds, shares = list(phase.lessons), list(phase.lessons.values())
    model.train()
    for step in range(steps):
        pace = min(1, (step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / steps * phase.turn)))
        for group in optimizer.param_groups:
            group["lr"] = phase.rate * pace
        kind = str(rng.choice(kinds, p=shares))
        lot = [led(desk, LESSONS[kind](rng, ways)) for _ in range(phase.batch)]
        inputs, weights = desk.batch([row.drill for row in lot])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not args.float32):
            out = model(**inputs, use_cache=False, output_hidden_states=True, output_attentions=True)
        for i, row in enumerate(lot):
            for place, _ in row.copies:
                weights[i, place + 1] = COPIED
        gold, weights = inputs["input_ids"][:, 1:].flatten(), weights[:, 1:].flatten()
        logits = out.logits[:, :-1].flatten(0, 1).float()
        token_loss = torch.nn.functional.cross_entropy(logits, gold, reduction="none")
        shown, misses = pointing_loss(lot, out.attentions)
        places = places_loss(head, out.hidden_states[2], inputs["input_ids"] == desk.image_id)
        copying = copying_loss(lot, out.attentions)
        loss = (token_loss * weights).sum() / weights.sum() + phase.pointing * (shown + 0.5 * places + 0.5 * copying)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(text, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses[kind].append(float(token_loss.detach()[weights >= 1].mean()))
        losses["places"].append(float(places.detach()))
        if any(row.copies for row in lot):
            losses["copying"].append(float(copying.detach()))
        for name, miss in misses.items():
            losses[f"{kind}/{name}"].append(miss)
        if (step + 1) % args.log_every == 0:
            means = "  ".join(f"{name} {np.mean(values):.2f}" for name, values in sorted(losses.items()))
            print(f"{phase.name} {step + 1}/{steps}  {time.time() - start:.0f} s  {means}", flush=True)
            losses.clear()
        if (step + 1) % args.eval_every == 0:
            evaluate(model, desk, LESSONS, list(phase.lessons), n=64)
            keep(model, processor, args, phase.name)


def keep(model, processor, args: argparse.Namespace, phase: str) -> None:
    """Save the weights reached so far; a full disk must not cost the run."""
    try:
        save(Path(args.work, phase), model, processor)
    except (OSError, SafetensorError) as error:
        print(f"  unfinished weights not kept: {error}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", default="saccade/policy/tiny_grounding", help="where the finished checkpoint goes")
    add("--work", default="/tmp/make_grounding", help="where the weights of each phase are kept on the way")
    names = ("sight", *(phase.name for phase in PHASES))
    add("--start", choices=names, help="go on from the weights of this phase, kept in --work")
    add("--until", choices=names, help="stop after this phase, write nothing to --out")
    add("--examine", help="only examine the weights in this folder")
    add("--screens", help="more screens to teach from, of make_screens.py --train 4000 --seed 1; else the shipped ones")
    add("--scale", type=float, default=1.0, help="share of all updates to make")
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1, help="more is rarely faster: the matrices are small")
    add("--float32", action="store_true", help="multiply in float32, not bfloat16 (weights always are)")
    add("--log-every", type=int, default=100, help="updates between lines of progress")
    add("--eval-every", type=int, default=400, help="updates between examinations and saved weights")
    add("--exam", type=int, default=256, help="questions a kind in the final examination")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    before = AutoProcessor.from_pretrained(EMBEDDED["tiny"])
    folder = args.examine or (Path(args.work, args.start) if args.start else None)
    if folder:
        processor = AutoProcessor.from_pretrained(folder)
        model = AutoModelForImageTextToText.from_pretrained(folder)
    else:
        processor = extended(before, texts(args.seed), merges=MERGES)
        model = grown(AutoModelForImageTextToText.from_pretrained(EMBEDDED["tiny"]), before, processor, args.seed)
    desk = Desk(processor)
    kinds = list(PHASES[-1].lessons)
    if args.examine:
        evaluate(model, desk, LESSONS, kinds, n=args.exam, ways=("greedy", "sampled"))
        return
    model.set_attn_implementation(EAGER)
    size = sum(p.numel() for p in model.parameters())
    print(f"{size / 1e6:.2f} M parameters, {len(processor.tokenizer)} tokens", flush=True)
    start = time.time()
    train(model, desk, processor, args)
    if args.until:
        return
    save(Path(args.out), model, processor)
    print(f"written to {args.out} after {time.time() - start:.0f} s", flush=True)
    model.set_attn_implementation("sdpa")
    evaluate(model, desk, LESSONS, kinds, n=args.exam, ways=("greedy", "sampled"))


if __name__ == "__main__":
    main()
