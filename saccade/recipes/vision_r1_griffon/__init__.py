"""Vision-R1 (Griffon): boxes as text, rewarded for form, recall and precision by thresholds that rise while training.

Zhan et al. 2025, "Vision-R1: Evolving Human-Free Alignment in Large Vision-Language Models via Vision-Guided
Reinforcement Learning", arXiv 2503.18013. A model writes the objects of a picture as a JSON list, without thinking.
Instead of imitating one order of one list it is paid for what its own list is worth: is it a list of boxes (dual
format), how many objects does it find (recall), how well do its boxes fit (precision). Low overlaps earn nothing and
high ones everything (differentiation), and for a strong model what counts as low and high rises half way through
(staged progression).

    saccade train vision_r1_griffon                                     the embedded grounding model on the embedded miniature
    saccade train vision_r1_griffon --with progression=half             thresholds that rise half way
    saccade train vision_r1_griffon --with rewards=pairs                extra boxes cost nothing, as in the released precision
    saccade train vision_r1_griffon --with variant=sft                  the control arm: imitation of the same rows
    saccade train vision_r1_griffon --model Qwen/Qwen2.5-VL-7B-Instruct --data Vision-R1-Data

Variants: `vision_r1` (RL), `sft` (SFT on the same rows, once each; in the miniature in as many steps), `warmed` (a
short SFT, then RL: what a base that cannot write such lists, as Qwen2-VL, needs: # C issue 43). `rewards` are `paper`;
`pairs`: the paper's, with precision over pairs alone, so that extra boxes are free; `released` and `adaptive`: the
released code as its script runs it, and with --adaptive true. Questions stand in `prompts.py`, figures in `figures.py`,
rewards and what they depart in in `saccade/rewards/papers/vision_r1_griffon/`, the on-disk format in
`saccade/data/vision_r1_griffon.py`.

Departs:
- Thresholds rise with progression=half (or third) only: never is best for Qwen2.5-VL by the paper's own table, half for
  Griffon-G.
- Boxes are written as Qwen2.5-VL writes them. Griffon-G's plain-text lines are not read: its RL code was not released.
- Row order is drawn anew each epoch. The original sorts rows by number of instances, and its sampler then shuffles them.
- A prompt is never cut. The original's cut changes what the learner reads but not the mask (a known bug).
- A checkpoint is chosen on training rows that no stage trains on; the original takes the last.
- Training rows that show a picture of a reported set are left out.
- With rows=all the negatives are trained on; the released loader drops them, and the paper says it has some.
- The miniature: 16 prompts of 8 siblings and 60 steps, no KL penalty; a scene of 4 and more things is hard.

Sources of numbers: P paper, C released code, L default of the library that the code ran (TRL 0.14), I inferred, O ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from saccade.algo.named import grpo_r1v
from saccade.core.reward import Rewards, weighted
from saccade.core.sample import DataError, Task
from saccade.data.miniature.cache import miniature
from saccade.data.miniature.puzzle import SIDE
from saccade.data.miniature.vision_r1_griffon import write_vision_r1_griffon
from saccade.data.vision_r1_griffon import HARD, LEAST
from saccade.policy.embedded import EMBEDDED
from saccade.policy.spec import ModelSpec, Optimization, Sampling
from saccade.recipes.vision_r1_griffon.figures import box_f1, figures, marks, too_many
from saccade.recipes.vision_r1_griffon.prompts import ask, gold_answer
from saccade.recipes.vision_r1_griffon.sets import Sets, sets_of
from saccade.rewards.geometry.matching import Staged
from saccade.rewards.papers.vision_r1_griffon import (
    RELEASED_PRECISION_ADAPTIVE,
    RELEASED_RECALL_ADAPTIVE,
    Thresholds,
    dual_format,
    precision,
    recall,
    staged,
)
from saccade.run.choice import Highest
from saccade.run.evaluate import Evaluation
from saccade.run.recipe import Claim, Recipe
from saccade.run.stage import RL, SFT, Stage

Variant = Literal["vision_r1", "sft", "warmed"]
RewardsName = Literal["paper", "pairs", "released", "adaptive"]
Rows = Literal["usual", "hard", "all"]
Progression = Literal["own", "half", "third", "never"]
Differentiation = Literal["on", "off"]
Pull = Literal["own", "paper", "code", "none"]
SWITCH = {"half": 1 / 2, "third": 1 / 3, "never": 1.0}  # P the share of training at which the thresholds rise
BETA = {"paper": 0.2, "code": 0.04, "none": 0.0}  # P; C the default, as the script passes none

ABOUT: dict[Variant, str] = {
    "vision_r1": "boxes as text, rewarded for form, recall and precision by rising thresholds",
    "sft": "control arm: SFT on the same rows",
    "warmed": "a short SFT, then RL: for a base that cannot write lists of boxes yet",
}


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What differs between the paper's scale and the miniature's."""

    least_of_hard: int
    sft_batch: int
    sft: Optimization
    sft_warm_up: float
    warm_rows: int
    rl_prompts: int
    rl_siblings: int
    rl_max_steps: int | None
    rl: Optimization
    beta: float
    switch: float
    sampling: Sampling
    held_out: int
    attempts: int
    eval_tokens: int
    checkpoint_every: int


PAPER = Numbers(
    least_of_hard=HARD,  # C --hard; P more than 10
    sft_batch=128,  # C
    sft=Optimization(lr=2e-6, schedule="cosine"),  # C
    sft_warm_up=0.1,  # C share of the steps
    warm_rows=4900,  # O a tenth
    rl_prompts=16,  # C 16 GPUs x 1 x accumulation 1
    rl_siblings=4,  # C
    rl_max_steps=None,  # C 1 epoch, about 3,060 steps
    rl=Optimization(lr=1e-6, schedule="linear"),  # P lr, L schedule
    beta=0.2,  # P; the script passes none, so that 0.04 holds in the code
    switch=1.0,  # P never, best for Qwen2.5-VL; 1/2 for Griffon-G
    sampling=Sampling(max_tokens=512),  # C tokens, L temperature 1
    held_out=200,  # O
    attempts=1,  # O
    eval_tokens=2048,  # O COCO's pictures hold up to 100 objects
    checkpoint_every=200,  # C
)
MINIATURE = Numbers(
    least_of_hard=4,  # O
    sft_batch=16,  # O as RL's prompts, so that both take the same steps
    sft=Optimization(lr=5e-5, beta2=0.99),  # O as RL's
    sft_warm_up=0.0,  # O as RL's
    warm_rows=160,  # O
    rl_prompts=16,  # C
    rl_siblings=8,  # O
    rl_max_steps=60,  # O
    rl=Optimization(lr=5e-5, beta2=0.99),  # O
    beta=0.0,  # O
    switch=1.0,  # P for a weak model, which this one is
    sampling=Sampling(max_tokens=144),  # O eight boxes
    held_out=60,  # O
    attempts=1,  # O
    eval_tokens=176,  # O ten boxes
    checkpoint_every=20,  # O
)


def recipe(
    *,
    model: str = "tiny-grounding",
    data: str | Path | None = None,
    variant: Variant = "vision_r1",
    rewards: RewardsName = "paper",
    progression: Progression = "own",
    differentiation: Differentiation = "on",
    beta: Pull = "own",
    rows: Rows = "usual",
    seed: int = 0,
) -> Recipe:
    """Vision-R1 with the paper's numbers, or the miniature's for an embedded model.

    `data` is a folder of parquet files in the published columns, or of annotated pictures (COCO, VOC, YOLO, ...: asked
    for all their categories; their own test part, or a fifth, is held out); None writes the embedded miniature.
    `progression` says when the thresholds rise, and `differentiation` whether there are any but the one of a hit; both
    are of the rewards `paper` and `pairs`. `beta` is the KL coefficient of the paper or the code. `own` is the scale's
    own: what suits Qwen2.5-VL and the paper's coefficient, or the miniature's. `rows` are those with 1 to 30 objects,
    the hard ones of them, or all up to 30 with the negatives.
    """
    numbers = MINIATURE if model in EMBEDDED else PAPER
    folder = miniature("vision_r1_griffon", write_vision_r1_griffon) if data is None else Path(data)
    sets = sets_of(folder, seed=seed)
    reported = _reported(sets, numbers)
    least = _chosen("rows", rows, {"usual": LEAST, "hard": numbers.least_of_hard, "all": 0})
    every = _task("train", sets["train"](least)).apart_from(sample for one in reported for sample in one.task)
    if len(every) < 2:
        raise DataError(f"{folder} leaves {len(every)} rows to train on that show no picture of a reported set; at least 2 are needed")
    task, held = every.hold_out(max(1, min(numbers.held_out, len(every) // 5)))  # O
    if numbers.rl_max_steps:  # fewer steps than an epoch has: then fewer rows, so that every arm sees the same ones once
        task = replace(task, samples=task.samples[: numbers.rl_max_steps * numbers.rl_prompts])
    if rewards in ("released", "adaptive") and (progression, differentiation) != ("own", "on"):
        raise DataError(f"rewards={rewards} have thresholds of their own; leave progression and differentiation out")
    thresholds = staged(_chosen("progression", progression, SWITCH | {"own": numbers.switch}))
    if not _chosen("differentiation", differentiation, {"on": True, "off": False}):
        thresholds = replace(thresholds, zero_below=Staged(values=(0.0,)), full_from=Staged(values=(1.0,)))
    rl = _rl(task, numbers, _rewards(rewards, thresholds), beta=_chosen("beta", beta, BETA | {"own": numbers.beta}))
    stages = _stages(variant, task, numbers, rl)
    return Recipe(
        name="vision_r1_griffon" if variant == "vision_r1" else f"vision_r1_griffon-{variant}",
        about=ABOUT[variant],
        model=_model(model),
        stages=stages,
        evaluations=(
            _evaluation("val", held, numbers, selects=True, blanks=True),
            *reported,
        ),
        claims=CLAIMS,
        checkpoint_every=numbers.checkpoint_every,
        choose=Highest("eval/val/sampled"),
        seed=seed,
        gold_answer=gold_answer,
        uses_model_pixels=True,
        marks=partial(marks, as_released=rewards in ("released", "adaptive")),
    )


CLAIMS = (
    Claim(
        text="Qwen2.5-VL-7B: COCO 17.7 -> 26.6 mAP (SFT 23.6), ODINW-13 37.0 -> 46.0 (SFT 35.0)",
        source="P; specs/vision_r1_griffon.md 2.7",
    ),
    Claim(
        text="thresholds that rise half way suit a strong model (Griffon-G 42.1 against 39.9 never) and not a weak one (Qwen 23.3 "
        "against 26.6 never)",
        source="P; specs/vision_r1_griffon.md 2.5",
    ),
)


def _model(path: str) -> ModelSpec:
    if path in EMBEDDED:
        return ModelSpec(path=path, learn_tokens=16384, max_pixels=SIDE * SIDE)  # larger pictures are made smaller
    return ModelSpec(path=path, dtype="bfloat16", gradient_checkpointing=True, max_pixels=401_408)  # C pixels, O checkpointing


def _chosen(option: str, name: str, have: Mapping[str, Any]) -> Any:
    if name not in have:
        raise DataError(f"{option} is {name!r}; have: {', '.join(have)}")
    return have[name]


def _rewards(name: RewardsName, thresholds: Thresholds) -> Rewards:
    """Form, recall and precision, each from 0 to 1, weight 1. # C"""
    match name:
        case "paper":
            terms = (dual_format(), recall(thresholds=thresholds), precision(thresholds=thresholds))
        case "pairs":
            terms = (
                dual_format(),
                recall(thresholds=thresholds),
                precision(thresholds=thresholds, over="pairs"),
            )
        case "released":
            terms = (dual_format(as_released=True), recall(as_released=True), precision(as_released=True))
        case "adaptive":
            terms = (
                dual_format(as_released=True),
                recall(as_released=True, thresholds=RELEASED_RECALL_ADAPTIVE),
                precision(as_released=True, thresholds=RELEASED_PRECISION_ADAPTIVE),
            )
        case _:
            raise DataError(f"rewards is {name!r}; have: paper, pairs, released, adaptive")
    return weighted(*((term, 1.0) for term in terms))


def _stages(variant: Variant, task: Task, numbers: Numbers, rl: RL) -> tuple[Stage, ...]:
    match variant:
        case "vision_r1":
            return (rl,)
        case "sft":
            return (_sft(task, numbers),)
        case "warmed":
            few = replace(task, samples=task.samples[: min(numbers.warm_rows, len(task) // 2)], bad_rows=())
            return (_sft(few, numbers), rl)
    raise DataError(f"variant is {variant!r}; have: vision_r1, sft, warmed")


def _sft(task: Task, numbers: Numbers) -> SFT:
    steps = max(1, round(len(task) / numbers.sft_batch))  # C 1 epoch
    optimization = replace(numbers.sft, warmup_steps=int(steps * numbers.sft_warm_up))
    return SFT(task=task, steps=steps, batch=numbers.sft_batch, optimization=optimization, answer=gold_answer)


def _rl(task: Task, numbers: Numbers, rewards: Rewards, *, beta: float) -> RL:
    steps = max(1, round(len(task) / numbers.rl_prompts))  # C 1 epoch
    return RL(
        task=task,
        rewards=rewards,
        algorithm=grpo_r1v(beta=beta),  # C no ratio, no clip
        steps=steps,
        prompts=numbers.rl_prompts,
        siblings=numbers.rl_siblings,
        sampling=numbers.sampling,
        optimization=numbers.rl,
    )


def _reported(sets: Sets, numbers: Numbers) -> Sequence[Evaluation]:
    names = [name for name in sets if name != "train"]
    return [_evaluation(name, _task(name, sets[name](0)), numbers, is_shifted=name.startswith("ood")) for name in names]


def _evaluation(name: str, task: Task, numbers: Numbers, **options: bool) -> Evaluation:
    return Evaluation(
        name=name,
        task=task,
        score=box_f1,
        shares=(dual_format(), too_many),
        totals=(figures,),
        attempts=numbers.attempts,
        max_tokens=numbers.eval_tokens,
        **options,
    )


def _task(name: str, rows: list[dict[str, Any]]) -> Task:
    return Task.from_rows(rows, ask, name=name, split=name)
