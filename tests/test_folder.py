"""The run folder against kills, full disks, damage and second processes, on real files."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import PIL.Image
import pytest
import torch

from saccade.core.picture import Box, Frame, Picture
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import Message, Sample
from saccade.run.environment import environment
from saccade.run.files import RunError
from saccade.run.folder import RunFolder, new_run_path


def picture(shade: int = 7) -> Picture:
    return Picture.of(PIL.Image.new("RGB", (8, 6), (shade, 0, 0)))


def group(*, text: str = "7", target: object = "7", shade: int = 7) -> Group:
    ask = Message("user", (picture(shade), "How many?"))
    sample = Sample(id="count/0", messages=(ask,), target=target, kind="count")
    rollouts = tuple(
        Rollout(
            sample=sample,
            text=text,
            token_T=(5, 6, 2),
            logp_T=(-0.1, 0.0, -0.2),
            is_sampled_T=(True, False, True),
            stop=Stop.EOS,
            scores={"accuracy": Score(value, "why")},
            reward=value,
        )
        for value in (1.0, None)
    )
    return Group(sample=sample, rollouts=rollouts)


def writer(step: int):
    """Writes a model folder whose files all say `step`."""

    def write(path: Path) -> None:
        (path / "config.json").write_text(json.dumps({"step": step}))
        (path / "model.safetensors").write_bytes(step.to_bytes(4, "little") * 50_000)
        (path / "processor").mkdir()
        (path / "processor" / "vocab.txt").write_text(f"{step}\n" * 100)

    return write


def state(step: int) -> dict:
    return {"step": step, "moment": torch.full((1000,), float(step)), "rng": random.Random(step).getstate()}


def is_whole(checkpoint, step: int) -> bool:
    saved = checkpoint.training_state()
    model = (checkpoint.path / "model.safetensors").read_bytes()
    return (
        saved["step"] == step
        and bool((saved["moment"] == step).all())
        and saved["rng"] == random.Random(step).getstate()
        and json.loads((checkpoint.path / "config.json").read_text()) == {"step": step}
        and model == step.to_bytes(4, "little") * 50_000
        and (checkpoint.path / "processor" / "vocab.txt").read_text() == f"{step}\n" * 100
    )


def train(folder: RunFolder, *, start: int, end: int) -> None:
    """What a training run leaves behind, deterministic by step; every third checkpoint is the best."""
    for step in range(start, end):
        folder.append_metrics({"run/step": step, "reward/mean": math.sin(step)})
        groups = [group(text=f"{step}", shade=step % 200)]
        folder.append_rollouts(groups, step=step, stage="rl", advantages=[[0.5, None]])
        folder.save_checkpoint(f"rl-{step}", writer(step), state=state(step), is_best=step % 3 == 0)


def names(folder: RunFolder) -> set[str]:
    return {path.name for path in (folder.path / "checkpoints").iterdir()}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def memory_path(tmp_path):
    """A folder in memory where there is one: kills and damage are the same there, and nobody waits for a disk."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    path = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def folder(memory_path, said):
    with RunFolder.start(memory_path / "run", say=said.append) as folder:
        yield folder


# Logs


def test_metrics_round_trip_exactly(folder):
    rows = [{"run/step": 1, "a/sum": 0.1 + 0.2, "run/stage": "sft"}, {"run/step": 2, "kl/mean": None, "a/tiny": 5e-324}]
    for row in rows:
        folder.append_metrics(row)
    assert (folder.path / "metrics.jsonl").read_bytes().count(b"\n") == 2
    assert list(RunFolder(folder.path).metrics()) == rows  # by a second reader, while the first still writes


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"reward/mean": math.nan}, "metric reward/mean is nan"),
        ({"reward/mean": math.inf}, "metric reward/mean is inf"),
        ({"reward": 1.0}, "area/name"),
        ({"reward/": 1.0}, "area/name"),
        ({"reward/mean": torch.tensor(1.0)}, r"Tensor; .*\.item\(\)"),
        ({"reward/mean": [1.0]}, "list"),
    ],
)
def test_metrics_that_are_not_finite_flat_values_are_refused_and_leave_no_trace(folder, row, sentence):
    with pytest.raises(ValueError, match=sentence):
        folder.append_metrics({"run/step": 1, **row})
    assert list(folder.metrics()) == []


TORN = [b'{"run/step": 3', b'{"run/step": 3}', b"\x00\x00\x00\n", b"[1]\n", b'{"a/b": 1}x\n\n{']


@pytest.mark.parametrize("torn", TORN)
def test_a_torn_end_is_dropped_on_reopening(folder, said, torn):
    for step in (1, 2):
        folder.append_metrics({"run/step": step})
    folder.close()
    with open(folder.path / "metrics.jsonl", "ab") as file:
        file.write(torn)
    with RunFolder.resume(folder.path, say=said.append) as again:
        again.append_metrics({"run/step": 3})
        assert [row["run/step"] for row in again.metrics()] == [1, 2, 3]
    assert said == [f"metrics.jsonl ended in a torn line of {len(torn)} bytes, which is dropped."]


def test_a_reader_passes_over_a_torn_end_and_names_a_bad_line_in_the_middle(folder):
    folder.append_metrics({"run/step": 1})
    with open(folder.path / "metrics.jsonl", "ab") as file:
        file.write(b'{"run/st')
    assert [row["run/step"] for row in RunFolder(folder.path).metrics()] == [1]
    with open(folder.path / "metrics.jsonl", "ab") as file:
        file.write(b'\n{"run/step": 2}\n')
    with pytest.raises(RunError, match=r"metrics\.jsonl, line 2 is not a JSON object"):
        list(RunFolder(folder.path).metrics())


def test_rollout_lines_say_what_happened(folder):
    box = Box(1, 2, 3, math.inf, Frame.UNIT)
    hostile = 'line\nbreak \u2028 "quote" é \ud800 \x00'
    folder.append_rollouts(
        [group(text=hostile, target=box)], step=4, stage="rl", advantages=[[torch.tensor(0.25), math.nan]]
    )
    first, second = folder.rollouts()
    assert first == {
        "step": 4,
        "stage": "rl",
        "group": "rl-4/0",
        "sample": "count/0",
        "kind": "count",
        "prompt": "[picture]How many?",
        "pictures": [picture().sha],
        "target": {"x1": 1, "y1": 2, "x2": 3, "y2": "inf", "frame": "unit"},
        "text": hostile,
        "tokens": 2,
        "forced_tokens": 1,
        "stop": "eos",
        "reward": 1.0,
        "scores": {"accuracy": {"value": 1.0, "why": "why"}},
        "advantage": 0.25,
    }
    assert (second["reward"], second["scores"]["accuracy"]["value"], second["advantage"]) == (None, None, "nan")


def test_advantages_must_fit_the_groups(folder):
    for wrong in ([[0.5]], [[0.5, 0.5, 0.5]], []):
        with pytest.raises(ValueError, match="zip"):
            folder.append_rollouts([group()], step=1, stage="rl", advantages=wrong)
    assert list(folder.rollouts()) == []


def test_pictures_are_kept_once_by_content_and_never_rewritten(folder):
    folder.append_rollouts([group(shade=1), group(shade=2), group(shade=1)], step=1, stage="rl")
    paths = sorted((folder.path / "pictures").iterdir())
    assert [path.name for path in paths] == sorted(f"{picture(shade).sha}.png" for shade in (1, 2))
    assert {Picture.open(path).sha + ".png" for path in paths} == {path.name for path in paths}
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths]
    folder.append_rollouts([group(shade=2), group(shade=1)], step=2, stage="rl")
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths] == before


def test_pictures_that_are_only_looked_at_are_kept_small_and_once(folder):
    wide, trained = Picture.of(PIL.Image.new("RGB", (1300, 400), "teal")), picture(5)
    folder.append_rollouts([group(shade=5)], step=1, stage="rl")
    folder.append_samples([({"set": "val"}, [wide, trained, picture(6)]), ({"totals": {"val": 1}}, [])])
    paths = {path.name: path for path in (folder.path / "previews").iterdir()}
    assert paths.keys() == {f"{one.sha}.webp" for one in (wide, picture(6))}
    small = PIL.Image.open(paths[f"{wide.sha}.webp"])
    assert (small.format, small.size) == ("WEBP", (640, 197))
    assert PIL.Image.open(paths[f"{picture(6).sha}.webp"]).size == (8, 6)
    before = {path: path.stat().st_mtime_ns for path in paths.values()}
    paths[f"{wide.sha}.webp"].write_bytes(b"")  # as a power cut may leave it
    folder.append_samples([({"set": "val"}, [wide, picture(6)])])
    assert PIL.Image.open(paths[f"{wide.sha}.webp"]).size == (640, 197)
    assert paths[f"{picture(6).sha}.webp"].stat().st_mtime_ns == before[paths[f"{picture(6).sha}.webp"]]
    assert [row["set"] for row in folder.samples() if "set" in row] == ["val", "val"]
    with pytest.raises(RunError, match="open for reading only"):
        RunFolder(folder.path).append_samples([({"set": "val"}, [Picture.of(PIL.Image.new("RGB", (2, 2), "red"))])])
    assert len(list((folder.path / "previews").iterdir())) == 2


@pytest.mark.parametrize("name", ["pictures", "previews"])
def test_a_torn_picture_is_cleared_away_and_what_others_hide_there_is_not(folder, name):
    folder.close()
    hidden = folder.path / name
    (hidden / ".ipynb_checkpoints").mkdir()  # as a notebook leaves where pictures were looked at
    (hidden / ".DS_Store").write_bytes(b"x")
    (hidden / ".abc.png.writing-17").write_bytes(b"half")
    with RunFolder.resume(folder.path):
        assert {path.name for path in hidden.iterdir()} == {".ipynb_checkpoints", ".DS_Store"}


# Checkpoints


def test_a_checkpoint_brings_back_model_and_state(folder):
    folder.save_checkpoint("rl-5", writer(5), state=state(5))
    checkpoint = RunFolder(folder.path).latest_checkpoint()
    assert checkpoint.name == "rl-5"
    assert is_whole(checkpoint, 5)


def test_every_plain_kind_of_state_comes_back(folder):
    plain = {"a": [1, 2.5, None, True, "x", b"y"], (1, "k"): {3, 4}, "t": torch.arange(3), "r": torch.get_rng_state()}
    folder.save_checkpoint("rl-1", writer(1), state=plain)
    back = folder.latest_checkpoint().training_state()
    assert back["a"] == plain["a"]
    assert back[1, "k"] == {3, 4}
    assert torch.equal(back["t"], plain["t"])
    assert torch.equal(back["r"], plain["r"])


def test_state_that_could_not_be_loaded_is_refused_before_anything_is_written(folder):
    with pytest.raises(TypeError, match=r"state\['path'\]\[1\] is a pathlib"):
        folder.save_checkpoint("rl-1", writer(1), state={"path": [1, Path("x")]})
    assert names(folder) == set()


def test_the_last_two_and_the_best_are_kept(folder):
    for step in range(1, 8):
        folder.save_checkpoint(f"rl-{step}", writer(step), state=state(step), is_best=step == 2)
    assert names(folder) == {"rl-2", "rl-6", "rl-7"}
    assert folder.best_checkpoint().name == "rl-2"
    folder.mark_best("rl-7")
    assert folder.best_checkpoint().name == "rl-7"
    assert names(folder) == {"rl-2", "rl-6", "rl-7"}  # rl-6 still calls rl-2 the best: rl-7 may be damaged
    folder.save_checkpoint("rl-8", writer(8), state=state(8))
    assert names(folder) == {"rl-7", "rl-8"}
    assert folder.best_checkpoint().name == "rl-7"
    with pytest.raises(RunError, match="no checkpoint 'rl-2' to mark as best; have: rl-7, rl-8"):
        folder.mark_best("rl-2")


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 2)


@pytest.mark.parametrize("file", ["model.safetensors", "training_state.pt", "processor/vocab.txt", "manifest.json"])
@pytest.mark.parametrize("damage", [flip_byte, cut_short, Path.unlink])
def test_a_damaged_checkpoint_is_recognised_and_the_one_before_is_used(folder, said, file, damage):
    train(folder, start=1, end=4)
    damage(folder.path / "checkpoints" / "rl-3" / file)
    checkpoint = folder.latest_checkpoint()
    assert checkpoint.name == "rl-2"
    assert is_whole(checkpoint, 2)
    assert len(said) == 1
    assert said[0].startswith(f"checkpoint rl-3 is damaged: {Path(file).as_posix()} ")
    folder.rewind(checkpoint)
    assert [row["run/step"] for row in folder.metrics()] == [1, 2]
    train(folder, start=3, end=5)
    assert folder.latest_checkpoint().name == "rl-4"


def test_every_byte_of_a_manifest_counts(folder, said):
    folder.save_checkpoint("rl-1", writer(1), state=state(1))
    manifest = folder.path / "checkpoints" / "rl-1" / "manifest.json"
    sound = manifest.read_bytes()
    for digit in [at for at, byte in enumerate(sound) if chr(byte).isdigit()]:
        manifest.write_bytes(sound[:digit] + bytes([sound[digit] ^ 1]) + sound[digit + 1 :])
        assert folder.latest_checkpoint() is None, f"byte {digit}"


def test_rewinding_writes_the_same_lines_again(tmp_path):
    with RunFolder.start(tmp_path / "straight") as straight:
        train(straight, start=1, end=9)
    with RunFolder.start(tmp_path / "rewound") as rewound:
        train(rewound, start=1, end=7)
        rewound.append_metrics({"run/step": 7, "reward/mean": 9.9})
        rewound.rewind(rewound.latest_checkpoint())
        train(rewound, start=7, end=9)
    for name in ("metrics.jsonl", "rollouts.jsonl"):
        assert (straight.path / name).read_bytes() == (rewound.path / name).read_bytes()
    assert names(straight) == names(rewound)
    assert straight.best_checkpoint().name == rewound.best_checkpoint().name == "rl-6"


def test_rewinding_without_a_checkpoint_goes_to_the_start(folder):
    folder.append_metrics({"run/step": 1})
    folder.append_rollouts([group()], step=1, stage="rl")
    assert folder.latest_checkpoint() is None
    folder.rewind(None)
    assert (list(folder.metrics()), list(folder.rollouts())) == ([], [])
    assert not folder.holds_run


def test_rewinding_to_an_older_checkpoint_forgets_the_later_one_and_its_best(folder):
    train(folder, start=1, end=4)  # rl-3 is the best
    older = folder.latest_checkpoint()
    folder.save_checkpoint("rl-4", writer(4), state=state(4), is_best=True)
    folder.rewind(older)
    assert names(folder) == {"rl-3"}
    assert folder.best_checkpoint().name == "rl-3"


def test_logs_that_somebody_edited_are_not_rewound(folder):
    train(folder, start=1, end=3)
    os.truncate(folder.path / "metrics.jsonl", 10)
    with pytest.raises(RunError, match=r"metrics\.jsonl was changed since the checkpoint"):
        folder.rewind(folder.latest_checkpoint())


def test_a_step_is_saved_once_and_names_stay_inside_the_folder(folder):
    folder.save_checkpoint("rl-1", writer(1), state=state(1))
    with pytest.raises(ValueError, match="exists already"):
        folder.save_checkpoint("rl-1", writer(1), state=state(1))
    for name in ("../rl-2", "", ".hidden", "a/b"):
        with pytest.raises(ValueError, match="may hold letters"):
            folder.save_checkpoint(name, writer(2), state=state(2))


# Full disks


def test_a_disk_that_refuses_midway_costs_nothing(folder):
    train(folder, start=1, end=3)

    def write(path: Path) -> None:
        writer(3)(path)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(RunError, match="^cannot write checkpoint rl-3 .*No space left.*earlier .* untouched"):
        folder.save_checkpoint("rl-3", write, state=state(3))
    assert names(folder) == {"rl-1", "rl-2"}
    assert is_whole(folder.latest_checkpoint(), 2)


def test_a_fault_in_the_code_is_not_taken_for_a_full_disk(folder):
    def write(path: Path) -> None:
        (path / "half").write_text("half")
        raise AttributeError("no such verb")

    with pytest.raises(AttributeError, match="no such verb"):
        folder.save_checkpoint("rl-1", write, state=state(1))
    assert names(folder) == set()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, *, leave: int) -> None:
    free = shutil.disk_usage(disk).free
    (disk / "ballast").write_bytes(b"x" * (free - leave))


def safetensors_writer(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(250_000)}, path / "model.safetensors")


def torch_writer(path: Path) -> None:
    torch.save({"w": torch.zeros(250_000)}, path / "model.pt")


def test_a_truly_full_disk_costs_no_checkpoint_and_no_line(small_disk):
    with RunFolder.start(small_disk / "run") as folder:
        train(folder, start=1, end=3)
        fill(small_disk, leave=100_000)
        full = "^cannot write checkpoint rl-3 .*No space left on device.*earlier checkpoints are untouched"
        small = {"step": 3}
        for write, saved in [
            (writer(3), small),
            (safetensors_writer, small),
            (torch_writer, small),
            (lambda path: None, {"moment": torch.zeros(250_000)}),
        ]:
            with pytest.raises(RunError, match=full):
                folder.save_checkpoint("rl-3", write, state=saved)
            assert names(folder) == {"rl-1", "rl-2"}
        before = (folder.path / "metrics.jsonl").read_bytes()
        with pytest.raises(RunError, match=r"^cannot write .*metrics\.jsonl: No space left.*--resume"):
            folder.append_metrics({"run/step": 3, "run/note": "x" * 500_000})
        assert (folder.path / "metrics.jsonl").read_bytes() == before
        noise = PIL.Image.frombytes("RGB", (300, 300), random.Random(0).randbytes(270_000))
        with pytest.raises(RunError, match="No space left"):
            folder.save_picture(Picture.of(noise))
        assert len(list((folder.path / "pictures").iterdir())) == 2
        with pytest.raises(RunError, match=r"summary\.json: No space left"):
            folder.write_summary({"note": "x" * 500_000})
        assert folder.summary() is None
        (small_disk / "ballast").unlink()
        train(folder, start=3, end=4)
        assert is_whole(folder.latest_checkpoint(), 3)


# Kills


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint_and_the_same_lines(memory_path):
    rng, path, last, kills, kills_inside = random.Random(), memory_path / "killed", 0, 0, 0
    RunFolder.start(path).close()
    while kills < 15 or kills_inside < 5 or not last:
        kills += 1
        assert kills < 200, "hardly a kill hit save_checkpoint"
        child = os.fork()
        if child == 0:
            try:
                with RunFolder.resume(path) as folder:
                    folder.rewind(folder.latest_checkpoint())
                    train(folder, start=last + 1, end=10_000)
            finally:
                os._exit(1)
        # Longer and longer until a checkpoint gets done: on a busy machine that takes a while.
        time.sleep(rng.uniform(0.0, 0.04 + (0.002 if last else 0.02) * kills))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        kills_inside += any((path / "checkpoints").glob(".writing-*"))
        reader = RunFolder(path, say=pytest.fail)
        checkpoint = reader.latest_checkpoint()
        if checkpoint:
            step = int(checkpoint.name.removeprefix("rl-"))
            assert step >= last
            last = step
            assert is_whole(checkpoint, step)
    with RunFolder.resume(path) as folder:
        folder.rewind(folder.latest_checkpoint())
        train(folder, start=last + 1, end=last + 3)
    with RunFolder.start(memory_path / "straight") as straight:
        train(straight, start=1, end=last + 3)
    for name in ("metrics.jsonl", "rollouts.jsonl"):
        assert (path / name).read_bytes() == (straight.path / name).read_bytes()
    assert names(folder) == names(straight)
    pictures = [{p.name for p in (root / "pictures").glob("[!.]*")} for root in (path, straight.path)]
    assert pictures[0] == pictures[1]
    for picture_path in (path / "pictures").glob("[!.]*"):
        assert Picture.open(picture_path).sha == picture_path.stem


# One run, one process


def test_two_processes_cannot_train_into_one_folder(folder):
    code = (
        "import sys; from saccade.run.folder import RunFolder; from saccade.run.files import RunError\n"
        "for enter in (RunFolder.start, RunFolder.resume):\n"
        "    try: enter(sys.argv[1])\n"
        "    except RunError as error: print(error)"
    )
    folder.append_metrics({"run/step": 1})

    def second() -> list[str]:
        command = [sys.executable, "-c", code, str(folder.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    holder = f"process {os.getpid()} on {os.uname().nodename}"
    sentence = f"{folder.path} is being trained into by {holder}; wait until it ends"
    assert len(second()) == 2
    assert all(line.startswith(sentence) for line in second())
    folder.close()
    assert second() == [f"{folder.path} holds a run already; continue it with --resume, or choose another folder"]


def test_a_folder_with_a_run_takes_no_new_one_and_an_empty_one_nothing_to_resume(folder, tmp_path):
    folder.append_metrics({"run/step": 1})
    folder.close()
    with pytest.raises(RunError, match="holds a run already; continue it with --resume"):
        RunFolder.start(folder.path)
    RunFolder.resume(folder.path).close()  # and the refusal let go of the lock
    (tmp_path / "other").mkdir()
    for nothing in (tmp_path / "absent", tmp_path / "other"):
        with pytest.raises(RunError, match="holds no run to resume"):
            RunFolder.resume(nothing)
    assert list((tmp_path / "other").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        RunFolder.start(tmp_path / "file")


def test_reading_changes_nothing(folder):
    train(folder, start=1, end=2)
    folder.close()
    reader = RunFolder(folder.path)
    for write in (
        lambda: reader.append_metrics({"run/step": 1}),
        lambda: reader.append_rollouts([group(shade=99)], step=1, stage="rl"),
        lambda: reader.save_checkpoint("rl-9", writer(9), state=state(9)),
        lambda: reader.mark_best("rl-1"),
        lambda: reader.rewind(None),
        lambda: reader.write_summary({}),
    ):
        with pytest.raises(RunError, match="open for reading only"):
            write()
    assert names(reader) == {"rl-1"}
    assert len(list((reader.path / "pictures").iterdir())) == 1


def test_new_folders_have_readable_names_of_their_own(tmp_path):
    first, second = (new_run_path("reason_rft", root=tmp_path / "runs") for _ in range(2))
    date = time.strftime("%Y-%m-%d")
    assert [first.name, second.name] == [f"reason_rft-{date}-1", f"reason_rft-{date}-2"]
    RunFolder.start(first).close()


def test_the_summary_is_replaced_whole_and_refuses_nan(folder):
    folder.write_summary({"seconds": 1.5})
    with pytest.raises(ValueError, match="JSON compliant"):
        folder.write_summary({"seconds": math.nan})
    assert folder.summary() == {"seconds": 1.5}


def test_the_environment_is_flat_json_and_names_this_code():
    facts = environment()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["torch"] == torch.__version__.partition("+")[0] or facts["torch"] == torch.__version__
    assert facts["python"].startswith("3.")
    assert facts["threads"] == torch.get_num_threads()
    if facts["git_revision"] is not None:
        assert len(facts["git_revision"]) == 40
        assert facts["git_is_dirty"] in (True, False)


def test_importing_the_run_floor_does_not_import_torch():
    modules = ", ".join(f"saccade.run.{name}" for name in ("folder", "overrides", "live", "table", "environment"))
    code = f"import {modules}, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_line_separators_in_a_models_text_do_not_split_lines(tmp_path):
    with RunFolder.start(tmp_path / "run") as folder:
        folder.append_metrics({"run/text": "a\u2028b\x85c\ud800"})
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert len(text.splitlines()) == 1
    assert list(RunFolder(tmp_path / "run").metrics()) == [{"run/text": "a\u2028b\x85c\ud800"}]
