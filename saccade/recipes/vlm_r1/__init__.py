"""VLM-R1: rewards that can be computed from boxes, for finding what a sentence means and everything that a list names.

Shen et al. 2025, "VLM-R1: A Stable and Generalizable R1-style Large Vision-Language Model", arXiv 2504.07615. GRPO
with the IoU of one box (referring expressions, REC), with the mAP of a list of boxes (open-vocabulary detection, OVD), and
with whatever method a row of the data names, several pictures in a question included. mAP alone invites lists without end;
odLength, mAP times min(1, gold boxes / boxes said), stops that. RL generalises to shifted data where imitation does not.

    saccade train vlm_r1                                           REC, OVD and pairs of pictures, dispatched by row
    saccade train vlm_r1 --with task=ovd --with reward=od_ap       mAP alone
    saccade train vlm_r1 --with task=rec --with variant=sft        imitation instead of RL
    saccade train vlm_r1 --data path/bccd                          any detection folder: VOC, COCO, YOLO, DeepPCB
    saccade train vlm_r1 --model Qwen/Qwen2.5-VL-3B-Instruct --data rec_jsonl --with images=../coco --with methods=rec

`prompts.py` holds the questions, `samples.py` makes Samples and worked answers, `sets.py` says what is trained and
measured on, `figures.py` computes the figures of a whole set, `saccade/rewards/papers/vlm_r1/` holds the rewards and what
they depart in, `saccade/data/vlm_r1.py` reads the on-disk format.

Departs:
- A row's accu_reward_method that nobody knows is refused; the released code scores it by its default. `rec` is a method
  like the others, so that one run may mix them; there it is a switch of the run.
- Boxes are asked for and read in the model's picture and scored in the file's, always; the code from June 2025 on.
- The format of OVD wants the fence (P) and of REC the whole text (P); the code takes a weaker one for both.
- Sampling is at temperature 0.9 (P); the released code takes the flag and samples at 1.
- A row scored by `llm` is refused, as the recipe has no judge.
- No picture of a test set is trained on, also where the published files share some.
- Adapters have no dropout (0.05 in the code).
- The miniature trains its three kinds of rows in one run; the paper trains a model for each.
- The embedded model is shown worked answers first (SFT) where it trains on a data set in a native format, or on pairs of
  pictures alone: it has never seen such.
- The last checkpoint is handed over, and evaluations answer in up to as many tokens as training (256 in the code).

Sources of numbers: P paper, C released code, L default of the library that the code ran (TRL 0.15), I inferred, O ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from saccade.algo.named import grpo_vlm_r1
from saccade.core.picture import Frame
from saccade.core.reward import Reward, Rewards, weighted
from saccade.core.sample import DataError, Task, left_out_of
from saccade.data.miniature.cache import miniature
from saccade.data.miniature.vlm_r1 import write_vlm_r1
from saccade.policy.embedded import EMBEDDED
from saccade.policy.spec import LoRA, ModelSpec, Optimization, Sampling
from saccade.recipes.vlm_r1.figures import detection, grounding
from saccade.recipes.vlm_r1.samples import marks, worked
from saccade.recipes.vlm_r1.sets import Lists, held_back, sets_of
from saccade.rewards.mix import routed
from saccade.rewards.papers.vlm_r1 import (
    accuracy,
    format,
    format_ovd,
    format_rec,
    length,
    od_length,
    rec,
    repetition,
)
from saccade.run.evaluate import Evaluation, Totals
from saccade.run.recipe import Claim, Recipe
from saccade.run.stage import RL, SFT

Variant = Literal["rl", "sft", "cot_sft"]
TaskName = Literal["all", "rec", "ovd", "text"]
Detection = Literal["row", "odLength", "od_ap", "od_ap50", "weighted_sum", "map"]
Terms = Literal["none", "length", "repetition", "both"]
FrameName = Literal["model", "mille"]

ABOUT: dict[Variant, str] = {
    "rl": "GRPO on rewards computed from boxes: IoU, mAP within a length, and what else a row asks for",
    "sft": "control arm: imitation of the bare answers, as the data hold them",
    "cot_sft": "control arm: imitation of worked answers, a thought before each (O)",
}


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What differs between the paper's scale and the miniature's."""

    prompts: int
    text_prompts: int
    siblings: int
    epochs: float
    max_steps: int | None
    text_steps: int
    rl: Optimization
    native_rl: Optimization
    lora_lr: float
    beta: float
    ovd_beta: float
    sampling: Sampling
    native_tokens: int
    most_boxes: int
    sft: Optimization
    warm_steps: int
    warm_batch: int
    warm: Optimization
    length_limit: int
    held_out: int
    most_tests: int | None
    attempts: int
    checkpoint_every: int
    max_pixels: int | None


PAPER = Numbers(
    prompts=16,  # C 8 GPUs x 8 answers x accumulation 2 / 8 siblings
    text_prompts=4,  # C GUI defects: 8 x 2 x 2 / 8
    siblings=8,  # P, C
    epochs=2,  # C
    max_steps=None,  # C two epochs; P reports REC up to 600 steps
    text_steps=1200,  # C GUI defects
    rl=Optimization(lr=1e-6, schedule="linear"),  # P, C lr; L schedule
    native_rl=Optimization(lr=1e-6, schedule="linear"),  # I as OVD
    lora_lr=1e-5,  # C
    beta=0.04,  # P, C
    ovd_beta=0.0,  # P, C
    sampling=Sampling(temperature=0.9, max_tokens=2048),  # P temperature (C samples at 1), C tokens
    native_tokens=2048,  # C
    most_boxes=10,  # P COCO
    sft=Optimization(lr=1e-6, schedule="linear"),  # I as RL; steps and prompts are RL's
    warm_steps=0,  # O
    warm_batch=16,  # O not used
    warm=Optimization(lr=1e-6),  # O not used
    length_limit=1024,  # C
    held_out=100,  # O rows of each kind
    most_tests=2000,  # C REC
    attempts=1,  # O
    checkpoint_every=100,  # C
    max_pixels=12_845_056,  # C the scripts' bound
)
MINIATURE = Numbers(
    prompts=8,  # O
    text_prompts=8,  # O
    siblings=8,  # C
    epochs=2,  # C
    max_steps=60,  # O
    text_steps=40,  # O
    rl=Optimization(lr=1e-4, beta2=0.99),  # O
    native_rl=Optimization(lr=3e-5, beta2=0.99),  # O at 1e-4 it soon answers None to everything
    lora_lr=5e-4,  # O
    beta=0.0,  # O
    ovd_beta=0.0,  # P, C
    sampling=Sampling(max_tokens=224),  # O four boxes take about 140 tokens
    native_tokens=320,  # O deeppcb takes 293
    most_boxes=3,  # O longer lists are beyond it on real pictures
    sft=Optimization(lr=2e-4, beta2=0.99),  # O
    warm_steps=160,  # O
    warm_batch=16,  # O
    warm=Optimization(lr=1e-3, schedule="cosine", warmup_steps=8, beta2=0.99),  # O
    length_limit=224,  # O the limit of an answer
    held_out=40,  # O
    most_tests=None,
    attempts=1,  # O
    checkpoint_every=20,  # O
    max_pixels=112 * 112,  # O the size that the embedded model knows
)


def recipe(
    *,
    model: str = "tiny-grounding",
    data: str | Path | None = None,
    variant: Variant = "rl",
    task: TaskName = "all",
    reward: Detection = "row",
    terms: Terms = "none",
    frame: FrameName = "model",
    files: str = "",
    images: str = "",
    methods: str = "",
    most_boxes: int = 0,
    lora: int = 0,
    seed: int = 0,
) -> Recipe:
    """VLM-R1 with the paper's numbers, or the miniature's for an embedded model.

    `data` is a folder of the published JSONL files, one such file, or a detection data set in its native format; None
    writes the embedded miniature. `files`, `images` and `methods` are the published ":"-separated parallel lists
    (default: all .jsonl files of the folder, pictures counted from it, each row's own method). `reward` scores
    detection rows another way than they say, `terms` adds the cosine length and the repetition, `frame` says what the
    model's coordinates count ("mille" for InternVL). Labels with more than `most_boxes` things in a picture of a native
    data set are not asked for (0: ten, and three for an embedded model). `lora` trains adapters of that rank instead of
    all weights (0).
    """
    _require(variant=(variant, Variant), task=(task, TaskName), reward=(reward, Detection), terms=(terms, Terms))
    _require(frame=(frame, FrameName))
    numbers = MINIATURE if model in EMBEDDED else PAPER
    sets = sets_of(
        miniature("vlm_r1", write_vlm_r1) if data is None else Path(data),
        lists=Lists(files=files, images=images, methods=methods),
        task=task,
        method=None if reward == "row" else reward,
        most_boxes=most_boxes or numbers.most_boxes,
        most_tests=numbers.most_tests,
        seed=seed,
    )
    if sets.is_native:
        sampling, limit = replace(numbers.sampling, max_tokens=numbers.native_tokens), numbers.native_tokens // 2
        numbers = replace(numbers, sampling=sampling, length_limit=max(numbers.length_limit, limit), rl=numbers.native_rl)
    coordinates = Frame(frame)
    train, held = held_back(sets.train, numbers.held_out)
    rl = _rl(train, numbers, _rewards(terms, coordinates, numbers), lora=lora)
    needs_warming = model in EMBEDDED and (sets.is_native or set(train) == {"text"})
    warm = (_warm_up(rl.task, coordinates, numbers),) if needs_warming else ()
    vals = [(f"val-{kind}", kind, task_, {"selects": True, "blanks": True}) for kind, task_ in held.items()]
    tests = [(test.task.name, test.kind, test.task, {"is_shifted": test.is_shifted}) for test in sets.tests]
    return Recipe(
        name="vlm_r1" if variant == "rl" else f"vlm_r1-{variant}",
        about=ABOUT[variant] + (f" ({sets.about})" if sets.about else ""),
        model=_model(model, lora, numbers),
        stages=(*warm, rl if variant == "rl" else _instead(rl, variant, coordinates, numbers)),
        evaluations=tuple(
            _evaluation(name, kind, part, coordinates, numbers, **options) for name, kind, part, options in vals + tests
        ),
        claims=CLAIMS,
        checkpoint_every=numbers.checkpoint_every,
        seed=seed,
        gold_answer=partial(worked, frame=coordinates),
        uses_model_pixels=coordinates is Frame.MODEL and set(train) != {"text"},
        marks=partial(marks, frame=coordinates),
    )


CLAIMS = (
    Claim(
        text="3B, REC after 600 steps: LISA (shifted) 56.51 -> RL 63.14, SFT 54.82; RefCOCO val 88.7 -> 90.55, 88.7",
        source="P; specs/vlm_r1.md 6.5",
    ),
    Claim(
        text="3B, OVD: with AP50 or mAP alone outputs grow without bound, COCO mAP 11.4 and 11.8; odLength 21.1, SFT 18.5",
        source="P; specs/vlm_r1.md 6.5",
    ),
    Claim(
        text="3B, OVD: greedy precision 56.06 -> RL 67.34, SFT 53.15; OVDEval NMS-AP 25.46 -> RL 31.01, SFT 26.50",
        source="P; specs/vlm_r1.md 6.5",
    ),
)


def _rewards(terms: Terms, frame: Frame, numbers: Numbers) -> Rewards:
    right = accuracy(frame=frame)
    forms = routed("kind", {"rec": format_rec(), "ovd": format_ovd(), "text": format()}, name="format")
    summed = [(right, 1.0), (forms, 1.0)]  # C
    if terms in ("length", "both"):
        summed.append((length(accuracy=right, limit=numbers.length_limit), 1.0))  # C
    if terms in ("repetition", "both"):
        summed.append((repetition(), 1.0))  # C
    return weighted(*summed)


def _model(path: str, rank: int, numbers: Numbers) -> ModelSpec:
    lora = LoRA(rank=rank, alpha=2.0 * rank) if rank else None  # C 64 and 128; on the language model, vision frozen
    freeze = ("vision", "connector") if rank else ()  # C LoRA runs freeze the vision modules
    if path in EMBEDDED:
        return ModelSpec(path=path, lora=lora, freeze=freeze, learn_tokens=16384, max_pixels=numbers.max_pixels)
    return ModelSpec(
        path=path, lora=lora, freeze=freeze, dtype="bfloat16", gradient_checkpointing=True, max_pixels=numbers.max_pixels
    )


def _rl(train: Mapping[str, Task], numbers: Numbers, rewards: Rewards, *, lora: int) -> RL:
    samples = tuple(sample for task in train.values() for sample in task)
    bad_rows = tuple(bad for task in train.values() for bad in task.bad_rows)
    task = Task(name="train", split="train", samples=samples, bad_rows=bad_rows, left_out=left_out_of(train.values()))
    is_text = set(train) == {"text"}
    prompts = numbers.text_prompts if is_text else numbers.prompts
    most = numbers.text_steps if is_text else numbers.max_steps
    steps = max(1, round(len(samples) * numbers.epochs / prompts))
    return RL(
        task=task,
        rewards=rewards,
        algorithm=grpo_vlm_r1(beta=numbers.ovd_beta if set(train) == {"ovd"} else numbers.beta),
        steps=min(steps, most or steps),
        prompts=prompts,
        siblings=numbers.siblings,
        sampling=numbers.sampling,
        optimization=replace(numbers.rl, lr=numbers.lora_lr) if lora else numbers.rl,
    )


def _warm_up(task: Task, frame: Frame, numbers: Numbers) -> SFT:
    """Worked answers with the embedded model's thoughts, on rows of a kind that it has never seen. # O"""
    answer = partial(worked, frame=frame, decimals=0, cells=True)
    return SFT(
        name="warm", task=task, answer=answer, steps=numbers.warm_steps, batch=numbers.warm_batch, optimization=numbers.warm
    )


def _instead(rl: RL, variant: Variant, frame: Frame, numbers: Numbers) -> SFT:
    """Imitation in RL's place: the same rows in as many steps of as many prompts. # I the paper compares equal steps"""
    thought = None if variant == "sft" else "I look."
    answer = partial(worked, frame=frame, decimals=0, thought=thought, cells=variant == "cot_sft")
    return SFT(task=rl.task, answer=answer, steps=rl.steps, batch=rl.prompts, optimization=numbers.sft)


def _require(**chosen: tuple[str, Any]) -> None:
    """DataError where an option is none of its Literal's values, as may come from Python."""
    for name, (value, literal) in chosen.items():
        if value not in get_args(literal):
            raise DataError(f"{name} is {value!r}; have: {', '.join(get_args(literal))}")


def _evaluation(name: str, kind: str, task: Task, frame: Frame, numbers: Numbers, **options: bool) -> Evaluation:
    shares: tuple[Reward, ...]
    totals: tuple[Totals, ...]
    match kind:
        case "rec":
            # The share over IoU 0.5 is a total: on the miniature's grid another row's box is that near once in sixteen.
            score, shares, totals = rec(frame=frame), (format_rec(),), (grounding(frame),)
        case "ovd":
            score, shares, totals = od_length(frame=frame), (format_ovd(),), (detection(frame),)
        case _:
            score, shares, totals = accuracy(frame=frame), (format(),), ()
    return Evaluation(
        name=name,
        task=task,
        score=score,
        shares=shares,
        totals=totals,
        attempts=numbers.attempts,
        max_tokens=numbers.sampling.max_tokens,
        **options,
    )
