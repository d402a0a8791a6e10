"""What the structured readers find: literals, boxes, points, actions, tool calls, flight commands, and what they refuse."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.core.picture import Box, Frame, Labelled, Point
from saccade.rewards.read.actions import Action, actions, whole_actions
from saccade.rewards.read.boxes import Boxes, box, boxes, point, points
from saccade.rewards.read.flight import Flight, flight
from saccade.rewards.read.literals import MAX_DEPTH, MAX_PARTS, fences, keyed, likely, literal, literals, whole_literal
from saccade.rewards.read.reading import Reading
from saccade.rewards.read.tool_calls import ToolCall, tool_call

IN = Frame.MODEL


def corners(x1, y1, x2, y2, label=""):
    return Labelled(label, Box(x1, y1, x2, y2, IN))


# literals


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, 2.5, -3, +4, .5, 5., 1e2]", [1, 2.5, -3, 4, 0.5, 5.0, 100.0]),
        ("[007]", [7]),
        ("[]", []),
        ("{}", {}),
        ("[[], {}, ()]", [[], {}, ()]),
        ('{"a": [true, false, null], "b": "c"}', {"a": [True, False, None], "b": "c"}),
        ("{'a': [True, False, None], 'b': (1, 2)}", {"a": [True, False, None], "b": (1, 2)}),
        ("[1, 2, ]", [1, 2]),
        ("{'a': 1,}", {"a": 1}),
        ("[(5,), (5)]", [(5,), (5,)]),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("{1: 'a', None: 'b', 2.5: 'c'}", {1: "a", None: "b", 2.5: "c"}),
        ("{ 'a' :\n[ 1 ,\t2 ] }", {"a": [1, 2]}),
        ("['don\\'t', \"say \\\"hi\\\"\"]", ["don't", 'say "hi"']),
        ("['don't', 'it's here', 'rock 'n' roll']", ["don't", "it's here", "rock 'n' roll"]),
        ('["He said "no" twice", "b"]', ['He said "no" twice', "b"]),
        ("{'a': 'the dogs', he said', 'b': 1}", {"a": "the dogs', he said", "b": 1}),
        ("{'what's': 'that', 'b': 'x'}", {"what's": "that", "b": "x"}),
        ("['a', True, 'b', None, 'c', 3]", ["a", True, "b", None, "c", 3]),
        ("['two\nlines', \"two\nlines\"]", ["two\nlines", "two\nlines"]),
        (r"['\n\t\\\x41\u00e9\U0001F600', '\/']", ["\n\t\\A\u00e9\U0001f600", "/"]),
        (r"""["\ud83d\ude00", "a\ud800b", '\ud83d\ude00']""", ["\U0001f600", "a\ufffdb", "\U0001f600"]),
        (r"['\alpha \(x\) \xi \usepackage \U99999999']", [r"\alpha \(x\) \xi \usepackage \U99999999"]),
        ("see [the box] at {x} or [1;2]: [3]", [3]),
        ('prose {"a": 1} more {"b": 2}', {"a": 1}),
        ('[{"a": 1}, {"b": [2', {"a": 1}),
        ('{"a": "has [1, 2] in it", "b": [3], oops', [3]),
        ("an opened 'quote [1, 2", None),
        ("['an opened quote, [1, 2]", [1, 2]),
    ],
)
def test_literal(text, value):
    found = literal(text)
    assert found.value == value and repr(found.value) == repr(value)
    assert (found.value is None) == bool(found.why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no list or dict"),
        ("prose (1, 2) and 'text'", "no list or dict"),
        ("[1, 2", "stays open"),
        ("[1 2]", "neither , nor ]"),
        ("[NaN]", "no list or dict"),
        ("[1, NaN]", "no value"),
        ("[1, -Infinity]", "no value"),
        ("[1e999]", "beyond all bounds"),
        ('{"a": -1e400}', "beyond all bounds"),
        ("[" + "9" * 65 + "]", "more than 64 characters"),
        ("[0." + "9" * 65 + "]", "more than 64 characters"),
        ("{1, 2}", "colon"),
        ("{'a'}", "quotation mark"),
        ("[__import__('os').system('true')]", "no list or dict"),
        ("[1, f(2)]", "no value"),
        ("[1_000]", "no value"),
        ("[0x10]", "no value"),
        ("[٣]", "no list or dict"),
        ("[1, ,]", "no value"),
        ("[1, 2 # two\n]", "neither"),
        ("{[1, 2, ", "no list or dict"),
        ("['a]", "quotation mark"),
        ("[" * (MAX_DEPTH + 1), "inside each other"),
    ],
)
def test_no_literal(text, why):
    found = literal(text)
    assert found.value is None and why in found.why


def test_a_literal_is_nested_up_to_64_deep():
    for opening, closing in ("[]", ('{"a":', "}"), ("{'a':", "}"), ("[", ",]")):
        for depth, innermost in ((MAX_DEPTH, "[]"), (2000, "[]")):
            whole = opening * (depth - 1) + innermost + closing * (depth - 1)
            assert (whole_literal(whole).value is None) is (depth > MAX_DEPTH)
        deepest = opening * MAX_DEPTH + "[]" + closing * MAX_DEPTH
        assert whole_literal(deepest).value is None and "64" in whole_literal(deepest).why


def test_what_no_answer_needs_is_given_up():
    assert len(literals("[1," * 100 + "['x']," * (MAX_PARTS // 10))) == MAX_PARTS // 10
    assert "too much to read" in literal("['" + "a', '" * (2 * MAX_PARTS) + "']").why
    assert len(literals("[];" * (2 * MAX_PARTS))) <= MAX_PARTS
    assert literal("['x " * 5_000 + "[1, 2]").value is None  # a quotation mark that never closes is looked for some times only
    assert literal("['x " * 5 + "[1, 2]").value == [1, 2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("```json\n[1]\n```", [1]),
        ("[0] then ```json\n[1]\n``` then [2]", [1]),
        ("```python\n[0]\n``` and ```json\n[1]\n```", [1]),
        ("```\n{'a': 1}\n```", {"a": 1}),
        ("```[1]```", [1]),
        ("```json[1]```", [1]),
        ("```JSON [1]", [1]),
        ("```json\nnothing\n``` [2]", [2]),
        ("```json\n[1\n``` [2]", [2]),
        ("`[1]`", [1]),
    ],
)
def test_fenced_comes_before_bare(text, value):
    assert literal(text).value == value


def test_fences():
    text = "a ```json\n[1]\n``` b ```python\nx\n```\n```\nbare\n``` ```json\n\n``` ```JSON [2] `x`"
    assert fences(text) == ["[1]", "", "[2] `x`"]
    assert fences(text, "python") == ["x"]
    assert fences(text, None) == ["[1]", "x", "bare", "", "[2] `x`"]
    assert fences("none at all") == fences("``") == []
    assert likely("```json\n1``` ```2```") == ["\n1", "```json\n1``` ```2```"]
    assert likely("```0``` ```2```") == ["2", "```0``` ```2```"]
    assert likely("x") == ["x"]


def test_whole_literal():
    assert whole_literal(" [1]\n").value == [1]
    assert whole_literal("(1, 'a')").value == (1, "a")
    for text in ("[1] x", "x [1]", "5", "'a'", "", "[1", "[1]]", "(((", "[1][2]", "{", "["):
        found = whole_literal(text)
        assert found.value is None and found.why
    assert whole_literal("[1] x").why == "more text behind the closing bracket"


def test_literals():
    text = 'a [1] {"b": [2]} [3, {"c": (4,)}, oops] ['
    assert literals(text) == [[1], {"b": [2]}, {"c": (4,)}]
    assert literals("[[1, 2], (3, 4), {'a': [5]}, 6") == [[1, 2], (3, 4), {"a": [5]}]
    assert literals("nothing") == []


def test_keyed():
    text = 'so "target_location": [1, 2] or {"target_location": (3, 4), "x": {"target_location": [5]}} \'target_location\' : {"a": 1'
    assert keyed(text, ["target_location"]) == [[1, 2], (3, 4), [5]]
    assert keyed('"a": {"a": [1]}, "b": 5, "a": "x", a: [2]', ["a", "b"]) == [{"a": [1]}]
    assert keyed('{"a.b": [1], "axb": [2]}', ["a.b"]) == [[1]]


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.text(alphabet="'\"\\,:[]{}() \nabN", max_size=8)
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12)
PYTHON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(SCALARS, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3), st.sampled_from([None, 2]), st.booleans())
@settings(max_examples=400)
def test_json_reads_back(value, indent, ensure_ascii):
    written = json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)
    assert whole_literal(written) == Reading(value)
    assert literals(f"so: {written}, or not {written}") == [value, value]
    assert literal(f"so:\n```json\n{written}\n```\n").value == value or "```" in written


@given(st.lists(PYTHON, max_size=3))
@settings(max_examples=600)
def test_python_reads_back(value):
    written = repr(value)
    found = whole_literal(written)
    assert found.value == value and repr(found.value) == written, found.why


@given(st.lists(JSON, max_size=3))
@settings(max_examples=300)
def test_our_parser_agrees_with_the_standard_one(value):
    """A comma before the closing bracket is no JSON, so this is read by ours."""
    written = json.dumps(value)
    assert whole_literal(f"[{written},]").value == [value]


# boxes and points


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[10, 20, 30, 40]", [corners(10, 20, 30, 40)]),
        ("[10,20,30,40]", [corners(10, 20, 30, 40)]),
        ("[ 10.5 ,-20 , 30.25, 40. ]", [corners(10.5, -20, 30.25, 40)]),
        ("(10, 20), (30, 40)", [corners(10, 20, 30, 40)]),
        ("TAMPERED,(0,4),(213,205).", [corners(0, 4, 213, 205)]),
        ("<|box_start|>(1,2),(3,4)<|box_end|>", [corners(1, 2, 3, 4)]),
        ("<|object_ref_start|>a cat<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>", [corners(1, 2, 3, 4, "a cat")]),
        ('{"bbox_2d": [1, 2, 3, 4], "label": "cat"}', [corners(1, 2, 3, 4, "cat")]),
        ("{'bbox': (1, 2, 3, 4)}", [corners(1, 2, 3, 4)]),
        ('{"box": [1, 2, 3, 4], "label": null}', [corners(1, 2, 3, 4)]),
        ('{"box_2d": [[1, 2, 3, 4], [5, 6, 7, 8]], "label": 7}', [corners(1, 2, 3, 4, "7"), corners(5, 6, 7, 8, "7")]),
        ('{"x1": 1, "y1": 2, "x2": 3, "y2": 4, "label": "a"}', [corners(1, 2, 3, 4, "a")]),
        ("[[1, 2, 3, 4], [5, 6, 7, 8]]", [corners(1, 2, 3, 4), corners(5, 6, 7, 8)]),
        ("[(1, 2), (3, 4)]", [corners(1, 2, 3, 4)]),
        ('[["cat", [1, 2, 3, 4]], ["it\'s", [5, 6, 7, 8]]]', [corners(1, 2, 3, 4, "cat"), corners(5, 6, 7, 8, "it's")]),
        ('{"objects": [{"bbox_2d": [1, 2, 3, 4], "label": "a"}]}', [corners(1, 2, 3, 4, "a")]),
        ("[{'bbox_2d': [1, 2, 3, 4], 'label': 'dog's'},]", [corners(1, 2, 3, 4, "dog's")]),
        ('think [9, 9, 9, 9] ```json\n[{"bbox_2d": [1, 2, 3, 4]}]\n```', [corners(1, 2, 3, 4)]),
        ("```json\n[[9, 9, 9, 9]]\n``` no: ```json\n[[1, 2, 3, 4]]\n```", [corners(1, 2, 3, 4)]),
        ("```json\nnothing\n``` [1, 2, 3, 4]", [corners(1, 2, 3, 4)]),
        ('[{"bbox_2d": [1, 2, 3, 4]}, {"bbox_2d": [5, 6', [corners(1, 2, 3, 4)]),
        ("(1,2),(3,4) [5, 6, 7, 8] (9,10),(11,12)", [corners(1, 2, 3, 4), corners(5, 6, 7, 8), corners(9, 10, 11, 12)]),
        ("[5, 5, 5, 5]", [corners(5, 5, 5, 5)]),
        ("(1,2,3,4)", [corners(1, 2, 3, 4)]),
        ("The box is ( 1.5, -2 , 3, 4. ).", [corners(1.5, -2, 3, 4)]),
        ("<|object_ref_start|>a cat<|object_ref_end|><|box_start|>(1,2,3,4)<|box_end|>", [corners(1, 2, 3, 4, "a cat")]),
        ("(1,2,3,4) (5,6),(7,8) [9, 10, 11, 12]", [corners(1, 2, 3, 4), corners(5, 6, 7, 8), corners(9, 10, 11, 12)]),
        ("[1 2 3 4]", [corners(1, 2, 3, 4)]),
        ("[ 1.5\n-2\t3 4. ] or [5, 6, 7, 8]", [corners(1.5, -2, 3, 4), corners(5, 6, 7, 8)]),
        ("[[1 2 3 4], [5 6 7 8]]", [corners(1, 2, 3, 4), corners(5, 6, 7, 8)]),
    ],
)
def test_boxes(text, found):
    assert boxes(text, frame=IN).value == Boxes(tuple(found))
    assert box(text, frame=IN).value == found[0].box
    assert box(text, frame=IN, which="last").value == found[-1].box


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("[9, 9, 1, 1]", "corners swapped"),
        ("[1, 9, 9, 1]", "corners swapped"),
        ("[1, 2, 3]", "3 numbers, not 4"),
        ("[1, 2, 3, 4, 5]", "5 numbers, not 4"),
        ("[1, 2, true, 4]", "not all are numbers"),
        ('[1, 2, "3", 4]', "not all are numbers"),
        ('{"label": "a"}', "no bbox_2d"),
        ('{"bbox_2d": []}', "bbox_2d is empty"),
        ('{"bbox_2d": "1, 2, 3, 4"}', "not a list of numbers"),
        ('{"bbox_2d": null}', "not a list of numbers"),
        ('"text"', "not a list of numbers"),
        ("{}", "no bbox_2d"),
    ],
)
def test_what_is_no_box_is_counted_and_named(item, why):
    read = boxes(f'[{{"bbox_2d": [1, 2, 3, 4], "label": "a"}}, {item}]', frame=IN).value
    assert read == Boxes((corners(1, 2, 3, 4, "a"),), (why,))
    assert (len(read), read.n_written, list(read)) == (1, 2, [corners(1, 2, 3, 4, "a")])


@pytest.mark.parametrize(
    "text",
    ["(1,2,3)", "(1,2,3,4,5)", "(1,2),(3,4", "((1,2),3,4)", "(1 2 3 4)", "(1,2;3,4)", "1,2,3,4", "1 2 3 4", "[1 2 3]", "[1 2 3 4 5]"]
    + ["[1 2, 3 4]", "[1, 2 3 4]", "[1 2 3 4)", "(1,2,3,x)", "[1 2 3 4.5.6]", "{1 2 3 4}", "(,2,3,4)", "()"],
)
def test_what_might_be_a_box_or_something_else_is_none(text):
    assert box(text, frame=IN).value is None
    assert not boxes(text, frame=IN).value


def test_boxes_in_loose_brackets_are_like_others():
    assert box("(9, 9, 1, 1)", frame=IN) == box("[9 9 1 1]", frame=IN) == Reading(None, "corners swapped")
    assert box("[9 8 1 2]", frame=IN, keep_swapped=True).value == Box(1, 2, 9, 8, IN)
    assert boxes(f"({'9' * 65},2,3,4) [1 2 3 {'9' * 65}]", frame=IN).value.dropped == ("a number that is too long",) * 2
    assert point("(1,2,3,4)", frame=IN).value is None


@pytest.mark.parametrize("unit", ["(1,", "(1,2),", "(1,2,3,4", "[1 ", "[1 2 3 4", "( ", "[ ", "(1,2,3 ", "1 ", "[1 2 3 4]", "(1,2,3,4)"])
def test_loose_boxes_take_time_in_the_length_of_the_text_only(unit):
    text = unit * (1_000_000 // len(unit))
    begin = time.process_time()
    boxes(text, frame=IN)
    boxes(f"[{text}", frame=IN)
    assert time.process_time() - begin < 1.0


def test_swapped_corners_are_turned_round_where_asked():
    assert boxes("[9, 8, 1, 2]", frame=IN, keep_swapped=True).value == Boxes((corners(1, 2, 9, 8),))
    assert box("[9, 8, 1, 2]", frame=IN, keep_swapped=True).value == Box(1, 2, 9, 8, IN)
    assert box("[9, 8, 1, 2] [1, 2, 3, 4]", frame=IN) == Reading(None, "corners swapped")
    assert box("[1] [2, 3] [1, 2, 3, 4]", frame=IN).value == Box(1, 2, 3, 4, IN)


def test_no_boxes_an_empty_list_and_none_are_three_things():
    assert boxes("a cat", frame=IN) == boxes("", frame=IN) == boxes("There are None.", frame=IN) == Reading(None, "no box")
    assert boxes("[]", frame=IN).value == boxes("```json\n[]\n```", frame=IN).value == Boxes(())
    for text in ("None", " none.\n", "'None'", "```json\nNone\n```"):
        assert boxes(text, frame=IN).value == Boxes((), says_none=True)
    assert box("None", frame=IN).value is None and box("[]", frame=IN).why == "no box"


def test_boxes_under_a_key():
    text = 'by {"landmark_bbox": [350, 250, 500, 420]} [1, 2, 3, 4] {"landmark_bbox": [[5, 6, 7, 8]], "note": "cut o'
    assert boxes(text, frame=IN, keys=["landmark_bbox"]).value == Boxes((corners(350, 250, 500, 420), corners(5, 6, 7, 8)))
    assert box(text, frame=IN, keys=["landmark_bbox"], which="last").value == Box(5, 6, 7, 8, IN)
    assert boxes(text, frame=IN, keys=["elsewhere"]).why == "no box"
    assert point(text, frame=IN, keys=["landmark_bbox"]).value is None


def test_a_frame_is_what_the_caller_says():
    for frame in Frame:
        assert box("[0, 0, 1, 1]", frame=frame).value == Box(0, 0, 1, 1, frame)
        assert point("(0, 1)", frame=frame).value == Point(0, 1, frame)


def test_two_thousand_boxes_are_looked_at():
    assert boxes(str([[1, 2, 3, 4]] * 5_000), frame=IN).value.n_written == 2_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[12, 30.5]", [(12, 30.5)]),
        ("(12,-30)", [(12, -30)]),
        ("click at ( 12 , 30 ) now", [(12, 30)]),
        ('{"point_2d": [1, 2], "label": "a"}', [(1, 2)]),
        ('{"x": 1, "y": 2.5}', [(1, 2.5)]),
        ('[{"point_2d": [1, 2]}, {"point": [3, 4]}, {"coordinate": (5, 6)}]', [(1, 2), (3, 4), (5, 6)]),
        ('<point x="10.5" y="20" alt="a cat">a cat</point>', [(10.5, 20)]),
        ("<point alt='x=3' y=2 x=1>", [(1, 2)]),
        ("<point>10 20</point><point>(30, 40)</point>", [(10, 20), (30, 40)]),
        ("<points>[1, 2] (3, 4)", [(1, 2), (3, 4)]),
        ("[[1, 2], [3, 4]]", [(1, 2), (3, 4)]),
        ('{"target_location": [400, 300]}', [(400, 300)]),
        ("[1, 2, 3, 4] then (5, 6)", [(5, 6)]),
        ("```json\n[1, 2]\n``` not (3, 4)", [(1, 2)]),
    ],
)
def test_points(text, found):
    wanted = tuple(Point(x, y, IN) for x, y in found)
    assert points(text, frame=IN).value == wanted
    assert (point(text, frame=IN).value, point(text, frame=IN, which="last").value) == (wanted[0], wanted[-1])


@pytest.mark.parametrize("text", ["", "here", "[1]", "[1, 2, 3]", "(1 2)", "[true, 1]", '["1", 2]', "<point x=1>", "<point x=a y=2>", "(1,)"])
def test_no_point(text):
    assert points(text, frame=IN) == point(text, frame=IN) == Reading(None, "no point")


def test_an_empty_list_is_no_points():
    assert points("[]", frame=IN).value == ()
    assert point("[]", frame=IN).why == "no point"


# actions of GUI-R1, without the bugs of the released readers


CLICK = "[{'action': 'click', 'point': [123, 300], 'input_text': 'no input text'}]"
CLICKED = (Action("click", Point(123, 300, IN), None),)


@pytest.mark.parametrize("text", [CLICK, CLICK.replace("'", '"'), CLICK[1:-1], f"```json\n{CLICK}\n```", f"I do: {CLICK}. Done [1]."])
def test_actions(text):
    assert actions(text, frame=IN).value == CLICKED


def test_a_slash_in_the_name():
    text = "[{'action': 'close/delete', 'point': [-100, -100], 'input_text': 'no input text'}]"
    assert actions(text, frame=IN).value == whole_actions(text, frame=IN).value == (Action("close/delete", None, None),)


def test_double_quotes_read_as_single_ones():
    assert actions(json.dumps([{"action": "type", "point": [-100, -100], "input_text": 'a "b"'}]), frame=IN).value == (
        Action("type", None, 'a "b"'),
    )


@pytest.mark.parametrize("said", ["it's here", "it\\'s here"])
def test_an_apostrophe_in_the_text(said):
    text = f"[{{'action': 'type', 'point': [-100, -100], 'input_text': '{said}'}}]"
    assert actions(text, frame=IN).value == (Action("type", None, "it's here"),)


def test_numbers_in_the_text_are_no_point():
    text = "[{'action': 'click', 'point': [7, 8], 'input_text': 'see [5, 6]'}]"
    assert actions(text, frame=IN).value == (Action("click", Point(7, 8, IN), "see [5, 6]"),)


def test_every_action_of_a_list_is_read():
    two = CLICK[:-1] + ", {'action': 'scroll', 'point': [-100, -100], 'input_text': 'down'}]"
    assert actions(two, frame=IN).value == (*CLICKED, Action("scroll", None, "down"))
    assert actions("[]", frame=IN).value == whole_actions("[]", frame=IN).value == ()


def test_missing_fields_are_none_and_misformed():
    assert actions("[{'action': 'press_back'}]", frame=IN).value == (Action("press_back", None, None),)
    assert actions("[{'action': 'click', 'point': [1, 2, 3, 4], 'input_text': 5}]", frame=IN).value == (Action("click", None, "5"),)
    assert actions("[{'action': 'click', 'point': [1.5, 2]}]", frame=IN).value == (Action("click", Point(1.5, 2, IN)),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I click.", "no list of actions"),
        ("[1, 2]", "no list of actions"),
        ("[{'point': [1, 2]}]", "no list of actions"),
        ("[{'action': 5}]", "item 1 of the list has no action"),
        ("[{'action': ' '}]", "item 1 of the list has no action"),
        ("[{'action': 'click'}, 'click']", "item 2 of the list has no action"),
    ],
)
def test_no_actions(text, why):
    assert actions(text, frame=IN) == Reading(None, why)


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("{'action': 'click', 'point': [1, 2]}", "item 1 has no input_text"),
        ("{'action': 'click', 'input_text': 'a'}", "item 1 has no point"),
        ("{'point': [1, 2], 'input_text': 'a'}", "item 1 has no action"),
        ("{'action': 5, 'point': [1, 2], 'input_text': 'a'}", "no text"),
        ("{'action': 'click', 'point': [1, 2], 'input_text': 5}", "no text"),
        ("{'action': 'click', 'point': [1.5, 2], 'input_text': 'a'}", "not two integers"),
        ("{'action': 'click', 'point': [True, 2], 'input_text': 'a'}", "not two integers"),
        ("{'action': 'click', 'point': '[1, 2]', 'input_text': 'a'}", "not two integers"),
        ("[]", "item 1 is no dict"),
    ],
)
def test_whole_actions_want_the_form_of_the_prompt(item, why):
    read = whole_actions(f"[{item}]", frame=IN)
    assert read.value is None and why in read.why


def test_whole_actions_are_the_whole_text():
    assert whole_actions(f"\n{CLICK} ", frame=IN).value == CLICKED
    for text in (f"so {CLICK}", f"{CLICK}.", CLICK[1:-1], "", "(1,)"):
        assert whole_actions(text, frame=IN).value is None


# tool calls of Mobile-R1

SWIPE = '{"name": "mobile_use", "arguments": {"action": "swipe", "coordinate": [5, 6], "coordinate2": [7, 80]}}'


def test_tool_call():
    text = f"<think>t</think> <action>Swipe.</action> <tool_call>\n{SWIPE}\n</tool_call>"
    call = tool_call(text).value
    assert call == ToolCall("mobile_use", {"action": "swipe", "coordinate": [5, 6], "coordinate2": [7, 80]})
    assert call.point("coordinate", frame=Frame.PIXEL).value == Point(5, 6, Frame.PIXEL)
    assert call.point("coordinate2", frame=Frame.PIXEL).value == Point(7, 80, Frame.PIXEL)
    assert tool_call(text.replace('"', "'")).value == call
    assert tool_call(f"<tool_call>{{}}</tool_call>{text}").value == call
    assert tool_call('<tool_call>{"name": "a", "arguments": "{\\"b\\": [1, 2]}"}</tool_call>').value == ToolCall("a", {"b": [1, 2]})


def test_a_point_of_a_call_that_is_none():
    call = ToolCall("a", {"quoted": "[1, 2]", "one": [1], "text": "here", "yes": [True, 1]})
    assert call.point("quoted", frame=IN).value == Point(1, 2, IN)
    assert call.point("coordinate", frame=IN) == Reading(None, "no coordinate")
    for key in ("one", "text", "yes"):
        assert call.point(key, frame=IN) == Reading(None, f"{key} is not two numbers")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SWIPE, "no tool_call block"),
        (f"<tool_call>{SWIPE}", "no tool_call block"),
        ("<tool_call></tool_call>", "no list or dict"),
        (f"<tool_call>{SWIPE[:-30]}</tool_call>", "stays open"),
        (f"<tool_call>{SWIPE[:-1]}</tool_call>", "no name"),
        ("<tool_call>[1]</tool_call>", "no dict"),
        ('<tool_call>{"arguments": {}}</tool_call>', "no name"),
        ('<tool_call>{"name": 5, "arguments": {}}</tool_call>', "no name"),
        ('<tool_call>{"name": "a"}</tool_call>', "no arguments"),
        ('<tool_call>{"name": "a", "arguments": [1]}</tool_call>', "no arguments"),
        ('<tool_call>{"name": "a", "arguments": {1: 2}}</tool_call>', "no name"),
        (f"<tool_call>{SWIPE}</tool_call><tool_call>swipe</tool_call>", "no list or dict"),
    ],
)
def test_no_tool_call(text, why):
    read = tool_call(text)
    assert read.value is None and why in read.why


# flight commands of CognitiveDrone

FORWARD = Flight(0.3, 0, -0.05, 0.31)


@pytest.mark.parametrize(
    "text",
    [
        "[0.3, 0, -0.05, 0.31]",
        "[.3,0,-.05,+.31]",
        "0.3, 0, -0.05, 0.31",
        "(0.3, 0, -0.05, 0.31)\n",
        "Fly: [0.3, 0, -0.05, 0.31].",
        "[[0.3, 0, -0.05, 0.31]]",
        "[1, 2, 3] no, [0.3, 0, -0.05, 0.31]",
        "```json\n[0.3, 0, -0.05, 0.31]\n```",
        '{"Vx": 0.3, "Vy": 0, "Vz": -0.05, "yaw": 0.31}',
        "{'yaw': 0.31, 'vz': -0.05, 'vy': 0, 'vx': 0.3}",
        '{"Vx": 0.3, "Vy": 0, "Vz": -0.05, "ω": 0.31}',
        '{"action": [0.3, 0, -0.05, 0.31]}',
    ],
)
def test_flight(text):
    assert flight(text).value == FORWARD


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[0.3, 0, -0.05]", "3 numbers, not 4"),
        ("[1, 2, 3, 4, 5]", "5 numbers, not 4"),
        ("1, 2, 3", "3 numbers, not 4"),
        ("[1, 2, 3, true]", "not all are numbers"),
        ('[1, 2, 3, "4"]', "not all are numbers"),
        ('{"Vx": 1, "Vy": 2, "Vz": 3}', "a dict without"),
        ('{"Vx": 1, "Vy": 2, "Vz": 3, "yaw": "left"}', "not all are numbers"),
        ("[1, 2, 3, NaN]", "no list of four numbers"),
        ("[1, 2, 3, 1e999]", "no list of four numbers"),
        ("1, 2, 3, 1e999", "beyond all bounds"),
        ("1 2 3 4", "neither ,"),
        ("fly on", "no list of four numbers"),
        ("", "no list of four numbers"),
    ],
)
def test_no_flight(text, why):
    read = flight(text)
    assert read.value is None and why in read.why
