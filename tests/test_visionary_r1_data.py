"""The miniature of Visionary-R1's data and the reader of its format."""

import hashlib
import io
import re

import numpy as np
import PIL.Image
import pytest

from saccade.core.sample import DataError, Task
from saccade.data import parquet, visionary_r1
from saccade.data.miniature import visionary_r1 as miniature
from saccade.data.miniature.visionary_r1 import write_visionary_r1
from saccade.data.visionary_r1 import read
from saccade.recipes.visionary_r1.prompts import ask

SIZES = {"n_train": 60, "n_warmup": 60, "n_judge": 60, "n_test": 40}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_visionary_r1(tmp_path_factory.mktemp("data") / "mini", seed=3, **SIZES)


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (width, height), (9, 90, 200)).save(buffer, "PNG")
    return buffer.getvalue()


def written(folder, name="train-00000-of-00001", **changed):
    """A data set of one sound row, and one that is changed."""
    row = {
        "image": {"bytes": png(40, 30), "path": None},
        "problem": "How many?",
        "solution": "<answer> 3 </answer>",
        "problem_type": "numerical",
    }
    folder.mkdir(exist_ok=True)
    return parquet.write(folder / f"{name}.parquet", [row, row | changed])


def test_same_seed_same_bytes_and_another_seed_other_bytes(folder, tmp_path):
    def prints(root):
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*.parquet")}

    again = write_visionary_r1(tmp_path / "again", seed=3, **SIZES)
    other = write_visionary_r1(tmp_path / "other", seed=4, **SIZES)
    assert prints(again) == prints(folder) and len(prints(folder)) == 7
    assert not set(prints(folder).values()) & set(prints(other).values())


def test_the_training_rows_have_the_published_columns_and_no_other(folder):
    (path,) = visionary_r1.sets(folder)["train"]
    assert all(list(row) == ["image", "problem", "solution", "problem_type"] for row in parquet.rows(path))
    assert all(row["solution"].startswith("<answer> ") for row in parquet.rows(path))


def test_no_picture_comes_twice_and_tests_share_no_scan_with_training(folder, monkeypatch):
    shas = [row["picture"].sha for name in visionary_r1.sets(folder) for row in visionary_r1.read(folder, name)]
    assert len(shas) == len(set(shas)) == 60 * 3 + 40 * 4
    asked = []
    monkeypatch.setattr(miniature.digits, "scans", lambda split, of=miniature.digits.scans: asked.append(split) or of(split))
    for name in ("train", "warmup", "judge", "easy", "plain", "misleading"):
        next(miniature._rows(np.random.default_rng(0), name, set()))
    assert asked == ["train"] * 3 + ["test"] * 3


def pixels(row) -> np.ndarray:
    """[112, 112, 3], as shares of the paper's own light."""
    held = np.asarray(row["picture"].image).astype(float)
    return held / held.reshape(-1, 3).max(axis=0)


def has_note(row) -> bool:
    """Whether the lowest row of cells is yellow paper: little blue for its red."""
    blue, red = (np.median(pixels(row)[84:, :, channel]) for channel in (2, 0))
    return blue < 0.6 * red


def test_the_note_is_there_where_it_should_be_and_right_or_wrong(folder):
    for name, wanted in (("easy", True), ("erased", True), ("misleading", True), ("plain", False)):
        for row in read(folder, name):
            assert has_note(row) == wanted
            assert wanted or (pixels(row)[84:] == 1).all()
            if row["problem_type"] == "OCR" or not wanted:
                assert row["cue"] == ""
            else:
                assert (row["cue"] == row["answer"]) == (name != "misleading")
    assert 0.75 < np.mean([has_note(row) for row in read(folder, "train")]) < 1


def test_the_erased_set_is_the_easy_one_with_nothing_but_the_note(folder):
    for whole, erased in zip(read(folder, "easy"), read(folder, "erased"), strict=True):
        different = {key for key in whole if whole[key] != erased[key]}
        assert different == {"id", "picture"}
        assert (pixels(erased)[:84] == 1).all() and not (pixels(whole)[:84] == 1).all()
        assert (pixels(erased)[84:] == pixels(whole)[84:]).all()


def test_sums_are_digits_and_all_of_them_are_asked(folder):
    drawn = [miniature._adding_up_to(np.random.default_rng(i), 4) for i in range(1500)]
    ways = {tuple(shown): drawn.count(shown) for shown in drawn}
    assert len(ways) == 15 and all(sum(way) == 4 for way in ways) and min(ways.values()) > 60  # 15 ways, 100 each
    totals = [sum(map(int, row["caption"].split(", "))) for row in read(folder, "warmup")]
    assert set(totals) == set(range(2, 10))


def test_answers_follow_from_the_digits_that_are_shown(folder):
    kinds = set()
    for name in ("easy", "erased", "plain", "misleading", "warmup"):
        for row in visionary_r1.read(folder, name):
            total = sum(map(int, row["caption"].split(", ")))
            kinds.add(row["problem_type"])
            match row["problem_type"]:
                case "OCR":
                    assert row["answer"] == row["caption"]
                case "numerical":
                    assert row["answer"] == str(total)
                case "multiple choice":
                    options = dict(re.findall(r"([A-D])\. (\d+)", row["problem"]))
                    assert options[row["answer"]] == str(total) and len(set(options.values())) == 4
                case "free-form":
                    assert row["answer"] == f"The sum is {total}."
            if row["problem_type"] != "OCR":
                assert row["thought"].endswith(f"={total}")
    assert kinds == set(miniature.KINDS)


def test_the_running_sum_of_a_row_adds_up_its_caption(folder):
    row = next(row for row in visionary_r1.read(folder, "warmup") if row["problem_type"] == "numerical")
    first, *more = row["thought"].split(", ")
    digits = [int(n) for n in re.findall(r"\d+", first.partition("=")[0])]
    digits += [int(step.partition("=")[0]) for step in more]
    assert digits == [int(n) for n in row["caption"].split(", ")]


def test_rows_become_samples_with_the_picture_behind_the_form(folder):
    task = Task.from_rows(visionary_r1.read(folder, "train"), ask, name="train", split="train", max_bad_share=0)
    assert len(task) == 60
    for sample in task:
        assert sample.messages[0].role == "system" and "<info>" in sample.messages[0].text
        assert sample.messages[1].parts[0] == sample.pictures[0] and sample.pictures[0].size == (112, 112)
    without = ask(next(visionary_r1.read(folder, "train")), form="think")
    assert "<info>" not in without.prompt_text and "<think>" in without.prompt_text


def test_shards_are_read_in_order_and_sets_told_by_their_names(tmp_path):
    written(tmp_path / "set", "train-00001-of-00002", problem="Third?")
    written(tmp_path / "set", "train-00000-of-00002", problem="First?")
    written(tmp_path / "set", "test_wide")
    assert {name: len(paths) for name, paths in visionary_r1.sets(tmp_path / "set").items()} == {"test_wide": 1, "train": 2}
    rows = list(visionary_r1.read(tmp_path / "set", "train"))
    assert [row["problem"] for row in rows] == ["How many?", "First?", "How many?", "Third?"]
    assert [row["id"] for row in rows] == ["train-00000", "train-00001", "train-00002", "train-00003"]
    assert rows[0]["answer"] == "3" and rows[0]["picture"].size == (40, 30)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"image": {"bytes": png(27, 40), "path": None}}, "27 x 40 pixels, and needs at least 28"),
        ({"image": {"bytes": png(40, 2), "path": None}}, "40 x 2 pixels"),
        ({"image": {"bytes": b"no picture", "path": None}}, "cannot be decoded"),
        ({"image": None}, "a picture must be"),
        ({"problem": " "}, "the problem must be text, got ' '"),
        ({"problem": None}, "the problem must be text, got None"),
        ({"solution": "<answer> </answer>"}, "the answer is empty"),
        ({"problem_type": None}, "the problem_type must be text"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_the_others_stay(tmp_path, changed, why):
    written(tmp_path / "set", **changed)
    rows = visionary_r1.read(tmp_path / "set", "train")
    task = Task.from_rows(rows, ask, name="train", split="train", max_bad_share=0.5)
    assert [sample.id for sample in task] == ["train-00000"]
    assert [(row.id, why in row.why) for row in task.bad_rows] == [("train-00001", True)]


def test_a_picture_of_28_pixels_is_large_enough_and_untagged_solutions_are_whole(tmp_path):
    written(tmp_path / "set", image={"bytes": png(28, 28), "path": None}, solution=" a red car ")
    last = list(visionary_r1.read(tmp_path / "set", "train"))[-1]
    assert last["picture"].size == (28, 28) and last["answer"] == "a red car"


def test_missing_things_are_named(folder, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        visionary_r1.sets(tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no parquet files"):
        visionary_r1.sets(tmp_path)
    with pytest.raises(DataError, match="has no set 'validation'; it has: .*plain, train"):
        visionary_r1.read(folder, "validation")
    parquet.write(tmp_path / "train.parquet", [{"image": png(40, 40), "problem": "?", "answer": "3"}])
    with pytest.raises(DataError, match="has no column solution, problem_type; it has: image, problem, answer"):
        list(visionary_r1.read(tmp_path, "train"))


def test_the_writer_refuses_to_overwrite_and_to_write_nothing(folder, tmp_path):
    with pytest.raises(DataError, match="exists already"):
        write_visionary_r1(folder, **SIZES)
    with pytest.raises(DataError, match="at least 1 row"):
        write_visionary_r1(tmp_path / "none", **{**SIZES, "n_test": 0})
    assert not (tmp_path / "none").exists()


def test_digits_are_smaller_than_the_note_and_both_stay_in_their_cells():
    rng = np.random.default_rng(0)
    for side in (miniature.SMALL, miniature.GLYPH):
        drawn = [miniature._place(rng, 6, side) for _ in range(400)]
        assert {(x // 28, (x + side - 1) // 28, y // 28, (y + side - 1) // 28, s) for x, y, s in drawn} == {(2, 2, 1, 1, side)}
    assert miniature.SMALL < miniature.GLYPH
