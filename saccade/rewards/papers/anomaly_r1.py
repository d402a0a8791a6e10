"""The rewards of AnomalyR1 (2504.11914): the right choice, and ROAM, whether reasoning and answer choose the same.

    rewards = weighted((choice_reward(), 1.0), (roam(), 1.0))           # C their sum, 0 to 2

Both are 0 unless, somewhere in the text, a think block is followed by an answer block with only whitespace between.
Then t is the option that the last think block chooses, a the one of the last answer block:

    t             a               ROAM    choice    sum
    none          none            0       0         0
    none          the gold        0.8     1         1.8
    none          another         0.05    0         0.05        a floor: pays for a wrong answer
    the gold      the gold        1.0     1         2.0
    another       the same        0.1     0         0.1         a floor: pays for being wrong consistently
    another       no or another   0       0         0
    one of the two is the gold    0       1 if a    0 or 1

Departs, each with its reason:
- An option counts where the text chooses it ("the answer is B", "(B)", "B)"), in either case. In the released code "A
  scratch is visible" chooses A, "b" is an option of its own, and so is any other first character of a short answer.
  `as_released` does as it does.
- The two floors stay, as they are the paper's table. `NO_FLOORS` is the table without them.

Marks: # P paper, # C released code, # S second-hand, # I inferred, # O ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.published import Example, published
from saccade.rewards.read.choices import choice
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tags import last_section

SYSTEM = "AnomalyR1"

OPTIONS = "ABCD"  # C

_SPACE = re.compile(r"\s++")
_NO_WORD = re.compile(r"[^\w\s]")
_CAPITAL = re.compile(r"(?<![a-z])[A-D](?![a-z])")  # C not next to a lower-case letter
_JOINT = re.compile(r"</think>\s*+<answer>")
_KEYWORDS = ("答案", "选择", "正确", "是", "对", "认为", "应该") + tuple(  # I the Chinese ones: the spec translates them
    word.upper() for word in ("answer", "correct", "choose", "select", "right", "think", "believe", "should")
)
_STOPS = frozenset(".!,。！，")  # C
_NEAR = 20  # C characters either side of a letter
_LATE = 0.7  # C the last 30 % of the text


@dataclass(frozen=True, kw_only=True)
class Credits:
    """What ROAM pays, by what the reasoning and the answer choose. Everything else earns 0."""

    agrees: float = 1.0  # C both are the gold
    silent_right: float = 0.8  # C the answer is the gold, the reasoning chooses nothing
    silent_wrong: float = 0.05  # C the answer is wrong, the reasoning chooses nothing
    same_wrong: float = 0.1  # C both choose the same wrong option


RELEASED = Credits()
NO_FLOORS = Credits(silent_wrong=0.0, same_wrong=0.0)  # O nothing for a wrong answer

Choose = Callable[[str], Reading[str]]
"""The option that a text chooses."""


def released_choice(text: str) -> Reading[str]:
    """The option as the released code finds it, with its flaws: "A scratch is visible" is A, "b" is b, "7" is 7. # C

    Fewer than 3 characters: the first that is no punctuation. Otherwise of the capitals A to D that touch no lower-case
    letter the one whose last occurrence scores highest (1 for each keyword near it, 2 near the text's end, 1 before a
    stop), of equals the first. The English keywords count only where they are written in capitals, and then the A of
    ANSWER is an option, too.
    """
    text = _SPACE.sub(" ", text).strip()
    if len(text) < 3:
        left = _NO_WORD.sub("", text).strip()
        return Reading.of(left[0]) if left else Reading.none("nothing is written")
    last: dict[str, int] = {}  # in order of first appearance
    for match in _CAPITAL.finditer(text):
        last[match[0]] = match.start()
    if not last:
        return Reading.none("no capital A to D stands alone")
    return Reading.of(max(last, key=lambda letter: _released_evidence(text, last[letter])))


def _released_evidence(text: str, at: int) -> int:
    near = text[max(0, at - _NEAR) : at + _NEAR]
    score = sum(word in near for word in _KEYWORDS)
    score += 2 * (at > _LATE * len(text))
    return score + (text[at + 1 : at + 2] in _STOPS)


def explicit_choice(text: str) -> Reading[str]:
    """The option that the text chooses in so many words, a capital of A to D. # O"""
    return choice(text, OPTIONS)


def block(text: str, tag: str) -> Reading[str]:
    """The last block of that tag; none at all unless some think block stands right before an answer block. # C"""
    start = text.find("<think>")
    joint = _JOINT.search(text, start) if start >= 0 else None
    if joint is None or text.find("</answer>", joint.end()) < 0:
        return Reading.none("no think block right before an answer block")
    return last_section(text, tag)


def gold_of(rollout: Rollout) -> Reading[str]:
    """The gold option, a capital of A to D."""
    target = rollout.sample.target
    letter = target.strip().upper() if isinstance(target, str) else ""
    if len(letter) == 1 and letter in OPTIONS:
        return Reading.of(letter)
    return Reading.none(f"the gold answer {target!r} is none of {', '.join(OPTIONS)}")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """1 if the last answer block chooses the gold option, else 0."""

    choose: Choose = explicit_choice

    def __call__(self, rollout: Rollout) -> Score:
        gold, answer = gold_of(rollout), block(rollout.text, "answer").then(self.choose)
        if gold.value is None:
            return Score(None, gold.why)
        return Score(float(answer.value == gold.value), answer.why or f"answers {answer.value}, gold {gold.value}")


@dataclass(frozen=True, kw_only=True)
class Roam:
    """The table in this file's head."""

    choose: Choose = explicit_choice
    credits: Credits = RELEASED

    def __call__(self, rollout: Rollout) -> Score:
        gold = gold_of(rollout)
        if gold.value is None:
            return Score(None, gold.why)
        thought, answer = (block(rollout.text, tag).then(self.choose).value for tag in ("think", "answer"))
        value = self.worth(thought, answer, gold.value)
        return Score(value, f"thinks {thought}, answers {answer}, gold {gold.value}")

    def worth(self, thought: str | None, answer: str | None, gold: str) -> float:
        """ROAM(t, a, gold)."""
        if answer is None:
            return 0.0
        if thought is None:
            return self.credits.silent_right if answer == gold else self.credits.silent_wrong
        if thought != answer:
            return 0.0
        return self.credits.agrees if answer == gold else self.credits.same_wrong


_EXAMPLE = Example(text="<think>The edge is chipped, so the answer is B.</think>\n<answer>B</answer>", target="B")


@published(
    formula="1 if the last answer block chooses the gold option, else 0; 0 without a think block before an answer block",
    source="C",
    target="the option's letter, A to D",
    released="finds letters by a heuristic: the article in 'A scratch' is option A, 'b' is not B",
    changed="an option must be chosen in so many words, in either case",
    example=_EXAMPLE,
)
def choice_reward(*, as_released: bool = False) -> Reward:
    """The accuracy term, named "choice"."""
    return Reward(name="choice", function=Choice(choose=released_choice if as_released else explicit_choice))


@published(
    formula="1.0 reasoning and answer choose the gold; 0.8 the answer alone does, the reasoning nothing; 0.1 both the same "
    "wrong one; 0.05 the answer wrong, the reasoning nothing; else 0",
    source="C",
    target="the option's letter, A to D",
    released="reads free reasoning that begins with 'A' as choosing A",
    changed="an option must be chosen in so many words; the two floors stay (NO_FLOORS drops them)",
    example=_EXAMPLE,
)
def roam(*, credits: Credits = RELEASED, as_released: bool = False) -> Reward:
    """The consistency term, named "roam"."""
    return Reward(name="roam", function=Roam(choose=released_choice if as_released else explicit_choice, credits=credits))
