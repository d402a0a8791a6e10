"""A recipe from its first step to its summary: stages in order, evaluations, checkpoints, and resuming exactly.

Everything a step does is a function of the weights, the optimizer's state, and seeds derived from (run seed, stage, step).
So a run that was killed, and resumed from its last checkpoint, writes the same metrics and ends with the same weights.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from types import ModuleType
from typing import Any

from saccade.core.rollout import Group
from saccade.core.sample import said_of_left_out
from saccade.policy.loading import require_whole_pictures
from saccade.policy.protocol import NotFinite, Policy
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.run.choice import Record
from saccade.run.evaluate import Evaluation, Measured, measure
from saccade.run.files import RunError
from saccade.run.folder import RunFolder
from saccade.run.health import Health
from saccade.run.learn import learn
from saccade.run.live import Live
from saccade.run.probe import probe
from saccade.run.progress import Progress, fingerprint, no_sound_checkpoint, resumable_state
from saccade.run.recipe import Recipe
from saccade.run.reference import hold_reference
from saccade.run.memory import Memory
from saccade.run.records import Details
from saccade.run.samples import sample_lines
from saccade.run.seeds import derive, seed_everything
from saccade.run.show import described
from saccade.run.stage import Stage
from saccade.run.summary import summarised
from saccade.run.trace import Trace
from saccade.run.tracking import Tracking
from saccade.run.watches import WATCHES

def train(
    recipe: Recipe,
    folder: RunFolder,
    *,
    policy: Policy | None = None,
    is_resumed: bool = False,
    module: ModuleType | None = None,
    trace: int = 1,
    tracking: Tracking | None = None,
) -> dict[str, Any]:
    """Run a recipe in its folder, from the start or from its last checkpoint; the summary, also in summary.json.

    `policy` is the recipe's model where the caller has loaded it already. `module` is where the recipe is written: recipe.json takes
    from it the idea and the sources of its numbers. Of the first `trace` groups of each step the tokens are kept, in tokens.jsonl.
    `tracking` is told what metrics.jsonl says.
    """
    run = _Run(recipe, folder, policy or load_policy(recipe), trace=trace, tracking=tracking or Tracking())
    checkpoint = folder.latest_checkpoint() if is_resumed else None
    if is_resumed and checkpoint is None and folder.holds_checkpoints:
        raise no_sound_checkpoint(folder.path)
    state = resumable_state(checkpoint, run.progress, folder.path)
    known = sum(1 for _ in folder.metrics())
    folder.rewind(checkpoint)
    run.tracking.go_on(kept=sum(1 for _ in folder.metrics()), known=known)
    if checkpoint:
        run.progress = Progress(**state["progress"])
        run.policy.restore(checkpoint.path)
    run.live = Live(recipe.total_steps, done=run.steps_done)
    try:
        run.warn_of_bad_rows()
        run.say_what_is_left_out()
        run.describe(module)
        run.recall()
        if checkpoint:
            run.live.say(f"resumed from {checkpoint.name}: {run.steps_done} of {recipe.total_steps} steps are done")
        else:
            run.open()
        for index in range(run.progress.stage, len(recipe.stages)):
            run.stage(recipe.stages[index], saved=state)
            state = {}
        return run.close()
    except NotFinite as fault:
        raise run.kept(fault) from fault
    finally:
        run.live.close()


def load_policy(recipe: Recipe) -> TransformersPolicy:
    """The recipe's model. What loading draws at random, the first weights of adapters, follows from the run's seed.

    CutsPictures, before any weights load, where the recipe uses pixels of the picture as the model sees it and the model sees tiles.
    """
    if recipe.uses_model_pixels:
        require_whole_pictures(recipe.model, of=recipe.name)
    seed_everything(derive(recipe.seed, "model"))
    return TransformersPolicy.load(recipe.model)


class _Run:
    """One training in progress."""

    def __init__(self, recipe: Recipe, folder: RunFolder, policy: Policy, *, trace: int, tracking: Tracking) -> None:
        self.recipe, self.folder, self.policy = recipe, folder, policy
        self.n_traced, self.tracking = trace, tracking
        self.progress = Progress(data=fingerprint(self._tasks()))
        self.memory = Memory()
        self.details = Details(marks=recipe.marks, gold=recipe.gold_marks, pieces=policy.pieces)
        self.health = Health(WATCHES)
        self.live: Live
        self._clock = time.perf_counter()

    @property
    def steps_done(self) -> int:
        """Over all stages."""
        return sum(stage.steps for stage in self.recipe.stages[: self.progress.stage]) + self.progress.step

    def warn_of_bad_rows(self) -> None:
        """Count and name the rows that cannot be read, in every leg of a run that is resumed, so that its summary has them."""
        for task in self._tasks():
            if task.bad_rows:
                first = task.bad_rows[0]
                self.live.warn(
                    f"{len(task.bad_rows)} of {len(task) + len(task.bad_rows)} rows of {task.name} ({task.split}) cannot "
                    f"be read and are left out; the first is {first.id}: {first.why}"
                )

    def say_what_is_left_out(self) -> None:
        """How many samples are not trained on, as what is held out shows the same: no fault, and so no warning."""
        if sentence := said_of_left_out([stage.task for stage in self.recipe.stages]):
            self.live.say(sentence)

    def describe(self, module: ModuleType | None) -> None:
        """What is run and on what; in every leg, as a run that an older version began has none of it."""
        self.folder.write_recipe(described(self.recipe, module))
        if not any(self.folder.samples()):
            self.live.note("writing down what is trained and measured on")
            self.folder.append_samples(sample_lines(self.recipe, self.policy, self.details))

    def open(self) -> None:
        """Before the first step: does the model compute what it should, and how good is it already."""
        for task in self._tasks():
            for sample in task:
                self.policy.check(sample)
        samples = [sample for stage in self.recipe.stages for sample in stage.task]
        self.live.note("checking that pictures reach the model")
        found = probe(self.policy, samples, seed=derive(self.recipe.seed, "probe"))
        self._log({"run/stage": "probe", "run/step": 0, **found})
        self.progress.before = self._measure("before", self.recipe.evaluations)

    def stage(self, stage: Stage, *, saved: Mapping[str, Any]) -> None:
        """A stage to its end, measured and saved. `saved` is what the checkpoint holds that it goes on from, or nothing."""
        policy, progress = self.policy, self.progress
        policy.start_optimizer(stage.optimization)
        self.memory = Memory()
        if saved:
            policy.optimizer.load_state_dict(saved["optimizer"])
            self.memory = Memory.restored(saved["memory"], stage.task)
        if stage.algorithm.needs_reference and progress.step < stage.steps:
            hold_reference(policy, stage, self.folder.path / "references" / stage.name, saved=saved)
        shows = None if stage.was_sampled else ("loss/mean",)
        self.live.begin(stage.name, steps=stage.steps, done=progress.step, shows=shows)
        while progress.step < stage.steps:
            seed_everything(derive(self.recipe.seed, stage.name, progress.step))
            metrics = self._step(stage)
            progress.step += 1
            is_due = _is_due(progress.step, self.recipe.checkpoint_every) and progress.step < stage.steps
            if is_due:
                metrics |= self._select(stage)
            line = {"run/stage": stage.name, "run/step": progress.step, "run/total_steps": self.steps_done, **metrics}
            self._log(line)
            self.live.step(line)
            if is_due:
                self._checkpoint(stage)
        policy.drop_reference()
        if stage.name not in progress.after:
            progress.after[stage.name] = self._measure(stage.name, self.recipe.evaluations)
            metrics = {key: value for found in progress.after[stage.name].values() for key, value in found["metrics"].items()}
            self._choose(stage, metrics)
            self._checkpoint(stage)
        progress.stage, progress.step = progress.stage + 1, 0

    def close(self) -> dict[str, Any]:
        """After the last step: take the best weights, measure them, and write the summary."""
        progress, last = self.progress, self.recipe.stages[-1]
        chosen = progress.best_at or f"{last.name}-{last.steps}"
        if self.recipe.choose is not None and (doubt := self.recipe.choose.doubt(progress.best_at, self._record())):
            self.live.warn(doubt)
        ends = {f"{stage.name}-{stage.steps}": stage.name for stage in self.recipe.stages}
        if chosen in ends:
            after = progress.after[ends[chosen]]
        else:
            self.policy.restore(self.folder.checkpoint(chosen).path)
            after = self._measure(f"best ({chosen})", self.recipe.evaluations)
        self._count_seconds()
        summary = summarised(
            self.recipe, progress, chosen=chosen, after=after, tasks=self._tasks(), warnings=self.live.warnings
        )
        self.folder.write_summary(summary)
        shutil.rmtree(self.folder.path / "references", ignore_errors=True)
        return summary

    # ---- one step

    def _step(self, stage: Stage) -> dict[str, float]:
        policy, step, seed, memory = self.policy, self.progress.step, self.recipe.seed, self.memory
        start = time.perf_counter()
        made = stage.round(policy, step, seed=seed, memory=memory)
        traced = made.asked[: self.n_traced] if stage.was_sampled else []
        trace = Trace(policy, traced, temperature=stage.temperature)
        learned = learn(policy, stage, made, step=step, seed=seed, memory=memory, heed=trace.learned)
        if stage.sync_every and (step + 1) % stage.sync_every == 0 and stage.algorithm.needs_reference:
            policy.sync_reference(mix=stage.sync_mix)
        if stage.was_sampled:
            advantages = [[learned.advantages.get(id(rollout)) for rollout in group.rollouts] for group in made.asked]
            self.folder.append_rollouts(made.asked, step=step + 1, stage=stage.name, advantages=advantages, details=self.details)
            self.folder.append_tokens(trace.rows(policy, step=step + 1, stage=stage.name))
            self._warn(self.tracking.show(made.asked, step=self.steps_done + 1))
        seconds = time.perf_counter() - start
        tokens = sum(rollout.n_sampled for group in made.asked for rollout in group.rollouts)
        return {
            **made.metrics,
            **learned.metrics,
            "time/step": seconds,
            "speed/tokens_per_second": tokens / seconds,
        }

    def kept(self, fault: NotFinite) -> RunError:
        """The offending rows saved, and the sentence that names them."""
        stage = self.recipe.stages[min(self.progress.stage, len(self.recipe.stages) - 1)]
        rows: dict[str, list] = {}
        for rollout in fault.rollouts:
            rows.setdefault(rollout.sample.id, []).append(rollout)
        groups = [Group(sample=some[0].sample, rollouts=tuple(some)) for some in rows.values()]
        step = min(self.progress.step + 1, stage.steps)
        path = self.folder.save_offenders(groups, step=step, stage=stage.name)
        names = ", ".join(list(rows)[:3]) + (", ..." if len(rows) > 3 else "")
        return RunError(
            f"step {step} of stage {stage.name!r} is not finite: {fault}; the {len(fault.rollouts)} rollouts it comes from "
            f"(samples {names}) are saved in {path}; look at them, or start a new run with a lower learning rate"
        )

    # ---- measuring

    def _measure(self, moment: str, evaluations: Iterable[Evaluation]) -> dict[str, Any]:
        found = {}
        for evaluation in evaluations:
            self.live.note(f"measuring {evaluation.name}")
            found[evaluation.name] = self._measured(moment, evaluation).as_dict()
        metrics = {key: value for one in found.values() for key, value in one["metrics"].items()}
        self._log({"run/stage": moment, "run/step": self.steps_done, **metrics})
        return found

    def _select(self, stage: Stage) -> dict[str, float]:
        """Measure the sets that choose the best checkpoint."""
        metrics: dict[str, float] = {}
        for evaluation in self.recipe.evaluations:
            if evaluation.selects:
                metrics |= self._measured(f"{stage.name}-{self.progress.step}", evaluation).metrics
        self._choose(stage, metrics)
        return metrics

    def _measured(self, moment: str, evaluation: Evaluation) -> Measured:
        """One set measured and, sample by sample, written down."""
        found = measure(self.policy, evaluation, seed=derive(self.recipe.seed, "evaluation", evaluation.name))
        self.folder.append_evaluation(found, moment=moment, step=self.steps_done, details=self.details)
        return found

    def _choose(self, stage: Stage, metrics: Mapping[str, float]) -> None:
        """The checkpoint that is about to be written, or the one held: whichever the recipe prefers is held from now on."""
        if self.recipe.choose is None:
            return
        progress, name = self.progress, f"{stage.name}-{self.progress.step}"
        selecting = tuple(f"eval/{evaluation.name}/" for evaluation in self.recipe.evaluations if evaluation.selects)
        progress.candidates[name] = {key: value for key, value in metrics.items() if key.startswith(selecting)}
        if self.recipe.choose.takes(name, progress.best_at, self._record()):
            progress.best_at = name

    def _record(self) -> Record:
        before = {key: value for found in self.progress.before.values() for key, value in found["metrics"].items()}
        return Record(before=before, checkpoints=self.progress.candidates)

    # ---- keeping

    def _log(self, line: dict[str, Any]) -> None:
        """A line of metrics.jsonl, with what the watches newly say of the run."""
        found = self.health.hear(line)
        self._warn(found.values())
        line = line | {f"health/{name}": sentence for name, sentence in found.items()}
        self.folder.append_metrics(line)
        self._warn(self.tracking.log(line))

    def _warn(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self.live.warn(sentence)

    def recall(self) -> None:
        """What the watches heard and said before the run was stopped."""
        for line in self.folder.metrics():
            self.health.hear(line)
            said = [text for key, text in line.items() if key.startswith("health/")]
            self.live.warnings += [text for text in said if text not in self.live.warnings]

    def _checkpoint(self, stage: Stage) -> None:
        self._count_seconds()
        name = f"{stage.name}-{self.progress.step}"
        state = {
            "progress": asdict(self.progress),
            "optimizer": self.policy.optimizer.state_dict(),
            "memory": self.memory.saved(stage.task),
        }
        if stage.sync_every and stage.algorithm.needs_reference and self.progress.step < stage.steps:
            state["reference"] = self.policy.reference_state()
        self.folder.save_checkpoint(name, self.policy.save, state=state, is_best=self.progress.best_at == name)

    def _count_seconds(self) -> None:
        now = time.perf_counter()
        self.progress.seconds += now - self._clock
        self._clock = now

    def _tasks(self) -> list:
        tasks = [stage.task for stage in self.recipe.stages] + [one.task for one in self.recipe.evaluations]
        return list({id(task): task for task in tasks}.values())


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
