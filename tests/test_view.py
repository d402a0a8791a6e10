"""A run's folder as a page: what is read, what is left out and said, what fits into a size, and every mistake in one sentence."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from saccade.cli import main
from saccade.report.described import described
from saccade.report.fit import chosen, evenly, fair, scanned
from saccade.report.page import PAGE, bundled
from saccade.report.sound import sound
from saccade.report.source import Source
from saccade.report.write import write_page
from saccade.run.files import take_lock
from tests.browser import runs
from tests.browser.large import large


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return runs.finished(tmp_path_factory.mktemp("view") / "look-1")


@pytest.fixture(scope="module")
def big(tmp_path_factory) -> Path:
    """400 groups of 4 long rollouts on 60 pictures: too much for the smallest page."""
    return large(tmp_path_factory.mktemp("view") / "big", groups=400, siblings=4, pictures=60, steps=100, words=400)


def unpacked(page: Path, name: str) -> Any:
    """What the page holds under an id."""
    text = re.search(rf'id="{name}">([^<]*)</script>', page.read_text())[1]
    return json.loads(gzip.decompress(base64.b64decode(text)) if "-" in name else text)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def refused(*words: str, capsys) -> str:
    status = main(["view", *map(str, words), "--no-open"])
    said = capsys.readouterr().err
    assert status == 2 and said.startswith("saccade: ") and said.count("\n") == 1
    return said


def test_the_page_holds_the_run(run, tmp_path):
    out = tmp_path / "page.html"
    written = write_page([run], out)
    assert written.size == out.stat().st_size and written.left_out == ()
    found = unpacked(out, "run-0")
    assert found["name"] == "look-1" and found["state"] == "finished" and found["left_out"] == []
    assert len(found["metrics"]) == len(lines(run / "metrics.jsonl"))
    assert [group["id"] for group in found["groups"][:5]] == ["rl-1/0", "rl-1/1", "rl-1/2", "rl-1/3", "rl-2/0"]
    rows = lines(run / "rollouts.jsonl")
    texts = [rollout["text"] for group in found["groups"] for rollout in group["rollouts"]]
    assert texts == [row["text"] for row in rows]
    assert found["totals"]["stage rl"] == 2000 and len(found["samples"]) == len(lines(run / "samples.jsonl")) - 1
    traces = unpacked(out, "tokens-0")
    assert list(traces) == found["traced"] and [row["sibling"] for row in traces["rl-3/0"]] == [0, 1, 2, 3]
    named = {sha for row in rows + lines(run / "evaluations.jsonl") for sha in row["pictures"]}
    assert named <= unpacked(out, "pictures").keys()


def test_numbers_have_six_digits_and_are_finite(tmp_path):
    path = runs.begun(tmp_path / "run")
    (path / "metrics.jsonl").write_text(
        '{"reward/mean": 0.12345678901, "policy/lr": 1e-4, "reward/bad": NaN, "loss/mean": 1e999, "run/step": 123456789}\n'
    )
    write_page([path], tmp_path / "page.html")
    (line,) = unpacked(tmp_path / "page.html", "run-0")["metrics"]
    assert line == {
        "reward/mean": 0.123457,
        "policy/lr": 0.0001,
        "reward/bad": "NaN",
        "loss/mean": "1e999",
        "run/step": 123456789,
    }


def test_torn_and_bad_lines_are_passed_over_and_said(tmp_path):
    path = runs.finished(tmp_path / "run", rl_steps=3)
    text = (path / "rollouts.jsonl").read_bytes().splitlines(keepends=True)
    bad = [b"not json\n", b"[1, 2]\n", b'{"step": 1}\n', b"[" * 100_000 + b"\n", b"\xff\xfe\n"]
    (path / "rollouts.jsonl").write_bytes(b"".join(text[:5] + bad + text[5:]) + text[0][:40])
    (path / "check.json").write_text("{")
    written = write_page([path], tmp_path / "page.html")
    found = unpacked(tmp_path / "page.html", "run-0")
    assert sum(len(group["rollouts"]) for group in found["groups"]) == len(text)
    assert found["check"] is None
    assert "5 lines of rollouts.jsonl cannot be read (damaged or edited) and are left out." in written.left_out
    assert any(sentence.startswith("check.json is left out") for sentence in written.left_out)


@pytest.mark.parametrize(
    ("name", "row", "bad", "good"),
    [
        (
            "rollouts.jsonl",
            {"marks": [{"box": [0, 0, 1]}, {"box": [0, 0, 1, 1]}, "x", {"point": [1, "2"]}]},
            "marks",
            [{"box": [0, 0, 1, 1]}],
        ),
        ("rollouts.jsonl", {"reward": "nan"}, "reward", None),
        (
            "rollouts.jsonl",
            {"scores": {"a": {"value": "inf", "why": "w"}, "b": 3}},
            "scores",
            {"a": {"value": None, "why": "w (the value was inf)"}},
        ),
        ("rollouts.jsonl", {"pictures": ["a", 3, None]}, "pictures", ["a"]),
        ("rollouts.jsonl", {"seen": [[1, 2], [1]]}, "seen", [[1, 2]]),
        ("rollouts.jsonl", {"asked": [{"judge": "j", "prompt": "p"}]}, "asked", []),
    ],
)
def test_bad_parts_of_a_row_are_dropped(run, name, row, bad, good):
    whole = lines(run / name)[0]
    assert sound(name, {**whole, **row})[bad] == good
    assert sound(name, {**whole, "text": None}) is None


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        ("recipe.json", {"evaluations": [None, {"name": 5}, {"name": "val", "shares": {"a": []}}], "stages": 7, "name": None},
         {"evaluations": [{"name": "val"}], "name": None}),
        ("recipe.json", {"stages": [{"name": "rl", "kind": "RL", "steps": 10**400, "task": "t", "samples": 1}], "about": {"a": 1}},
         {"stages": []}),
        ("recipe.json", {"claims": [{"text": "t"}, {"text": "t", "source": "s"}], "numbers": "many", "settings": {"a": [1]}},
         {"claims": [{"text": "t", "source": "s"}], "settings": {"a": [1]}}),
        ("summary.json", {"evaluations": {"a": {"before": {}}, "b": {"after": {"metrics": {"x": 0.5, "y": "high"}}}}, "warnings": [1, "w"]},
         {"evaluations": {"b": {"after": {"metrics": {"x": 0.5}}}}, "warnings": ["w"]}),
        ("summary.json", {"steps": [3], "seconds": True, "seed": None, "after_stage": {"rl": []}}, {"seed": None, "after_stage": {}}),
        ("check.json", {"parts": [{"name": "p", "findings": [{"level": "error"}, {"level": "note", "what": "w", "rows": ["a", 1], "whys": ["x"]}]}]},
         {"parts": [{"name": "p", "findings": [{"level": "note", "what": "w", "whys": ["x"]}]}]}),
        ("command.json", {"seed": "one", "data": None, "spec": [], "of its own": [{}]}, {"data": None, "of its own": [{}]}),
    ],
)  # fmt: skip
def test_bad_parts_of_an_object_are_dropped(tmp_path, name, bad, good):
    (tmp_path / name).write_text(json.dumps(bad))
    assert Source(tmp_path).object(name) == good


def test_what_a_run_describes_is_kept_whole(run):
    for name in ("recipe.json", "command.json", "summary.json", "check.json"):
        assert described(name, json.loads((run / name).read_text())) == json.loads((run / name).read_text())


def test_integers_that_no_browser_holds_are_none(run):
    row = lines(run / "rollouts.jsonl")[0]
    assert sound("rollouts.jsonl", {**row, "reward": 10**400})["reward"] is None
    assert sound("rollouts.jsonl", {**row, "step": 10**400}) is None
    assert sound("metrics.jsonl", {"a": 10**400, "b": 1}) == {"b": 1}


def test_a_small_page_keeps_evenly_spaced_steps_and_says_the_rest(big, tmp_path):
    whole, small = tmp_path / "whole.html", tmp_path / "small.html"
    everything, written = write_page([big], whole), write_page([big], small, size=1_000_000)
    assert written.size <= 1_000_000 < everything.size
    steps = sorted({group["step"] for group in unpacked(small, "run-0")["groups"]})
    gaps = {b - a for a, b in zip(steps, steps[1:], strict=False)}
    assert steps[0] == 1 and steps[-1] == 100 and max(gaps) - min(gaps) <= 1 and len(steps) > 5
    assert all(len(group["rollouts"]) == 4 for group in unpacked(small, "run-0")["groups"])
    found = unpacked(small, "run-0")["left_out"]
    assert (
        f"{len(steps)} of 100 steps with rollouts are in this file (evenly spaced, the first and the last among them)"
        in " ".join(found)
    )
    shown = unpacked(small, "pictures")
    own = {sha for group in unpacked(small, "run-0")["groups"] for sha in group["pictures"]}
    if lost := len(own - shown.keys()):
        assert f"{lost} of {len(own)} pictures are left out" in " ".join(found)
    assert (
        len(unpacked(whole, "pictures")) == 60
        and unpacked(whole, "tokens-0").keys() > unpacked(small, "tokens-0").keys()
    )


def test_pictures_shrink_before_any_is_left_out(tmp_path):
    path = large(tmp_path / "run", groups=100, siblings=2, pictures=100, steps=10, words=5)
    sizes = {}
    for size in (16_000_000, 1_000_000):
        write_page([path], tmp_path / "page.html", size=size)
        pictures = unpacked(tmp_path / "page.html", "pictures")
        sizes[size] = {max(_decoded(data).size) for data in pictures.values()}
        assert len(pictures) == 100
    assert sizes == {16_000_000: {224}, 1_000_000: {160}}


def _decoded(data: str) -> Image.Image:
    import io

    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_what_is_no_picture_is_counted(tmp_path):
    path = runs.finished(tmp_path / "run", rl_steps=2)
    outside = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(outside)
    first, second, third, *_ = sorted((path / "pictures").iterdir())
    first.write_bytes(b"<svg onload=alert(1)>")
    second.unlink()
    second.symlink_to(outside)
    third.unlink()
    for name in (second.stem, third.stem):
        (path / "previews" / f"{name}.webp").unlink(missing_ok=True)
    written = write_page([path], tmp_path / "page.html")
    assert not {first.stem, second.stem, third.stem} & unpacked(tmp_path / "page.html", "pictures").keys()
    said = " ".join(written.left_out)
    assert "1 of " in said and "cannot be read as pictures" in said
    assert re.search(r"2 of \d+ pictures are not in the run's folder", said)
    assert f"pictures/{second.name} is left out: it is damaged, or a link that leads out" in said


def test_links_out_of_the_folder_and_pipes_are_not_read(tmp_path):
    path = runs.begun(tmp_path / "run")
    (tmp_path / "passwords.jsonl").write_text('{"reward/secret": 1}\n')
    (path / "metrics.jsonl").unlink()
    (path / "metrics.jsonl").symlink_to(tmp_path / "passwords.jsonl")
    (path / "rollouts.jsonl").unlink()
    os.mkfifo(path / "rollouts.jsonl")
    written = write_page([path], tmp_path / "page.html")
    assert unpacked(tmp_path / "page.html", "run-0")["metrics"] == []
    assert any(sentence.startswith("metrics.jsonl is left out") for sentence in written.left_out)


def test_a_linked_folder_of_pictures_is_not_read_and_a_link_to_itself_is_no_fault(tmp_path):
    path = runs.finished(tmp_path / "run", rl_steps=2)
    shutil.move(path / "pictures", tmp_path / "elsewhere")
    (path / "pictures").symlink_to(tmp_path / "elsewhere")
    shutil.rmtree(path / "previews")
    (path / "check.json").unlink()
    (path / "check.json").symlink_to("check.json")
    write_page([path], tmp_path / "page.html")
    assert unpacked(tmp_path / "page.html", "pictures") == {}
    assert unpacked(tmp_path / "page.html", "run-0")["check"] is None


def test_a_number_of_5000_digits_is_a_bad_line(tmp_path):
    path = runs.finished(tmp_path / "run", rl_steps=2)
    row = (path / "rollouts.jsonl").read_text().splitlines()[0]
    with open(path / "rollouts.jsonl", "a") as file:
        file.write(row.replace('"step": 1,', f'"step": {"9" * 5000},') + "\n")
    said = " ".join(write_page([path], tmp_path / "page.html").left_out)
    assert "1 line of rollouts.jsonl cannot be read" in said


def test_states(tmp_path):
    path = runs.begun(tmp_path / "run")
    source = Source(path)
    assert source.state() == "stopped"
    handle = take_lock(path / ".lock", busy="")
    assert source.state() == "running"
    os.close(handle)
    assert source.state() == "stopped"
    (path / "summary.json").write_text("{}")
    assert source.state() == "finished"


def test_two_runs_of_one_name_are_told_apart(run, tmp_path):
    other = runs.begun(tmp_path / "other" / "look-1")
    write_page([run, other], tmp_path / "page.html")
    names = [unpacked(tmp_path / "page.html", f"run-{n}")["name"] for n in (0, 1)]
    assert names == [f"{run.parent.name}/look-1", "other/look-1"]


def test_view_writes_where_it_says(run, tmp_path, capsys):
    import shutil

    path = tmp_path / "mine"
    shutil.copytree(run, path)
    assert main(["view", str(path), "--no-open"]) == 0
    out = capsys.readouterr().out
    assert out == f"wrote {path}/view.html ({(path / 'view.html').stat().st_size / 1e6:.1f} MB)\n"
    assert main(["view", str(path), str(run), "--no-open"]) == 0
    assert (path / "view-mine-look-1.html").exists()
    assert main(["view", str(runs.old(tmp_path / "old")), "--no-open", "--size", "2"]) == 0
    out = capsys.readouterr().out
    assert "it does not hold everything" in out and "This run has no evaluations.jsonl" in out


def test_mistakes_are_one_sentence(run, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert "does not exist" in refused(tmp_path / "nothing", capsys=capsys)
    assert "holds no run" in refused(tmp_path / "empty", capsys=capsys)
    assert "is a file" in refused(run / "summary.json", capsys=capsys)
    assert "one run, or two side by side, got 3" in refused(run, run, run, capsys=capsys)
    assert "are the same run" in refused(run, run, capsys=capsys)
    for size in ("0", "-3", "nan", "0.5"):
        assert "--size is in MB and at least 1" in refused(run, f"--size={size}", capsys=capsys)
    assert "is a folder" in refused(run, "--out", tmp_path, capsys=capsys)
    assert "there is no folder" in refused(run, "--out", tmp_path / "no" / "page.html", capsys=capsys)
    assert "--live writes no file" in refused(run, "--live", "--size", "3", capsys=capsys)
    assert "only --live serves the page" in refused(run, "--port", "3", capsys=capsys)
    assert "--port must be 0 to 65535" in refused(run, "--live", "--port", "70000", capsys=capsys)
    assert "a page shows one run, got 2" in refused(run, tmp_path / "empty", "--live", capsys=capsys)


def test_a_page_that_cannot_be_written_leaves_the_old_one(run, tmp_path, capsys):
    out = tmp_path / "page.html"
    write_page([run], out)
    before = out.read_bytes()
    script = (
        "import resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from saccade.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, "view", str(run), "--out", str(out), "--no-open"], capture_output=True, text=True
    )
    assert found.returncode == 1 and "cannot write" in found.stderr and found.stderr.count("\n") == 1
    assert out.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_large_log_is_not_held_in_memory(tmp_path):
    path = runs.finished(tmp_path / "run", rl_steps=2)
    text = (path / "rollouts.jsonl").read_text().splitlines()
    row = json.loads(text[0]) | {"text": "word " * 4000}
    with open(path / "rollouts.jsonl", "w") as file:
        for step in range(1, 5001):  # 200 MB
            file.writelines(json.dumps(row | {"step": step, "group": f"rl-{step}/0"}) + "\n" for _ in range(2))
    script = (
        "import sys; from pathlib import Path; from saccade.report.write import write_page;"
        "write_page([Path(sys.argv[1])], Path(sys.argv[2]), size=1_000_000);"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(path), str(tmp_path / "page.html")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(found.stdout.split()[1]) < 300_000, found.stdout  # kB


def test_choosing():
    assert evenly("abcdefg", 3) == ["a", "d", "g"]
    assert evenly("abc", 5) == ["a", "b", "c"] and evenly("abc", 1) == ["c"] and evenly("abc", 0) == []
    assert fair(10, {"a": 1, "b": 20, "c": 60}, weights={"a": 1, "b": 1, "c": 2}) == {"a": 1, "b": 3.0, "c": 6.0}
    assert sum(fair(100, {"a": 70, "b": 70}, weights={"a": 1, "b": 3}).values()) == 100


def test_lines_of_one_step_are_kept_together(run):
    entries = scanned(Source(run), "rollouts.jsonl")
    assert [entry.unit for entry in entries] == [("rl", step) for step in range(1, 13)]
    assert [entry.unit[1] for entry in chosen(entries, share=0.25)] == [1, 6, 12] or len(
        chosen(entries, share=0.25)
    ) == 3
    assert sum(entry.size for entry in entries) == (run / "rollouts.jsonl").stat().st_size


def test_scripts_can_be_joined():
    """Modules become one script: no name may be declared twice at its top, nor anything that a joined script cannot hold."""
    declared: dict[str, str] = {}
    for path in sorted((PAGE / "js").glob("*.js")):
        text = path.read_text()
        imports = [line for line in text.splitlines() if line.startswith("import")]
        assert all(re.fullmatch(r'import \{[^}]*\} from "\./[\w-]+\.js";', line) for line in imports), path.name
        assert not re.search(
            r"^export default|^await |\bimport\(|innerHTML|dangerouslySetInnerHTML|\beval\(|new Function",
            text,
            re.MULTILINE,
        ), path.name
        for kind, names in re.findall(
            r"^(?:export )?(?:async )?(function\*?|class|const|let|var) (\{[^}]*\}|\w+)", text, re.MULTILINE
        ):
            for name in re.findall(r"\w+", names):
                assert name not in declared, f"{name} is declared in {declared[name]} and in {path.name} ({kind})"
                declared[name] = path.name
    script = bundled()
    assert "import {" not in script and "\nexport " not in script


def test_no_address_of_another_place_is_in_the_page():
    files = [path for path in PAGE.rglob("*") if path.suffix in (".js", ".css", ".html") and "vendor" not in path.parts]
    for path in files:
        for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`]*", path.read_text()):
            assert "www.w3.org" in address, f"{path.name}: {address}"
