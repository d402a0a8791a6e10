"""Runs every side in a process of its own, in turns, and prints the ratios: `python -m bench`, or `make bench`.

    python -m bench                     A and B, all sides, then how our step grows
    python -m bench A --repeats 3       setting A three times over, sides in turns; medians of all
    python -m bench A --no-growth       only the table
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import operations, settings
from bench.table import comparison, growth, vllm_line

HERE = Path(__file__).parent
STEPS = {"A": 6, "B": 4}
MICRO = 4
GROWTH = (("siblings", (2, 4, 8, 16, 32)), ("side", (224, 448, 672, 896)), ("answer_tokens", (16, 32, 64, 128)))


def run_side(module, setting, model, *options, python=sys.executable, timeout=1800):
    """The JSON line that one side prints, run alone in a new process with the benchmark's number of threads."""
    environment = os.environ | {"OMP_NUM_THREADS": str(settings.THREADS), "HF_HUB_OFFLINE": "1"}
    command = [str(python), "-m", f"bench.{module}", setting, str(model), *map(str, options)]
    done = subprocess.run(
        command, env=environment, cwd=HERE.parent, capture_output=True, text=True, timeout=timeout, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"side"')]
    if done.returncode or not lines:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(lines[-1])


def median_of(lines):
    """One line for several runs of one side: the median of every number, but the highest memory."""
    numbers = {key: statistics.median(line[key] for line in lines) for key in lines[0] if _is_number(lines[0][key])}
    return lines[0] | numbers | {key: max(line[key] for line in lines) for key in ("peak_mb",) if key in lines[0]}


def _is_number(value):
    return isinstance(value, int | float)


def compare(setting, model, *, repeats, vllm):
    """Each side's median line for a setting, by name, run in turns."""
    sides = {
        "Saccade": ("ours", ("--steps", STEPS[setting]), sys.executable),
        "TRL": ("peer_trl", ("--steps", max(3, STEPS[setting] // 2)), sys.executable),
        f"TRL, {MICRO} rows at a time": (
            "peer_trl",
            ("--steps", max(3, STEPS[setting] // 2), "--micro", MICRO),
            sys.executable,
        ),
    }
    if setting == "A" and vllm.exists():
        sides["vLLM"] = ("vllm_sampler", ("--steps", 12), vllm)
    lines = {name: [] for name in sides}
    for _ in range(repeats):
        for name, (module, options, python) in sides.items():
            print(f"  {setting}: {name} ...", file=sys.stderr, flush=True)
            lines[name].append(run_side(module, setting, model, *options, python=python))
    return {name: median_of(runs) for name, runs in lines.items()}


def main():
    """Parses the command line, makes the model and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", help="A, B (both by default)")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--no-growth", action="store_true")
    parser.add_argument("--vllm", type=Path, default=HERE / ".vllm-venv" / "bin" / "python", help="vLLM's own python")
    arguments = parser.parse_args()
    names = arguments.settings or list(settings.SETTINGS)
    if unknown := set(names) - set(settings.SETTINGS):
        parser.error(f"no setting {', '.join(sorted(unknown))}; have {', '.join(settings.SETTINGS)}")
    with tempfile.TemporaryDirectory() as folder:
        from bench.model import make
        from transformers import AutoConfig

        model = make(Path(folder) / "model")
        config = AutoConfig.from_pretrained(model)
        gflops = run_speed()
        print(f"{settings.THREADS} threads, float32 matrix products at {gflops:.0f} GFLOP/s, load {os.getloadavg()[0]:.1f}")
        for name in names:
            lines = compare(name, model, repeats=arguments.repeats, vllm=arguments.vllm)
            setting = settings.SETTINGS[name]
            print(comparison(setting, lines, operations.of_step(config, setting), gflops=gflops))
            if "vLLM" in lines:
                print(vllm_line(setting, ours=lines["Saccade"], vllm=lines["vLLM"]))
        if not arguments.no_growth:
            for option, values in GROWTH:
                rows = []
                for value in values:
                    line = run_side("ours", "A", model, "--steps", 4, "--" + option.replace("_", "-"), value)
                    rows.append((value, line, operations.of_step(config, settings.varied(settings.SETTINGS["A"], option, value))))
                print(growth(option, rows, gflops=gflops))


def run_speed():
    """The machine's float32 speed at matrix products, in GFLOP/s, measured in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.measure"], cwd=HERE.parent, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
