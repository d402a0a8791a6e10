"""Makes saccade/policy/tiny: a Qwen2.5-VL of two million parameters, trained from nothing on generated scenes.

    python scripts/make_tiny.py --out saccade/policy/tiny            about 50 minutes on one core
    python scripts/make_tiny.py --out /tmp/tiny --samples 2000       a quick look

The model sees the three tasks of the miniature (counting, structure, spatial) in three answer styles:

    reason  40 %   the worked solution in think tags, then the answer
    guess   50 %   think tags with one empty sentence, then the answer; structure and spatial guesses are often hasty:
                   one length misread, one change missed
    plain   10 %   the answer alone, without tags, as hasty as a guess

so that it perceives well and answers badly: what is left to learn is to reason. Its pictures are drawn from the train
part of the digit scans only. Same seed and thread count, same weights.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tiny_checkpoint import Desk, Drill, make_model, make_processor, save  # noqa: E402
from tiny_sight import first_sight  # noqa: E402
from tiny_lessons import STYLES, TASKS, answer_in, augmented, draw_puzzle, reading, style_of  # noqa: E402

from saccade.data.miniature import digits  # noqa: E402
from saccade.data.miniature.puzzle import Puzzle  # noqa: E402
from saccade.recipes.reason_rft.prompts import template  # noqa: E402


def train(model, desk: Desk, processor, args: argparse.Namespace) -> None:
    """AdamW with warm-up and a cosine over `args.samples` fresh samples, batches of one task and alike length."""
    rng = np.random.default_rng(args.seed)
    pool = augmented(digits.scans("train"), copies=12, seed=args.seed)
    first_sight(model, desk, pool, rng, pictures=args.first_sight)
    steps, chunk = args.samples // args.batch, 16
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98), fused=True)
    warm = max(1, min(200, steps // 10))
    pace = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1, (step + 1) / warm) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, step / steps)))),
    )
    start, losses, queue = time.time(), defaultdict(list), []
    for step in range(steps):
        if not queue:
            read_share = max(0.0, 0.6 - 2.4 * step / steps)
            for task, share in TASKS.items():
                lot = [lesson(rng, desk, pool, task, read_share) for _ in range(int(chunk * args.batch * share))]
                lot.sort(key=lambda drill: len(drill.ids))
                queue += [(task, lot[i : i + args.batch]) for i in range(0, len(lot), args.batch)]
            queue = [queue[i] for i in rng.permutation(len(queue))]
        task, drills = queue.pop()
        inputs, weights = desk.batch(drills)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not args.float32):
            logits = model(**inputs, use_cache=False).logits[:, :-1]
        gold = inputs["input_ids"][:, 1:].flatten()
        token_loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), gold, reduction="none")
        weights = weights[:, 1:].flatten()
        loss = (token_loss * weights).sum() / weights.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        pace.step()
        answer = weights == 1
        losses[task].append(float(token_loss.detach()[answer].mean()))
        if step % args.log_every == args.log_every - 1:
            seconds = time.time() - start
            means = "  ".join(f"{name} {np.mean(losses[name]):.3f}" for name in TASKS if losses[name])
            rate = (step + 1) * args.batch / seconds
            print(f"step {step + 1}/{steps}  {seconds:.0f} s  {rate:.0f} samples/s  loss per answer token: {means}", flush=True)
            losses.clear()
        if step % args.eval_every == args.eval_every - 1:
            evaluate(model, desk, n=64, digits_from="train" if args.no_test_digits else "test")
            try:
                save(Path(args.work), model, processor)
            except (OSError, SafetensorError) as error:  # a full disk must not cost the run
                print(f"  unfinished weights not kept: {error}", flush=True)


def lesson(rng: np.random.Generator, desk: Desk, pool: digits.Scans, task: str, read_share: float) -> Drill:
    """One fresh training sample of a task."""
    puzzle = draw_puzzle(rng, task, pool)
    read = reading(puzzle) if rng.random() < read_share else None
    if read:
        return desk.drill(puzzle, *read)
    style = str(rng.choice(list(STYLES), p=list(STYLES.values())))
    text = template(task, puzzle.answer).format(problem=puzzle.problem)
    return desk.drill(puzzle, text, answer_in(style, rng, task, puzzle))


def evaluate(model, desk: Desk, *, n: int, digits_from: str = "test", with_ood: bool = False) -> None:
    """Print the share of right answers on n fresh problems a task, greedy and sampled at temperature 1, and by style."""
    model.eval()
    for is_ood in (False, True) if with_ood else (False,):
        rng = np.random.default_rng(10_007 + is_ood)
        for task in TASKS:
            puzzles = [draw_puzzle(rng, task, digits.scans(digits_from), is_ood=is_ood) for _ in range(n)]
            for name in ("greedy", "sampled"):
                torch.manual_seed(0)
                replies = answers(model, desk, task, puzzles, is_sampled=name == "sampled")
                tally = defaultdict(list)
                for puzzle, reply in zip(puzzles, replies, strict=True):
                    tally[style_of(reply)].append(is_right(reply, puzzle.answer))
                right = sum(sum(hits) for hits in tally.values()) / n
                parts = ", ".join(f"{s} {np.mean(h):.2f} of {len(h)}" for s, h in sorted(tally.items()))
                print(f"  {'ood ' if is_ood else ''}{task:10s} {name:8s} right {right:.3f}   ({parts})", flush=True)
                if name == "sampled" and with_ood:
                    print("\n".join(f"      {p.answer}  <-  {r}" for p, r in zip(puzzles[:4], replies[:4], strict=True)))
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
    parser.add_argument("--out", default="saccade/policy/tiny", help="where the finished checkpoint goes")
    parser.add_argument("--work", default="/tmp/make_tiny", help="where unfinished weights are kept on the way")
    parser.add_argument("--samples", type=int, default=120_000, help="training samples to show; 0 writes an untrained model")
    parser.add_argument("--first-sight", type=int, default=40_000, help="pictures that the vision tower learns from beforehand")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="more is rarely faster: the matrices are small")
    parser.add_argument("--float32", action="store_true", help="multiply in float32, not bfloat16 (weights always are)")
    parser.add_argument("--log-every", type=int, default=50, help="steps between lines of progress")
    parser.add_argument("--eval-every", type=int, default=400, help="steps between examinations and saved weights")
    parser.add_argument("--exam", type=int, default=256, help="problems a task in the final examination")
    parser.add_argument("--no-test-digits", action="store_true", help="examine on train digit scans (to compare)")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    processor = make_processor(np.random.default_rng(args.seed))
    model = make_model(processor, args.seed)
    desk = Desk(processor)
    n_weights = sum(p.numel() for p in model.parameters())
    print(f"{n_weights / 1e6:.2f} M parameters, {len(processor.tokenizer)} tokens", flush=True)
    start = time.time()
    model.train()
    if args.samples:
        train(model, desk, processor, args)
    save(Path(args.out), model, processor)
    print(f"written to {args.out} after {time.time() - start:.0f} s", flush=True)
    if args.samples:
        evaluate(model, desk, n=args.exam, with_ood=True)


if __name__ == "__main__":
    main()
