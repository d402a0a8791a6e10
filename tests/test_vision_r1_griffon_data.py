"""The Vision-R1 (Griffon) data on disk: its miniature, its reader, its questions."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from saccade.core.picture import Box, Frame, Labelled
from saccade.core.sample import DataError, Task
from saccade.data import detection, parquet
from saccade.data import vision_r1_griffon as reader
from saccade.data.miniature import vision_r1_griffon as mini
from saccade.data.miniature.vision_r1_griffon import write_vision_r1_griffon
from saccade.recipes.vision_r1_griffon import recipe
from saccade.recipes.vision_r1_griffon.prompts import ask, asked, question, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_vision_r1_griffon(tmp_path_factory.mktemp("griffon") / "data", n_train=120, n_test=24)


def png(width: int = 200, height: int = 100) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.arange(width * height * 3, dtype=np.uint32).astype(np.uint8).reshape(height, width, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def row(**changes) -> dict:
    return {
        "problem": "Look for objects. The category set includes cat, dog.",
        "image": {"bytes": png(), "path": None},
        "solution": json.dumps([["cat", [20, 20, 100, 60]]]),
        "width": 200,
        "height": 100,
        "num_instances": 1,
        "target_id_maps": json.dumps({"cat": 1, "dog": 2}),
    } | changes


def read(tmp_path: Path, *rows: dict, **options) -> list[dict]:
    parquet.write(tmp_path / "train-00000-of-00001.parquet", rows)
    return reader.read(tmp_path, "train", **options)


# the reader


def test_boxes_are_read_in_pixels_of_the_stored_picture(tmp_path):
    (found,) = read(tmp_path, row())
    assert found["id"] == "train-00000" and found["split"] == "train" and found["picture"].size == (200, 100)
    assert found["objects"] == (Labelled("cat", Box(20.0, 20.0, 100.0, 60.0, Frame.PIXEL)),)


def test_boxes_drawn_on_the_picture_at_another_size_are_brought_into_the_stored_one(tmp_path):
    (found,) = read(tmp_path, row(width=400, height=200, solution=json.dumps([["cat", [40, 40, 200, 120]]])))
    assert found["objects"] == (Labelled("cat", Box(20.0, 20.0, 100.0, 60.0, Frame.PIXEL)),)


def test_boxes_are_cut_at_the_edges(tmp_path):
    (found,) = read(tmp_path, row(solution=json.dumps([["cat", [-3, 90.5, 201, 100.4]]])))
    assert found["objects"][0].box == Box(0.0, 90.5, 200.0, 100.0, Frame.PIXEL)


@pytest.mark.parametrize(
    ("options", "kept"),
    [({}, [1, 10, 30]), ({"least": reader.HARD}, [10, 30]), ({"least": 0}, [0, 1, 10, 30]), ({"least": 0, "most": 9}, [0, 1])],
)
def test_rows_are_kept_by_the_number_of_their_instances(tmp_path, options, kept):
    rows = [row(solution=json.dumps([["cat", [1, 1, 5, 5]]] * n), num_instances=n) for n in (0, 1, 10, 30, 31)]
    assert [len(found["objects"]) for found in read(tmp_path, *rows, **options)] == kept


def test_the_solution_says_how_many_there_are_and_the_column_what_is_kept(tmp_path):
    (found,) = read(tmp_path, row(num_instances="2"))  # C the loader reads the column with int()
    assert len(found["objects"]) == 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"solution": "[["}, "solution is not JSON"),
        ({"solution": "{}"}, r"must be a list of \[class, box\], got dict"),
        ({"solution": '[["cat", [1, 2, 3]]]'}, "an object must be"),
        ({"solution": '[["cat", [1, 2, 3, NaN]]]'}, "an object must be"),
        ({"solution": '[["cat", [1, 2, "3", 4]]]'}, "an object must be"),
        ({"solution": '[[" ", [1, 2, 3, 4]]]'}, "an object must be"),
        ({"solution": '[["cat", [60, 20, 20, 40]]]'}, "has no area"),
        ({"solution": '[["cat", [300, 20, 320, 40]]]'}, "has no area in the picture of 200x100"),
        ({"solution": None}, "solution is not JSON"),
        ({"width": 100}, "the picture is 200x100 but width and height say 100x100"),
        ({"width": 0}, "must be whole numbers above 0, got 0 and 100"),
        ({"problem": None}, "the problem must be text"),
        ({"image": {"bytes": b"torn", "path": None}}, "cannot be decoded"),
        ({"num_instances": None}, "num_instances must be a whole number"),
        ({"num_instances": float("inf")}, "num_instances must be a whole number"),
        ({"problem": "What is this?"}, "has no known wording"),
        ({"problem": "The category set includes , ."}, "has no known wording"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_alone(tmp_path, changes, fault):
    odd, sound = row(**changes), row()
    rows = read(tmp_path, odd, sound)
    task = Task.from_rows(rows, ask, name="train", split="train", max_bad_share=0.5)
    assert [sample.id for sample in task] == ["train-00001"]
    (bad,) = task.bad_rows
    assert bad.id == "train-00000"
    assert re.search(fault, bad.why), bad.why


def test_files_are_found_in_shards_and_below_data(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("train-00001-of-00002-0123abcd", "train-00000-of-00002-0123abcd", "ood-free"):
        parquet.write(tmp_path / "data" / f"{name}.parquet", [row(problem=f"the exact position of {name} in the picture")])
    assert {name: len(paths) for name, paths in reader.files(tmp_path).items()} == {"ood-free": 1, "train": 2}
    assert ["-0000" in found["problem"] for found in reader.read(tmp_path, "train")] == [True, True]
    assert [found["id"] for found in reader.read(tmp_path, "train")] == ["train-00000", "train-00001"]
    with pytest.raises(DataError, match="has no test set; it has: ood-free, train"):
        reader.read(tmp_path, "test")
    (tmp_path / "data/ood-free.parquet").rename(tmp_path / "id.parquet")
    for path in (tmp_path / "data").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="has no train set; it has: id"):
        recipe(model="tiny", data=tmp_path)


def test_no_training_row_shows_a_picture_of_a_reported_set_and_sets_get_names_of_their_own(tmp_path):
    shown = [{"bytes": png(200 + 4 * number, 100 + 2 * number), "path": None} for number in range(12)]
    rows = [row(image=image, width=200 + 4 * n, height=100 + 2 * n) for n, image in enumerate(shown)]
    parquet.write(tmp_path / "train.parquet", rows)
    parquet.write(tmp_path / "val-00000-of-00001.parquet", rows[3:5])
    parquet.write(tmp_path / "odinw 13 (test).parquet", rows[5:6])
    made = recipe(model="tiny", data=tmp_path)
    assert {one.name: len(one.task) for one in made.evaluations} == {"val": 1, "val-published": 2, "odinw-13-test": 1}
    trained = {p.sha for sample in made.stages[0].task for p in sample.pictures}
    assert len(trained) == 12 - 3 - 1
    assert not trained & {p.sha for one in made.evaluations for sample in one.task for p in sample.pictures}
    parquet.write(tmp_path / "test.parquet", rows)
    with pytest.raises(DataError, match="leaves 0 rows to train on"):
        recipe(model="tiny", data=tmp_path)


def test_what_is_no_such_folder_is_said_in_one_sentence(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        reader.files(tmp_path / "none")
    with pytest.raises(DataError, match=r"has no \*.parquet"):
        reader.files(tmp_path)
    parquet.write(tmp_path / "train.parquet", [{"problem": "?"}])
    with pytest.raises(DataError, match="has no column image, solution, width, height, num_instances; it has: problem"):
        reader.read(tmp_path, "train")


# the questions


def test_the_three_wordings_are_told_apart_and_put_in_ours():
    told = {
        "Look closely. The category set includes a traffic light, dog , cat.": ("detection", ("a traffic light", "dog", "cat")),
        "Say the exact position of traffic light in the picture, if any.": ("grounding", ("traffic light",)),
        "Please point out the man in the picture on the wall in the image, with numbers?": (
            "referring",
            ("man in the picture on the wall",),
        ),
    }
    for problem, meant in told.items():
        assert asked(problem) == meant
    assert question("detection", ("dog", "cat")) == "Locate all of dog, cat. Coordinates in JSON."
    assert question("grounding", ("dog",)) == "Locate every dog. Coordinates in JSON."
    assert question("referring", ("red cube",)) == "Locate the red cube. Coordinates in JSON."
    with pytest.raises(DataError, match="has no known wording"):
        asked("Find every dog and give JSON.")


def test_an_answer_is_a_fenced_list_of_whole_pixels():
    things = [Labelled("7", Box(11.6, 30.4, 40.0, 60.0, Frame.MODEL)), Labelled('a "b"', Box(1, 2, 3, 4, Frame.MODEL))]
    assert written(things) == (
        '```json\n[{"bbox_2d": [12, 30, 40, 60], "label": "7"}, {"bbox_2d": [1, 2, 3, 4], "label": "a \\"b\\""}]\n```'
    )
    assert written([]) == "```json\n[]\n```"


# the miniature


def test_same_seed_same_bytes_and_another_seed_others(folder, tmp_path):
    again = write_vision_r1_griffon(tmp_path / "again", n_train=120, n_test=24)
    other = write_vision_r1_griffon(tmp_path / "other", seed=1, n_train=120, n_test=24)
    for path in sorted((folder / "data").iterdir()):
        assert path.read_bytes() == (again / "data" / path.name).read_bytes()
        assert path.read_bytes() != (other / "data" / path.name).read_bytes()
    with pytest.raises(DataError, match="exists already"):
        write_vision_r1_griffon(folder)
    with pytest.raises(DataError, match="at least 1"):
        write_vision_r1_griffon(tmp_path / "none", n_test=0)


def test_every_set_goes_from_disk_to_samples(folder):
    kinds = {"train": 3, "id": 1, "grounding": 1, "referring": 1, "ood-free": 1, "ood-crowded": 1}
    assert set(reader.files(folder)) == set(kinds)
    for split, n_kinds in kinds.items():
        rows = reader.read(folder, split, least=0)
        task = Task.from_rows(rows, ask, name=split, split=split, max_bad_share=0)
        assert len(task) == (120 if split == "train" else 24)
        assert len({sample.kind for sample in task}) == n_kinds
        for sample in task:
            (picture,) = sample.pictures
            assert picture.size[0] == picture.size[1] and picture.size[0] in (112, 168, 224)
            for thing in sample.target:
                assert thing.label in sample.data["names"] and thing.box.x2 <= picture.size[0]


def test_pictures_are_stored_at_several_sizes_and_boxes_stand_on_the_things_there(folder):
    sides = []
    for sample in map(ask, reader.read(folder, "referring")):
        ((thing,), (picture,)) = sample.target, sample.pictures
        image = np.asarray(picture.image, dtype=int)
        paper = np.median(image.reshape(-1, 3), axis=0)
        x1, y1, x2, y2 = (round(v) for v in (thing.box.x1, thing.box.y1, thing.box.x2, thing.box.y2))
        inside = np.abs(image[y1:y2, x1:x2] - paper).max(-1) > 40
        assert inside.mean() > 0.2 and inside.any(0)[[1, -2]].all() and inside.any(1)[[1, -2]].all()
        sides.append(picture.size[0])
    assert set(sides) == {112, 168, 224}


def test_train_and_test_share_no_picture(folder):
    shas: dict[str, set[str]] = {}
    for split in reader.files(folder):
        shas[split] = {found["picture"].sha for found in reader.read(folder, split, least=0)}
    assert len(shas["train"]) == 120 and len(shas["grounding"]) < 24  # the one set that asks a picture several times
    for split, few in shas.items():
        assert all(few.isdisjoint(others) for name, others in shas.items() if name != split)


def test_grounding_asks_once_for_every_category_that_a_picture_shows(folder):
    asked_of: dict[str, list[str]] = {}
    for sample in map(ask, reader.read(folder, "grounding")):
        asked_of.setdefault(sample.pictures[0].sha, []).extend(sample.data["names"])
        assert sample.target and {thing.label for thing in sample.target} == set(sample.data["names"])
    assert all(len(set(names)) == len(names) for names in asked_of.values()) and max(map(len, asked_of.values())) > 1


def test_the_mix_is_the_papers_half_is_hard_and_a_few_ask_for_what_is_not_there():
    rng = np.random.default_rng(0)
    drawn = [mini._training(rng) for _ in range(1000)]
    kinds, names, things = zip(*(asked_of for _, questions in drawn for asked_of in questions), strict=True)
    shares = {kind: kinds.count(kind) / 1000 for kind in ("detection", "grounding", "referring")}
    assert shares == pytest.approx({"detection": 0.61, "grounding": 0.18, "referring": 0.20}, abs=0.04)
    hard = [len(there) >= mini.HARD for kind, there in zip(kinds, things, strict=True) if kind == "detection" and there]
    assert np.mean(hard) == pytest.approx(0.5, abs=0.06)
    assert np.mean([not there for there in things]) == pytest.approx(mini.NEGATIVES, abs=0.02)
    lists = [n for kind, n in zip(kinds, names, strict=True) if kind == "detection"]
    assert max(map(len, lists)) >= 6


# annotated pictures


@pytest.fixture(scope="module")
def annotated(tmp_path_factory) -> Path:
    """Ten pictures with COCO annotations; picture 3 shows nothing, picture 4 a crowd beside its dog."""
    folder = tmp_path_factory.mktemp("coco")
    rng = np.random.default_rng(0)
    things, images = [], []
    for number in range(10):
        name = f"{number}.png"
        PIL.Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(folder / name)
        images.append({"id": number, "file_name": name, "width": 80, "height": 60})
        if number != 3:
            things.append({"image_id": number, "category_id": 1 + number % 2, "bbox": [5, 6, 20, 30], "iscrowd": 0})
    things += [{"image_id": 4, "category_id": 2, "bbox": [0, 0, 60, 50], "iscrowd": 1}]
    things += [{"image_id": 6, "category_id": 2, "bbox": [40, 6, 20, 30], "iscrowd": 0}]
    for number, thing in enumerate(things, start=1):
        thing |= {"id": number, "area": 600}
    content = {"images": images, "annotations": things, "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "black cat"}]}
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def test_annotated_pictures_are_asked_for_all_categories_and_for_each_they_show(annotated):
    rows = detection.read(annotated)
    all_at_once = list(map(ask, reader.from_annotations(rows, reader.categories(rows))))
    assert len(all_at_once) == 10 and all(s.prompt_text == "[picture]Locate all of black cat, dog. Coordinates in JSON." for s in all_at_once)
    assert [len(sample.target) for sample in all_at_once] == [1, 1, 1, 0, 1, 1, 2, 1, 1, 1]  # the crowd is no target
    assert all_at_once[0].target == (Labelled("dog", Box(5.0, 6.0, 25.0, 36.0, Frame.PIXEL)),)
    one = list(map(ask, reader.one_by_one(rows)))
    assert len(one) == 10 and [sample.kind for sample in one] == ["grounding"] * 10
    assert [sample.data["names"] for sample in one if len(sample.pictures) and sample.id.split("/")[0].endswith("6")] == [("black cat",), ("dog",)]
    assert [len(found["objects"]) for found in reader.from_annotations(rows, ["dog"], least=1, most=1)] == [1] * 8


def test_annotated_pictures_train_the_recipe_and_a_fifth_of_them_is_held_out(annotated):
    made = recipe(model="tiny", data=annotated)
    sizes = {one.name: len(one.task) for one in made.evaluations}
    assert set(sizes) == {"val", "held-out", "held-out-one"} and sizes["held-out"] == 2
    trained = {p.sha for sample in made.stages[0].task for p in sample.pictures}
    assert not trained & {p.sha for one in made.evaluations for sample in one.task for p in sample.pictures}


def test_annotated_pictures_with_a_test_part_of_their_own_are_measured_on_that(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(9):
        (tmp_path / f"{number}.png").write_bytes(png(40 + number))
        things = (Labelled("dog", Box(1.0, 1.0, float(rng.integers(9, 30)), 20.0, Frame.PIXEL)),)
        rows.append({"id": f"{'test' if number < 3 else 'train'}/{number}", "image": [str(tmp_path / f"{number}.png")], "objects": things})
    made = recipe(model="tiny", data=detection.FORMATS["coco"].write(tmp_path / "coco", rows))
    sets = {one.name: {sample.id.partition("/")[0] for sample in one.task} for one in made.evaluations}
    assert sets == {"val": {"train"}, "held-out": {"test"}, "held-out-one": {"test"}}
    assert {sample.id.partition("/")[0] for sample in made.stages[0].task} == {"train"}


def test_what_cannot_be_asked_of_annotations_is_refused():
    cat = Labelled("cat, tabby", Box(0.0, 0.0, 5.0, 5.0, Frame.PIXEL))
    with pytest.raises(DataError, match="'cat, tabby' has one"):
        reader.categories([{"id": "a", "image": ["a.png"], "objects": [cat]}])
    gone = {"id": "a", "image": ["none.png"], "objects": [Labelled("cat", cat.box)]}
    faults = [*reader.from_annotations([gone], ["cat"]), *reader.one_by_one([gone]), *reader.one_by_one([{"id": "b", "fault": "torn"}])]
    assert [found["fault"] for found in faults] == ["picture none.png does not exist"] * 2 + ["torn"]
