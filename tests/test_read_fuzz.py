"""Every reader on any text: a value or a reason, no exception, in time linear in the length.

The table READERS holds every public function of saccade/rewards/read and every named grammar; one that is missing fails a test.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import pkgutil
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import saccade.rewards.read
from saccade.core.picture import Box, Frame, Labelled, Point
from saccade.rewards.read import actions, boxes, calls, choices, flight, latex, literals, numbers, tags, tool_calls
from saccade.rewards.read.reading import Reading

FRAME = Frame.MODEL
OPTIONS = {"A": "a red box", "B": "blue", "C": "no box", "D": "it's [1, 2]"}


def is_text(value: Any) -> bool:
    return type(value) is str


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def is_point(value: Any) -> bool:
    return type(value) is Point and is_number(value.x) and is_number(value.y) and value.frame is FRAME


def is_box(value: Any) -> bool:
    numbers = (value.x1, value.y1, value.x2, value.y2)
    return type(value) is Box and all(map(is_number, numbers)) and value.x1 <= value.x2 and value.y1 <= value.y2 and value.frame is FRAME


def is_boxes(value: Any) -> bool:
    are_labelled = all(type(item) is Labelled and is_text(item.label) and is_box(item.box) for item in value.found)
    return type(value) is boxes.Boxes and are_labelled and all(map(is_reason, value.dropped)) and type(value.says_none) is bool


def is_reason(why: Any) -> bool:
    return is_text(why) and 0 < len(why.strip()) < 200


def is_plain(value: Any) -> bool:
    """A list, tuple or dict of JSON's values, nested as deep as allowed."""
    layer, depth = [value], 0
    if type(value) not in (list, tuple, dict):
        return False
    while layer:
        inner = []
        for item in layer:
            if type(item) is dict:
                if not all(type(key) in (str, int, float, bool, type(None)) for key in item):
                    return False
                inner.extend(item.values())
            elif type(item) in (list, tuple):
                inner.extend(item)
            elif not (item is None or type(item) in (str, bool) or is_number(item)):
                return False
        layer, depth = inner, depth + 1
    return depth <= literals.MAX_DEPTH + 1


def is_action(value: Any) -> bool:
    has_place = value.point is None or is_point(value.point)
    return type(value) is actions.Action and is_text(value.name) and has_place and (value.text is None or is_text(value.text))


def is_tool_call(value: Any) -> bool:
    return type(value) is tool_calls.ToolCall and is_text(value.name) and is_plain(value.arguments)


def is_quantity(value: Any) -> bool:
    kinds = (type(value), type(value.unit), type(value.is_percent))
    return kinds == (numbers.Quantity, str, bool) and is_number(value.value)


def is_call(value: Any) -> bool:
    return type(value) is calls.Call and all(map(is_text, value))


def is_flight(value: Any) -> bool:
    return type(value) is flight.Flight and all(map(is_number, value))


def are(is_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is tuple and all(map(is_one, value))


def is_sections(value: Any) -> bool:
    return isinstance(value, Mapping) and all(is_text(key) and is_text(item) for key, item in value.items())


class Reader(NamedTuple):
    """How to read a text, and what a value must be."""

    read: Callable[[str], Any]
    is_right: Callable[[Any], bool]


def framed(read: Callable[..., Any], is_right: Callable[[Any], bool], **named: Any) -> Reader:
    return Reader(functools.partial(read, frame=FRAME, **named), is_right)


# Module and function, and behind a colon which way of calling it.
READERS = {
    "actions.actions": framed(actions.actions, are(is_action)),
    "actions.whole_actions": framed(actions.whole_actions, are(is_action)),
    "boxes.box": framed(boxes.box, is_box),
    "boxes.box:last of a key": framed(boxes.box, is_box, which="last", keys=("landmark_bbox", "bbox_2d"), keep_swapped=True),
    "boxes.boxes": framed(boxes.boxes, is_boxes),
    "boxes.boxes:of a key": framed(boxes.boxes, is_boxes, keys=("bbox_2d",), keep_swapped=True),
    "boxes.point": framed(boxes.point, is_point, which="last"),
    "boxes.point_of": Reader(lambda text: literals.literal(text).then(lambda value: boxes.point_of(value, FRAME)), is_point),
    "boxes.points": framed(boxes.points, are(is_point)),
    "boxes.points:of a key": framed(boxes.points, are(is_point), keys=("target_location", "point")),
    "calls.calls": Reader(calls.calls, is_call),
    "choices.choice": Reader(choices.choice, lambda value: value in {"A", "B", "C", "D"}),
    "choices.choice:with words": Reader(lambda text: choices.choice(text, OPTIONS), OPTIONS.__contains__),
    "choices.yes_no": Reader(choices.yes_no, lambda value: type(value) is bool),
    "flight.flight": Reader(flight.flight, is_flight),
    "latex.boxed": Reader(latex.boxed, is_text),
    "latex.plain": Reader(latex.plain, is_text),
    "literals.fences": Reader(literals.fences, is_text),
    "literals.fences:of any language": Reader(lambda text: literals.fences(text, None), is_text),
    "literals.keyed": Reader(lambda text: literals.keyed(text, ["bbox_2d", "landmark_bbox", "arguments"]), is_plain),
    "literals.likely": Reader(literals.likely, is_text),
    "literals.literal": Reader(literals.literal, is_plain),
    "literals.literals": Reader(literals.literals, is_plain),
    "literals.standing": Reader(lambda text: list(literals.standing(text)), lambda found: is_plain(found.value)),
    "literals.whole_literal": Reader(literals.whole_literal, is_plain),
    "numbers.number": Reader(numbers.number, is_number),
    "numbers.numbers": Reader(numbers.numbers, is_number),
    "numbers.quantities": Reader(numbers.quantities, is_quantity),
    "numbers.quantity": Reader(numbers.quantity, is_quantity),
    "tags.final_answer": Reader(tags.final_answer, is_text),
    "tags.first_section": Reader(lambda text: tags.first_section(text, "answer"), is_text),
    "tags.last_section": Reader(lambda text: tags.last_section(text, "answer"), is_text),
    "tags.layout": Reader(lambda text: tags.layout(text, "think", "answer"), are(is_text)),
    "tags.layout:of three": Reader(lambda text: tags.layout(text, "info", "think", "answer"), are(is_text)),
    "tool_calls.tool_call": Reader(tool_calls.tool_call, is_tool_call),
    "tool_calls.ToolCall.point": Reader(
        lambda text: tool_calls.tool_call(text).then(lambda call: call.point("coordinate", frame=FRAME)), is_point
    ),
} | {
    f"tags.{name}": Reader(grammar.read, is_sections) for name, grammar in vars(tags).items() if isinstance(grammar, tags.Grammar)
}
NAMES = sorted(READERS)


def test_every_reader_is_in_the_table():
    public = set()
    for found in pkgutil.iter_modules(saccade.rewards.read.__path__):
        module = importlib.import_module(f"saccade.rewards.read.{found.name}")
        for name, value in vars(module).items():
            is_own = inspect.isfunction(value) and value.__module__ == module.__name__
            if is_own and not name.startswith("_"):
                public.add(f"{found.name}.{name}")
    missing = public - {name.partition(":")[0] for name in READERS}
    assert not missing, f"add {', '.join(sorted(missing))} to READERS"


def checked(name: str, text: str) -> bool:
    """Whether the reader found something; AssertionError where what it gives back is neither a right value nor a reason."""
    read, is_right = READERS[name]
    found = read(text)
    if isinstance(found, Reading):
        if found.value is None:
            assert is_reason(found.why), (name, text, found)
            return False
        assert is_right(found.value) and not found.why, (name, text, found)
        return True
    for item in found if type(found) is list else [found]:
        assert is_right(item), (name, text, found)
    return bool(found)


# Any text, and texts of what readers look for.

PIECES = [
    "<think>", "</think>", "<answer>", "</answer>", "<info>", "</info>", "<action>", "</action>", "<tool_call>", "</tool_call>",
    "```json\n", "```", "[", "]", "{", "}", "(", ")", ",", ":", "'", '"', "\\", "\n", " ", "1", "2", "-", ".", "5e", "9" * 70,
    "'bbox_2d': ", '"label": ', "'action': ", '"point": ', "'input_text': ", '"name": ', '"arguments": ', "'coordinate': ", "True",
    "null", "NaN", "1e999", "None", "\\boxed{", "\\frac", "A", "B)", "yes", "no", "the answer is ", "%", "1,000", "3/4", " cm", "f(1, a)",
    "<point x=", " y=", "<|box_start|>", "\\ud800", "\\n", "\0", "\u0663", "\ud7ff", "Vx", "yaw", "\u2212", "it's", "``", "[1, 2, 3, 4]",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="[](){}<>'\",:.-+\\/`$%0129eEnNtA \n_", max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=24).map("".join),
)


@given(text=TEXTS)
@settings(max_examples=1500, deadline=None)
def test_any_text_gets_a_value_or_a_reason(text):
    for name in NAMES:
        checked(name, text)


# A hundred thousand outputs such as models write them, whole and broken.

CHUNKS, OUTPUTS = 8, 12_500  # a hundred thousand in all


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, CHUNKS))])
def test_generated_outputs_get_values_and_reasons(seed):
    """Every reader finds something in some of them and nothing in others, or the generator would test nothing."""
    writer = Writer(seed)
    read = Counter()
    for _ in range(OUTPUTS):
        text = writer.output()
        for name in NAMES:
            read[name] += checked(name, text)
    always = {"latex.plain", "literals.likely", "tags.PLAIN_JSON", "tags.final_answer"}
    assert all(read[name] >= 20 for name in NAMES), read
    assert all(read[name] <= OUTPUTS - 20 for name in NAMES if name not in always), read


class Writer:
    """Writes outputs from a seed."""

    WORDS = (
        "the", "cat", "dog's", "it's", "no", "yes", "A", "B", "is", "left", "of", "red", "answer", "option", "Final", "Answer:",
        "because", "1,234.5", "-7", "50%", "3/4", "12 cm", "x", "不", "é", "\U0001f600", "[1]", "(2)", "{", "]", "\\alpha", "$x^2$", "None",
        "therefore,", "we", "choose", "C.", "about", "±", "\u00a0", "zero", "<", ">", "&", "|", "\t",
    )  # fmt: skip

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.kinds = [
            self.prose, self.box_list, self.corners, self.one_box, self.action_list, self.tool_call, self.command, self.latex,
            self.choice, self.number, self.call, self.place, self.nested,
        ]  # fmt: skip

    def output(self) -> str:
        """One output: an answer of some kind, perhaps in a fence, perhaps in tags, perhaps broken."""
        chance = self.random.random
        text = self.one_of(self.kinds)()
        if chance() < 0.25:
            text = f"```{self.one_of(['json', 'json', 'python', '', 'JSON '])}{self.one_of([chr(10), ' ', ''])}{text}\n```"
        if chance() < 0.15:
            text = f"{self.prose()}{self.one_of([' ', chr(10), ''])}{text}{self.one_of(['', '.', ' ' + self.prose()])}"
        if chance() < 0.6:
            text = self.tagged(text)
        while chance() < 0.25:
            text = self.broken(text)
        return text

    def tagged(self, text: str) -> str:
        think, gap = self.prose(), self.one_of(["", "\n", " ", "\n\n", " so "])
        return self.one_of(
            [
                f"<think>{think}</think>{gap}<answer>{text}</answer>",
                f"<think>{think}</think>{gap}<answer>{text}</answer>",
                f"<answer>{text}</answer>",
                f"<answer>{text}</answer>{gap}<think>{think}</think>",
                f"<info>{think}</info>{gap}<think>{self.prose()}</think>{gap}<answer>{text}</answer>",
                f"<think>{think}</think>{gap}<action>{self.prose()}</action>{gap}<tool_call>{text}</tool_call>",
                f"<think>{think}</think>{gap}{text}",
                f"<think>{text}</think><answer>Final Answer: {self.choice()}</answer>",
            ]
        )

    def broken(self, text: str) -> str:
        at, to = sorted(self.random.randrange(len(text) + 1) for _ in range(2))
        return self.one_of(
            [
                lambda: text[:at],
                lambda: text[at:],
                lambda: text[:at] + text[to:],
                lambda: text + text,
                lambda: text[:at] + text + text[at:],
                lambda: text[:at] + self.one_of(PIECES) + text[at:],
                lambda: text[:at] + text[at : at + 1].swapcase() + text[at + 1 :],
                lambda: text.replace('"', "'"),
                lambda: text.replace("'", '"'),
                lambda: text.replace(" ", ""),
                lambda: text.replace(",", " ,\n"),
                lambda: text.replace("answer", "Answer"),
                lambda: text[:at] + text[at:to] * 3 + text[to:],
            ]
        )()

    def one_of(self, items: Any) -> Any:
        return items[int(self.random.random() * len(items))]

    def prose(self) -> str:
        return " ".join(self.one_of(self.WORDS) for _ in range(self.random.randrange(9)))

    def coordinate(self) -> str:
        written = self.one_of(["12", "0", "-5", "101.25", "1000", ".5", "7.", "+3", "1e2", "640", "true", "NaN", '"8"', "9" * 80])
        return written if self.random.random() < 0.3 else str(self.random.randrange(1000))

    def row(self, count: int) -> str:
        if self.random.random() < 0.1:
            count = self.random.randrange(7)
        brackets = self.one_of(["[]", "[]", "[]", "()"])
        return brackets[0] + self.one_of([", ", ","]).join(self.coordinate() for _ in range(count)) + brackets[1]

    def quoted(self, text: str) -> str:
        quote = self.one_of("\"'")
        return quote + text + quote

    def item(self) -> str:
        key = self.quoted(self.one_of(["bbox_2d", "bbox_2d", "bbox", "box", "box_2d", "landmark_bbox", "Box"]))
        label = self.one_of([self.quoted("label") + ": " + self.quoted(self.prose()), self.quoted("label") + ": 3", ""])
        return "{" + key + ": " + self.row(4) + (", " + label if label else "") + "}"

    def box_list(self) -> str:
        return "[" + ", ".join(self.one_of([self.item, lambda: self.row(4)])() for _ in range(self.random.randrange(5))) + "]"

    def one_box(self) -> str:
        return self.one_of([self.item(), self.row(4), "None", "[]", "{}", f"[{self.quoted('cat')}, {self.row(4)}]"])

    def corners(self) -> str:
        x, y = self.random.randrange(200), self.random.randrange(200)
        return self.one_of([f"TAMPERED,({x},{y}),({x + 9},{y + 7}).", f"<|box_start|>({x},{y}),(50,60)<|box_end|>", "REAL"])

    def place(self) -> str:
        x, y = self.coordinate(), self.coordinate()
        return self.one_of(
            [
                f"({x}, {y})", f"[{x},{y}]", '{"point_2d": [%s, %s], "label": "a"}' % (x, y), "{'x': %s, 'y': %s}" % (x, y),
                f'<point x="{x}" y="{y}" alt="it">it</point>', f"<point>{x} {y}</point>", '{"target_location": [%s, %s]}' % (x, y),
            ]  # fmt: skip
        )

    def action_list(self) -> str:
        name = self.one_of(["click", "close/delete", "type", "scroll", "press_home"])
        said = self.one_of(["no input text", "down", "it's [5, 6]", "say \\'hi\\'", self.prose()])
        place = self.one_of([self.row(2), "[-100, -100]", "[100, 200]"])
        quote = self.one_of("''\"")
        one = "{'action': '%s', 'point': %s, 'input_text': '%s'}".replace("'", quote) % (name, place, said)
        return self.one_of([f"[{one}]", f"[{one}, {one}]", one, "[]"])

    def tool_call(self) -> str:
        arguments = self.one_of(
            [
                '{"action": "click", "coordinate": %s}' % self.row(2),
                '{"action": "swipe", "coordinate": %s, "coordinate2": %s}' % (self.row(2), self.row(2)),
                '{"action": "terminate", "status": "success"}',
                self.quoted('{"action": "wait"}'),
            ]
        )
        call = '{"name": "mobile_use", "arguments": %s}' % arguments
        return self.one_of([call, f"<tool_call>{call}</tool_call>", f"<tool_call>\n{call}\n</tool_call>"])

    def command(self) -> str:
        row = self.row(4)
        return self.one_of([row, row[1:-1], '{"Vx": 1, "Vy": %s, "Vz": 0, "yaw": -0.5}' % self.coordinate()])

    def latex(self) -> str:
        inner = self.one_of(["\\frac{1}{2}", "x=3", "\\text{B}", "\\sqrt{2}", "{", "3 \\times 10^{4}", "A", ""])
        return self.one_of([f"\\boxed{{{inner}}}", f"${inner}$", f"\\[ {inner} \\]", f"\\fbox {inner}"])

    def choice(self) -> str:
        letter = self.one_of("ABCDEab")
        return self.one_of(
            [letter, f"({letter})", f"The answer is {letter}.", f"{letter}. red", f"**{letter}**", "Yes.", "No, it is not.", "blue"]
        )

    def number(self) -> str:
        return self.one_of(["7", "-3.5", "1,234", "50%", "3/4", "12 km", "$5", "1e5", "-.5", "2 1/2", "9" * 70, "\u22127", "about 7"])

    def call(self) -> str:
        return self.one_of(["f(1, a)", "change_color(0, 'red'), change_size(2, small)", "g(f(1, 2), 3)", "f(1,", "rotate()"])

    def nested(self) -> str:
        depth = self.random.randrange(90)
        return self.one_of(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "(" * depth, "{" * depth])


# A hostile megabyte.

UNITS = [
    "a", "A", " ", "\n", "\0", "1", "-", ".", ",", ":", "'", '"', "\\", "`", "$", "%", "é", "[", "]", "{", "}", "(", ")", "<", ">",
    "['", '["', "[1", "[1,", "[1;", "['' ", "[' ", "' ,", "'a',", "['a',", "{'a':", '{"a":', '{"a":1,', "[[],", "[],", "{},", "[{},", "[ ",
    "\\'", '\\"', "[\\", "['\\n", "\\u0041", "\\ud800", "'\\x", "[1,2,3,4],", "[1,2],(", "(1,2),", "(1,2),(3,", "[(", "[-", "{1:", "true,",
    "9" * 64 + " ", "9" * 65 + ",", "1e999,", "1,000,", "1.1.", "-.", "1/2 ", "1 1/", "5%", "5 km ", "$5", "0x", "1e", "1e5,",
    "```", "``` ", "```json ", "```json [", "```json\n[1", "``", "<point x=", "<point x=1 y=", "<point>", "<point>1 ", "<|object_ref_start|>",
    "<|box_start|>(1,2)", "x=1", '"bbox_2d": [', "'bbox_2d': [1,2,3,4], ", '{"bbox_2d": [1,2,3,4], "label": "a"}, ',
    "{'bbox_2d': [1,2,3,4], 'label': 'a'}, ", "{'action': 'click', 'point': [1, 2]}, ", '{"landmark_bbox": [', '"arguments": {',
    "<think>", "</think>", "<answer>", "</answer>", "</think> ", "<answer></answer>", "<tool_call>", "<tool_call>{}</tool_call>",
    "<think></think><answer></answer>", "<tool_call>[", "</think>" + " " * 100, "f(", "f(a,", "f(a,'", "f(a, b", "f(1, a)", "(a", "f(" + " " * 100,
    "\\boxed{", "\\boxed{}", "\\frac{", "\\frac12", "\\text{", "\\boxed ", "{\\boxed{", "yes ", "no, ", "yes no ", "The answer is ", "answer is A ",
    "(A)", "A) ", "A. ", "\nA", "**A**", "Final Answer:", "\u2212", "option ", "B" + " " * 50, "A, B or ", "\r\n", "1\n",
]  # fmt: skip
WRAPS = [
    "{}", "[{}", "[{}]", "['{}']", "[[[[{}]", "{{\"a\": '{}", "```json\n[{}]\n```", "<think>{}</answer>", "<think>{}</think><answer>{}</answer>",
    "<tool_call>{{\"name\": \"a\", 'b': [{}</tool_call>", "\\boxed{{{}}}", "f({}",
]  # fmt: skip
SHORT, LONG = 5_000, 1_000_000
WORST = 3  # the units and wraps, the slowest of the short ones, that a reader gets a megabyte of


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_megabyte_is_read_in_a_fifth_of_a_second(name):
    """Of all units in all wraps the slowest are looked for among short texts, where a reader that is not linear stands out."""
    short = {(unit, wrap): seconds_for(name, unit, wrap, SHORT) for wrap in WRAPS for unit in UNITS}
    for unit, wrap in sorted(short, key=short.get)[-WORST:]:
        limit = 0.2
        for length in (LONG // 4, LONG):
            times = []
            while not times or (min(times) > limit and len(times) < 6):
                times.append(seconds_for(name, unit, wrap, length))
            assert min(times) < limit, (unit, wrap, length, times)


def seconds_for(name: str, unit: str, wrap: str, length: int) -> float:
    """Process time, so that a busy machine does not count."""
    text = hostile(unit, wrap, length)
    start = time.process_time()
    READERS[name].read(text)
    return time.process_time() - start


def hostile(unit: str, wrap: str, length: int) -> str:
    return wrap.format(*[unit * (length // len(unit) // wrap.count("{}"))] * 2)
