"""What a terminal shows: read back through a terminal's eyes."""

from __future__ import annotations

import os
import pty
import re
import struct
import termios
from fcntl import ioctl
from io import StringIO

import pytest

from saccade.run.live import Live
from saccade.run.table import Estimate, Row, print_table

METRICS = {
    "reward/mean": 0.534,
    "reward/accuracy": 0.48,
    "reward/format": 0.95,
    "reward/reasoning_steps": None,
    "rollout/tokens": 41.4,
    "speed/tokens_per_second": 5210.3,
    "run/step": 1,
}
ROWS = [
    Row(name="counting, sampled", n=200, before=Estimate(0.48, 0.411, 0.549), after=Estimate(0.805, 0.744, 0.854)),
    Row(name="reward", n=50, before=None, after=Estimate(0.8, 0.7, 0.9), is_share=False),
]


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Screen:
    """A real terminal device of a given width; `lines` is what stands on it after every escape sequence took effect."""

    def __init__(self, columns: int, *, encoding: str = "utf-8") -> None:
        self._reader, writer = pty.openpty()
        ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.out = os.fdopen(writer, "w", encoding=encoding)
        self._received = b""

    def drain(self) -> None:
        """Take what was written so far; a terminal device holds a few thousand bytes only."""
        self.out.flush()
        os.set_blocking(self._reader, False)
        while True:
            try:
                self._received += os.read(self._reader, 65536)
            except BlockingIOError:
                return

    @property
    def lines(self) -> list[str]:
        self.drain()
        lines = [""]
        for part in re.split(r"(\x1b\[\d*[A-Z]|\n)", self._received.decode().replace("\r\n", "\n")):
            if move := re.fullmatch(r"\x1b\[(\d+)F", part):
                lines = [*lines[: len(lines) - 1 - int(move[1])], ""]
            elif part == "\n":
                lines.append("")
            elif part != "\x1b[J":
                lines[-1] += part
        return lines[:-1]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)


def steps(live: Live, clock: Clock, *, n: int, seconds: float, metrics: dict = METRICS, screen=None) -> None:
    for _ in range(n):
        clock.now += seconds
        live.step(metrics)
        if screen:
            screen.drain()


def test_the_block_is_redrawn_in_place_and_says_everything():
    screen, clock = Screen(100), Clock()
    live = Live(total_steps=60, out=screen.out, clock=clock)
    live.begin("rl", steps=60)
    steps(live, clock, n=12, seconds=2.0, screen=screen)
    assert screen.lines == [
        "rl  ████░░░░░░░░░░░░░░░░  12/60  2.0 s/step  ETA 0:01:36",
        "reward 0.534   accuracy 0.48   format 0.95   answer 41 tokens   5,210 tokens/s",
        "reward, last 12 steps  ▁▁▁▁▁▁▁▁▁▁▁▁",
    ]


def test_a_warning_stays_above_the_block_and_comes_once():
    screen, clock = Screen(80), Clock()
    live = Live(total_steps=5, out=screen.out, clock=clock)
    live.begin("rl", steps=5)
    steps(live, clock, n=1, seconds=1.0)
    for _ in range(3):
        live.warn("2 of 200 rows have no picture and are left out.")
    live.note("evaluating counting")
    assert screen.lines[0] == "warning: 2 of 200 rows have no picture and are left out."
    assert [line for line in screen.lines if line.startswith("warning")] == screen.lines[:1]
    assert screen.lines[1].startswith("rl  ")
    assert screen.lines[-1] == "evaluating counting"
    assert live.warnings == ["2 of 200 rows have no picture and are left out."]


def test_eta_follows_the_recent_pace_over_all_stages():
    screen, clock = Screen(80), Clock()
    live = Live(total_steps=1000, out=screen.out, clock=clock)
    live.begin("sft", steps=100)
    steps(live, clock, n=100, seconds=1.0, screen=screen)
    live.begin("rl", steps=900)
    steps(live, clock, n=1, seconds=100.0)
    assert screen.lines[0].endswith("1/900  100 s/step  ETA 24:58:20")  # 899 steps of 100 s
    steps(live, clock, n=29, seconds=100.0, screen=screen)
    steps(live, clock, n=20, seconds=8.0, screen=screen)
    assert screen.lines[0].endswith("50/900  8.0 s/step  ETA 1:53:20")  # 850 steps of 8 s


def test_a_resumed_run_goes_on_counting():
    clock = Clock()
    live = Live(total_steps=60, done=40, out=(out := StringIO()), clock=clock)
    live.begin("rl", steps=60, done=40)
    steps(live, clock, n=1, seconds=3.0)
    assert out.getvalue().startswith("rl 41/60 | ")
    assert out.getvalue().endswith("| ETA 0:00:57\n")


def test_without_a_terminal_lines_are_plain_and_few():
    clock = Clock()
    live = Live(total_steps=100, out=(out := StringIO()), clock=clock)
    live.begin("rl", steps=100)
    steps(live, clock, n=100, seconds=1.0)
    lines = out.getvalue().splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["rl 1/100", "rl 31/100", "rl 61/100", "rl 91/100", "rl 100/100"]
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("columns", [24, 40, 60, 80])
def test_nothing_is_wider_than_the_terminal(columns):
    screen, clock = Screen(columns), Clock()
    live = Live(total_steps=60, out=screen.out, clock=clock)
    live.begin("a stage with a name that is much longer than anybody needs", steps=60)
    many = {f"reward/term_number_{i}": i / 3 for i in range(9)} | METRICS
    steps(live, clock, n=20, seconds=4000.0, metrics=many, screen=screen)
    live.warn("reward 'judge' could not tell on 3 of 64 rollouts\x1b[2J of /a/very/long/path/to/a.png")
    live.note("evaluating\nsomething")
    live.close()
    print_table(ROWS, out=screen.out)
    assert max(len(line) for line in screen.lines) <= columns
    assert not any("\x1b" in line for line in screen.lines)
    assert len([line for line in screen.lines if line.startswith("evaluating")]) == 1


def test_the_essentials_fit_sixty_columns():
    screen, clock = Screen(60), Clock()
    live = Live(total_steps=60, out=screen.out, clock=clock)
    live.begin("rl", steps=60)
    steps(live, clock, n=3, seconds=1.0, screen=screen)
    shown = " ".join(screen.lines)
    for essential in ("3/60", "ETA 0:00:57", "reward 0.534", "accuracy 0.48", "answer 41 tokens", "5,210 tokens/s"):
        assert essential in shown
    assert ".." not in shown


def test_the_chosen_metrics_are_shown():
    screen, clock = Screen(100), Clock()
    live = Live(total_steps=2, out=screen.out, clock=clock)
    live.begin("sft", steps=1)
    steps(live, clock, n=1, seconds=1.0, metrics={"loss/mean": 0.25, "grad/norm": 1.0})
    assert screen.lines[1] == "loss 0.25"
    live.begin("rl", steps=1, shows=["reward/accuracy", "kl/mean", "absent/here"])
    steps(live, clock, n=1, seconds=1.0, metrics=METRICS | {"kl/mean": 0.001})
    assert screen.lines[1].startswith("accuracy 0.48   kl 0.001   answer")


def test_an_ascii_terminal_gets_ascii():
    screen, clock = Screen(80, encoding="ascii"), Clock()
    live = Live(total_steps=4, out=screen.out, clock=clock)
    live.begin("rl", steps=4)
    steps(live, clock, n=2, seconds=1.0)
    print_table(ROWS, out=screen.out)
    assert screen.lines[0] == "rl  ##########..........  2/4  1.0 s/step  ETA 0:00:02"
    assert "48.0 [41.1, 54.9] -> " in screen.lines[3]


def test_the_table_wide():
    screen = Screen(100)
    print_table(ROWS, out=screen.out)
    assert screen.lines == [
        "held-out set         n             before                  after  change",
        "counting, sampled  200  48.0 [41.1, 54.9] →    80.5 [74.4, 85.4]   +32.5",
        "reward              50                  - → 0.800 [0.700, 0.900]       -",
        "Shares in %, each with its 95 % interval.",
    ]


def test_the_table_narrow():
    screen = Screen(60)
    print_table(ROWS, out=screen.out)
    assert screen.lines[:2] == ["counting, sampled (n 200)", "  48.0 [41.1, 54.9] → 80.5 [74.4, 85.4]  +32.5"]
