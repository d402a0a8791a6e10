"""Tagged sections of a text, and the layouts that prompts ask for.

    >>> first_section("<think>2+2</think> <answer> 4 </answer>", "answer")
    Reading(value='4', why='')
    >>> layout("<think>2+2</think>\\n<answer>4</answer>", "think", "answer")
    Reading(value=('2+2', '4'), why='')
    >>> THINK_ANSWER.read("<think> 2+2 </think>\\n\\n<answer>4</answer>\\n")
    Reading(value={'think': '2+2', 'answer': '4'}, why='')
    >>> THINK_ANSWER.read("<think></think><answer>4</answer>")
    Reading(value=None, why='the think block is empty')

A `Grammar` is what we ask of an answer; `layout` is the strict full match of the released code bases, for their readings.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from saccade.core.rollout import section
from saccade.rewards.read.reading import Reading

MAX_MARKS = 10_000  # O tags; an honest answer has a few
Gap = Literal["nothing", "space", "text", "some text"]  # "text" may be empty, "some text" may not


def first_section(text: str, tag: str) -> Reading[str]:
    """The stripped text from the first <tag> to the next </tag>."""
    start = text.find(f"<{tag}>")
    if start >= 0:
        start += len(tag) + 2
        end = text.find(f"</{tag}>", start)
        if end >= 0:
            return Reading(text[start:end].strip())
    return _no_block(tag)


def last_section(text: str, tag: str) -> Reading[str]:
    """The stripped text of the last whole <tag>...</tag>: the last closing tag, and the opening one before it."""
    found = section(text, tag)
    return _no_block(tag) if found is None else Reading(found)


def layout(text: str, *tags: str) -> Reading[tuple[str, ...]]:
    """The contents of the blocks that make up the WHOLE text, in this order, with only whitespace between blocks.

    Nothing may stand before the first block or after the last. A block ends where the next one can begin, so contents may
    hold tags themselves. Says the same as the full match of `<a>(.*?)</a>\\s*<b>(.*?)</b>` with a dot that matches newlines,
    in linear time.
    """
    opening, closing = f"<{tags[0]}>", f"</{tags[-1]}>"
    if not text.startswith(opening):
        return Reading(None, f"does not begin with {opening}")
    if not text.endswith(closing):
        return Reading(None, f"does not end with {closing}")
    contents, start = [], len(opening)
    for tag, following in zip(tags, tags[1:], strict=False):
        joint = _joint(tag, following).search(text, start)
        if joint is None:
            return Reading(None, f"has no </{tag}> followed by <{following}>")
        contents.append(text[start : joint.start()])
        start = joint.end()
    return Reading((*contents, text[start : len(text) - len(closing)]))


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """The blocks that make up an answer, in order, and what may stand before, between and after them.

    `may_be_empty` says whether a block may hold nothing but whitespace, `may_repeat` whether more of the tags may stand
    in the text than one block of each. Where they may, contents can hold tags, and the last place where one block meets
    the next is where they are parted. `any_case` reads <THINK> as <think>. Without tags the whole text is the answer.
    What stands in the gaps that may hold text is read, too: as "before", "between" and "after".

        >>> Grammar(tags=("think", "answer"), between="text").read("<think>a</think> so <answer>b</answer>").value
        {'think': 'a', 'between': 'so', 'answer': 'b'}
    """

    tags: tuple[str, ...]
    before: Gap = "space"
    between: Gap = "space"
    after: Gap = "space"
    may_be_empty: bool = False
    may_repeat: bool = False
    any_case: bool = False

    def __post_init__(self) -> None:
        taken = {"before", "between", "after"} & set(self.tags)
        if taken or len(set(self.tags)) != len(self.tags):
            raise ValueError(f"a grammar needs distinct tags other than before, between and after; got {self.tags}")
        for gap in (self.before, self.between, self.after):
            if gap not in get_args(Gap):
                raise ValueError(f"a gap is one of {', '.join(get_args(Gap))}; got {gap!r}")

    def read(self, text: str) -> Reading[Mapping[str, str]]:
        """The stripped content of every block by its tag; or what is wrong with the text, in a few words."""
        if not self.tags:
            text = text.strip()
            return Reading({"answer": text}) if text or self.may_be_empty else Reading(None, "the text is empty")
        marks = self._marks(text)
        counts = Counter(mark[:2] for mark in marks)
        for tag in self.tags:
            if why := self._miscounted(tag, counts[tag, False], counts[tag, True]):
                return Reading(None, why)
        if len(marks) > MAX_MARKS:
            return Reading(None, f"more than {MAX_MARKS} tags")
        ordered = self._ordered(text, marks)
        if ordered is None:
            return Reading(None, f"the blocks do not stand in the order {', '.join(self.tags)}")
        return self._contents(text, ordered)

    def _marks(self, text: str) -> list[_Mark]:
        """Every opening and closing tag in the text, in order; of too many, one more than that."""
        names = {tag.lower(): tag for tag in self.tags}
        found = itertools.islice(_tag_pattern(self.tags, self.any_case).finditer(text), MAX_MARKS + 1)
        return [_Mark(names[m["tag"].lower()], bool(m["end"]), *m.span()) for m in found]

    def _miscounted(self, tag: str, opened: int, closed: int) -> str:
        """Why there is no block of this tag, or more than one where only one may be; empty where all is well."""
        if not opened or not closed:
            if opened == closed:
                return f"no {tag} block"
            return f"the {tag} block is not {'closed' if opened else 'opened'}"
        if self.may_repeat or opened == closed == 1:
            return ""
        many = max(opened, closed)
        what = f"{tag} blocks" if opened == closed else f"<{'/' if closed > opened else ''}{tag}>"
        return f"{'two' if many == 2 else many} {what}"

    def _ordered(self, text: str, marks: list[_Mark]) -> list[_Mark] | None:
        """The opening and closing tags of all blocks, in order: from the end, so that each is the last that fits."""
        wanted = [(tag, is_end) for tag in self.tags for is_end in (False, True)]
        found: list[_Mark] = []
        for at in reversed(range(len(marks))):
            if marks[at][:2] == wanted[-1] and self._may_open(text, marks, at, is_first=len(wanted) == 1):
                found.append(marks[at])
                wanted.pop()
                if not wanted:
                    return found[::-1]
        return None

    def _may_open(self, text: str, marks: list[_Mark], at: int, *, is_first: bool) -> bool:
        """Whether a block may begin with this tag, which could also be a part of a block's content; yes for closing tags."""
        if marks[at].is_end or not self.may_repeat:
            return True
        if is_first:
            return at == 0 or not self._is_bare(self.before)
        if not self._is_bare(self.between):
            return True
        closing = self.tags[self.tags.index(marks[at].tag) - 1]
        is_joint = at > 0 and marks[at - 1][:2] == (closing, True)
        return is_joint and not text[marks[at - 1].end : marks[at].start].strip()

    def _contents(self, text: str, marks: list[_Mark]) -> Reading[Mapping[str, str]]:
        values: dict[str, str] = {}
        gaps = []
        opening, closing = marks[::2], marks[1::2]
        for i, (start, end) in enumerate(zip(opening, closing, strict=True)):
            if i:
                gaps.append(text[closing[i - 1].end : start.start])
                if why := _misplaced(gaps[-1], self.between, f"between </{self.tags[i - 1]}> and <{start.tag}>"):
                    return Reading(None, why)
            values[start.tag] = text[start.end : end.start].strip()
        before, after = text[: marks[0].start], text[marks[-1].end :]
        why = _misplaced(before, self.before, f"before <{self.tags[0]}>")
        if why := why or _misplaced(after, self.after, f"after </{self.tags[-1]}>"):
            return Reading(None, why)
        for tag, value in values.items():
            if not value and not self.may_be_empty:
                return Reading(None, f"the {tag} block is empty")
        if not self._is_bare(self.between):
            values["between"] = "\n".join(gap.strip() for gap in gaps)
        if not self._is_bare(self.before):
            values["before"] = before.strip()
        if not self._is_bare(self.after):
            values["after"] = after.strip()
        return Reading(values)

    @staticmethod
    def _is_bare(gap: Gap) -> bool:
        return gap in ("nothing", "space")


class _Mark(NamedTuple):
    """An opening or closing tag, and where it stands."""

    tag: str
    is_end: bool
    start: int
    end: int


THINK_ANSWER = Grammar(tags=("think", "answer"))
CAPTION_REASON_ANSWER = Grammar(tags=("info", "think", "answer"))  # C Visionary-R1
THINK_TEXT_ANSWER = Grammar(tags=("think", "answer"), between="some text")  # C OpenVLThinker: a justification is wanted
ANSWER_ONLY = Grammar(tags=("answer",))  # C Med-R1, No-Think
ANSWER_THINK = Grammar(tags=("answer", "think"))  # I Med-R1, Think-After
THINK_ACTION_TOOL_CALL = Grammar(tags=("think", "action", "tool_call"))  # C Mobile-R1
THINK_THEN_TEXT = Grammar(tags=("think",), after="some text")  # P Skywork-R1V3: the answer is boxed in what follows
PLAIN_JSON = Grammar(tags=())


def final_answer(text: str) -> Reading[str]:
    """What follows a leading "Final Answer:" in an answer block, or the whole stripped text where none leads."""
    text = text.strip()
    text = text[lead.end() :].strip() if (lead := _FINAL_ANSWER.match(text)) else text
    return Reading(text) if text else Reading(None, "the answer is empty")


_FINAL_ANSWER = re.compile(r"(?:\*\*)?final\s{1,3}answer(?:\*\*)?\s{0,3}:(?:\*\*)?", re.IGNORECASE)


def _misplaced(gap: str, allowed: Gap, where: str) -> str:
    """Why this gap is not what is allowed there, empty where it is."""
    has_text = bool(gap.strip())
    if allowed == "some text" and not has_text:
        return f"no text {where}"
    if has_text and allowed in ("nothing", "space"):
        return f"text {where}"
    return f"whitespace {where}" if gap and allowed == "nothing" else ""


@functools.cache
def _tag_pattern(tags: tuple[str, ...], any_case: bool) -> re.Pattern[str]:
    names = "|".join(map(re.escape, tags))
    return re.compile(rf"<(?P<end>/?)(?P<tag>{names})>", re.ASCII | (re.IGNORECASE if any_case else 0))


@functools.cache
def _joint(tag: str, following: str) -> re.Pattern[str]:
    return re.compile(rf"</{re.escape(tag)}>\s*+<{re.escape(following)}>")


def _no_block(tag: str) -> Reading:
    return Reading(None, f"no {tag} block")
