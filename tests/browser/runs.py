"""Run folders in the form that docs/run-folder.md describes, small and always the same, for tests of the page.

finished(path)                         SFT, then RL; every kind of mark, forced words, judges, traces, three measured moments
finished(path, seed=1, skill=0.1)      another run of the same recipe, to compare with
old(path)                              written before evaluations.jsonl and the other newer files existed
begun(path)                            just started: a command, and nothing else yet
sft_only(path)                         no rollouts at all
writer = RunWriter(path); writer.begin(); writer.rl_step(1); ...      one that grows while somebody looks
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser.described import COMMAND, checked, recipe, summary
from tests.browser.problems import KINDS, Problem, answer, problem

SETS = {"val": 14, "test-shifted": 14}  # evaluation -> samples
MOMENTS = {"before": 0.15, "sft": 0.35, "rl": 0.8}  # and how good the model was


class RunWriter:
    """Writes a run's files step by step. `skill` is added to how good the model is from the start."""

    def __init__(
        self, path: Path, *, seed: int = 0, skill: float = 0.0, siblings: int = 4, groups: int = 4, traced: int = 1
    ) -> None:
        self.path, self.seed, self.skill = Path(path), seed, skill
        self.siblings, self.groups, self.traced = siblings, groups, traced
        (self.path / "pictures").mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """What is there before the first step."""
        self.write("command.json", {**COMMAND, "seed": self.seed})
        self.write("recipe.json", recipe(seed=self.seed))
        self.write("check.json", checked())
        self.append("metrics.jsonl", [{
            "run/stage": "probe", "run/step": 0, "probe/separate_gap": 5.48e-06, "probe/sampler_gap": 2.86e-06, "probe/blank_shift": 6.8,
        }])  # fmt: skip
        self._samples()

    def sft_step(self, step: int) -> None:
        """One line of metrics of stage sft."""
        loss = 2.5 * 0.8**step
        self.append("metrics.jsonl", [{
            "run/stage": "sft", "run/step": step, "run/total_steps": step, "loss/mean": loss, "policy/entropy": loss / 3,
            "policy/grad_norm": 4 + loss, "policy/lr": 1e-4, "learn/packs": 1, "learn/stream_tokens": 900,
            "learn/trained_tokens": 400, "time/learn": 0.2, "time/step": 0.22, "speed/tokens_per_second": 1800.0,
        }])  # fmt: skip

    def rl_step(self, step: int, *, before: int = 0) -> None:
        """The rollouts, traces and metrics of a step of stage rl; `before` steps were done in earlier stages."""
        rng = random.Random(f"{self.seed}/{step}")
        rows, traces = [], []
        for index in range(self.groups):
            found = problem((step * self.groups + index) % (6 * len(KINDS)))
            self.save_pictures(found)
            group = self._group(found, rng, step=step, index=index)
            rows += group
            if index < self.traced:
                traces += [_trace(row, n, rng) for n, row in enumerate(group)]
        self.append("rollouts.jsonl", rows)
        if traces:
            self.append("tokens.jsonl", traces)
        self.append("metrics.jsonl", [_metrics(rows, step=step, total=before + step, rng=rng)])

    def measure(self, moment: str, *, skill: float, step: int, sets: Iterable[str] = SETS) -> dict[str, float]:
        """The answers and figures of a moment; returns the figures."""
        figures: dict[str, float] = {}
        for name in sets:
            rng = random.Random(f"{self.seed}/{moment}/{name}")
            rows = [self._measured(name, n, moment, rng, skill=skill, step=step) for n in range(SETS[name])]
            self.append("evaluations.jsonl", rows)
            scores = [row["score"] or 0.0 for row in rows]
            sampled = [value or 0.0 for row in rows for value in row["sampled"]]
            own = {
                "greedy": sum(scores) / len(scores), "sampled": sum(sampled) / len(sampled), "format": 0.5 + skill / 2,
                "tokens": 21.5, "truncated": 0.05, "total/mAP": 0.8 * sum(scores) / len(scores),
                "critical_tokens": 12, "critical_entropy": 2.1 - skill, "entropy": 0.9 - skill / 2, "picture_gain": skill / 2,
            }  # fmt: skip
            figures |= {f"eval/{name}/{key}": value for key, value in own.items()}
        if moment in MOMENTS:
            self.append("metrics.jsonl", [{"run/stage": moment, "run/step": step, **figures}])
        return figures

    def append(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Whole lines at the end of a log, at once."""
        with open(self.path / name, "ab") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows).encode("ascii"))

    def write(self, name: str, value: Any) -> None:
        """A file that is written once."""
        (self.path / name).write_text(json.dumps(value) + "\n")

    def save_pictures(self, found: Problem, *, as_preview: bool = False) -> None:
        """Originals of what is trained on, previews of what is only shown."""
        for sha, data in zip(found.shas, found.pictures, strict=True):
            path = self.path / ("previews" if as_preview else "pictures") / f"{sha}.{'webp' if as_preview else 'png'}"
            if path.exists():
                continue
            path.parent.mkdir(exist_ok=True)
            if as_preview:
                buffer = io.BytesIO()
                Image.open(io.BytesIO(data)).save(buffer, "WEBP", quality=80)
                data = buffer.getvalue()
            path.write_bytes(data)

    def _group(self, found: Problem, rng: random.Random, *, step: int, index: int) -> list[dict[str, Any]]:
        skill = min(0.95, 0.2 + self.skill + 0.05 * step)
        answers = [answer(found, rng, skill=skill) for _ in range(self.siblings)]
        if step % 3 == 0 and index == 1:  # a group without signal
            answers = [dict(answers[0]) for _ in answers]
        rows = [_rollout(found, one, step=step, index=index) for one in answers]
        _add_extras(rows, found, step=step, index=index)
        rewards = [row["reward"] for row in rows if row["reward"] is not None]
        mean = sum(rewards) / len(rewards)
        spread = (sum((value - mean) ** 2 for value in rewards) / max(1, len(rewards) - 1)) ** 0.5
        for row in rows:
            row["advantage"] = None if row["reward"] is None or not spread else (row["reward"] - mean) / spread
        return rows

    def _measured(
        self, name: str, n: int, moment: str, rng: random.Random, *, skill: float, step: int
    ) -> dict[str, Any]:
        found = problem(n, split=name)
        self.save_pictures(found, as_preview=True)
        good = min(0.95, skill + self.skill - (0.1 if "shifted" in name else 0.0))
        greedy, *others = [answer(found, rng, skill=good) for _ in range(5)]
        return {
            "moment": moment, "step": step, "set": name, **_of_sample(found), "score": greedy["scores"]["accuracy"]["value"],
            "text": greedy["text"], "tokens": len(greedy["text"].split()) * 2, "stop": greedy["stop"], "scores": greedy["scores"],
            "marks": greedy["marks"], "sampled": [one["scores"]["accuracy"]["value"] for one in others],
        }  # fmt: skip

    def _samples(self) -> None:
        rows = []
        for name, split, count in (
            ("stage rl", "train", 6 * len(KINDS)),
            *((name, name, n) for name, n in SETS.items()),
        ):
            for n in range(count):
                found = problem(n, split=split)
                self.save_pictures(found, as_preview=True)
                extra = {"solution": found.solution} if found.solution else {}
                tokens = {"prompt": 60 + len(found.prompt) // 4, "pictures": 16 * len(found.pictures)}
                rows.append({"set": name, "split": split, **_of_sample(found), **extra, "tokens": tokens})
        # The same picture once more under another name, and one that a held-out set shows, too.
        rows.append({**rows[0], "sample": "box_train/again"})
        rows.append({**rows[0], "set": "val", "split": "val", "sample": "box_val/leak"})
        totals = {"stage rl": 2000, "val": SETS["val"] + 1, "test-shifted": SETS["test-shifted"]}
        self.append("samples.jsonl", [*rows, {"totals": totals, "left_out": {"stage rl": 3}}])


def finished(path: Path, *, seed: int = 0, skill: float = 0.0, sft_steps: int = 6, rl_steps: int = 12) -> Path:
    """A whole run: six steps of SFT, twelve of RL, measured before, after each stage and at one checkpoint."""
    run = RunWriter(path, seed=seed, skill=skill)
    run.begin()
    before = run.measure("before", skill=MOMENTS["before"], step=0)
    for step in range(1, sft_steps + 1):
        run.sft_step(step)
    after_sft = run.measure("sft", skill=MOMENTS["sft"], step=sft_steps)
    for step in range(1, rl_steps + 1):
        run.rl_step(step, before=sft_steps)
        if step == rl_steps // 2:
            run.measure(f"rl-{step}", skill=0.6, step=sft_steps + step, sets=["val"])
    after = run.measure("rl", skill=MOMENTS["rl"], step=sft_steps + rl_steps)
    moments = {"before": before, "sft": after_sft, "rl": after}
    run.write("summary.json", summary(moments, sizes=SETS, steps={"sft": sft_steps, "rl": rl_steps}, seed=seed))
    return run.path


def sft_only(path: Path) -> Path:
    """A run whose recipe has no RL stage."""
    run = RunWriter(path)
    run.begin()
    whole = recipe()
    run.write("recipe.json", {**whole, "stages": whole["stages"][:1]})
    before = run.measure("before", skill=0.15, step=0)
    for step in range(1, 9):
        run.sft_step(step)
    after = run.measure("sft", skill=0.4, step=8)
    run.append("rollouts.jsonl", [])
    run.write("summary.json", summary({"before": before, "sft": after}, sizes=SETS, steps={"sft": 8}))
    return run.path


def old(path: Path) -> Path:
    """A run of a Saccade that knew metrics, rollouts and pictures only."""
    finished(path)
    for name in ("recipe.json", "check.json", "samples.jsonl", "evaluations.jsonl", "tokens.jsonl"):
        (path / name).unlink()
    newer = {"seen", "gold", "marks", "forced", "asked", "turns"}
    rows = [json.loads(line) for line in (path / "rollouts.jsonl").read_text().splitlines()]
    rows = [{key: value for key, value in row.items() if key not in newer} for row in rows]
    (path / "rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def begun(path: Path) -> Path:
    """A run that has only just begun."""
    run = RunWriter(path)
    run.write("command.json", COMMAND)
    for name in ("metrics.jsonl", "rollouts.jsonl"):
        run.append(name, [])
    return run.path


def _of_sample(found: Problem) -> dict[str, Any]:
    gold = {"gold": found.gold} if found.gold else {}
    return {
        "sample": found.id, "kind": found.kind, "prompt": found.prompt, "pictures": found.shas, "seen": [list(size) for size in found.sizes],
        "target": found.target, **gold,
    }  # fmt: skip


def _rollout(found: Problem, one: dict[str, Any], *, step: int, index: int) -> dict[str, Any]:
    scores = one["scores"]
    marks = {"marks": one["marks"]} if one["marks"] else {}
    return {
        "step": step, "stage": "rl", "group": f"rl-{step}/{index}", **_of_sample(found), **marks, "text": one["text"],
        "tokens": len(one["text"].split()) * 2, "stop": one["stop"], "scores": scores,
        "reward": sum(score["value"] for score in scores.values()), "advantage": None,
    }  # fmt: skip


def _add_extras(rows: list[dict[str, Any]], found: Problem, *, step: int, index: int) -> None:
    """Forced words, judges, a transcript and a score of None, here and there."""
    if index == 2:
        first = rows[0]
        begin, wait = len(first["text"]), "\n\nWait, let me check that again."
        first["text"] += wait + " It is as I said."
        first |= {"forced": [[begin, begin + len(wait)]], "forced_tokens": 8}
    if index == 3:
        for row in rows:
            prompt = f"user: Does this answer follow from the picture? [picture]\n{row['text'][:60]}"
            row["asked"] = [{"judge": "policy", "prompt": prompt, "reply": "yes" if row["reward"] > 1 else "no"}]
    if step == 2 and index == 3:
        rows[-1]["scores"]["caption"] = {"value": None, "why": "the judge did not answer in time"}
        rows[-1]["reward"] = None
    if found.kind == "phone":
        for row in rows:
            row["turns"] = [
                {"role": "assistant", "text": row["text"], "pictures": []},
                {"role": "user", "text": "The screen after this: [picture]", "pictures": found.shas[1:]},
                {"role": "assistant", "text": "<answer>done</answer>", "pictures": []},
            ]


def _trace(row: Mapping[str, Any], sibling: int, rng: random.Random) -> dict[str, Any]:
    """Tokens of about four letters whose pieces join to the text."""
    text, forced = row["text"], row.get("forced", [])
    starts = list(range(0, len(text), 4))
    sampled = [int(not any(low <= start < high for low, high in forced)) for start in starts]
    advantage = row["advantage"]

    def some(draw: Any) -> list[float | None]:
        return [float(f"{draw():.4g}") if flag else None for flag in sampled]

    def learned(draw: Any) -> list[float | None]:
        return some(draw) if advantage is not None else [None] * len(starts)

    return {
        "step": row["step"], "stage": row["stage"], "group": row["group"], "sibling": sibling,
        "pieces": [text[start : start + 4] for start in starts], "sampled": sampled, "logp": some(lambda: -rng.expovariate(2)),
        "entropy": learned(lambda: rng.expovariate(1.5)),
        "change": learned(lambda: rng.gauss(0, 0.1) + 0.1 * advantage),
        "weight": learned(lambda: advantage / 400),
    }  # fmt: skip


def _metrics(rows: list[dict[str, Any]], *, step: int, total: int, rng: random.Random) -> dict[str, Any]:
    def mean(values: Iterable[float | None]) -> float:
        known = [value for value in values if value is not None]
        return sum(known) / len(known)

    found = {
        "run/stage": "rl", "run/step": step, "run/total_steps": total, "reward/mean": mean(row["reward"] for row in rows),
        "reward/accuracy": mean(row["scores"]["accuracy"]["value"] for row in rows),
        "reward/format": mean(row["scores"]["format"]["value"] for row in rows),
        "rollout/group_std": 0.4, "rollout/flat_groups": 0.25 if step % 3 == 0 else 0.0, "rollout/tokens": mean(row["tokens"] for row in rows),
        "rollout/truncated": mean(row["stop"] == "length" for row in rows), "rollout/entropy": 1.2 - 0.05 * step,
        "rollout/unscored": mean(row["reward"] is None for row in rows), "loss/mean": rng.gauss(0, 1e-8),
        "policy/kl": 0.002 * step, "policy/entropy": 1.1 - 0.05 * step, "policy/clipped_positive": 0.0, "policy/clipped_negative": 0.01,
        "policy/ratio_mean": 1.0, "policy/ratio_max": 1.1, "policy/grad_norm": 0.7, "policy/lr": 1e-4,
        "policy/sampler_gap": 5e-7, "policy/sampler_gap_max": 1e-5, "policy/sampler_kl": 4e-13, "policy/sampler_ratio_max": 1.00001,
        "learn/packs": 1, "learn/stream_tokens": 2006, "learn/trained_tokens": 1706, "time/sample": 0.2, "time/score": 0.01,
        "time/learn": 0.33, "time/step": 0.55 + 0.01 * rng.random(), "speed/tokens_per_second": 3100.0,
    }  # fmt: skip
    if step == 9:
        found["health/flat"] = "25 % of the groups had no signal in the last 3 steps; ask easier or harder questions."
    return found
