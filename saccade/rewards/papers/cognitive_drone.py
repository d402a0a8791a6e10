"""CognitiveDrone: which gate answers the instruction, and whether the drone flies through it.

The paper trains by imitation alone: its drone copies recorded flights, and its "R1" is a reasoner in front of it that
no reward trains. So there is no published reward. What is published is the benchmark's rule of success (`bench`). The
two rewards here are ours, for those who train such a pair: `gate_named` scores the command that the reasoner writes,
`flight_command` the four numbers of a drone that answers in text.

    >>> bench([(-1, 0, 0.75), (2, 2, 0.75), (3.5, 3.5, 0.75)], correct=1).is_success
    True

Departs, each with its reason:
- Flying to another gate first fails, and so does a flight of more than 200 steps. The released loop looks at neither,
  so that a drone which tries all gates, or hovers, ends well at last.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.published import Example, published
from saccade.rewards.read.flight import Flight, flight
from saccade.rewards.read.tags import last_section

SYSTEM = "CognitiveDrone-R1"

GATES = ((4.0, 4.0), (5.0, 0.0), (4.0, -4.0))  # C x forward and y left, metres: gates 1, 2 and 3
HEIGHT = 0.75  # C metres
ARRIVED = 1.0  # C nearer than this to the correct gate is a success
LOST = 10.0  # C farther than this is a failure
MAX_STEPS = 200  # O 10 s at the released 20 Hz; recorded flights have 45 to 75 steps
TOLERANCE = Flight(vx=0.1, vy=0.1, vz=0.1, yaw=0.3)  # O metres and radians; a recorded command is some 0.3 m long

COLOURS = ("red", "green", "blue")  # C
SHAPES = ("square", "round", "triangle")  # C
SIZES = ("big", "small")  # C


@dataclass(frozen=True, kw_only=True)
class Benched:
    """How a flight ended, and after how many steps."""

    is_success: bool
    why: str
    n_steps: int


def bench(
    path: Sequence[Sequence[float]],
    *,
    correct: int,
    gates: Sequence[Sequence[float]] = GATES,
    height: float = HEIGHT,
    max_steps: int = MAX_STEPS,
) -> Benched:
    """What the benchmark says of a flight through these poses (x, y, z, ...), the first of them its start. # C

    Pose by pose: nearer than 1 m to the centre of the correct gate is a success; farther than 10 m from it, nearer
    than 1 m to another gate (# O) or no success within `max_steps` (# O) is a failure. `correct` counts from 1.
    """
    if not 1 <= correct <= len(gates):
        raise ValueError(f"the correct gate must be one of 1 to {len(gates)}, got {correct}")
    if any(len(pose) < 3 for pose in path):
        raise ValueError("a pose needs x, y and z in metres")
    centres = [(gate[0], gate[1], height) for gate in gates]
    for n, pose in enumerate(path[: max_steps + 1]):
        off = [math.dist(pose[:3], centre) for centre in centres]
        if off[correct - 1] < ARRIVED:
            return Benched(is_success=True, why=f"through gate {correct}", n_steps=n)
        if not off[correct - 1] <= LOST:  # also where a pose is no number
            return Benched(is_success=False, why=f"more than {LOST:g} m from gate {correct}", n_steps=n)
        if min(off) < ARRIVED:
            return Benched(is_success=False, why=f"gate {off.index(min(off)) + 1} instead of {correct}", n_steps=n)
    n_steps = min(max(len(path) - 1, 0), max_steps)
    return Benched(is_success=False, why=f"no gate within {n_steps} steps", n_steps=n_steps)


def success_rates(flights: Mapping[str, Sequence[Benched]]) -> dict[str, float]:
    """Share of successes per category, and as "average" their plain mean, in which every category counts the same. # C

    The paper's averages are such means but for one: 59.6 where 70.7, 45.2 and 57.7 give 57.9.
    """
    if not flights or not all(flights.values()):
        raise ValueError(f"every category needs a flight; empty: {[name for name, ended in flights.items() if not ended]}")
    rates = {name: sum(flight.is_success for flight in ended) / len(ended) for name, ended in flights.items()}
    return rates | {"average": math.fsum(rates.values()) / len(rates)}


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a gate looks like."""

    size: str
    shape: str
    colour: str

    def __post_init__(self) -> None:
        for value, allowed in ((self.size, SIZES), (self.shape, SHAPES), (self.colour, COLOURS)):
            if value not in allowed:
                raise ValueError(f"a gate is one of {', '.join(allowed)}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class Gates:
    """The gold of a command: the gates from left to right, and which is the correct one, from 1."""

    gates: tuple[Gate, ...]
    correct: int

    def __post_init__(self) -> None:
        if not 1 <= self.correct <= len(self.gates):
            raise ValueError(f"the correct gate must be one of 1 to {len(self.gates)}, got {self.correct}")
        if self.gates.count(self.gates[self.correct - 1]) > 1:
            raise ValueError("the correct gate looks like another one, so no command can name it")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Gates:
        """From a released task: `gates`, {"1": {size, shape, color}, ...} or a list of such with "gate", and `correct`."""
        gates = row["gates"]
        pairs = gates.items() if isinstance(gates, Mapping) else ((look["gate"], look) for look in gates)
        looks = {int(n): Gate(size=look["size"], shape=look["shape"], colour=look["color"]) for n, look in pairs}
        return cls(gates=tuple(looks[n] for n in range(1, len(looks) + 1)), correct=int(row["correct"]))


_ATTRIBUTES = {"size": SIZES, "shape": SHAPES, "colour": COLOURS}
# "large" and "triangular" are what models write. # O
_SAME_WORD = {"large": "big", "little": "small", "triangular": "triangle", "circular": "round", "circle": "round"}
_WORD = re.compile(r"[a-z]++(?:'t)?")
_NOT = {"not", "don't", "never", "avoid", "except", "without", "no", "nor", "neither", "isn't", "unlike"}


def _gate_named(rollout: Rollout) -> Score:
    gold = rollout.sample.target
    if not isinstance(gold, Gates):
        return Score(None, "the gold is no Gates")
    command = last_section(rollout.text, "answer")
    if command.value is None:
        return Score(0.0, command.why)
    words = {_SAME_WORD.get(word, word) for word in _WORD.findall(command.value.lower().replace("\u2019", "'"))}
    if words & _NOT:
        return Score(0.0, "says which gate not to take")
    named = {kind: words & set(values) for kind, values in _ATTRIBUTES.items() if words & set(values)}
    if any(len(found) > 1 for found in named.values()):
        return Score(0.0, "names more than one gate")
    meant = [
        n for n, gate in enumerate(gold.gates, 1) if all(getattr(gate, kind) in found for kind, found in named.items())
    ]
    why = f"means gate {' or '.join(map(str, meant)) or 'none'}, correct is {gold.correct}"
    return Score(float(meant == [gold.correct]), why)


_THREE = Gates(
    gates=(
        Gate(size="big", shape="square", colour="red"),
        Gate(size="small", shape="round", colour="green"),
        Gate(size="big", shape="triangle", colour="blue"),
    ),
    correct=2,
)


@published(
    formula="evaluation: 1 if the words for colour, shape and size in the command fit the correct gate and no other, else 0",
    source="O",
    target="a cognitive_drone.Gates",
    changed="the paper has no such reward: it trains without RL",
    example=Example(
        text="<think>Four is on the green gate.</think>\n<answer>Fly through the small green gate with number 4</answer>",
        target=_THREE,
    ),
)
def gate_named() -> Reward:
    """Whether the reasoner's command names the right gate. Two colours, or a "not", name none."""
    return Reward(name="gate_named", function=_gate_named)


@dataclass(frozen=True, kw_only=True)
class FlightCommand:
    """Closeness of a written command to the recorded one; see `flight_command`."""

    tolerance: Flight = TOLERANCE

    def __post_init__(self) -> None:
        if not all(value > 0 for value in self.tolerance):
            raise ValueError(f"every tolerance must be positive, got {self.tolerance}")

    def __call__(self, rollout: Rollout) -> Score:
        gold = rollout.sample.target
        if not isinstance(gold, Flight):
            return Score(None, "the gold is no Flight")
        said = last_section(rollout.text, "answer").then(flight)
        if said.value is None:
            return Score(0.0, said.why)
        off = [abs(a - b) / most for a, b, most in zip(said.value, gold, self.tolerance, strict=True)]
        return Score(max(0.0, 1 - max(off)), f"off by {max(off):.2f} of the tolerance")


@published(
    formula="max(0, 1 - max over vx, vy, vz and yaw of |said - gold| / tolerance)",
    source="O",
    target="a Flight",
    changed="the paper has no such reward: it trains without RL",
    example=Example(
        text="<think>Ahead and to the left.</think>\n<answer>[0.3, 0.0, 0.01, 0.4]</answer>",
        target=Flight(0.3, 0.0, 0.01, 0.4),
    ),
)
def flight_command(*, tolerance: Flight = TOLERANCE) -> Reward:
    """How near a written command is to the recorded one: 1 for equal, 0 from `tolerance` on, in metres and radians.

    The worst of the four counts, as the others hardly ever change: sideways speed is always 0 in the recorded flights
    (# C).
    """
    return Reward(name="flight_command", function=FlightCommand(tolerance=tolerance))
