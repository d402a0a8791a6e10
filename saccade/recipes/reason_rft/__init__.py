"""Reason-RFT: think first, then be rewarded for being right, on counting, structure and spatial change.

Tan et al. 2025, "Reason-RFT: Reinforcement Fine-Tuning for Visual Reasoning", arXiv 2503.20752. A model is first shown a few
worked examples (stage 1, SFT on chains of thought: "reasoning activation"), then trained with GRPO on answers that can be
checked (stage 2), and generalises better to shifted test sets than a model that only imitates.

    saccade train reason_rft                                          the embedded tiny model on the embedded miniature
    saccade train reason_rft --with variant=rft_zero                  a control arm: RL without SFT
    saccade train reason_rft --model Qwen/Qwen2-VL-2B-Instruct --data Reason-RFT-CoT-Dataset --with task=counting

Variants are the paper's arms: `reason_rft` (CoT-SFT on a few, then RL), `rft_zero` (RL alone), `cot_sft` (SFT on all chains of
thought), `ans_sft` (SFT on all answers). Everything but the numbers below stands in `prompts.py` (questions),
`saccade/rewards/papers/reason_rft/` (rewards and what they depart in) and `saccade/data/reason_rft.py` (the on-disk format).

Departs:
- Sampling draws from the whole distribution. The original truncates it (top_p 0.9, top_k 50) but takes log-probs of the
  whole one, which are then not those of the distribution sampled from.
- Several prompts share an optimizer step. The original tiles prompts and groups rewards (q1 q2 q1 q2 against q1 q1 q2 q2),
  right for one prompt per device only; here a rollout holds its own sample.
- SFT warms up over a tenth of its steps. The original's 100 warm-up steps are the whole stage, so its rate never peaks.
- The miniature trains the three tasks in one model, about a third of it each; the paper trains one model per task.
- The best checkpoint is chosen on training rows that no stage trains on.
- Evaluations report a greedy answer and answers sampled at temperature 1. The original samples once, at temperature 0.1 with
  top_p 0.9 and top_k 50.

Sources of numbers: P paper, C released code, L default of the library that the code ran (TRL 0.15), I inferred, O ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from saccade.algo.named import grpo
from saccade.core.reward import Rewards, reward, weighted
from saccade.core.rollout import Rollout
from saccade.core.sample import DataError, Sample, Task, left_out_of
from saccade.data.miniature.cache import miniature
from saccade.data.miniature.write import write_reason_rft
from saccade.data.reason_rft import files, read
from saccade.policy.embedded import EMBEDDED
from saccade.policy.spec import LoRA, ModelSpec, Optimization, Sampling
from saccade.recipes.reason_rft.prompts import ask
from saccade.rewards.papers.reason_rft import (
    FULL_ONLY,
    PARTIAL,
    PENALTY,
    FunctionCalls,
    accuracy,
    evaluation,
    format,
    length_reward,
    reasoning_steps,
)
from saccade.run.choice import Highest
from saccade.run.evaluate import Evaluation
from saccade.run.recipe import Claim, Recipe
from saccade.run.stage import RL, SFT, Stage

TASKS = ("counting", "structure", "spatial")
Variant = Literal["reason_rft", "rft_zero", "cot_sft", "ans_sft"]
TaskName = Literal["all", "counting", "structure", "spatial"]
SpatialCredit = Literal["full", "partial", "penalty"]
Terms = Literal["none", "reason", "length", "both"]


ABOUT: dict[Variant, str] = {
    "reason_rft": "think first, then be rewarded for being right: SFT on a few chains of thought, then GRPO",
    "rft_zero": "control arm: GRPO without SFT",
    "cot_sft": "control arm: SFT on all chains of thought, no RL",
    "ans_sft": "control arm: SFT on all answers, no RL",
}


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What differs between the paper's scale and the miniature's."""

    sft_rows: int
    sft_batch: int
    sft_epochs: float
    sft: Optimization
    rl_prompts: int
    rl_siblings: int
    rl_epochs: float
    rl_max_steps: int | None
    rl: Optimization
    beta: float
    sampling: Sampling
    held_out: int
    attempts: int
    eval_tokens: int
    checkpoint_every: int


PAPER = Numbers(
    sft_rows=1600,  # P
    sft_batch=16,  # C 8 GPUs x 1 x accumulation 2
    sft_epochs=1,  # C
    sft=Optimization(lr=1e-5, schedule="cosine", weight_decay=0.1),  # C
    rl_prompts=14,  # I 7 GPUs x 1 prompt x accumulation 2
    rl_siblings=8,  # C
    rl_epochs=1,  # C (5 for structure)
    rl_max_steps=None,
    rl=Optimization(lr=1e-6, schedule="linear"),  # L
    beta=0.04,  # L
    sampling=Sampling(temperature=0.9, max_tokens=512),  # L temperature, C tokens
    held_out=100,  # O rows of each task that choose the checkpoint
    attempts=4,  # O for pass@k
    eval_tokens=768,  # C
    checkpoint_every=100,  # O
)
MINIATURE = Numbers(
    sft_rows=160,  # O about the paper's share of all rows
    sft_batch=16,  # C
    sft_epochs=1,  # C
    sft=Optimization(lr=1e-5, schedule="cosine", weight_decay=0.1),  # C
    rl_prompts=32,  # O
    rl_siblings=8,  # C
    rl_epochs=1,  # C
    rl_max_steps=60,  # O
    rl=Optimization(lr=5e-5, beta2=0.99),  # O 3e-4 destroys the tiny model, 1e-5 is too slow
    beta=0.0,  # O
    sampling=Sampling(max_tokens=96),  # O
    held_out=40,  # O
    attempts=2,  # O
    eval_tokens=96,  # O
    checkpoint_every=20,  # O
)


def recipe(
    *,
    model: str = "tiny",
    data: str | Path | None = None,
    variant: Variant = "reason_rft",
    task: TaskName = "all",
    spatial: SpatialCredit = "full",
    terms: Terms = "none",
    lora: int = 0,
    seed: int = 0,
) -> Recipe:
    """Reason-RFT with the paper's numbers, or the miniature's for the embedded model.

    `data` is a folder in the published format (train_jsons, test_jsons, images); None writes the embedded miniature.
    `spatial` is what a partly right call earns, `terms` adds the optional reasoning-step and length rewards, and
    `lora` trains adapters of that rank instead of all weights (0).
    """
    numbers = MINIATURE if model in EMBEDDED else PAPER
    folder = miniature("reason_rft", write_reason_rft) if data is None else Path(data)
    tasks = _tasks(folder, task)
    read_in = {name: _task(folder, name, "train") for name in tasks}
    bad_rows = tuple(row for name in tasks for row in read_in[name].bad_rows)
    rows = {name: list(read_in[name]) for name in tasks}
    kept_back = {name: max(1, min(numbers.held_out, len(samples) // 5)) for name, samples in rows.items()}  # O
    held = {name: samples[-kept_back[name] :] for name, samples in rows.items()}
    reported = _reported(folder, tasks, numbers)
    asked = [sample for evaluation in reported for sample in evaluation.task]
    # CLEVR asks several questions of one picture: nothing held out is seen in training.
    unseen = [*asked, *(sample for samples in held.values() for sample in samples)]
    left = {name: replace(task_, samples=rows[name][: -kept_back[name]]).apart_from(unseen) for name, task_ in read_in.items()}
    train = {name: list(task_) for name, task_ in left.items()}
    left_out = left_out_of(left.values())
    return Recipe(
        name="reason_rft" if variant == "reason_rft" else f"reason_rft-{variant}",
        about=ABOUT[variant],
        model=_model(model, lora),
        stages=tuple(
            replace(stage, task=replace(stage.task, bad_rows=bad_rows, left_out=left_out))
            for stage in _stages(variant, train, numbers, _rewards(spatial, terms))
        ),
        evaluations=(_evaluation("val", _mixed(held, "val"), numbers, selects=True, blanks=True), *reported),
        claims=CLAIMS,
        checkpoint_every=numbers.checkpoint_every,
        choose=Highest("eval/val/sampled"),
        seed=seed,
        gold_answer=gold_answer_in_steps if terms in ("reason", "both") else gold_answer,
    )


def gold_answer(sample: Sample) -> str:
    """The text that deserves full marks: the row's own chain of thought, or one in its form where it has none."""
    if sample.solution is not None and "<think>" in sample.solution:
        return sample.solution
    return f"<think>It is {sample.target}.</think>\n<answer>{sample.target}</answer>"


def gold_answer_in_steps(sample: Sample) -> str:
    """The same with as many step markers as the optional reasoning-step reward pays for."""
    return gold_answer(sample).replace("<think>", "<think>Step 1: look. Step 2: think. Step 3: ", 1)


CLAIMS = (
    Claim(
        text="2B, counting: Reason-RFT averages 61.77 % over ID and two shifted sets, CoT-SFT 57.34, RFT-Zero 53.87, ANS-SFT 50.82",
        source="P authors' figure; specs/reason_rft.md 6.7",
    ),
    Claim(
        text="2B, spatial: on the shifted views Reason-RFT reaches 64 %, ANS-SFT 50 %, although ANS-SFT is better in distribution",
        source="P authors' figure; specs/reason_rft.md 6.7",
    ),
)


@reward
def reasons(rollout: Rollout) -> bool:
    """Whether the think block works anything out: in the miniature a guess has no figure in it. # O"""
    return any(character.isdigit() for character in rollout.section("think") or "")


def _model(path: str, rank: int) -> ModelSpec:
    lora = LoRA(rank=rank, alpha=2.0 * rank) if rank else None  # O the paper trains all weights
    if path in EMBEDDED:
        return ModelSpec(path=path, lora=lora, learn_tokens=16384)
    return ModelSpec(path=path, lora=lora, dtype="bfloat16", gradient_checkpointing=True, max_pixels=480_000)  # C max_pixels


def _rewards(spatial: SpatialCredit, terms: Terms) -> Rewards:
    credits = {"full": FULL_ONLY, "partial": PARTIAL, "penalty": PENALTY}[spatial]
    summed = [(accuracy(spatial=FunctionCalls(credits=credits)), 1.0), (format(), 1.0)]  # C
    if terms in ("reason", "both"):
        summed.append((reasoning_steps, 1.0))  # C
    if terms in ("length", "both"):
        summed.append((length_reward(), 1.0))  # C
    return weighted(*summed)


def _stages(
    variant: Variant, train: dict[str, list[Sample]], numbers: Numbers, rewards: Rewards
) -> tuple[Stage, ...]:
    # Small data sets keep at least half of their rows for stage 2. # O
    n_few = {name: min(numbers.sft_rows, len(samples) // 2) for name, samples in train.items()}
    few = {name: samples[: n_few[name]] for name, samples in train.items()}
    match variant:
        case "reason_rft":
            # Structure is trained on again in stage 2, the other tasks on the remaining samples. # C
            rest = {name: s if name == "structure" else s[n_few[name] :] for name, s in train.items()}
            return (_sft(few, numbers), _rl(rest, numbers, rewards))
        case "rft_zero":
            return (_rl(train, numbers, rewards),)
        case "cot_sft":
            return (_sft(train, numbers),)
        case "ans_sft":
            return (_sft({name: [_answer_only(s) for s in samples] for name, samples in train.items()}, numbers),)
    raise DataError(f"variant is {variant!r}; have: reason_rft, rft_zero, cot_sft, ans_sft")


def _sft(samples: dict[str, list[Sample]], numbers: Numbers) -> SFT:
    task = _mixed(samples, "cot")
    steps = max(1, round(len(task) * numbers.sft_epochs / numbers.sft_batch))
    optimization = replace(numbers.sft, warmup_steps=steps // 10)  # O
    return SFT(task=task, steps=steps, batch=numbers.sft_batch, optimization=optimization)


def _rl(samples: dict[str, list[Sample]], numbers: Numbers, rewards: Rewards) -> RL:
    task = _mixed(samples, "rl")
    epochs = 5 if set(samples) == {"structure"} and numbers is PAPER else numbers.rl_epochs  # C
    steps = max(1, round(len(task) * epochs / numbers.rl_prompts))
    return RL(
        task=task,
        rewards=rewards,
        algorithm=grpo(beta=numbers.beta, eps=1e-4),  # L eps; the clip never acts with one update per sampling
        steps=min(steps, numbers.rl_max_steps or steps),
        prompts=numbers.rl_prompts,
        siblings=numbers.rl_siblings,
        sampling=numbers.sampling,
        optimization=numbers.rl,
    )


def _mixed(samples: dict[str, list[Sample]], name: str) -> Task:
    return Task(name=name, split="train", samples=tuple(sample for task in samples.values() for sample in task))


def _answer_only(sample: Sample) -> Sample:
    return replace(sample, solution=f"<answer>{sample.target}</answer>")


def _reported(folder: Path, tasks: list[str], numbers: Numbers) -> list[Evaluation]:
    have = [pair for pair in files(folder) if pair[1] != "train"]
    sets = [(name, split) for task in tasks for name, split in have if name == task]
    return [
        _evaluation(f"{name}-{split}", _task(folder, name, split), numbers, is_shifted=split != "id")
        for name, split in sets
    ]


def _evaluation(name: str, task: Task, numbers: Numbers, **options: bool) -> Evaluation:
    return Evaluation(
        name=name,
        task=task,
        score=evaluation(),
        shares=(format(), reasons),
        attempts=numbers.attempts,
        max_tokens=numbers.eval_tokens,
        **options,
    )


def _tasks(folder: Path, task: TaskName) -> list[str]:
    present = {name for name, split in files(folder) if split == "train"}
    chosen = [name for name in TASKS if name in present and task in ("all", name)]
    if not chosen:
        raise DataError(f"task is {task!r}; {folder} has training rows of: {', '.join(sorted(present)) or 'none'}")
    return chosen


def _task(folder: Path, name: str, split: str) -> Task:
    return Task.from_rows(read(folder, name, split), ask, name=name, split=split)
