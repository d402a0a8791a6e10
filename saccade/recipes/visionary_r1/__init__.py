"""Visionary-R1: describe the picture before reasoning, and be paid for a description that suffices to answer.

Xia et al. 2025, "Visionary-R1: Mitigating Shortcuts in Visual Reasoning with Reinforcement Learning", arXiv 2505.14677.
Trained by plain GRPO on questions of which many are easy, a model learns to answer them without looking closely, and fails
on harder ones. So it must write a caption first (<info>, then <think>, then <answer>), and a third reward asks the policy
itself, without the picture, to answer from the caption alone; a caption that reasons instead of describing earns none.
The KL penalty is annealed by a cosine: strong while the form is learnt, gone at the end.

    saccade train visionary_r1                                        the embedded tiny model on the embedded miniature
    saccade train visionary_r1 --with variant=grpo                    control arm: think and answer only
    saccade train visionary_r1 --model Qwen/Qwen2.5-VL-3B-Instruct --data FOLDER

Variants are the paper's arms: `visionary_r1`, `caption_format` (the info block without a reward for what is in it), and
`grpo` (no info block). `kl` is the penalty's course: cosine, linear, static (0.04 throughout) or low (0.008 throughout).
Prompts stand in `prompts.py`, the rewards and what they depart in in `saccade/rewards/papers/visionary_r1.py`, the on-disk
format in `saccade/data/visionary_r1.py`.

Departs:
- Sampling draws from the whole distribution. The original truncates it (top_p 0.9, top_k 50) but takes log-probs of the
  whole one, which are then not those of the distribution sampled from.
- The judge answers greedily, so that one caption is not worth two rewards; the original samples it at temperature 0.9.
- Every caption is read over its lines, keeps its own reply, and counts once with weight 0.1; in the original captions of
  several lines earn nothing, replies shift to other answers where one has no caption, and the weight grows by 0.1 a step.
- beta follows steps done / steps of the stage. The original's fractional epoch makes it rise again in a second epoch.
- Answers are compared by their own row's problem type; the original takes that of the first row of the batch.
- Blocks may be parted by any whitespace and must not be empty, and numbers are read whole; see the rewards' file.
- The miniature is shown the form, good and bad habits, and how to judge, before (`warm_up.py`); the paper is RL alone.
  It is asked in few words, and as a judge gets the caption and the question without rules, which it could not follow.

Sources of numbers: P paper, C released code, L default of the library that the code ran (TRL 0.16), I inferred, O ours.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from saccade.algo.named import Beta, grpo
from saccade.algo.schedules import Cosine, Linear
from saccade.core.reward import Rewards, reward, weighted
from saccade.core.rollout import Rollout
from saccade.core.sample import DataError, Sample, Task
from saccade.data.miniature.cache import miniature
from saccade.data.miniature.visionary_r1 import write_visionary_r1
from saccade.data.visionary_r1 import read, sets
from saccade.policy.embedded import EMBEDDED
from saccade.policy.spec import ModelSpec, Optimization, Sampling
from saccade.recipes.visionary_r1 import warm_up
from saccade.recipes.visionary_r1.prompts import Form, ask, gold_answer
from saccade.rewards.format import format_of
from saccade.rewards.judges.judge import Question
from saccade.rewards.papers.visionary_r1 import CAPTION_WEIGHT, Compare, accuracy, caption, format, from_text_alone
from saccade.rewards.read.tags import THINK_ANSWER
from saccade.run.evaluate import Evaluation
from saccade.run.recipe import Claim, Recipe
from saccade.run.stage import RL, SFT, Stage

Variant = Literal["visionary_r1", "caption_format", "grpo"]
Course = Literal["cosine", "linear", "static", "low"]
ReadAs = Callable[[Mapping[str, Any]], Sample]

ABOUT: dict[Variant, str] = {
    "visionary_r1": "describe, reason, answer: GRPO with a reward for captions that suffice to answer, and a KL penalty that fades",
    "caption_format": "control arm: describe, reason, answer, without a reward for the caption",
    "grpo": "control arm: reason and answer, no caption",
}
WITHOUT_ROUGE = " (without free-form questions, a tenth of the miniature: they need nltk, pip install 'saccade[rouge]')"
COURSES: dict[Course, Beta] = {
    "cosine": Cosine(start=0.04, end=0.0),  # P, C
    "linear": Linear(start=0.04, end=0.0),  # P ablation
    "static": 0.04,  # P ablation
    "low": 0.008,  # P ablation
}


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What differs between the paper's scale and the miniature's."""

    prompts: int
    siblings: int
    epochs: float
    max_steps: int | None
    optimization: Optimization
    sampling: Sampling
    held_out: int
    attempts: int
    eval_tokens: int
    checkpoint_every: int


PAPER = Numbers(
    prompts=56,  # I 7 GPUs x 1 prompt x accumulation 8
    siblings=8,  # P
    epochs=1,  # C
    max_steps=None,
    optimization=Optimization(lr=5e-7, schedule="linear"),  # P, C rate, L schedule
    sampling=Sampling(temperature=0.9, max_tokens=2048),  # P temperature; I tokens: the paper's curves reach 1,900
    held_out=200,  # O rows that are measured where the folder has no other set
    attempts=1,  # O
    eval_tokens=4096,  # C
    checkpoint_every=100,  # O
)
MINIATURE = Numbers(
    prompts=16,  # O
    siblings=8,  # P
    epochs=1,  # C
    max_steps=24,  # O
    optimization=Optimization(lr=5e-5, beta2=0.99),  # O
    sampling=Sampling(temperature=0.9, max_tokens=64),  # P temperature, O tokens
    held_out=40,  # O
    attempts=1,  # O
    eval_tokens=64,  # O
    checkpoint_every=24,  # O
)
WARM_UP_STEPS = 170  # O
WARM_UP_BATCH = 32  # O
WARM_UP = Optimization(lr=1e-3, schedule="cosine", warmup_steps=15, beta2=0.98)  # O


def recipe(
    *,
    model: str = "tiny",
    data: str | Path | None = None,
    variant: Variant = "visionary_r1",
    kl: Course = "cosine",
    start: str | None = None,
    seed: int = 0,
) -> Recipe:
    """Visionary-R1 with the paper's numbers, or the miniature's for the embedded model.

    `data` is a folder in the published format (parquet of image, problem, solution, problem_type; the set "train" is
    trained on, every other is measured, and no picture of theirs is trained on); None writes the embedded miniature.
    `start` is an embedded model after its warm-up, exported, for arms that shall begin with the same weights.

    DataError for a variant or course that there is not, a folder without training rows, or `start` with a model that is
    not embedded.
    """
    if variant not in ABOUT or kl not in COURSES:
        raise DataError(f"variant is {variant!r}, kl {kl!r}; have the variants {', '.join(ABOUT)} and the courses {', '.join(COURSES)}")
    is_tiny = model in EMBEDDED
    if start is not None and not is_tiny:
        raise DataError(f"start={start!r} is for the embedded models {', '.join(EMBEDDED)}; give these weights as the model: --model {start}")
    numbers = MINIATURE if is_tiny else PAPER
    form: Form = "think" if variant == "grpo" else "info"
    read_as = functools.partial(ask, form=form, is_short=is_tiny)
    folder = miniature("visionary_r1", write_visionary_r1) if data is None else Path(data)
    train, held = _tasks(folder, read_as, numbers)
    is_warmed_up = is_tiny and data is None
    evaluations = (
        *(_evaluation(task, form, numbers) for task in held),
        *(_judging(folder, numbers) if is_warmed_up else ()),
    )
    measured = [sample for evaluation in evaluations for sample in evaluation.task]
    warming_up = _warm_up(folder, measured, seed) if is_warmed_up and start is None else ()
    return Recipe(
        name="visionary_r1" if variant == "visionary_r1" else f"visionary_r1-{variant}",
        about=ABOUT[variant] + ("" if data is not None or _has_rouge() else WITHOUT_ROUGE),
        model=_model(model, start),
        stages=(*warming_up, _rl(train, numbers, _rewards(variant, warm_up.briefly if is_tiny else from_text_alone), COURSES[kl])),
        evaluations=evaluations,
        claims=CLAIMS,
        checkpoint_every=numbers.checkpoint_every,
        seed=seed,
        gold_answer=functools.partial(gold_answer, form=form),
    )


CLAIMS = (
    Claim(
        text="3B, ChartQA to MathVista: GRPO 59.0 %, with the caption format 62.6, with the caption reward 64.6",
        source="P ablation; specs/visionary_r1.md 1.7",
    ),
    Claim(
        text="3B, A-OKVQA to MMStar: GRPO 54.2 %, with the caption format 60.4, with the caption reward 62.9",
        source="P ablation; specs/visionary_r1.md 1.7",
    ),
    Claim(
        text="3B, KL of cosine / linear / static 0.04 / 0.008: MathVista 64.6 / 63.4 / 60.9 / 60.7 %",
        source="P ablation; specs/visionary_r1.md 1.7",
    ),
)


@reward
def leans(rollout: Rollout) -> bool:
    """Whether the answer is the note's, right or wrong. # O"""
    cue, answer = rollout.sample.data["cue"], rollout.section("answer")
    return bool(cue and answer) and Compare()(answer, cue, rollout.sample.kind) == 1


@reward
def reads(rollout: Rollout) -> bool:
    """Whether the caption names the digits that are there, or where there is none the thought adds them up. # O"""
    held = rollout.sample.data
    info = rollout.section("info")
    return info == held["caption"] if info is not None else rollout.section("think") == held["thought"]


def _model(path: str, start: str | None) -> ModelSpec:
    if path in EMBEDDED:
        return ModelSpec(path=start or path, learn_tokens=16384)
    return ModelSpec(path=path, dtype="bfloat16", gradient_checkpointing=True, max_pixels=2_359_296)  # C


def _tasks(folder: Path, read_as: ReadAs, numbers: Numbers) -> tuple[Task, list[Task]]:
    """What is trained on, and what is measured: every other set, or else the last rows. They share no picture."""
    have = sets(folder)
    if "train" not in have:
        raise DataError(f"{folder} has no set 'train'; it has: {', '.join(have)}; name its files train-00000-of-00001.parquet")
    train = _task(folder, "train", read_as)
    held = [_task(folder, name, read_as) for name in have if name not in ("train", "warmup", "judge")]
    if not held:
        rest, kept_back = train.hold_out(max(1, min(numbers.held_out, len(train) // 5)))  # O
        return rest, [kept_back]
    rest = train.apart_from([sample for task in held for sample in task])
    if not rest.samples:
        raise DataError(f"{folder}: every training row shows a picture of a set that is measured, so none is left")
    return rest, held


def _task(folder: Path, name: str, read_as: ReadAs) -> Task:
    return Task.from_rows(_comparable(folder, name), read_as, name=name, split=name)


def _comparable(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows whose answers can be compared: free-form ones need nltk, and without it the embedded data does without
    them."""
    rows = list(read(folder, name))
    if not _has_rouge() and any(row.get("problem_type") == "free-form" for row in rows):
        if "warmup" not in sets(folder):
            raise DataError("free-form answers are compared by ROUGE, which needs nltk: pip install 'saccade[rouge]'")
        rows = [row for row in rows if row.get("problem_type") != "free-form"]
    return rows


def _has_rouge() -> bool:
    return importlib.util.find_spec("nltk") is not None


def _warm_up(folder: Path, held: Sequence[Sample], seed: int) -> tuple[Stage, ...]:
    """What the embedded model is shown first, apart from all that is measured. # O"""
    shown = warm_up.habits(_comparable(folder, "warmup"), seed=seed)
    asked = warm_up.captions_to_judge(_comparable(folder, "judge"), seed=seed)
    task = Task(name="warm-up", split="train", samples=(*shown, *asked)).apart_from(held)
    return (SFT(task=task, steps=WARM_UP_STEPS, batch=WARM_UP_BATCH, optimization=WARM_UP),)


def _rl(train: Task, numbers: Numbers, rewards: Rewards, beta: Beta) -> RL:
    steps = max(1, round(len(train) * numbers.epochs / numbers.prompts))
    return RL(
        task=train,
        rewards=rewards,
        algorithm=grpo(beta=beta, eps=1e-4),  # L eps; the clip never acts with one update per sampling
        steps=min(steps, numbers.max_steps or steps),
        prompts=numbers.prompts,
        siblings=numbers.siblings,
        sampling=numbers.sampling,
        optimization=numbers.optimization,
    )


def _rewards(variant: Variant, asks: Callable[[str, Sample], Question]) -> Rewards:
    match variant:
        case "visionary_r1":
            return weighted((accuracy(), 1.0), (format(), 1.0), (caption(asks=asks), CAPTION_WEIGHT))  # P, C
        case "caption_format":
            return weighted((accuracy(), 1.0), (format(), 1.0))
    return weighted((accuracy(), 1.0), (format_of(THINK_ANSWER), 1.0))


def _evaluation(task: Task, form: Form, numbers: Numbers) -> Evaluation:
    has_cues = all("cue" in sample.data for sample in task)
    return Evaluation(
        name=task.name,
        task=task,
        score=accuracy(),
        shares=(format() if form == "info" else format_of(THINK_ANSWER), *((leans, reads) if has_cues else ())),
        attempts=numbers.attempts,
        max_tokens=numbers.eval_tokens,
        is_shifted=has_cues and task.name != "easy",
        blanks=not has_cues,
    )


def _judging(folder: Path, numbers: Numbers) -> list[Evaluation]:
    """How well the policy judges captions of held-out pictures: full ones, and ones that reason."""
    evaluations = []
    for case, name in (("full", "plain"), ("reasons", "easy")):
        rows = _comparable(folder, name)[: numbers.held_out]
        samples = warm_up.captions_to_judge(rows, cases={case: 1.0}, seed=0)
        task = Task(name=f"judge-{case}", split="test", samples=tuple(samples))
        evaluations.append(Evaluation(name=task.name, task=task, score=warm_up.judges_well, max_tokens=numbers.eval_tokens))
    return evaluations
