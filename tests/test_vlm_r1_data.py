"""VLM-R1's on-disk format and its miniature: from the file to the row, from what is drawn to what is asked."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import PIL.Image
import pytest

from saccade.core.picture import Box, Frame
from saccade.core.sample import DataError, Task
from saccade.data import vlm_r1
from saccade.data.miniature import vlm_r1 as miniature
from saccade.data.miniature.vlm_r1 import DEFECTS, NO_DEFECT, write_vlm_r1
from saccade.data.vlm_r1 import METHODS, Source, files, read, sources
from saccade.recipes.vlm_r1.prompts import fenced, ovd_question, rec_question
from saccade.recipes.vlm_r1.samples import KINDS, ask
from saccade.rewards.papers.vlm_r1 import METHOD, accuracy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_vlm_r1(tmp_path_factory.mktemp("vlm_r1") / "mini", seed=3, n_train=40, n_test=12)


def written(tmp_path, *rows: object, name: str = "rows") -> Source:
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return Source(path=path, folder=tmp_path / "images")


def talk(question: object, answer: object, **more: object) -> dict[str, object]:
    return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}], **more}


def test_a_row_comes_out_without_placeholders_and_without_answer_tags(tmp_path):
    one = talk("<image>\nWhere is the cat?", "<answer> [10, 20, 30, 40] </answer>", id=7, image="a/b.jpg", accu_reward_method="rec")
    two = talk("<image><image>Which defect?", "No Defect", id="x", image=["1.png", "2.png"])
    rows = read(written(tmp_path, one, two, talk("How many?", 3), talk("Where?", [1, 2, 3, 4])))
    assert rows[0] == {
        "id": "rows/7", "image": [str(tmp_path / "images/a/b.jpg")], "problem": "Where is the cat?",
        "answer": "[10, 20, 30, 40]", "accu_reward_method": "rec",
    }  # fmt: skip
    assert rows[1]["image"] == [str(tmp_path / "images/1.png"), str(tmp_path / "images/2.png")]
    assert rows[1]["problem"] == "Which defect?" and rows[1]["accu_reward_method"] is None
    assert (rows[2]["id"], rows[2]["image"], rows[2]["answer"]) == ("rows/line-3", [], "3")
    assert rows[3]["answer"] == "[1, 2, 3, 4]"


def test_a_rows_method_goes_before_its_files(tmp_path):
    rows = [talk("a?", "b"), talk("a?", "b", accu_reward_method="mcq")]
    source = Source(path=written(tmp_path, *rows).path, folder=tmp_path, method="all_match")
    assert [row["accu_reward_method"] for row in read(source)] == ["all_match", "mcq"]


def test_lists_between_colons_are_parallel_and_one_stands_for_all():
    found = sources("a.jsonl:b/c.jsonl", folders="coco:screens", methods="rec:", root="/d")
    assert [(str(one.path), str(one.folder), one.method) for one in found] == [
        ("/d/a.jsonl", "/d/coco", "rec"), ("/d/b/c.jsonl", "/d/screens", None),
    ]  # fmt: skip
    assert [one.method for one in sources("a:b:c", folders=".", methods="mcq")] == ["mcq"] * 3
    with pytest.raises(DataError, match="3 files but 2 folders"):
        sources("a:b:c", folders="x:y")
    with pytest.raises(DataError, match="2 files but 3 methods"):
        sources("a:b", folders="x", methods="rec:rec:mcq")
    with pytest.raises(DataError, match="no files"):
        sources("", folders="x")


def test_an_unknown_method_is_refused_by_name_with_those_that_exist(tmp_path):
    with pytest.raises(DataError, match=r"method of a is 'odlength'; have: .*odLength"):
        sources("a", folders=".", methods="odlength")
    (row,) = read(written(tmp_path, talk("a?", "b", id=1, accu_reward_method="od_length")))
    assert row["id"] == "rows/1" and "line 1: accu_reward_method is 'od_length'" in row["fault"] and "odLength" in row["fault"]


def test_the_readers_methods_are_those_that_the_reward_dispatches():
    routes = set(accuracy(judge=object()).function.routes)
    assert routes == set(METHODS) and vlm_r1.METHOD == METHOD
    assert set(KINDS) <= routes


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[1]", "must be an object, got list"),
        ({"id": 1}, "'conversations' must be a list"),
        (talk("<image>", "b", image="a.png"), "no question"),
        (talk("a?", None), "no turn of gpt"),
        (talk("a?", {"x": 1}), "must be text, a number or a list, got dict"),
        (talk("a?", True), "got bool"),
        (talk("a?", "<answer> </answer>"), "no answer"),
        (talk("a?", "b", image=[3]), "'image' must be a path"),
        (talk("<image><image>a?", "b", image="a.png"), "2 <image>, the row 1 picture"),
    ],
)
def test_a_row_of_a_wrong_shape_is_a_fault_of_its_own(tmp_path, row, why):
    rows = read(written(tmp_path, talk("a?", "b"), row, talk("c?", "d")))
    assert [("fault" in one) for one in rows] == [False, True, False]
    assert why in rows[1]["fault"] and "rows.jsonl line 2" in rows[1]["fault"]


def test_ids_of_several_files_and_of_one_stay_apart(tmp_path):
    a = read(written(tmp_path, talk("a?", "b", id=1), talk("c?", "d", id=1), name="a"))
    b = read(written(tmp_path, talk("a?", "b", id=1), name="b"))
    assert [row["id"] for row in (*a, *b)] == ["a/1", "a/1#2", "b/1"]


def test_files_that_cannot_be_read_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read(Source(path=tmp_path / "none.jsonl", folder=tmp_path))
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match="holds no rows"):
        read(Source(path=tmp_path / "empty.jsonl", folder=tmp_path))
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read(Source(path=tmp_path / "bytes.jsonl", folder=tmp_path))
    with pytest.raises(DataError, match="has no .jsonl file"):
        files(tmp_path / "images" if (tmp_path / "images").mkdir() else tmp_path / "images")
    with pytest.raises(DataError, match="does not exist"):
        files(tmp_path / "nowhere")


# The miniature


def prints(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.*") if p.is_file()}


def test_same_seed_same_bytes_and_another_seed_other_pictures(folder, tmp_path):
    assert prints(write_vlm_r1(tmp_path / "again", seed=3, n_train=40, n_test=12)) == prints(folder)
    other = prints(write_vlm_r1(tmp_path / "other", seed=4, n_train=40, n_test=12))
    assert other.keys() == prints(folder).keys() and not set(other.values()) & set(prints(folder).values())


def test_every_file_goes_from_disk_to_samples_with_the_gold_in_the_files_pixels(folder):
    found, shas, ids = files(folder), [], []
    assert set(found) == set(miniature.FILES)
    for name, path in found.items():
        rows = read(Source(path=path, folder=folder))
        task = Task.from_rows(rows, ask, name=name, split="x", max_bad_share=0)
        assert len(task) == {"defect_train": 8}.get(name, 40 if name.endswith("train") else 12)
        for row, sample in zip(rows, task, strict=True):
            kind = name.partition("_")[0]
            assert sample.kind == {"rec": "rec", "ovd": "ovd", "defect": "text"}[kind]
            assert len(sample.pictures) == (2 if kind == "defect" else 1) and sample.pictures[0].size == (112, 112)
            assert "[picture]" * len(sample.pictures) in sample.prompt_text and row["problem"] in sample.prompt_text
            things = [sample.target] if kind == "rec" else [one.box for one in sample.target] if kind == "ovd" else []
            for box in things:
                assert box.frame is Frame.PIXEL and 0 <= box.x1 < box.x2 <= 112 and 0 <= box.y1 < box.y2 <= 112
            ids.append(sample.id)
            shas += [picture.sha for picture in sample.pictures]
    assert len(set(ids)) == len(ids) and len(set(shas)) == len(shas)


def test_a_gold_box_is_tight_around_something_that_is_not_paper(folder):
    for name in ("rec_test", "ovd_test", "rec_test_ood_free", "ovd_test_ood_crowded"):
        for row in read(Source(path=files(folder)[name], folder=folder)):
            sample = ask(row)
            image = np.asarray(sample.pictures[0].image).astype(int)
            ink = (np.abs(image - np.median(image.reshape(-1, 3), axis=0)) > 30).any(axis=-1)
            for box in [sample.target] if sample.kind == "rec" else [thing.box for thing in sample.target]:
                x1, y1, x2, y2 = (int(v) for v in (box.x1, box.y1, box.x2, box.y2))
                inside = ink[y1:y2, x1:x2]
                assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_detection_asks_for_one_to_three_names_some_of_them_absent_and_gold_holds_at_most_four_boxes():
    rng, n_names, n_boxes, absent = np.random.default_rng(0), set(), set(), 0
    for _ in range(200):
        drawn = miniature.ovd(rng, "train")
        names = drawn.question.removeprefix("Find: ").partition(". List")[0].split(", ")
        items = [] if drawn.gold == "None" else json.loads(drawn.gold.removeprefix("```json\n").removesuffix("\n```"))
        assert drawn.question == ovd_question(names) and {item["label"] for item in items} <= set(names)
        assert drawn.gold == fenced([(item["label"], item["bbox_2d"]) for item in items]) and drawn.method == "odLength"
        n_names.add(len(names))
        n_boxes.add(len(items))
        absent += len(set(names) - {item["label"] for item in items})
    assert n_names == {1, 2, 3} and n_boxes == {0, 1, 2, 3, 4} and 100 < absent < 260


def test_the_questions_of_the_data_are_those_that_the_prompts_teach():
    drawn = miniature.rec(np.random.default_rng(0), "test", longer=True)
    words = drawn.question.removeprefix("Where is the ").removesuffix("?")
    assert drawn.question == rec_question(words) and " " in words


def test_a_defect_shows_in_the_second_picture_where_it_is_said_to_be():
    rng, names = np.random.default_rng(1), set()
    for _ in range(60):
        drawn = miniature.defect(rng, "train")
        first, second = (picture.astype(int) for picture in drawn.pictures)
        changed = np.abs(first - second).max(axis=-1) > 20
        names.add(drawn.gold)
        if drawn.gold == NO_DEFECT:
            assert not changed.any() and (first != second).any()
            continue
        rows, columns = np.nonzero(changed)
        column, row = (int(v) for v in drawn.thought.removeprefix("It is at ").removesuffix(".").split())
        near = changed[max(0, row * 28 - 6) : row * 28 + 34, max(0, column * 28 - 6) : column * 28 + 34]
        assert near.sum() >= 8
        if drawn.gold != "Moved":
            assert near.sum() == len(rows)  # nowhere else
    assert names == {*DEFECTS, NO_DEFECT}


def test_a_folder_that_cannot_be_finished_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(PIL.Image.Image, "save", lambda *args, **options: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        write_vlm_r1(tmp_path / "mini", n_train=5, n_test=1)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="n_train must be at least 5"):
        write_vlm_r1(tmp_path / "mini", n_train=2)


def test_a_gold_that_no_reward_could_read_is_refused(tmp_path):
    PIL.Image.new("RGB", (200, 100)).save(tmp_path / "a.png")

    def asked(answer: str, method: str):
        return ask({"id": "1", "image": [str(tmp_path / "a.png")], "problem": "?", "answer": answer, METHOD: method})

    assert asked("[10, 20, 30, 40]", "rec").target == Box(10, 20, 30, 40, Frame.PIXEL)
    assert asked("None", "odLength").target == () and asked("None", "all_match").target == "None"
    for answer, method in (("left", "rec"), ("[30, 20, 10, 40]", "rec"), ("[5, 5, 5, 9]", "rec"), ("nothing", "od_ap"), ("```json\n[{\"bbox_2d\": [1, 2, 3]}]\n```", "map")):
        with pytest.raises(DataError, match="gold"):
            asked(answer, method)
    with pytest.raises(DataError, match="needs a picture"):
        ask({"id": "1", "image": [], "problem": "?", "answer": "[1, 2, 3, 4]", METHOD: "rec"})
