"""Comparing by algebra: what a bomb costs, and that the next question is answered right."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saccade.rewards.answers import symbolic
from saccade.rewards.answers.symbolic import is_equal, is_equal_async

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("math_verify") is None, reason="math-verify is an optional extra"
)

LIMIT = 1.0
BOMBS = {
    "power tower": ("$9^{9^{9^{9}}}$", "8"),
    "python power tower": ("9**9**9**9", "8"),
    "power tower as gold": ("8", "$9^{9^{9^{9}}}$"),
    "nested fractions": (r"$" + r"\frac{1}{1+" * 10_000 + "1" + "}" * 10_000 + "$", "1"),
    "deep parentheses": ("$" + "(" * 20_000 + "1" + ")" * 20_000 + "$", "2"),
    "open parentheses": ("$" + "(" * 50_000, "2"),
    "memory": ("$2^{2^{40}}$", "8"),
    "huge factorial": ("$99999999!$", "2"),
    "integral": (r"$\int_0^{10^{100}} \sin(x^{x^{x}}) \, dx$", "1"),
    "sum": (r"$\sum_{n=1}^{10^{12}} \frac{1}{n^{n}}$", "1"),
    "digits": ("9" * 90_000, "x"),
    "polynomial": ("$" + "(x+y+z+1)" * 200 + "$", "$(x+y+z+1)^{200}+1$"),
    "many values": (" ".join(f"${i}^{{{i}}}$" for i in range(3000)), "-1"),
    "a megabyte": ("$x$ " * 250_000, "y"),
    "flood": ("print " * 15_000, "1"),
    "matrix": (r"$\begin{pmatrix}" + r"1 & 2 \\ " * 5000 + r"\end{pmatrix}$", "1"),
    "nothing": ("\0\ud800\uffff", "1"),
}


@pytest.fixture(scope="module", autouse=True)
def worker_is_up():
    assert is_equal("so it is 7", "7", seconds=60)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_its_limit_and_the_next_question_is_answered_right(name):
    text, gold = BOMBS[name]
    start = time.perf_counter()
    assert is_equal(text, gold, seconds=LIMIT) is False
    assert time.perf_counter() - start < LIMIT + 2
    assert is_equal(r"$\frac{3}{4}$", "0.75", seconds=60)
    assert not is_equal(r"$\frac{3}{4}$", "0.76", seconds=60)


def test_a_slow_comparison_does_not_hold_the_others():
    async def ask() -> tuple[list[bool], list[float]]:
        start, ends = time.perf_counter(), []

        async def timed(text: str, gold: str, seconds: float) -> bool:
            verdict = await is_equal_async(text, gold, seconds=seconds)
            ends.append(time.perf_counter() - start)
            return verdict

        bomb = asyncio.create_task(timed("$9^{9^{9^{9}}}$", "8", 5))
        await asyncio.sleep(0.05)
        verdicts = [await timed(f"it is {i}", str(i % 7), 60) for i in range(14)]
        assert not bomb.done()
        return [*verdicts, await bomb], ends

    asyncio.run(asyncio.wait_for(is_both_up(), 120))
    verdicts, ends = asyncio.run(ask())
    assert verdicts == [True] * 7 + [False] * 8
    assert ends[-1] >= 5


async def is_both_up() -> None:
    assert all(await asyncio.gather(*(is_equal_async(f"it is {i}", str(i), seconds=60) for i in range(8))))


def test_plain_answers_are_decided_without_a_thread(monkeypatch):
    monkeypatch.setattr(symbolic, "_threads", lambda: pytest.fail("asked a thread"))
    assert asyncio.run(is_equal_async("3.0", "3"))
    assert not asyncio.run(is_equal_async("3.5", "3"))


def test_a_forked_child_asks_processes_of_its_own():
    child = os.fork()
    if child == 0:
        is_right = is_equal("it is 5", "5", seconds=60) and not is_equal("it is 6", "5", seconds=60)
        symbolic._workers.stop()
        os._exit(0 if is_right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert is_equal("it is 7", "7", seconds=60)


def test_a_worker_ends_when_its_parent_is_killed_in_the_middle_of_a_bomb():
    script = (
        "from saccade.rewards.answers import symbolic as s\n"
        "s.is_equal('it is 7', '7', seconds=60)\n"
        "print([w._process.pid for w in s._workers._all if w._process], flush=True)\n"
        "s.is_equal('$9^{9^{9^{9}}}$', '8', seconds=2)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline().strip("[]\n"))
    time.sleep(0.5)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert is_running(worker)
    deadline = time.monotonic() + 10
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(worker)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
