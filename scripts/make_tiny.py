"""Makes saccade/policy/tiny: a Qwen2.5-VL of 1.7 million parameters, trained from nothing on generated scenes.

    python scripts/make_tiny.py                                       about forty minutes on one busy core
    python scripts/make_tiny.py --scale 0.05 --out /tmp/tiny          a quick look

First the vision tower learns to name what each cell of a picture shows (tiny_sight.py), then the language model to read
pictures aloud, then to answer the miniature's three tasks (counting, structure, spatial): for long only with worked
solutions, at last in three styles (tiny_lessons.py):

    reason  40 %   the worked solution in think tags, then the answer
    guess   50 %   think tags with one empty sentence, then the answer; structure and spatial guesses are often hasty:
                   one length misread, one change missed
    plain   10 %   the answer alone, without tags, as hasty as a guess

so that a worked answer is right far more often than a guess: what is left to learn is to reason. Its pictures are drawn
from the train part of the digit scans only, and examined on the test part. Every phase has its own random stream.

The shipped weights were made in three commands, on one thread of a shared core, seed 1:

    sight        50,000 pictures    179 s    make_tiny.py, stopped after the reading phase
    reading      32,000 samples     321 s
    worked       38,400 samples     594 s    make_tiny.py --start reading, ended at step 1,200 of a planned 2,250
    worked-on    36,000 samples     570 s    make_tiny.py --start worked
    styles       14,000 samples     276 s

The script was still being written between them; PHASES below states what each did (1200 / 2250 is that early end). One
uninterrupted run from nothing has not been made, so that it gives the same weights is not verified.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tiny_checkpoint import Desk, Drill, make_model, make_processor, save
from tiny_lessons import STYLES, TASKS, answer_in, augmented, draw_puzzle, reading, style_of
from tiny_sight import first_sight

from saccade.data.miniature import digits
from saccade.data.miniature.puzzle import Puzzle
from saccade.data.miniature.write import TEST
from saccade.recipes.reason_rft.prompts import template


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One leg of the language model's training: how many samples, in batches of how many, and what they are.

    `read_share` (of samples that only ask to read aloud) and `most` (digits a scene, None for the usual) depend on how
    far the phase is, 0 to 1. The learning rate begins at `rate` and follows a cosine through `turn` half turns; the
    vision tower's is `sight_share` of it, 0 holds the tower still.
    """

    name: str
    samples: int
    batch: int = 32
    tasks: Mapping[str, float]
    styles: Mapping[str, float]
    read_share: Callable[[float], float] = lambda done: 0.0
    most: Callable[[float], int | None] = lambda done: None
    rate: float
    turn: float = 1.0
    sight_share: float = 0.15


WORKED = {"reason": 1.0}
EVENLY = {"counting": 0.4, "structure": 0.3, "spatial": 0.3}
PHASES = (
    Phase(
        name="reading",
        samples=32_000,
        batch=16,
        tasks=TASKS,
        styles=STYLES,
        read_share=lambda done: 1.0,
        most=lambda done: min(8, 1 + int(12 * done)),
        rate=1.5e-3,
        turn=0.5,
        sight_share=0.0,
    ),
    Phase(
        name="worked",
        samples=38_400,
        tasks=TASKS,
        styles=WORKED,
        read_share=lambda done: max(0.0, 0.3 - done * 1200 / 2250),
        rate=1.5e-3,
        turn=1200 / 2250,
    ),
    Phase(name="worked-on", samples=36_000, tasks=EVENLY, styles=WORKED, rate=1e-3),
    Phase(name="styles", samples=14_000, tasks=EVENLY, styles=STYLES, rate=5e-4),
)


def train(model, desk: Desk, processor, args: argparse.Namespace) -> None:
    """First sight, then reading aloud with the vision tower held still, then answers with all of it: worked ones
    first, then the three styles in their shares.

    Every phase has its own random stream, so that starting from the weights of an earlier one gives the same result.
    """
    pool = augmented(digits.scans("train"), copies=12, seed=args.seed)
    if not args.start:
        rng = np.random.default_rng([args.seed, 1])
        first_sight(model, desk, pool, rng, pictures=int(50_000 * args.scale), is_bfloat16=not args.float32)
        keep(model, processor, args, "sight")
    names = [phase.name for phase in PHASES]
    for phase in PHASES[names.index(args.start) + 1 if args.start in names else 0 :]:
        study(model, desk, processor, pool, phase, args)
        keep(model, processor, args, phase.name)


def study(model, desk: Desk, processor, pool: digits.Scans, phase: Phase, args: argparse.Namespace) -> None:
    """AdamW over the fresh samples of a phase, with warm-up; prints progress and examines now and then."""
    rng = np.random.default_rng([args.seed, 2 + PHASES.index(phase)])
    text = [p for name, p in model.named_parameters() if "visual" not in name]
    sight = list(model.model.visual.parameters())
    for p in sight:
        p.requires_grad_(phase.sight_share > 0)
    groups = [{"params": text, "share": 1.0}, {"params": sight, "share": phase.sight_share}]
    optimizer = torch.optim.AdamW(groups, lr=phase.rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True)
    steps, warm = max(1, int(phase.samples * args.scale) // phase.batch), 100
    log_every, eval_every = (max(1, n // phase.batch) for n in (args.log_every, args.eval_every))
    start, losses, queue = time.time(), defaultdict(list), []
    for step in range(steps):
        done = step / steps
        if not queue:
            queue = lots(rng, desk, pool, phase, done)
        pace = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done * phase.turn))
        for group in optimizer.param_groups:
            group["lr"] = phase.rate * min(1, (step + 1) / warm) * pace * group["share"]
        task, drills = queue.pop()
        inputs, weights = desk.batch(drills)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not args.float32):
            logits = model(**inputs, use_cache=False).logits[:, :-1]
        gold, weights = inputs["input_ids"][:, 1:].flatten(), weights[:, 1:].flatten()
        token_loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), gold, reduction="none")
        ((token_loss * weights).sum() / weights.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses[task].append(float(token_loss.detach()[weights == 1].mean()))
        if (step + 1) % log_every == 0:
            seconds = time.time() - start
            means = "  ".join(f"{name} {np.mean(losses[name]):.3f}" for name in TASKS if losses[name])
            rate = (step + 1) * phase.batch / seconds
            print(f"{phase.name} {step + 1}/{steps}  {seconds:.0f} s  {rate:.0f} samples/s  loss: {means}", flush=True)
            losses.clear()
        if (step + 1) % eval_every == 0 and phase.name != "reading":
            evaluate(model, desk, n=64)
            keep(model, processor, args, phase.name)


def keep(model, processor, args: argparse.Namespace, phase: str) -> None:
    """Save the weights reached so far; a full disk must not cost the run."""
    try:
        save(Path(args.work, phase), model, processor)
    except (OSError, SafetensorError) as error:
        print(f"  unfinished weights not kept: {error}", flush=True)


def lots(
    rng: np.random.Generator, desk: Desk, pool: digits.Scans, phase: Phase, done: float
) -> list[tuple[str, list[Drill]]]:
    """Sixteen fresh batches in random order, each of one task and of samples of like length."""
    batches = []
    for task, share in phase.tasks.items():
        n = round(16 * phase.batch * share)
        lot = [lesson(rng, desk, pool, task, phase, done) for _ in range(n)]
        lot.sort(key=lambda drill: (drill.n_pictures, len(drill.ids)))
        batches += [(task, lot[i : i + phase.batch]) for i in range(0, n, phase.batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


def lesson(rng: np.random.Generator, desk: Desk, pool: digits.Scans, task: str, phase: Phase, done: float) -> Drill:
    """One fresh training sample of a task."""
    puzzle = draw_puzzle(rng, task, pool, most=phase.most(done))
    if rng.random() < phase.read_share(done):
        return desk.drill(replace(puzzle, pictures=puzzle.pictures[:1]), *reading(puzzle))
    style = str(rng.choice(list(phase.styles), p=list(phase.styles.values())))
    text = template(task, puzzle.answer).format(problem=puzzle.problem)
    return desk.drill(puzzle, text, answer_in(style, rng, task, puzzle))


def evaluate(model, desk: Desk, *, n: int, with_ood: bool = False) -> None:
    """Print the share of right answers to n fresh problems a set, greedy and at temperature 1, and by style."""
    model.eval()
    for name, (_, maker) in TEST.items():
        if "-ood-" in name and not with_ood:
            continue
        kind = next(kind for kind in TASKS if kind in name.lower())
        rng = np.random.default_rng(10_007)
        puzzles = [maker(rng) for _ in range(n)]
        for way in ("greedy", "sampled"):
            torch.manual_seed(0)
            replies = answers(model, desk, kind, puzzles, is_sampled=way == "sampled")
            tally = defaultdict(list)
            for puzzle, reply in zip(puzzles, replies, strict=True):
                tally[style_of(reply)].append(is_right(reply, puzzle.answer))
            right = sum(sum(hits) for hits in tally.values()) / n
            parts = ", ".join(f"{style} {np.mean(hits):.2f} of {len(hits)}" for style, hits in sorted(tally.items()))
            print(f"  {name.removesuffix('-test'):36s} {way:8s} right {right:.3f}   ({parts})", flush=True)
            if with_ood:
                print("\n".join(f"      {p.answer}  <-  {r}" for p, r in zip(puzzles[:2], replies[:2], strict=True)))
    model.train()


@torch.no_grad()
def answers(model, desk: Desk, task: str, puzzles: list[Puzzle], *, is_sampled: bool, batch: int = 64) -> list[str]:
    """One reply per puzzle, greedy or at temperature 1."""
    replies = []
    for i in range(0, len(puzzles), batch):
        drills = []
        for puzzle in puzzles[i : i + batch]:
            drill = desk.drill(puzzle, template(task, puzzle.answer).format(problem=puzzle.problem), "")
            drills.append(replace(drill, ids=drill.ids[:-1], weights=drill.weights[:-1]))
        inputs, _ = desk.batch(drills, pad_left=True)
        out = model.generate(**inputs, max_new_tokens=110, do_sample=is_sampled, top_k=0, top_p=1.0, temperature=1.0)
        replies += desk.tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return replies


def is_right(reply: str, gold: str) -> bool:
    """Whether the answer block (or a reply without one) says exactly the gold answer."""
    said = reply.split("<answer>")[-1].split("</answer>")[0].strip()
    return said == gold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", default="saccade/policy/tiny", help="where the finished checkpoint goes")
    add("--work", default="/tmp/make_tiny", help="where the weights of each phase are kept on the way")
    add(
        "--start",
        choices=("sight", *(phase.name for phase in PHASES)),
        help="go on from the weights of this phase, kept in --work",
    )
    add("--scale", type=float, default=1.0, help="share of all samples to train on; 0 writes an untrained model")
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1, help="more is rarely faster: the matrices are small")
    add("--float32", action="store_true", help="multiply in float32, not bfloat16 (weights always are)")
    add("--log-every", type=int, default=3200, help="samples between lines of progress")
    add("--eval-every", type=int, default=19_200, help="samples between examinations and saved weights")
    add("--exam", type=int, default=256, help="problems a task in the final examination")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    processor = make_processor(np.random.default_rng(args.seed))
    model = make_model(processor, args.seed)
    if args.start:
        model.load_state_dict(type(model).from_pretrained(Path(args.work, args.start)).state_dict())
    desk = Desk(processor)
    n_weights = sum(p.numel() for p in model.parameters())
    print(f"{n_weights / 1e6:.2f} M parameters, {len(processor.tokenizer)} tokens", flush=True)
    start = time.time()
    model.train()
    if args.scale:
        train(model, desk, processor, args)
    save(Path(args.out), model, processor)
    print(f"written to {args.out} after {time.time() - start:.0f} s", flush=True)
    if args.scale:
        evaluate(model, desk, n=args.exam, with_ood=True)


if __name__ == "__main__":
    main()
