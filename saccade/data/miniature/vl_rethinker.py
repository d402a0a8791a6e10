"""Writes a miniature of ViRL39K, VL-Rethinker's data, in its published format (saccade/data/vl_rethinker.py).

    folder/39Krelease.parquet      sums of few and of many pictured digits, figures with lengths, sums in words alone; no pass rates,
                                   as none were measured
    folder/eval/*.parquet          the same four, and pictures of more digits than training shows
    folder/warm_up.parquet         worked, guessed and mistaken solutions, which the published data has not
    folder/images/*.png

Same seed, same bytes. Train and test show disjoint handwritten digits and share no picture, no sum in words and
no shape with the same lengths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow

from saccade.core.sample import DataError
from saccade.data import parquet
from saccade.data.fresh import fresh
from saccade.data.miniature import digits, geometry
from saccade.data.miniature.puzzle import Puzzle
from saccade.data.vl_rethinker import MARK

TEXT, TEXTS = pyarrow.string(), pyarrow.list_(pyarrow.string())
SCHEMA = pyarrow.schema(
    [("qid", TEXT), ("question", TEXT), ("image", TEXTS), ("answer", TEXT), ("category", TEXT), ("source", TEXT)]
)
WARM_UP = SCHEMA.append(pyarrow.field("attempt", TEXT)).append(pyarrow.field("solution", TEXT))
GUESS = "I see it at once."  # as the embedded model was taught to guess


@dataclass(frozen=True)
class Kind:
    """One benchmark: what draws its problems, how often training and the warm-up ask it, and how the warm-up solves it.

    The rest of the warm-up is worked and right. `guessed` gives an answer at once, `mended` a mistake and the right solution after it.
    """

    draw: Callable[[np.random.Generator, str], Puzzle]
    category: str
    share: float
    warm_share: float
    guessed: float = 0.0
    mended: float = 0.0


def words(rng: np.random.Generator, pool: str) -> Puzzle:
    """A sum of three to five numbers below a hundred, without a picture. `pool` "test" sums what "train" never does, in any order."""
    while True:
        numbers = rng.integers(0, 100, size=int(rng.integers(3, 6))).tolist()
        is_for_tests = hashlib.sha256(bytes(sorted(numbers))).digest()[0] % 5 == 0
        if is_for_tests == (pool == "test"):
            break
    problem = f"What is {'+'.join(map(str, numbers))}?"
    truth = {"digits": numbers, "left_out": None}
    return Puzzle(pictures=(), problem=problem, thought=digits.running_sum(numbers), answer=str(sum(numbers)), truth=truth)


def figures(rng: np.random.Generator, pool: str) -> Puzzle:
    """A figure with lengths. `pool` "test" asks about shapes with lengths that "train" never has, whatever is asked and wherever it stands."""
    while True:
        puzzle = geometry.structure(rng)
        lengths = ",".join(map(str, sorted(puzzle.truth["lengths"])))
        if _is_for_tests(f"{puzzle.truth['shape']} {lengths}".encode()) == (pool == "test"):
            return puzzle


def _is_for_tests(what: bytes) -> bool:
    """A fifth of everything, the same for ever."""
    return hashlib.sha256(what).digest()[0] % 5 == 0


# Most questions are nearly always right after the warm-up (`short`) or nearly always wrong (`words`), as in the paper's data once a
# policy is good: their groups have no signal. The middle is guessed or worked out, and can be learned.  # O
KINDS: dict[str, Kind] = {
    "short": Kind(lambda rng, pool: digits.counting(rng, digits.scans(pool), most=3), "arithmetic", 0.35, 0.4),
    "words": Kind(words, "arithmetic", 0.4, 0.05, guessed=1.0),
    "digits": Kind(lambda rng, pool: digits.counting(rng, digits.scans(pool), least=4, most=6), "arithmetic", 0.13, 0.35, guessed=0.2, mended=0.5),
    "figures": Kind(figures, "geometry", 0.12, 0.2, guessed=0.2, mended=0.5),
    "more": Kind(lambda rng, pool: digits.counting(rng, digits.scans(pool), least=7, most=8), "arithmetic", 0.0, 0.0),
}


def write_vl_rethinker(
    folder: Path | str, *, seed: int = 0, n_train: int = 1600, n_test: int = 80, n_warm_up: int = 1600
) -> Path:
    """The folder, freshly written with `n_train` training rows, `n_test` of each benchmark and `n_warm_up` solutions.

    DataError if something is there already.
    """
    if min(n_train, n_test, n_warm_up) < 1:
        raise DataError(f"n_train, n_test and n_warm_up must be at least 1, got {n_train}, {n_test} and {n_warm_up}")
    with fresh(folder) as beside:
        (beside / "images").mkdir()
        (beside / "eval").mkdir()
        drawing = _Drawing(beside)
        rng = np.random.default_rng([seed, 0])
        asked = _mixed(rng, n_train, [kind.share for kind in KINDS.values()])
        parquet.write(beside / "39Krelease.parquet", drawing.rows(rng, "train", asked), schema=SCHEMA)
        for number, name in enumerate(KINDS, start=2):
            rows = drawing.rows(np.random.default_rng([seed, number]), "test", [name] * n_test)
            parquet.write(beside / "eval" / f"{name}.parquet", rows, schema=SCHEMA)
        rng = np.random.default_rng([seed, 1])
        asked = _mixed(rng, n_warm_up, [kind.warm_share for kind in KINDS.values()])
        parquet.write(beside / "warm_up.parquet", drawing.rows(rng, "warm_up", asked), schema=WARM_UP)
    return Path(folder)


def _mixed(rng: np.random.Generator, n: int, shares: list[float]) -> list[str]:
    """Names of benchmarks in these shares."""
    return [str(name) for name in rng.choice(list(KINDS), size=n, p=shares)]


class _Drawing:
    """Draws the rows of a data set, of which no two show the same picture."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[bytes] = set()

    def rows(self, rng: np.random.Generator, split: str, names: list[str]) -> list[dict]:
        """One row for each name of a benchmark."""
        return [self._row(rng, split, name, number) for number, name in enumerate(names)]

    def _row(self, rng: np.random.Generator, split: str, name: str, number: int) -> dict:
        kind = KINDS[name]
        puzzle = kind.draw(rng, "test" if split == "test" else "train")
        while (print_ := _fingerprint(puzzle)) in self._taken:
            puzzle = kind.draw(rng, "test" if split == "test" else "train")
        if puzzle.pictures:  # sums in words repeat in training
            self._taken.add(print_)
        qid = f"{name}-{'' if split == 'train' else split + '-'}{number:05d}"
        paths = [f"images/{qid}.png"] * len(puzzle.pictures)
        for path, picture in zip(paths, puzzle.pictures, strict=True):
            PIL.Image.fromarray(picture).save(self._folder / path, compress_level=1)
        plain = {
            "qid": qid,
            "question": MARK * len(paths) + puzzle.problem,
            "image": paths,
            "answer": _box(puzzle.answer),
            "category": kind.category,
            "source": f"saccade/{name}",
        }
        return plain | _solved(rng, puzzle, kind) if split == "warm_up" else plain


def _fingerprint(puzzle: Puzzle) -> bytes:
    return hashlib.sha256(b"".join(picture.tobytes() for picture in puzzle.pictures) or puzzle.problem.encode()).digest()


def _box(answer: str) -> str:
    return rf"\boxed{{{answer}}}"


def _said(thought: str, answer: str) -> str:
    return f"<think>{thought}</think><answer>{answer}</answer>"


def _solved(rng: np.random.Generator, puzzle: Puzzle, kind: Kind) -> dict[str, str | None]:
    """A solution in one of the styles, and the mistaken attempt before it, where there is one: half of them before they conclude."""
    worked, style = _said(puzzle.thought, puzzle.answer), rng.random()
    if style < kind.guessed:
        return {"attempt": None, "solution": _said(GUESS, puzzle.answer)}
    if style >= kind.guessed + kind.mended:
        return {"attempt": None, "solution": worked}
    thought, answer = mistaken(rng, puzzle)
    thought = thought if rng.random() < 0.25 else GUESS
    return {"attempt": _said(thought, answer) if rng.random() < 0.5 else f"<think>{thought}</think>", "solution": worked}


def mistaken(rng: np.random.Generator, puzzle: Puzzle) -> tuple[str, str]:
    """The reasoning and the answer of someone who misread one number: never the right answer."""
    truth = puzzle.truth
    if "digits" in truth:
        numbers = _misread([number for number in truth["digits"] if number != truth["left_out"]], rng, range(10 if puzzle.pictures else 100))
        return digits.running_sum(numbers), str(sum(numbers))
    lengths = _misread(list(truth["lengths"]), rng, range(2, 10))
    thought, value = geometry.work_out(truth["shape"], truth["asked"], lengths)
    if puzzle.answer not in geometry.LETTERS:
        return thought, value
    answer = str(rng.choice([letter for letter in geometry.LETTERS if letter != puzzle.answer]))
    return f"{thought} is {answer}", answer


def _misread(numbers: list[int], rng: np.random.Generator, possible: range) -> list[int]:
    """The numbers with one of them off by one or two."""
    which = int(rng.integers(len(numbers)))
    near = [n for n in possible if abs(n - numbers[which]) in (1, 2)]
    return [*numbers[:which], int(rng.choice(near)), *numbers[which + 1 :]]
