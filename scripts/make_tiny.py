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
import json
import math
import shutil
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from saccade.data.miniature import digits, geometry, solids  # noqa: E402
from saccade.data.miniature.puzzle import Puzzle  # noqa: E402
from saccade.recipes.reason_rft.prompts import template  # noqa: E402

PATCH, MERGE = 14, 2
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
SPECIALS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{%- if message['content'] is string -%}{{ message['content'] }}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- elif part['type'] == 'video' -%}{{ '<|vision_start|><|video_pad|><|vision_end|>' }}"
    "{%- elif part['type'] == 'text' -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
GUESS = "<think>I see it at once.</think><answer>{}</answer>"
STYLES = {"reason": 0.4, "guess": 0.5, "plain": 0.1}
TASKS = {"counting": 0.5, "structure": 0.25, "spatial": 0.25}
HASTY = 0.5  # share of structure and spatial guesses that are wrong on purpose
PROMPT_WEIGHT = 0.2  # loss weight of prompt text, against 1 of the answer: the object lists teach to see


@dataclass(frozen=True)
class Drill:
    """One training sample: patches [patches, 3*2*14*14] of its pictures, token ids, loss weight of each token."""

    patches: np.ndarray
    ids: list[int]
    weights: list[float]
    n_pictures: int


# What to learn ---------------------------------------------------------------------------------------------------


def draw_puzzle(rng: np.random.Generator, task: str, pool: digits.Scans, *, is_ood: bool = False) -> Puzzle:
    """A new problem of a task, from the family that training shows or from another one."""
    match task:
        case "counting":
            return digits.counting(rng, pool, least=9, most=11) if is_ood else digits.counting(rng, pool)
        case "structure":
            return geometry.structure(rng, family="other" if is_ood else "plain")
        case "spatial":
            return solids.spatial(rng, view="left" if is_ood else "center")
    raise ValueError(f"no task called {task!r}")


def answer_in(style: str, rng: np.random.Generator, task: str, puzzle: Puzzle) -> str:
    """What the model shall learn to say in a style."""
    if style == "reason":
        return puzzle.cot
    answer = puzzle.answer
    if task != "counting" and rng.random() < HASTY:
        answer = hasty_length(rng, puzzle) if task == "structure" else hasty_change(rng, puzzle)
    return answer if style == "plain" else GUESS.format(answer)


def hasty_length(rng: np.random.Generator, puzzle: Puzzle) -> str:
    """The answer of someone who misread one length; for a letter, another letter."""
    if puzzle.answer in geometry.LETTERS:
        return str(rng.choice([letter for letter in geometry.LETTERS if letter != puzzle.answer]))
    lengths = list(puzzle.truth["lengths"])
    which = int(rng.integers(len(lengths)))
    lengths[which] = int(rng.choice([n for n in range(2, 10) if abs(n - lengths[which]) in (1, 2)]))
    return geometry.work_out(puzzle.truth["shape"], puzzle.truth["asked"], lengths)[1]


def hasty_change(rng: np.random.Generator, puzzle: Puzzle) -> str:
    """The answer of someone who missed one of several changes, or saw the one change wrongly."""
    calls = list(puzzle.truth["calls"])
    which = int(rng.integers(len(calls)))
    if len(calls) > 1:
        del calls[which]
    else:
        name, number, value = calls[which]
        values = tuple(solids.MOVES) if name == "position" else solids.ATTRIBUTES[name]
        calls[which] = (name, number, str(rng.choice([v for v in values if v != value])))
    return ", ".join(f"change_{name}({number}, {value})" for name, number, value in calls)


def reading(puzzle: Puzzle) -> tuple[str, str] | None:
    """A question about what is written in the picture and its answer: the first lessons ask many of these."""
    written = puzzle.truth.get("digits") or puzzle.truth.get("lengths")
    return ("Read all the digits.", ", ".join(str(n) for n in written)) if written else None


def augmented(pool: digits.Scans, *, copies: int, seed: int) -> digits.Scans:
    """The scans with turned, stretched and shifted copies of each, 24 x 24 pixels."""
    rng = np.random.default_rng(seed)
    ink = []
    for _ in range(copies):
        for glyph in pool.ink:
            image = PIL.Image.fromarray(glyph).resize((24, 24), PIL.Image.Resampling.BILINEAR)
            angle, (sx, sy) = math.radians(rng.uniform(-12, 12)), rng.uniform(0.85, 1.2, size=2)
            dx, dy = rng.uniform(-2, 2, size=2)
            a, b, c, d = math.cos(angle) * sx, -math.sin(angle) * sy, math.sin(angle) * sx, math.cos(angle) * sy
            matrix = (a, b, 12 - 12 * (a + b) + dx, c, d, 12 - 12 * (c + d) + dy)
            ink.append(np.asarray(image.transform((24, 24), PIL.Image.Transform.AFFINE, matrix, PIL.Image.Resampling.BILINEAR)))
    return digits.Scans(np.stack(ink), np.tile(pool.label, copies), np.tile(pool.source, copies))


# The checkpoint --------------------------------------------------------------------------------------------------


def make_processor(rng: np.random.Generator, vocabulary: int = 704):
    """The processor: our own byte-level BPE learned from the miniature's texts, Qwen2-VL's picture steps, our template."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import Qwen2_5_VLProcessor, Qwen2Tokenizer, Qwen2VLImageProcessor, Qwen2VLVideoProcessor
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    pool, texts = digits.scans("train"), []
    for task in TASKS:
        for _ in range(1500):
            puzzle = draw_puzzle(rng, task, pool, is_ood=rng.random() < 0.1)
            texts.append(template(task, puzzle.answer).format(problem=puzzle.problem))
            texts.append(answer_in(str(rng.choice(list(STYLES))), rng, task, puzzle))
    texts += ["user\nassistant\nsystem\n", "Read all the digits.\n"] * 50
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.NFC()
    learner.decoder = decoders.ByteLevel()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learner.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, min_frequency=20, show_progress=False)
    )
    model = json.loads(learner.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIALS),
        model_max_length=4096,
    )
    size = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 256}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size, patch_size=PATCH, merge_size=MERGE, temporal_patch_size=2),
        video_processor=Qwen2VLVideoProcessor(size=size, patch_size=PATCH, merge_size=MERGE, temporal_patch_size=2),
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(processor, seed: int):
    """An untrained Qwen2.5-VL of the tiny size, float32."""
    from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = processor.tokenizer
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIALS}
    hidden = 128
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": -(-len(tokenizer) // 16) * 16, "hidden_size": hidden, "intermediate_size": 384,
            "num_hidden_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
            "bos_token_id": None, "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"],
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 3, "hidden_size": 96, "intermediate_size": 256, "num_heads": 3, "out_hidden_size": hidden,
            "patch_size": PATCH, "spatial_merge_size": MERGE, "temporal_patch_size": 2, "window_size": 112,
            "fullatt_block_indexes": [2], "tokens_per_second": 2,
        },
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        eos_token_id=[ids["<|im_end|>"], ids["<|endoftext|>"]], pad_token_id=ids["<|endoftext|>"], do_sample=False
    )
    return model


def save(folder: Path, model, processor) -> None:
    """Write the checkpoint folder beside its place, then move it there."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    model.save_pretrained(fresh)
    processor.save_pretrained(fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


# Training --------------------------------------------------------------------------------------------------------


class Desk:
    """Turns puzzles into drills and drills into the arguments of the model, exactly as the processor would."""

    def __init__(self, processor) -> None:
        self.tokenizer = processor.tokenizer
        images = processor.image_processor
        self.mean = 255 * np.asarray(images.image_mean, np.float32)
        self.std = 255 * np.asarray(images.image_std, np.float32)
        self.pad = self.tokenizer.pad_token_id
        self.image_id = self.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        self.check(processor)

    def patches(self, pictures: tuple[np.ndarray, ...]) -> np.ndarray:
        """Pictures [K, H, W, 3] cut into patches, merged ones next to each other: [K*H*W/196, 3*2*14*14]."""
        pixels = (np.stack(pictures).astype(np.float32) - self.mean) / self.std
        k, h, w, _ = pixels.shape
        block = PATCH * MERGE
        cut = pixels.reshape(k, h // block, MERGE, PATCH, w // block, MERGE, PATCH, 3)
        cut = cut.transpose(0, 1, 4, 2, 5, 7, 3, 6)  # K, block row, block column, row, column, channel, y, x
        cut = np.repeat(cut[..., None, :, :], 2, axis=-3)  # a still picture fills both frames of time
        return cut.reshape(-1, 3 * 2 * PATCH * PATCH)

    def prompt(self, n_pictures: int, text: str) -> str:
        """The chat text up to the answer, image marks not yet expanded."""
        return f"<|im_start|>user\n{IMAGE * n_pictures}{text}<|im_end|>\n<|im_start|>assistant\n"

    def prompt_ids(self, puzzle: Puzzle, text: str) -> list[int]:
        n_tokens = puzzle.pictures[0].shape[0] * puzzle.pictures[0].shape[1] // (PATCH * MERGE) ** 2
        chat = self.prompt(len(puzzle.pictures), text).replace("<|image_pad|>", "<|image_pad|>" * n_tokens)
        return self.tokenizer(chat)["input_ids"]

    def drill(self, puzzle: Puzzle, text: str, answer: str) -> Drill:
        before = self.prompt_ids(puzzle, text)
        after = self.tokenizer(answer + "<|im_end|>")["input_ids"]
        last_image = len(before) - 1 - before[::-1].index(self.image_id)
        weights = [0.0] * (last_image + 2) + [PROMPT_WEIGHT] * (len(before) - last_image - 2) + [1.0] * len(after)
        return Drill(self.patches(puzzle.pictures), before + after, weights, len(puzzle.pictures))

    def batch(self, drills: list[Drill], *, pad_left: bool = False) -> tuple[dict[str, Tensor], Tensor]:
        """Model arguments and loss weights [B, T]."""
        longest = max(len(drill.ids) for drill in drills)
        ids = np.full((len(drills), longest), self.pad)
        seen, weights = np.zeros_like(ids), np.zeros(ids.shape, np.float32)
        for row, drill in enumerate(drills):
            place = slice(longest - len(drill.ids), None) if pad_left else slice(len(drill.ids))
            ids[row, place], seen[row, place], weights[row, place] = drill.ids, 1, drill.weights
        side = int(math.sqrt(len(drills[0].patches) // drills[0].n_pictures))
        grid = torch.tensor([[1, side, side]]).repeat(sum(drill.n_pictures for drill in drills), 1)
        inputs = {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(seen),
            "mm_token_type_ids": torch.from_numpy((ids == self.image_id).astype(np.int64)),
            "pixel_values": torch.from_numpy(np.concatenate([drill.patches for drill in drills])),
            "image_grid_thw": grid,
        }
        return inputs, torch.from_numpy(weights)

    def check(self, processor) -> None:
        """That this shortcut gives what the processor gives; raises AssertionError when it does not."""
        puzzle = solids.spatial(np.random.default_rng(0))
        content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "What? 12"}]
        chat = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        images = [PIL.Image.fromarray(picture) for picture in puzzle.pictures]
        theirs = processor(text=[chat], images=images, return_tensors="pt")
        assert theirs["input_ids"][0].tolist() == self.prompt_ids(puzzle, "What? 12")
        assert np.abs(theirs["pixel_values"].numpy() - self.patches(puzzle.pictures)).max() < 1e-4


def lesson(rng: np.random.Generator, desk: Desk, pool: digits.Scans, task: str, read_share: float) -> Drill:
    """One fresh training sample of a task."""
    puzzle = draw_puzzle(rng, task, pool)
    read = reading(puzzle) if rng.random() < read_share else None
    if read:
        return desk.drill(puzzle, *read)
    style = str(rng.choice(list(STYLES), p=list(STYLES.values())))
    text = template(task, puzzle.answer).format(problem=puzzle.problem)
    return desk.drill(puzzle, text, answer_in(style, rng, task, puzzle))


def train(model, desk: Desk, processor, args: argparse.Namespace) -> None:
    """AdamW with warm-up and a cosine over `args.samples` fresh samples, batches of one task and alike length."""
    rng = np.random.default_rng(args.seed)
    pool = augmented(digits.scans("train"), copies=12, seed=args.seed)
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
        logits = model(**inputs, use_cache=False).logits[:, :-1]
        token_loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), inputs["input_ids"][:, 1:].flatten(), reduction="none")
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
            save(Path(args.work), model, processor)


# Examination -----------------------------------------------------------------------------------------------------


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


def style_of(reply: str) -> str:
    """Which of the three styles a reply is in."""
    if not reply.startswith("<think>"):
        return "plain"
    return "guess" if reply.startswith("<think>I see") else "reason"


def is_right(reply: str, gold: str) -> bool:
    """Whether the answer block (or a reply without one) says exactly the gold answer."""
    said = reply.split("<answer>")[-1].split("</answer>")[0].strip()
    return said == gold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="saccade/policy/tiny", help="where the finished checkpoint goes")
    parser.add_argument("--work", default="/tmp/make_tiny", help="where unfinished weights are kept on the way")
    parser.add_argument("--samples", type=int, default=120_000, help="training samples to show; 0 writes an untrained model")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="more is rarely faster: the matrices are small")
    parser.add_argument("--log-every", type=int, default=50, help="steps between lines of progress")
    parser.add_argument("--eval-every", type=int, default=300, help="steps between examinations and saved weights")
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
