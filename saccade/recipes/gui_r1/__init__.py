"""GUI-R1: the next action on a screen, learnt from right and wrong alone, with one space of actions for every platform.

Luo et al. 2025, "GUI-R1: A Generalist R1-Style Vision-Language Action Model for GUI Agents", arXiv 2504.10458. No SFT
before: GRPO on 3,000 chosen steps, half of them low-level (find this, click it), half high-level (a command, what was
done, what is next).

    saccade train gui_r1                                    the embedded grounding model on real widgets of three platforms
    saccade train gui_r1 --with variant=sft                 control arm: imitation of the same rows
    saccade train gui_r1 --with accuracy_weight=0.5         the other weights that the paper tries
    saccade train gui_r1 --data ../shared/data/gui_miniwob  records of ScreenSpot
    saccade train gui_r1 --model Qwen/Qwen2.5-VL-3B-Instruct --data GUI-R1

The questions stand in `prompts.py`, rows into samples in `samples.py`, rewards and what they depart in in
`saccade/rewards/papers/gui_r1/`, the on-disk format in `saccade/data/gui_r1.py`.

Departs:
- The prompt is short, in our words, and has no worked examples; the original has four.
- Every run is measured on all benchmarks that lie in the data's folder, each with its own list of actions. The original
  rebuilds the prompts in scripts of their own.
- The step is right (SR) when its name and its argument are; the released script's figure does not require the name, and
  leaves actions without an argument out. `as_released` trains with the released rewards and reports the released
  figures besides.
- Gold boxes meet the point in the picture as the model sees it; the original scales them to the size before the
  processor's rounding.
- Evaluation is greedy, as there, without its repetition penalty of 1.05; answers are sampled too.
- The checkpoint is the best on test.parquet (rows held back where there is none), which no stage trains on and no result is
  reported of. The original keeps the last three.
- Rows of the format bring no thoughts, so the SFT arm imitates bare answers: as many rows, in as many optimizer steps,
  as the RL arm asks. What the paper's SFT did is not told.
- Training rows whose screens a test set shows are left out, and a run says how many.
- Rows that ask to type, select or scroll without saying what are bad rows: no answer to them could be judged.

Sources of numbers: P paper, C released code, L default of the library that the code ran (EasyR1), I inferred, O ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from saccade.algo.named import grpo_easyr1
from saccade.core.reward import Rewards, weighted
from saccade.core.rollout import Rollout
from saccade.core.sample import DataError, Task
from saccade.data.gui_r1 import files, is_screenspot, read, screenspot
from saccade.data.miniature.cache import miniature
from saccade.data.miniature.gui_r1 import write_gui_r1
from saccade.policy.embedded import EMBEDDED
from saccade.policy.spec import ModelSpec, Optimization, Sampling
from saccade.recipes.gui_r1.samples import ask, bare, gold_marks, marks, worked
from saccade.rewards.papers.gui_r1 import accuracy, format, metrics, success, type_match
from saccade.run.choice import Highest
from saccade.run.evaluate import Evaluation
from saccade.run.recipe import Claim, Recipe
from saccade.run.stage import RL, SFT, Stage

Variant = Literal["rl", "sft"]
Sets = dict[str, list[dict[str, Any]]]
WATCHED = "val"  # the set that chooses the checkpoint
SHIFTED = "desktop"  # O sets of a platform that the miniature does not train on begin so

ABOUT: dict[Variant, str] = {
    "rl": "the next action on a screen by GRPO, without SFT before",
    "sft": "control arm: SFT on the same rows",
}


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What differs between the paper's scale and the miniature's."""

    prompts: int
    siblings: int
    updates: int
    epochs: float
    rl: Optimization
    beta: float
    sampling: Sampling
    sft: Optimization
    held_out: int
    attempts: int
    eval_tokens: int
    checkpoint_every: int


PAPER = Numbers(
    prompts=512,  # C
    siblings=5,  # C
    updates=4,  # C 512 prompts in batches of 128
    epochs=9,  # P; the released configuration says 15
    rl=Optimization(lr=1e-6, weight_decay=0.01),  # C
    beta=0.01,  # C
    sampling=Sampling(temperature=1.0, max_tokens=1024),  # C
    sft=Optimization(lr=1e-5, schedule="cosine", weight_decay=0.01),  # O the paper says nothing of its SFT arm
    held_out=100,  # O where there is no test.parquet
    attempts=4,  # O for pass@k
    eval_tokens=1024,  # C
    checkpoint_every=5,  # C
)
MINIATURE = Numbers(
    prompts=16,  # O
    siblings=5,  # C
    updates=4,  # C
    epochs=1,  # O 30 steps
    rl=Optimization(lr=1e-4, beta2=0.99),  # O
    beta=0.01,  # C
    sampling=Sampling(max_tokens=96),  # O
    sft=Optimization(lr=1e-4, schedule="cosine"),  # O
    held_out=40,  # O
    attempts=1,  # O
    eval_tokens=96,  # O
    checkpoint_every=15,  # O
)


def recipe(
    *,
    model: str = "tiny-grounding",
    data: str | Path | None = None,
    variant: Variant = "rl",
    accuracy_weight: float = 0.8,  # C, P
    as_released: bool = False,
    only: str = "",
    benchmark: str = "",
    seed: int = 0,
) -> Recipe:
    """GUI-R1 with the paper's numbers, or the miniature's for an embedded model.

    `data` is a folder of parquet files (train, test, NAME_test) or of ScreenSpot's records; None writes the embedded
    miniature. `accuracy_weight` leaves the rest of 1 to the format. `as_released` takes the released rewards, flaws and
    all. `only` names the benchmarks of the folder to report on, with commas between them; all where it is empty
    (screenshots are large: all eight of the original take gigabytes). `benchmark` is a further folder of ScreenSpot's
    records to report on. DataError where there are no rows to train on.
    """
    if not 0 <= accuracy_weight <= 1:
        raise DataError(f"accuracy_weight is a share from 0 to 1, the format has the rest; got {accuracy_weight}")
    if variant not in ABOUT:
        raise DataError(f"variant is {variant!r}; have: {', '.join(ABOUT)}")
    numbers = MINIATURE if model in EMBEDDED else PAPER
    sets = _sets(miniature("gui_r1", write_gui_r1) if data is None else Path(data), only)
    if benchmark:
        name = f"{Path(benchmark).name}-screenspot"
        sets[name] = [{**row, "set": "screenspot"} for part in screenspot(benchmark).values() for row in part]
    tasks = {name: Task.from_rows(rows, ask, name=name, split=name) for name, rows in sets.items()}
    if "train" not in tasks:
        raise DataError(f"{data} has no train.parquet; it has: {', '.join(tasks)}")
    train = tasks.pop("train").apart_from(sample for task in tasks.values() for sample in task)
    if not len(train):
        raise DataError("every training row shows a screen of a test set; leave the benchmark out, or train on other rows")
    watched = tasks.pop("test", None)
    if watched is None:
        train, watched = train.hold_out(min(numbers.held_out, max(1, len(train) // 5)))
    reported = [_evaluation(_plain(name), task, numbers, as_released, is_shifted=name.startswith(SHIFTED)) for name, task in tasks.items()]
    return Recipe(
        name="gui_r1" if variant == "rl" else f"gui_r1-{variant}",
        about=ABOUT[variant],
        model=_model(model),
        stages=(_stage(variant, train, numbers, _rewards(accuracy_weight, as_released)),),
        evaluations=(_evaluation(WATCHED, watched, numbers, as_released, selects=True, blanks=True), *reported),
        claims=CLAIMS,
        checkpoint_every=numbers.checkpoint_every,
        choose=Highest(f"eval/{WATCHED}/sampled"),
        seed=seed,
        gold_answer=worked,
        uses_model_pixels=True,
        marks=partial(marks, as_released=as_released),
        gold_marks=gold_marks,
    )


CLAIMS = (
    Claim(
        text="3B, ScreenSpot-Pro: RL 25.23 %, SFT on the same 3,000 rows 13.80 %; ScreenSpot 80.08 %",
        source="P authors' figure; specs/gui_r1.md 3.5",
    ),
    Claim(
        text="3B, AndroidControl-High: Type 58.04, GR 56.24, SR 46.55 %; high-level overall 49.75 %, 37.30 % before",
        source="P authors' figure; specs/gui_r1.md 3.5",
    ),
    Claim(
        text="3B, high-level overall by the weight of accuracy, the format having the rest: 0.8 49.75 %, 0.5 47.72, 0.2 46.48",
        source="P authors' figure; specs/gui_r1.md 3.4",
    ),
)


def _plain(name: str) -> str:
    """The name of a file as that of an evaluation, which holds no blanks and is not that of the watched set."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "set"
    return f"{plain}-test" if plain == WATCHED else plain


def _sets(folder: Path, only: str) -> Sets:
    """The rows of the sets of a folder by name: train, test, and the benchmarks named in `only`."""
    of_records = screenspot(folder) if is_screenspot(folder) else None
    have = list(of_records or files(folder))
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    if absent := [name for name in wanted if name not in have]:
        raise DataError(f"{folder} has no set {absent[0]!r}; it has: {', '.join(have)}")
    names = [name for name in have if not wanted or name in (*wanted, "train", "test")]
    return {name: of_records[name] if of_records else read(folder, name) for name in names}


def _model(path: str) -> ModelSpec:
    if path in EMBEDDED:
        return ModelSpec(path=path, learn_tokens=16384)
    return ModelSpec(
        path=path,
        dtype="bfloat16",
        gradient_checkpointing=True,
        min_pixels=262_144,  # C
        max_pixels=1_258_291,  # C
    )


def _rewards(weight: float, as_released: bool) -> Rewards:
    return weighted((accuracy(as_released=as_released), weight), (format(as_released=as_released), round(1 - weight, 6)))


def _stage(variant: Variant, train: Task, numbers: Numbers, rewards: Rewards) -> Stage:
    prompts = min(numbers.prompts, len(train))
    updates = min(numbers.updates, prompts)
    steps = max(1, int(len(train) // prompts * numbers.epochs))  # C the last, smaller batch is dropped
    if variant == "sft":
        return SFT(task=train, answer=bare, steps=steps * updates, batch=max(1, prompts // updates), optimization=numbers.sft)
    return RL(
        task=train,
        rewards=rewards,
        algorithm=grpo_easyr1(high=0.2, beta=numbers.beta),  # C
        steps=steps,
        prompts=prompts,
        siblings=numbers.siblings,
        updates_per_rollout=updates,
        sampling=numbers.sampling,
        optimization=numbers.rl,
    )


def _evaluation(name: str, task: Task, numbers: Numbers, as_released: bool, **options: bool) -> Evaluation:
    return Evaluation(
        name=name,
        task=task,
        score=success(),
        shares=(type_match(), format()),
        totals=(figures, figures_as_released) if as_released else (figures,),
        attempts=numbers.attempts,
        max_tokens=numbers.eval_tokens,
        **options,
    )


def figures(rollouts: Sequence[Rollout]) -> Mapping[str, float]:
    """Type, GR and SR of a set, each over the steps that it applies to, and SR of each level; without those that apply
    to none."""
    levels = sorted({rollout.sample.kind for rollout in rollouts})
    of_level = {f"SR_{level}": metrics([r for r in rollouts if r.sample.kind == level])["SR"] for level in levels}
    found = {**metrics(rollouts), **(of_level if len(levels) > 1 else {})}
    return {name: value for name, value in found.items() if value is not None}


def figures_as_released(rollouts: Sequence[Rollout]) -> Mapping[str, float]:
    """The same figures as the released script counts them."""
    found = metrics(rollouts, as_released=True)
    return {f"{name}_as_released": value for name, value in found.items() if value is not None}
