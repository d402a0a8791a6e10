"""A judge's verdict on an answer: right or wrong, or in tiers, beside the gold, without the picture and the reasoning.

    >>> verified(judge=server)                                       # 0 or 1
    >>> verified(judge=server, tiers=(0.0, 0.5, 1.0))                # wrong, partly right, right

The judge sees the question, the gold and the answer, quoted, and nothing else of what the policy wrote.
"""

from __future__ import annotations

from dataclasses import dataclass

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import Sample
from saccade.rewards.answers.accuracy import Read, golds_of, last_answer
from saccade.rewards.judges.judge import Judge, OnFailure, Question, Reply, judged
from saccade.rewards.judges.quote import quoted

RULES = (
    "You compare an answer with the reference answer to the same question. Judge the meaning only: wording, order, units "
    "that are understood and the way a number is written do not matter, nor does whether the reference is true. An answer "
    "that names several things where one is asked for, or says nothing definite, is wrong."
)  # O
_GRADES = {
    2: "0 if it is wrong, 1 if it means the same.",
    3: "0 if it is wrong, 1 if it is right in part, 2 if it means the same.",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The question about one rollout, and what the reply is worth; see `verified`."""

    tiers: tuple[float, ...]
    read: Read

    def __post_init__(self) -> None:
        if len(self.tiers) not in _GRADES or list(self.tiers) != sorted(set(self.tiers)):
            raise ValueError(f"tiers are two or three rising values, from wrong to right, got {self.tiers}")

    def ask(self, rollout: Rollout) -> Question | Score:
        """The question, or a Score where there is no gold or no answer."""
        golds, answer = golds_of(rollout.sample), self.read(rollout.text)
        if not golds:
            return Score(None, "the gold answer is empty")
        if answer.value is None:
            return Score(0.0, answer.why)
        if not answer.value:
            return Score(0.0, "the answer is empty")
        return Question.about(
            f"{RULES}\nYour verdict is {_GRADES[len(self.tiers)]}",
            f"Question:\n{question_of(rollout.sample)}",
            f"Reference answer{', any of' if len(golds) > 1 else ''}:\n" + "\n".join(golds),
            f"Answer to judge:\n{quoted(answer.value)}",
            schema=self.schema,
            max_tokens=64,
        )

    @property
    def schema(self) -> dict:
        """What the judge replies: {"verdict": 0 to 1 or 2}."""
        verdict = {"type": "integer", "enum": list(range(len(self.tiers)))}
        return {"type": "object", "properties": {"verdict": verdict}, "required": ["verdict"], "additionalProperties": False}

    def value(self, reply: Reply, rollout: Rollout) -> Score:
        """What the reply is worth."""
        verdict = int(reply.data["verdict"])  # 1.0 is an integer, too, in JSON schema
        return Score(self.tiers[verdict], f"judged {verdict} of {len(self.tiers) - 1}")


def verified(
    *,
    judge: Judge,
    tiers: tuple[float, ...] = (0.0, 1.0),
    read: Read = last_answer,
    on_failure: OnFailure = "none",
    name: str = "verified",
) -> Reward:
    """What a judge makes of the answer beside the gold: `tiers` are the values of its verdicts, from wrong to right.

    No answer is 0 without asking. `on_failure` says what a judge that fails means; by default that the rollout leaves its
    group.
    """
    verdict = Verdict(tiers=tiers, read=read)
    return judged(name, judge=judge, ask=verdict.ask, read=verdict.value, on_failure=on_failure, best=tiers[-1])


def question_of(sample: Sample) -> str:
    """What the user asks, as text: without the system's message, with [picture] where a picture stands."""
    asked = [message for message in sample.messages if message.role == "user"]
    return "".join(part if isinstance(part, str) else "[picture]" for message in asked for part in message.parts).strip()
