"""VL-Rethinker: replay what can still teach, and make the model think twice.

Wang et al. 2025, "VL-Rethinker: Incentivizing Self-Reflection of Vision-Language Models with Reinforcement Learning",
arXiv 2504.08837. GRPO starves as a policy improves: more and more groups are all right or all wrong and have no
advantage. Selective Sample Replay (SSR) fills their places with earlier answers, the likelier the larger their
advantage (stage 1). Then finished answers are gone on with after a forced word of doubt, and what is right in the end
is learned and imitated (stage 2, forced rethinking).

    saccade train vl_rethinker                                    the embedded tiny model on the embedded miniature
    saccade train vl_rethinker --with variant=grpo                control arm: neither replay nor rethinking
    saccade train vl_rethinker --model Qwen/Qwen2.5-VL-7B-Instruct --data ViRL39K

Variants are the paper's ablation: `full`, `no_forced` (SSR, nothing forced), `filter` (in place of SSR the informative
answers are repeated), `grpo`. All have the same stages, prompts and steps. What SSR and forced rethinking are stands in
`saccade/algo/replay.py` and `saccade/algo/rethinking.py`, the rewards in `rewards.py` and
`saccade/rewards/papers/vl_rethinker.py`, the format in `saccade/data/vl_rethinker.py`.

Departs:
- SSR is on. In the released HEAD a default argument switches it off, whatever the script asks for (`ssr=released` is
  what the code would do if it did not).
- What came of a forced answer is held to that answer by its place. The released code attaches rewards of other answers.
- Forced words are read and not learned, and what is imitated is what the policy sampled. The original learns the words,
  too.
- Sampling draws from the whole distribution, after forced words as well. The original has top_p 0.95 and top_k 40, and
  0.9 as temperature after forced words, and takes log-probs of the whole distribution.
- Means over tokens are over an update. The original's are over a micro-batch; and it clips a micro-batch's loss above
  10 to nothing.
- A question of text alone has no picture. The original sends a dummy through the vision tower.
- Prompts are not cut at 2,048 tokens.
- An answer stands in the last box, or in the last answer block where there is no box. The original goes on to the text
  after "Answer:" and to the whole response.
- The SFT term takes the answers that words were forced upon. The released code's also takes those that waited by
  themselves (`imitate=waits`). It goes over the whole answer, as in the code, a wrong first conclusion included; the
  paper's first version takes only what came after the forced words, which is not offered.
- An episode of the paper is one step here, so at its scale replay draws again from answers of the same step. The
  miniature's draws from up to 8 steps, hence from older policies: another regime.
- No picture of a reported or held-out set is trained on, nor a question without picture that one of these asks.
- The miniature's model has never seen a "Wait", so a short SFT (`warm-up`) shows it, with guesses and mistakes among
  the solutions. The paper has no such stage. It answers in tags, as it cannot spell a box.

Sources of numbers: P paper, C released code, I inferred, O ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from saccade.algo.advantages import mean_only
from saccade.algo.algorithm import Algorithm
from saccade.algo.credit import WithinGroup
from saccade.algo.imitation import Imitation, extended_and_better
from saccade.algo.named import grpo
from saccade.algo.replay import ReleasedReplay, RepeatedNonzero, Replay, SelectiveReplay, paper_replay
from saccade.algo.rethinking import ForcedRethinking
from saccade.algo.weights import token_mean
from saccade.core.reward import Rewards
from saccade.core.sample import DataError, Sample, Task
from saccade.data.miniature.cache import miniature
from saccade.data.miniature.vl_rethinker import write_vl_rethinker
from saccade.data.vl_rethinker import files, read
from saccade.policy.embedded import EMBEDDED
from saccade.policy.spec import ModelSpec, Optimization, Sampling
from saccade.recipes.vl_rethinker.prompts import EMBEDDED_ONES, PUBLISHED, Instructions, ask_with_solution
from saccade.recipes.vl_rethinker.rewards import RewardName, accuracy, rewards
from saccade.recipes.vl_rethinker.sets import MEASURED, Sets, sets_of
from saccade.recipes.vl_rethinker.shares import mends, spoils, waits, waits_and_better
from saccade.run.choice import Highest
from saccade.run.evaluate import Evaluation
from saccade.run.recipe import Claim, Recipe
from saccade.run.stage import RL, SFT, Stage

Variant = Literal["full", "no_forced", "filter", "grpo"]
Memory = Literal["paper", "capped", "released"]
Imitated = Literal["forced", "waits"]
Scale = Literal["auto", "paper", "miniature"]
IMITATION = 0.05  # C
SHIFTED = ("more",)  # O benchmarks of the miniature that are out of distribution on purpose


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What differs between the paper's scale and the miniature's."""

    instructions: Instructions
    prompts: int
    siblings: int
    updates: int
    epochs: float
    max_steps: int | None
    clear_every: int
    optimization: Optimization
    warmup_share: float
    sampling: Sampling
    rethinking: ForcedRethinking
    held_out: int
    attempts: int
    eval_temperature: float
    checkpoint_every: int
    warm_up_steps: int = 200  # O of an embedded model only; the paper has no SFT
    warm_up_batch: int = 16  # O
    warm_up: Optimization = Optimization(lr=1e-3, schedule="cosine", beta2=0.99)  # O


PAPER = Numbers(
    instructions=PUBLISHED,
    prompts=1024,  # P queries of an episode
    siblings=8,  # P
    updates=16,  # P of 512 answers each
    epochs=3,  # P at most, each stage
    max_steps=None,
    clear_every=1,  # P after an episode, which is one step here
    optimization=Optimization(lr=1e-6, schedule="cosine", floor=0.5, beta2=0.95),  # C
    warmup_share=0.03,  # C
    sampling=Sampling(temperature=1.0, max_tokens=2048),  # C
    rethinking=ForcedRethinking(),  # C
    held_out=500,  # O rows that choose the checkpoint
    attempts=1,  # O
    eval_temperature=0.6,  # C
    checkpoint_every=10,  # O
)
MINIATURE = Numbers(
    instructions=EMBEDDED_ONES,
    prompts=12,  # O
    siblings=8,  # P
    updates=1,  # O
    epochs=3,  # P
    max_steps=30,  # O each stage
    clear_every=8,  # O
    optimization=Optimization(lr=1e-4, schedule="cosine", floor=0.5, beta2=0.95),  # O the rate, C its course
    warmup_share=0.03,  # C
    sampling=Sampling(temperature=1.0, max_tokens=160),  # O
    rethinking=ForcedRethinking(tokens=64, shortest=5),  # O a box alone is enough, C the rest
    held_out=80,  # O
    attempts=2,  # O
    eval_temperature=1.0,  # O
    checkpoint_every=30,  # O
)


def recipe(
    *,
    model: str = "tiny",
    data: str | Path | None = None,
    variant: Variant = "full",
    reward: RewardName = "paper",
    ssr: Memory = "paper",
    imitation: float = IMITATION,
    imitate: Imitated = "forced",
    pass_rate: str = MEASURED,
    scale: Scale = "auto",
    seed: int = 0,
) -> Recipe:
    """VL-Rethinker with the paper's numbers, or the miniature's for the embedded model.

    `data` is a folder in the published format (saccade/data/vl_rethinker.py); None writes the embedded miniature.
    `reward` is right or wrong as the paper says, or the code's scheme, which pays for one or two words of doubt. `ssr`
    is the paper's, the same with our importance cap, or the released code's. `imitation` weighs the SFT term (0 for
    none) on forced rethinking that succeeded, or on all better answers that wait (`imitate` "waits", as the code has
    it). Training keeps the rows whose pass rate in the column naming `pass_rate` is above 0, where the data has such
    columns. `scale` "miniature" takes the miniature's numbers for another model, such as an embedded one that was
    warmed up before.
    """
    _require(variant=(variant, Variant), reward=(reward, RewardName), ssr=(ssr, Memory), imitate=(imitate, Imitated), scale=(scale, Scale))
    _refuse_idle(variant, ssr=ssr, imitation=imitation, imitate=imitate)
    is_small = scale == "miniature" or (scale == "auto" and model in EMBEDDED)
    numbers = MINIATURE if is_small else PAPER
    folder = miniature("vl_rethinker", write_vl_rethinker) if data is None else Path(data)
    sets = _sets(folder, pass_rate, numbers)
    replay, imitated = _replay(variant, ssr, numbers), _imitation(variant, imitation, imitate)
    stages = _stages(variant, sets, numbers, rewards(reward, needs_box=not is_small), replay, imitated)
    if model in EMBEDDED and "warm_up" in files(folder):
        stages = (_warm_up(folder, sets, numbers), *stages)
    return Recipe(
        name="vl_rethinker" if variant == "full" else f"vl_rethinker-{variant}",
        about=ABOUT[variant],
        model=_model(model, is_small=is_small),
        stages=stages,
        evaluations=(
            _evaluation(sets.val, numbers, selects=True),
            *(_evaluation(task, numbers, is_shifted=task.name in SHIFTED) for task in sets.reported),
        ),
        claims=CLAIMS,
        checkpoint_every=numbers.checkpoint_every,
        choose=Highest("eval/val/sampled"),  # P the mean reward on held-out rows
        seed=seed,
        gold_answer=gold_answer_in_doubt if reward == "code" else gold_answer,
    )


ABOUT: dict[Variant, str] = {
    "full": "replay what can still teach, and make the model think twice: SSR, then forced rethinking",
    "no_forced": "control arm: SSR in both stages, nothing forced",
    "filter": "control arm: informative answers repeated in place of SSR, nothing forced",
    "grpo": "control arm: GRPO alone",
}
CLAIMS = (
    Claim(
        text="7B, MathVision / MathVista / MathVerse: full 32.3 / 74.9 / 54.2, without forced rethinking 29.8 / 72.4 / 53.2, Filter "
        "28.5 / 72.0 / 50.0, plain GRPO 26.0 / 70.9 / 51.4",
        source="P ablation; specs/vl_rethinker.md 6.8",
    ),
    Claim(
        text="72B: the share of queries that teach anything falls from about 40 % to below 20 % in 256 steps of GRPO",
        source="P; specs/vl_rethinker.md 6.8",
    ),
)


def gold_answer(sample: Sample) -> str:
    """The text that deserves full marks."""
    return f"So it is {sample.target}."


def gold_answer_in_doubt(sample: Sample) -> str:
    """The same with the one word of doubt that the code's reward pays for."""
    return f"Let me see. Wait, let me look again. So it is {sample.target}."


def _model(path: str, *, is_small: bool) -> ModelSpec:
    if is_small:
        # O the short warm-up would spoil what the tower sees
        return ModelSpec(path=path, freeze=("vision",), learn_tokens=16384)
    # C 256 to 1,280 image tokens a picture
    return ModelSpec(path=path, dtype="bfloat16", gradient_checkpointing=True, min_pixels=200_704, max_pixels=1_003_520)


def _replay(variant: Variant, ssr: Memory, numbers: Numbers) -> Replay | None:
    if variant == "grpo":
        return None
    if variant == "filter":
        return RepeatedNonzero()
    match ssr:
        case "paper":
            return paper_replay(clear_every=numbers.clear_every)
        case "capped":
            return SelectiveReplay(clear_every=numbers.clear_every)
        case "released":
            return ReleasedReplay()
    raise DataError(f"ssr is {ssr!r}; have: paper, capped, released")


def _algorithm(replay: Replay | None, imitation: Imitation | None) -> Algorithm:
    """GRPO without division by the group's std, clipped higher above, mean over tokens, without KL."""
    return replace(
        grpo(low=0.2, high=0.35, beta=0.0),  # C clip, KL
        name="vl_rethinker",
        credit=WithinGroup(mean_only),  # C the paper's formula divides by the std, its text does not
        weigh=token_mean,  # C
        replay=replay,
        imitation=imitation,
    )


def _imitation(variant: Variant, weight: float, imitate: Imitated) -> Imitation | None:
    if variant != "full" or weight == 0:
        return None
    return Imitation(weight=weight, chosen=waits_and_better if imitate == "waits" else extended_and_better)


def _require(**chosen: tuple[str, Any]) -> None:
    """DataError where an option is none of its Literal's values, as may come from Python."""
    for name, (value, literal) in chosen.items():
        if value not in get_args(literal):
            raise DataError(f"{name} is {value!r}; have: {', '.join(get_args(literal))}")


def _refuse_idle(variant: Variant, *, ssr: Memory, imitation: float, imitate: Imitated) -> None:
    """DataError where an option would do nothing in this arm, or is no number that it can be."""
    if not 0 <= imitation < math.inf:
        raise DataError(f"imitation must be 0 (none) or a finite number above it, got {imitation}")
    if variant in ("filter", "grpo") and ssr != "paper":
        raise DataError(f"variant {variant} replays nothing, so ssr={ssr} would do nothing; leave it out")
    if variant != "full" and (imitation != IMITATION or imitate != "forced"):
        raise DataError(f"variant {variant} imitates nothing, so imitation and imitate would do nothing; leave them out")
    if imitation == 0 and imitate != "forced":
        raise DataError(f"with imitation=0 nothing is imitated, so imitate={imitate} would do nothing; leave it out")


def _stages(
    variant: Variant, sets: Sets, numbers: Numbers, rewarded: Rewards, replay: Replay | None, imitation: Imitation | None
) -> tuple[Stage, ...]:
    """Both stages of RL; the second alone forces and imitates, and only in the full system."""
    revise = numbers.rethinking if variant == "full" else None
    return (
        _rl("reason", sets.reason, numbers, rewarded, _algorithm(replay, None), None),
        _rl("rethink", sets.rethink, numbers, rewarded, _algorithm(replay, imitation), revise),
    )


def _rl(
    name: str, task: Task, numbers: Numbers, rewarded: Rewards, algorithm: Algorithm, revise: ForcedRethinking | None
) -> RL:
    prompts = min(numbers.prompts, len(task))
    steps = max(1, round(len(task) * numbers.epochs / prompts))
    steps = min(steps, numbers.max_steps or steps)
    return RL(
        name=name,
        task=task,
        rewards=rewarded,
        algorithm=algorithm,
        steps=steps,
        prompts=prompts,
        siblings=numbers.siblings,
        updates_per_rollout=min(numbers.updates, prompts),
        sampling=numbers.sampling,
        optimization=replace(numbers.optimization, warmup_steps=round(steps * numbers.warmup_share)),
        revise=revise,
    )


def _sets(folder: Path, pass_rate: str, numbers: Numbers) -> Sets:
    words = numbers.instructions
    return sets_of(folder, pass_rate, reason=words.reason, rethink=words.rethink, most_held=numbers.held_out)


def _warm_up(folder: Path, sets: Sets, numbers: Numbers) -> SFT:
    rows = [{**row, "number": number} for number, row in enumerate(read(folder, "warm_up"))]
    answer = partial(ask_with_solution, instruction=numbers.instructions.rethink)
    task = Task.from_rows(rows, answer, name="warm-up", split="train").apart_from(sets.asked)
    optimization = replace(numbers.warm_up, warmup_steps=numbers.warm_up_steps // 10)  # O
    return SFT(name="warm-up", task=task, steps=numbers.warm_up_steps, batch=numbers.warm_up_batch, optimization=optimization)


def _evaluation(task: Task, numbers: Numbers, **options: bool) -> Evaluation:
    return Evaluation(
        name=task.name,
        task=task,
        score=accuracy,
        shares=(waits, mends, spoils),
        attempts=numbers.attempts,
        temperature=numbers.eval_temperature,
        max_tokens=numbers.sampling.max_tokens,
        triggers=("wait",) if options.get("selects") else (),  # O entropy where it turns, an extra pass
        **options,
    )
