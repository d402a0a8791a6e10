"""The text that deserves full marks, of every row: the recipe's, the row's own, or its target in a likely form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from saccade.core.reward import Rewards
from saccade.core.sample import Sample
from saccade.run.check.asking import needs_of, tried, written
from saccade.run.check.findings import Finding
from saccade.run.check.probes import GOLD
from saccade.run.check.trying import as_seen


def gold_texts(
    samples: Sequence[Sample], rewards: Rewards, *, gold_answer: Callable[[Sample], str | None] | None
) -> tuple[list[str | None], list[Finding]]:
    """The text of each sample that deserves full marks, and what is to be said of how it was found.

    It is what `gold_answer` says, else the sample's solution, else its target in the one of FORMS that earns most.
    """
    if gold_answer is not None:
        texts, findings = answered(samples, gold_answer, by="gold_answer")
    else:
        findings = []
        form, name = _likeliest_form(samples, rewards)
        texts = [_in_form(form, sample) if sample.solution is None else sample.solution for sample in samples]
        if any(sample.solution is None and text is not None for sample, text in zip(samples, texts, strict=True)):
            what = f"gold answers are taken to read {name}, the form that earns most"
            advice = "say it yourself: Recipe(gold_answer=...)"
            findings.append(Finding(level="note", kind="gold", what=what, advice=advice))
    without = tuple(sample.id for sample, text in zip(samples, texts, strict=True) if text is None)
    if without:
        what, advice = "no text that deserves full marks", "give the rows a solution, or the recipe a gold_answer"
        findings.append(Finding(level="warning", kind="gold", what=what, rows=without, of=len(samples), advice=advice))
    return texts, findings


def answered(
    samples: Sequence[Sample], answer: Callable[[Sample], str | None], *, by: str
) -> tuple[list[str | None], list[Finding]]:
    """What a function of the recipe writes for each sample, and a finding where it raises."""
    texts, failed, why = [], [], ""
    for sample in samples:
        try:
            texts.append(answer(as_seen(sample)))
        except Exception as error:  # the recipe's own function: whatever it raises is a finding
            texts.append(None)
            failed.append(sample.id)
            why = repr(error)
    what = f"{by} raises {why}"
    return texts, [Finding(level="error", kind="raises", what=what, rows=tuple(failed), of=len(samples))] if failed else []


FORMS: dict[str, Callable[[str], str]] = {
    "TARGET": lambda target: target,
    "<answer>TARGET</answer>": lambda target: f"<answer>{target}</answer>",
    "<think>...</think><answer>TARGET</answer>": lambda target: f"<think>It is {target}.</think>\n<answer>{target}</answer>",
    r"<think>...</think> \boxed{TARGET}": lambda target: f"<think>It is {target}.</think>\n\\boxed{{{target}}}",
}


def _likeliest_form(samples: Sequence[Sample], rewards: Rewards, *, most: int = 24) -> tuple[Callable[[str], str], str]:
    few = [sample for sample in samples if sample.solution is None and sample.target is not None][:most]
    reward = [term.reward for term in rewards.terms if needs_of(term.reward) == []]
    scored = []
    for name, form in FORMS.items():
        table = asyncio.run(tried(reward, few, [_in_form(form, sample) for sample in few]))
        full = sum(float(found.is_full(GOLD).sum()) for found in table)
        scored.append((full, form, name))
    _, form, name = max(scored, key=lambda one: one[0])
    return form, name


def _in_form(form: Callable[[str], str], sample: Sample) -> str | None:
    if sample.target is None:
        return None
    return form(written(sample))
