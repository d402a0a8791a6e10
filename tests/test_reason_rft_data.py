"""The miniature of Reason-RFT's data set and the reader of its format."""

import hashlib
import json
import math
import re
import shutil
from dataclasses import fields, replace

import numpy as np
import PIL.Image
import pytest

from saccade.core.sample import DataError, Task
from saccade.data import reason_rft
from saccade.data.miniature import digits, geometry, solids
from saccade.data.miniature.write import write_reason_rft
from saccade.recipes.reason_rft import recipe
from saccade.recipes.reason_rft.prompts import FUNCTIONS, ask


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_reason_rft(tmp_path_factory.mktemp("data") / "mini", seed=3, n_train=40, n_test=12)


def rng():
    return np.random.default_rng(5)


def prints(folder):
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.*")}


def test_same_seed_same_bytes_and_another_seed_other_bytes(folder, tmp_path):
    again = write_reason_rft(tmp_path / "again", seed=3, n_train=40, n_test=12)
    other = write_reason_rft(tmp_path / "other", seed=4, n_train=40, n_test=12)
    assert prints(again) == prints(folder)
    mine, theirs = prints(folder), prints(other)
    assert mine.keys() == theirs.keys() and not any(mine[name] == theirs[name] for name in mine)


def test_every_set_goes_from_disk_to_samples(folder):
    sets = reason_rft.files(folder)
    assert set(sets) == {
        ("spatial", "train"), ("structure", "train"), ("counting", "train"),
        ("spatial", "id"), ("spatial", "ood-left"), ("spatial", "ood-right"),
        ("structure", "id"), ("structure", "ood"),
        ("counting", "id"), ("counting", "ood-layout"), ("counting", "ood-more"),
    }  # fmt: skip
    for kind, split in sets:
        rows = reason_rft.read(folder, kind, split)
        task = Task.from_rows(rows, ask, name=kind, split=split, max_bad_share=0)
        assert len(task) == (40 if split == "train" else 12)
        for row, sample in zip(rows, task, strict=True):
            assert sample.kind == kind and sample.target == row["answer"]
            assert len(sample.pictures) == (2 if kind == "spatial" else 1)
            assert sample.prompt_text.startswith("[picture]") and row["problem"] in sample.prompt_text
            assert "<think>" in sample.prompt_text and "<answer>" in sample.prompt_text
            assert sample.solution.startswith("<think>") and sample.solution.endswith(
                f"<answer>{row['answer']}</answer>"
            )
            assert sample.pictures[0].size == (112, 112)


def test_all_splits_together_have_unique_ids_and_no_shared_picture(folder):
    ids, shas = [], []
    for key in reason_rft.files(folder):
        for row in reason_rft.read(folder, *key):
            sample = ask(row)
            ids.append(sample.id)
            shas += [picture.sha for picture in sample.pictures]
    assert len(set(ids)) == len(ids) and len(set(shas)) == len(shas) == 3 * 40 + 8 * 12 + 40 + 3 * 12


def test_train_and_test_show_disjoint_handwriting():
    train, test = digits.scans("train"), digits.scans("test")
    assert len(train.label) + len(test.label) == 1797 and len(test.label) == 360
    assert not set(train.source) & set(test.source)
    assert not {ink.tobytes() for ink in train.ink} & {ink.tobytes() for ink in test.ink}
    assert set(test.label) == set(range(10))
    generator = rng()
    for _ in range(30):
        assert all(s % 5 == 0 for s in digits.counting(generator, test).truth["sources"])
        assert all(s % 5 != 0 for s in digits.counting(generator, train).truth["sources"])
    with pytest.raises(ValueError, match="split is 'dev'"):
        digits.scans("dev")


@pytest.mark.parametrize("options", [{}, {"layout": "free"}, {"least": 9, "most": 11}])
def test_counting_answers_follow_from_what_is_drawn(options):
    generator, kinds, counts = rng(), set(), set()
    for _ in range(200):
        puzzle = digits.counting(generator, digits.scans("test"), **options)
        truth = puzzle.truth
        kept = [d for d in truth["digits"] if d != truth["left_out"]]
        assert puzzle.answer == str(sum(kept)) and len(kept) >= 2
        assert (truth["left_out"] is None) == puzzle.problem.startswith("What")
        assert truth["left_out"] is None or truth["left_out"] in truth["digits"]
        terms, total = puzzle.thought.replace(" ", "").split(","), 0
        for step in terms:  # 3+5=8, +2=10: every step is true and the last one is the answer
            left, right = step.split("=")
            total = sum(int(n) for n in left.split("+") if n) + (total if left.startswith("+") else 0)
            assert total == int(right)
        assert total == int(puzzle.answer)
        labels = dict(zip(digits.scans("test").source.tolist(), digits.scans("test").label.tolist(), strict=True))
        assert [labels[s] for s in truth["sources"]] == truth["digits"]
        kinds.add(truth["left_out"] is None)
        counts.add(len(truth["digits"]))
    assert kinds == {True, False}
    assert counts == ({9, 10, 11} if "least" in options else {3, 4, 5, 6, 7, 8})


def test_the_running_sum_in_literal_numbers():
    assert digits.running_sum([3, 5, 2]) == "3+5=8, +2=10"
    assert digits.running_sum([7]) == "7"


def test_digits_stand_in_their_cells_on_the_grid_and_anywhere_apart_when_free():
    generator, sides = rng(), set()
    for _ in range(50):
        places = digits.counting(generator, digits.scans("train")).truth["places"]
        cells = [(x // 28, y // 28, (x + s - 1) // 28, (y + s - 1) // 28) for x, y, s in places]
        assert all(a == c and b == d for a, b, c, d in cells) and len(set(cells)) == len(cells)
        free = digits.counting(generator, digits.scans("train"), layout="free").truth["places"]
        for i, (x, y, s) in enumerate(free):
            assert 0 <= x <= 112 - s and 0 <= y <= 112 - s
            sides.add(s)
            for a, b, t in free[:i]:
                assert x + s <= a or a + t <= x or y + s <= b or b + t <= y
    assert min(sides) == 16 and max(sides) == 26


def test_a_drawn_digit_looks_like_its_scan():
    one = digits.Scans(digits.scans("train").ink[:1], digits.scans("train").label[:1], np.array([1]))
    puzzle = digits.counting(rng(), one, least=3, most=3)
    x, y, side = puzzle.truth["places"][0]
    cut = puzzle.pictures[0][y : y + side, x : x + side].mean(axis=-1)
    small = np.asarray(PIL.Image.fromarray(cut.astype(np.uint8)).resize((8, 8), PIL.Image.Resampling.BOX), float)
    assert np.corrcoef(255 - small.ravel(), one.ink[0].astype(float).ravel())[0, 1] > 0.95


def test_structure_answers_follow_from_the_lengths():
    generator, letters, halves = rng(), set(), False
    for family, shapes in (
        ("plain", {"rectangle", "square", "right triangle", "triangle"}),
        ("other", {"parallelogram", "quadrilateral", "pentagon"}),
    ):
        seen = set()
        for _ in range(300):
            puzzle = geometry.structure(generator, family=family)
            truth = puzzle.truth
            lengths, shape = truth["lengths"], truth["shape"]
            n_sides = {"rectangle": 2, "square": 1, "right triangle": 2, "parallelogram": 2, "triangle": 3}
            assert len(lengths) == n_sides.get(shape, {"quadrilateral": 4, "pentagon": 5}.get(shape))
            if truth["asked"] == "area":
                value = math.prod(lengths) * {"square": lengths[0], "right triangle": 0.5}.get(shape, 1)
            else:
                value = sum(lengths) * {"square": 4, "rectangle": 2}.get(shape, 1)
            assert float(truth["value"]) == value and truth["asked"] in puzzle.problem
            if puzzle.answer in geometry.LETTERS:
                options = dict(re.findall(r"([A-D])\. (\S+)", puzzle.problem))
                assert float(options[puzzle.answer]) == value and len(set(options.values())) == 4
                letters.add(puzzle.answer)
            else:
                assert float(puzzle.answer) == value and "A." not in puzzle.problem
                halves |= "." in puzzle.answer
            seen.add(shape)
        assert seen == shapes
    assert letters == set("ABCD") and halves


def test_lengths_stand_in_the_picture_in_reading_order():
    generator = rng()
    for family in ("plain", "other"):
        for _ in range(50):
            puzzle = geometry.structure(generator, family=family)
            places = puzzle.truth["places"]
            assert places == sorted(places, key=lambda p: (p[1] // 28, p[0]))
            assert len(places) == len(puzzle.truth["lengths"])
            for x, y in places:  # black ink where the label is said to be
                patch = puzzle.pictures[0][int(y) - 6 : int(y) + 7, int(x) - 5 : int(x) + 6]
                assert (patch.max(axis=-1) < 60).sum() >= 8


def test_structure_ids_select_the_prompt_and_letters_the_choice(folder):
    for row in reason_rft.read(folder, "structure", "train"):
        sample = ask(row)
        assert "geomath" in row["id"]
        assert ("the right letter" in sample.prompt_text) == (row["answer"] in "ABCD") == sample.data["is_choice"]


def test_spatial_calls_lead_from_before_to_after():
    generator, functions, n_calls = rng(), set(), set()
    for _ in range(300):
        truth = solids.spatial(generator, view=str(generator.choice(list(solids.VIEWS)))).truth
        world = list(truth["before"])
        for name, number, value in truth["calls"]:
            assert value in FUNCTIONS[f"change_{name}"]
            solid = world[number]
            if name == "position":
                dx, dy = solids.MOVES[value]
                world[number] = replace(solid, place=(solid.place[0] + dx, solid.place[1] + dy))
            else:
                assert getattr(solid, name) != value
                world[number] = replace(solid, **{name: value})
            functions.add(name)
        assert tuple(world) == truth["after"] and len({s.place for s in world}) == len(world)
        assert all(0 <= c <= 3 for s in world for c in s.place)
        n_calls.add(len(truth["calls"]))
    assert functions == {"size", "color", "material", "shape", "position"} and n_calls == {1, 2, 3, 4}


def test_spatial_problem_and_answer_say_what_is_drawn():
    puzzle = solids.spatial(rng())
    for number, s in enumerate(puzzle.truth["before"]):
        assert f"({number}, {s.shape}, {s.size}, {s.color}, {s.material})" in puzzle.problem
    assert puzzle.answer == ", ".join(f"change_{f}({n}, {v})" for f, n, v in puzzle.truth["calls"])


def test_every_attribute_of_a_solid_shows_in_the_picture():
    base = solids.Solid(shape="cube", size="medium", color="red", material="rubber", place=(1, 1))
    changed = [replace(base, **{n: v}) for n, vs in solids.ATTRIBUTES.items() for v in vs if v != getattr(base, n)]
    changed += [replace(base, place=(1 + dx, 1 + dy)) for dx, dy in solids.MOVES.values()]
    shown = [solids.draw(rng(), [solid]).astype(int) for solid in [base, *changed]]
    for i, a in enumerate(shown):
        for b in shown[:i]:
            assert (np.abs(a - b).max(axis=-1) > 30).sum() >= 8
    assert [f.name for f in fields(solids.Solid)] == ["shape", "size", "color", "material", "place"]


def test_left_and_right_views_turn_the_floor_opposite_ways():
    at = {view: solids._turned((98.0, 56.0), view) for view in solids.VIEWS}
    assert at["center"] == (98.0, 56.0) and at["left"][1] < 56 < at["right"][1]
    assert solids._turned((56.0, 56.0), "left") == (56.0, 56.0)


def test_the_writer_leaves_nothing_torn(tmp_path, monkeypatch):
    calls = []

    def tired(*args, **options):
        calls.append(1)
        if len(calls) > 5:
            raise OSError("no space left on device")
        return real(*args, **options)

    real = PIL.Image.Image.save
    monkeypatch.setattr(PIL.Image.Image, "save", tired)
    with pytest.raises(OSError, match="no space"):
        write_reason_rft(tmp_path / "mini", n_train=4, n_test=2)
    assert list(tmp_path.iterdir()) == []


def test_the_writer_refuses_to_overwrite(folder):
    with pytest.raises(DataError, match="exists already"):
        write_reason_rft(folder)


def test_the_three_published_row_shapes_come_out_alike(tmp_path):
    (tmp_path / "images" / "train_images").mkdir(parents=True)
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "images" / "train_images" / "a.png")
    meta = {"id": 7, "image": "a.png", "problem": "How many?", "answer": 3, "cot": "<think>x</think><answer>3</answer>"}
    rl = {"id": 7, "images": ["train_images/a.png"], "problem": "<image>How many?", "solution": "<answer> 3 </answer>"}
    chat = [{"role": "user", "content": "<image>\nHow many?"}, {"role": "assistant", "content": meta["cot"]}]
    share = {"id": 7, "image": ["images/train_images/a.png"], "messages": chat}
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([meta, rl, share]))
    rows = reason_rft.read_rows(path, root=tmp_path)
    assert [row["answer"] for row in rows] == ["3"] * 3 and [row["problem"] for row in rows] == ["How many?"] * 3
    assert [row["image"] for row in rows] == [[str((tmp_path / "images/train_images/a.png").resolve())]] * 3
    assert [row.get("cot") for row in rows] == [meta["cot"], None, meta["cot"]]
    assert ask({**rows[2], "task": "counting"}).messages[0].text == "How many?"
    assert ask({**rows[0], "task": "counting"}).messages[0].text != "How many?"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[{"id": 1,', "is not JSON \\(line 1"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('[{"id": ' + "9" * 5000 + "}]", "cannot be read: Exceeds the limit"),
        ('{"id": 1}', "must hold a list of rows, got dict"),
        ("[3]", "row 0 must be an object, got int"),
        ('[{"image": "a.png"}]', "row 0 has no field 'id'; it has: image"),
        ('[{"id": 1, "image": "a.png", "answer": "3"}]', "no field 'problem'"),
        ('[{"id": 1, "problem": "q", "answer": "3"}]', "'image' must be a path or a list of paths, got None"),
        ('[{"id": 1, "problem": "q", "image": [3], "answer": "3"}]', "'image' must be a path"),
        ('[{"id": 1, "problem": "q", "image": "a.png"}]', "neither an answer nor a solution"),
        ('[{"id": 1, "messages": "hello", "image": "a.png"}]', "'messages' must be a list"),
    ],
)
def test_broken_files_get_one_clear_sentence(tmp_path, text, sentence):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=sentence) as caught:
        reason_rft.read_rows(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_things_are_named(folder, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        reason_rft.files(tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no train_jsons"):
        reason_rft.files(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        reason_rft.read_rows(tmp_path / "no.json")
    with pytest.raises(DataError, match="has no counting ood-left set; it has: .*counting ood-more"):
        reason_rft.read(folder, "counting", "ood-left")


def test_a_missing_or_torn_picture_is_a_bad_row_with_its_name(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy/images/train_images/clevr-math-00001.png").unlink()
    (tmp_path / "copy/images/train_images/clevr-math-00002.png").write_bytes(b"not a picture")
    rows = reason_rft.read(tmp_path / "copy", "counting", "train")
    task = Task.from_rows(rows, ask, name="counting", split="train", max_bad_share=0.1)
    assert [row.id for row in task.bad_rows] == ["clevr-math-00001", "clevr-math-00002"]
    assert "does not exist" in task.bad_rows[0].why and "cannot be decoded" in task.bad_rows[1].why


def test_what_a_test_set_or_any_task_holds_out_is_left_out_of_both_stages(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    counting, structure = (reason_rft.read(copy, task, "train") for task in ("counting", "structure"))
    reported = reason_rft.read(copy, "counting", "id")
    for shows, shown in ((counting[1], reported[0]), (structure[0], counting[-1])):  # the last rows choose the checkpoint
        shutil.copy(shown["image"][0], shows["image"][0])
    made = recipe(data=copy)
    assert [stage.task.left_out for stage in made.stages] == [(counting[1]["id"], structure[0]["id"])] * 2
    held = {picture.sha for e in made.evaluations for sample in e.task for picture in sample.pictures}
    assert not held & {picture.sha for stage in made.stages for sample in stage.task for picture in sample.pictures}
    assert {stage.task.left_out for stage in recipe(data=folder).stages} == {()}


def test_ask_refuses_rows_that_make_no_sense(folder):
    row = reason_rft.read(folder, "counting", "train")[0]
    with pytest.raises(DataError, match="a spatial row needs 2 picture"):
        ask({**row, "task": "spatial"})
    with pytest.raises(DataError, match="the answer is empty"):
        ask({**row, "answer": " "})
    with pytest.raises(DataError, match="task is 'music'"):
        ask({**row, "task": "music"})
    with pytest.raises(DataError, match="names no task"):
        ask({**row, "task": None, "id": "x"})
    assert ask({**row, "task": None}).kind == "counting"
