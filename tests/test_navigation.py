"""Flying: CityNav's metrics, and the rewards of FlightGPT and CognitiveDrone against the specification's numbers."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.core.picture import Box, Frame, Point
from saccade.core.rollout import Rollout
from saccade.rewards.geometry.paths import Raster, fly, means, overall
from saccade.rewards.papers import cognitive_drone, flightgpt
from saccade.rewards.papers.cognitive_drone import HEIGHT, Benched, Gate, Gates, bench, success_rates
from saccade.rewards.papers.flightgpt import Destination
from saccade.rewards.published import Example
from saccade.rewards.read.flight import Flight

# CityNav

coordinate = st.floats(-1e4, 1e4)
paths = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=8)


def test_a_flight_by_hand():
    flight = fly([(0, 0), (30, 0), (30, 40)], goal=(30, 55))
    straight = math.hypot(30, 55)
    assert flight.error == 15
    assert flight.is_success and flight.is_oracle_success
    assert flight.spl == pytest.approx(straight / 70)


def test_twenty_metres_are_inside():
    assert fly([(0, 0), (80, 0)], goal=(100, 0)).is_success
    assert not fly([(0, 0), (79.999, 0)], goal=(100, 0)).is_success


def test_passing_the_goal_is_an_oracle_success_only():
    flight = fly([(0, 0), (100, 0), (200, 0)], goal=(100, 5))
    assert (flight.is_success, flight.is_oracle_success, flight.spl) == (False, True, 0.0)


def test_a_straight_flight_has_full_spl_even_when_it_stops_short():
    """l is then less than l*, and max(l, l*) keeps the ratio at 1."""
    assert fly([(0, 0), (85, 0)], goal=(100, 0)).spl == 1.0
    assert fly([(0, 0), (100, 0)], goal=(100, 0)).spl == 1.0


def test_staying_at_the_goal_has_spl_zero():
    assert fly([(3, 4)], goal=(3, 4)).spl == 0.0
    assert fly([(3, 4)], goal=(3, 4)).is_success


def test_height_does_not_count():
    assert fly([(0, 0, 50), (90, 0, 900)], goal=(100, 0, 0)) == fly([(0, 0), (90, 0)], goal=(100, 0))


def test_a_crash_fails_but_stays_in_the_means():
    good, bad = fly([(0, 0), (100, 0)], goal=(100, 0)), fly([(0, 0), (90, 0)], goal=(100, 0), crashed=True)
    assert (bad.is_success, bad.is_oracle_success, bad.spl, bad.error) == (False, False, 0.0, 10.0)
    assert means([good, bad]) == {"NE": 5.0, "SR": 0.5, "OSR": 0.5, "SPL": 0.5}


def test_overall_weighs_files_by_their_episodes():
    hit, miss = fly([(0, 0)], goal=(10, 0)), fly([(0, 0)], goal=(30, 0))
    assert overall({"easy": [hit], "medium": [], "hard": [miss] * 3})["SR"] == 0.25
    assert overall({"easy": [hit], "hard": [miss] * 3})["NE"] == 25.0


@given(paths, st.tuples(coordinate, coordinate), st.tuples(coordinate, coordinate))
def test_flights_do_not_hang_on_where_the_world_begins(path, goal, shift):
    here = fly(path, goal=goal, radius=500)
    there = fly([(x + shift[0], y + shift[1]) for x, y in path], goal=(goal[0] + shift[0], goal[1] + shift[1]), radius=500)
    assert there.error == pytest.approx(here.error, abs=1e-6)
    assert 0 <= here.spl <= float(here.is_success) <= float(here.is_oracle_success)


@pytest.mark.parametrize("path", [[], [(1,)], [(0, math.nan)], [(math.inf, 0)]])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(ValueError, match="pose"):
        fly(path, goal=(0, 0))


def test_no_episodes_have_no_means():
    with pytest.raises(ValueError, match="no episodes"):
        overall({"easy": []})


def test_map_and_world():
    raster = Raster(left=100, top=500)
    assert raster.to_pixel(112.5, 480) == Point(125.0, 200.0, Frame.PIXEL)
    assert raster.to_pixel(112.5, 481).y < 200  # y grows upwards, rows downwards
    assert raster.to_world(Point(0, 0, Frame.PIXEL)) == (100, 500)
    with pytest.raises(TypeError, match="pixels of the original"):
        raster.to_world(Point(0, 0, Frame.MODEL))


@given(coordinate, coordinate)
def test_map_and_world_there_and_back(x, y):
    raster = Raster(left=-37.25, top=1234.5)
    assert raster.to_world(raster.to_pixel(x, y)) == pytest.approx((x, y), abs=1e-6)


# FlightGPT

SIZE = (2000, 1600)
TARGET = Destination(
    target=Point(1000, 800, Frame.PIXEL),
    landmarks=(Box(900, 700, 1100, 900, Frame.PIXEL), Box(0, 0, 100, 100, Frame.PIXEL)),
)


def flown(
    answer: str = '{"target_location": [1000, 800]}',
    think: str = '{"landmark_bbox": [900, 700, 1100, 900]}',
    *,
    gold: object = TARGET,
    model_size: tuple[int, int] | None = None,
) -> Rollout:
    text = f"<think>{think}</think>\n<answer>{answer}</answer>"
    return Example(text=text, target=gold, size=SIZE, model_size=model_size).rollout()


def at(distance: float) -> Rollout:
    return flown(f'{{"target_location": [{1000 + distance}, 800]}}')


@pytest.mark.parametrize("as_released", [False, True])
@pytest.mark.parametrize(
    ("distance", "value"),
    [(0, 1), (150, 1), (200, 1), (250, 0.606531), (300, 0.367879), (400, 0.135335), (500, 0.049787), (800, 0.002479), (801, 0)],
)
def test_goal_falls_off_beyond_twenty_metres(distance, value, as_released):
    assert flightgpt.goal(as_released=as_released)(at(distance)).value == pytest.approx(value, abs=1e-6)


def total(rollout: Rollout, *, as_released: bool = False) -> float:
    terms = (flightgpt.goal, flightgpt.landmark, flightgpt.format)
    return sum(make(as_released=as_released)(rollout).value for make in terms)


@pytest.mark.parametrize("as_released", [False, True])
def test_a_hit_with_its_landmark_and_format_earns_three(as_released):
    assert total(flown(), as_released=as_released) == 3


def test_no_answer_earns_nothing_even_by_the_corner():
    corner = Destination(target=Point(100, 100, Frame.PIXEL), landmarks=TARGET.landmarks)
    silent = flown("I cannot tell", "hm", gold=corner)
    assert flightgpt.goal()(silent).value == 0
    assert flightgpt.goal(as_released=True)(silent).value == 1  # as if it had said [0, 0]


def test_the_target_of_the_answer_counts_and_not_a_provisional_one():
    changed_its_mind = flown(think='first {"target_location": [1000, 800]}, no', answer='{"target_location": [10, 10]}')
    assert flightgpt.goal()(changed_its_mind).value == 0
    assert flightgpt.goal(as_released=True)(changed_its_mind).value == 1
    came_round = flown(think='first {"target_location": [10, 10]}, no')
    assert flightgpt.goal()(came_round).value == 1
    assert flightgpt.goal(as_released=True)(came_round).value == 0


@pytest.mark.parametrize(
    "answer",
    [
        '{"target_location":[1000,800]}',
        '{"target_location": [1000.4, 799.8]}',
        '```json\n{"target_location": [\n  1000,\n  800\n]}\n```',
        "{'target_location': [1000, 800]}",
        '{"target_location": [1e3, +800]}',
    ],
)
def test_any_way_of_writing_a_target_is_read(answer):
    rollout = flown(answer)
    assert flightgpt.goal()(rollout).value == 1
    assert flightgpt.format()(rollout).value == 1
    assert flightgpt.goal(as_released=True)(rollout).value == 0
    assert flightgpt.format(as_released=True)(rollout).value == 0.75


@pytest.mark.parametrize(
    "answer",
    ["[1000, 800]", '{"target_location": [1000]}', '{"target_location": [1000, 800, 1]}', '{"target_location": ["x", "y"]}',
     '{"target_location": [1e999, 800]}', '{"target_location": [' + "9" * 5000 + ", 800]}", '{"target_location": 1000, 800}'],
)  # fmt: skip
def test_what_is_no_target_earns_nothing(answer):
    assert flightgpt.goal()(flown(answer)).value == 0
    assert flightgpt.format()(flown(answer)).value == 0.75
    assert flightgpt.goal(as_released=True)(flown(answer)).value == 0  # 1281 px from [0, 0]


def test_landmark_takes_the_best_of_the_gold_ones():
    half = flown(think='{"landmark_bbox": [1000, 700, 1200, 900]}')
    assert flightgpt.landmark()(half).value == pytest.approx(1 / 3)
    assert flightgpt.landmark()(flown(think='{"landmark_bbox": [0, 0, 100, 100]}')).value == 1


def test_a_landmark_in_the_answer_is_none_of_the_reasoning():
    late = flown(think="hm", answer='{"landmark_bbox": [900, 700, 1100, 900], "target_location": [1000, 800]}')
    assert flightgpt.landmark()(late).value == 0
    assert flightgpt.landmark(as_released=True)(late).value == 1
    assert flightgpt.format()(late).value == flightgpt.format(as_released=True)(late).value == 0.75


@pytest.mark.parametrize(
    ("b", "ours", "released"),
    [
        ((10, 0, 20, 10), 0, 0),  # side by side
        ((9, 0, 19, 10), 10 / 190, 0),  # one pixel wide: lost by the -1 and the strict comparison
        ((8, 0, 18, 10), 20 / 180, 20 / 180),  # two: the +1 gives it back
        ((0, 0, 10, 10), 1, 1),
        ((5, 5, 5, 5), 0, 0),
        ((10, 10, 0, 0), 0, 0),
    ],
)
def test_released_iou_loses_what_is_one_pixel_wide(b, ours, released):
    a, b = Box(0, 0, 10, 10, Frame.PIXEL), Box(*b, Frame.PIXEL)
    assert a.iou(b) == pytest.approx(ours)
    assert flightgpt.released_iou(a, b) == pytest.approx(released)


def test_released_iou_of_two_empty_boxes_divides_by_nothing():
    empty = Box(3, 3, 3, 3, Frame.PIXEL)
    assert flightgpt.released_iou(empty, empty) == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('<think>{"landmark_bbox": [1, 2, 3, 4]}</think><answer>{"target_location": [5, 6]}</answer>', 1),
        ('<answer>{"target_location": [5, 6]}</answer> and <think>{"landmark_bbox": [1, 2, 3, 4]}</think>!', 1),
        ('<think>so</think><answer>{"target_location": [5, 6]}</answer>', 0.75),
        ("<think>so</think><answer>there</answer>", 0.5),
        ('<think>{"landmark_bbox": [1, 2, 3, 4]}</think>', 0.25),
        ('<answer>{"target_location": [5, 6]}</answer>', 0.25),
        ('{"target_location": [5, 6]}', 0),
        ("", 0),
    ],
)
@pytest.mark.parametrize("as_released", [False, True])
def test_format_comes_in_quarters(text, value, as_released):
    assert flightgpt.format(as_released=as_released)(Example(text=text, target=TARGET).rollout()).value == value


def test_empty_blocks_earn_the_format_as_released_only():
    tags = Example(text="<think></think><answer> </answer>", target=TARGET).rollout()
    assert [flightgpt.format(as_released=released)(tags).value for released in (False, True)] == [0, 0.5]


def test_a_target_in_the_models_frame_is_measured_in_the_maps_pixels():
    """Seen at half its size, the map's (1000, 800) is (500, 400); 200 px of the map are 100 there."""
    seen = flown('{"target_location": [600, 400]}', '{"landmark_bbox": [450, 350, 550, 450]}', model_size=(1000, 800))
    assert flightgpt.goal(frame=Frame.MODEL)(seen).value == 1
    assert flightgpt.goal(frame=Frame.MODEL)(flown('{"target_location": [625, 400]}', model_size=(1000, 800))).value == (
        pytest.approx(0.606531, abs=1e-6)
    )
    assert flightgpt.landmark(frame=Frame.MODEL)(seen).value == 1
    assert flightgpt.goal()(seen).value < 0.1


def test_golds_that_cannot_be_read_are_not_zero():
    assert flightgpt.goal()(flown(gold="[1000, 800]")).value is None
    bare = Destination(target=TARGET.target)
    assert flightgpt.landmark()(flown(gold=bare)).value is None
    assert flightgpt.goal()(flown(gold=bare)).value == 1


def test_destinations_are_read_from_the_released_rows():
    row = {"target_position": [1000, 800], "landmark_bbox": [[900, 700, 1100, 900], [0, 0, 100, 100]]}
    assert Destination.of(row) == TARGET
    with pytest.raises(KeyError):
        Destination.of({"target_position": [1, 2]})
    with pytest.raises(ValueError, match="share one frame"):
        Destination(target=Point(0, 0, Frame.PIXEL), landmarks=(Box(0, 0, 1, 1, Frame.UNIT),))


FRAGMENTS = [
    "<think>", "</think>", "<answer>", "</answer>", '"target_location":', "'target_location' :", '"landmark_bbox":', "[", "]", "{", "}",
    "[1000, 800]", "[900, 700, 1100, 900]", "1, 2", "true", "1e999", "-", ",", " ", "\n", "9" * 70, "\ud800",
]  # fmt: skip
FLIGHT_REWARDS = [
    make(as_released=as_released)
    for make in (flightgpt.goal, flightgpt.landmark, flightgpt.format)
    for as_released in (False, True)
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_no_text_breaks_a_flightgpt_reward(text):
    rollout = flown()
    for one in (text, f"<think>{text}</think><answer>{{{text}}}</answer>"):
        scores = [reward(replace(rollout, text=one)) for reward in FLIGHT_REWARDS]
        assert all(0 <= score.value <= 1 and score.why for score in scores)


@pytest.mark.parametrize(
    "text", ['"target_location": [' * 20_000, "<answer>" + "[1, 2] " * 100_000, "<think>" + '"landmark_bbox":' + " " * 900_000]
)
def test_hostile_maps_cost_little(text):
    for reward in FLIGHT_REWARDS:
        rollout, begin = replace(flown(), text=text), time.process_time()
        assert reward(rollout).value < 1
        assert time.process_time() - begin < 1.0


# CognitiveDrone

NEAR = ((4, 4, HEIGHT), (5, 0, HEIGHT), (4, -4, HEIGHT))
START = (-1, 0, HEIGHT)


@pytest.mark.parametrize("correct", [1, 2, 3])
def test_a_drone_succeeds_at_the_correct_gate_alone(correct):
    for n, gate in enumerate(NEAR, 1):
        ended = bench([START, (1.5, 0, HEIGHT), gate], correct=correct)
        assert (ended.is_success, ended.n_steps) == (n == correct, 2)
        assert ended.why == (f"through gate {correct}" if n == correct else f"gate {n} instead of {correct}")


def test_a_metre_is_not_near_enough_and_ten_are_not_too_far():
    assert not bench([START, (4.0, 0, HEIGHT)], correct=2).is_success  # 1 m from gate 2
    assert bench([START, (4.001, 0, HEIGHT)], correct=2).is_success
    assert bench([START, (-5.0, 0, HEIGHT), NEAR[1]], correct=2).is_success  # 10 m from gate 2
    lost = bench([START, (-5.001, 0, HEIGHT), NEAR[1]], correct=2)
    assert (lost.is_success, lost.n_steps) == (False, 1)


def test_height_counts_on_the_bench():
    assert not bench([START, (5, 0, HEIGHT + 1)], correct=2).is_success


def test_trying_all_gates_is_no_success():
    assert not bench([START, NEAR[0], NEAR[1]], correct=2).is_success


def test_a_flight_has_so_many_steps():
    hover = [START] * 200
    assert bench([*hover, NEAR[1]], correct=2).is_success
    late = bench([*hover, START, NEAR[1]], correct=2)
    assert (late.is_success, late.n_steps) == (False, 200)
    assert bench([*hover, START, NEAR[1]], correct=2, max_steps=300).is_success
    assert bench([], correct=2) == Benched(is_success=False, why="no gate within 0 steps", n_steps=0)


def test_a_pose_that_is_no_number_is_lost():
    assert not bench([START, (math.nan, 0, 0), NEAR[1]], correct=2).is_success


def test_bench_refuses_a_gate_that_there_is_not():
    with pytest.raises(ValueError, match="one of 1 to 3"):
        bench([START], correct=0)
    with pytest.raises(ValueError, match="x, y and z"):
        bench([(0, 0)], correct=1)


def test_the_papers_averages_are_plain_means():
    def percent(value: float) -> list[Benched]:
        hits = round(value * 10)
        return [Benched(is_success=i < hits, why="", n_steps=0) for i in range(1000)]

    def average(*values: float) -> float:
        return round(100 * success_rates(dict(zip("rhs", map(percent, values), strict=True)))["average"], 1)

    assert average(36.2, 23.1, 34.6) == 31.3
    assert average(75.9, 76.8, 78.9) == 77.2
    assert average(70.7, 45.2, 57.7) == 57.9  # 59.6 in the paper
    few = {"reasoning": percent(100)[:1], "human": percent(0)}
    assert success_rates(few)["average"] == 0.5  # not weighed by episodes
    with pytest.raises(ValueError, match="human"):
        success_rates({"reasoning": percent(1), "human": []})


LOOKS = Gates(
    gates=(
        Gate(size="big", shape="square", colour="red"),
        Gate(size="small", shape="round", colour="green"),
        Gate(size="big", shape="round", colour="blue"),
    ),
    correct=2,
)


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ("Fly through the green gate with number 4", 1),
        ("Fly through the SMALL round Green gate", 1),
        ("go to the small one", 1),  # no other gate is small
        ("the little circular gate", 1),
        ("fly through the round gate", 0),  # two are
        ("fly through the gate with number 4", 0),  # any
        ("fly through the green square gate", 0),  # none
        ("fly through the red gate", 0),
        ("fly through the green or the red gate", 0),
        ("red green blue", 0),
        ("fly through the gate that is not green", 0),
        ("don\u2019t fly through the green gate", 0),
        ("greenish evergreen", 0),
        ("", 0),
    ],
)
def test_a_command_must_name_the_correct_gate(command, value):
    text = f"<think>the green one, not the red</think><answer>{command}</answer>"
    assert cognitive_drone.gate_named()(Example(text=text, target=LOOKS).rollout()).value == value
    assert cognitive_drone.gate_named()(Example(text=command, target=LOOKS).rollout()).value == 0


def test_gates_are_read_from_the_released_tasks():
    looks = [{"size": gate.size, "shape": gate.shape, "color": gate.colour} for gate in LOOKS.gates]
    assert Gates.of({"gates": {str(n): look for n, look in enumerate(looks, 1)}, "correct": 2}) == LOOKS
    recorded = [look | {"gate": n} for n, look in enumerate(looks, 1)][::-1]
    assert Gates.of({"gates": recorded, "correct": 2}) == LOOKS
    with pytest.raises(ValueError, match="one of 1 to 3"):
        Gates.of({"gates": recorded, "correct": 4})
    with pytest.raises(ValueError, match="red, green, blue"):
        Gate(size="big", shape="round", colour="yellow")
    with pytest.raises(ValueError, match="no command can name it"):
        Gates(gates=(LOOKS.gates[0],) * 2, correct=1)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("[0.3, 0.0, 0.01, 0.4]", 1),
        ("[0.25, 0.0, 0.01, 0.4]", 0.5),  # half of 0.1 m
        ("[0.3, 0.0, 0.01, 0.25]", 0.5),  # half of 0.3 rad
        ("[0.3, 0.0, 0.01, 0.7]", 0),
        ("[0.3, 0.0, 0.01, -0.4]", 0),  # three right of four earn nothing
        ("[-0.3, 0.0, 0.01, 0.4]", 0),
        ("[0.3, 0.0, 0.01]", 0),
        ("[1e999, 0, 0, 0]", 0),
        ("forward", 0),
    ],
)
def test_a_written_command_is_as_good_as_its_worst_number(said, value):
    rollout = Example(text=f"<answer>{said}</answer>", target=Flight(0.3, 0.0, 0.01, 0.4)).rollout()
    assert cognitive_drone.flight_command()(rollout).value == pytest.approx(value)


def test_golds_of_the_drone_are_checked():
    for make in (cognitive_drone.gate_named, cognitive_drone.flight_command):
        assert make()(Example(text="<answer>green</answer>", target="green").rollout()).value is None
    with pytest.raises(ValueError, match="positive"):
        cognitive_drone.flight_command(tolerance=Flight(0.1, 0.1, 0.0, 0.1))
