"""The miniature of ViRL39K and the reader of its format."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import PIL.Image
import pytest

from saccade.core.sample import DataError, Task
from saccade.data import parquet, vl_rethinker
from saccade.data.miniature import geometry
from saccade.data.miniature.vl_rethinker import KINDS, figures, mistaken, words, write_vl_rethinker
from saccade.recipes.vl_rethinker import prompts
from saccade.recipes.vl_rethinker.prompts import EMBEDDED_ONES, PUBLISHED, ask_with_solution


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_vl_rethinker(tmp_path_factory.mktemp("data") / "mini", seed=3, n_train=60, n_test=12, n_warm_up=40)


def ask(row):
    return prompts.ask(row, instruction=PUBLISHED.reason)


def prints(folder):
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.*")}


def box(text: str) -> str:
    return re.findall(r"(?:\\boxed\{|<answer>)(.*?)(?:\}|</answer>)", text)[-1]


def row(**changes) -> dict:
    plain = {"qid": "MMK12-7", "question": "<image>How many?", "image": ["images/a.png"], "answer": r"\boxed{3}"}
    return {**plain, "category": "Diagrams", "source": "MMK12", **changes}


def written(folder, rows, *, pictures=("images/a.png",)):
    for name in pictures:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (28, 28), (200, 10, 10)).save(folder / name)
    parquet.write(folder / "39Krelease.parquet", rows)
    return folder


def test_same_seed_same_bytes_and_another_seed_other_bytes(folder, tmp_path):
    again = write_vl_rethinker(tmp_path / "again", seed=3, n_train=60, n_test=12, n_warm_up=40)
    other = write_vl_rethinker(tmp_path / "other", seed=4, n_train=60, n_test=12, n_warm_up=40)
    assert prints(again) == prints(folder)
    mine, theirs = prints(folder), prints(other)
    assert not any(mine[name] == theirs[name] for name in mine.keys() & theirs.keys())


def test_every_row_goes_from_disk_to_a_sample(folder):
    for split, n in (("train", 60), ("eval", 60), ("warm_up", 40)):
        rows = vl_rethinker.read(folder, split)
        task = Task.from_rows(rows, ask, name=split, split=split, max_bad_share=0)
        assert len(task) == n and {s.kind for s in task} == {"short", "digits", "figures", "words"} | ({"more"} if split == "eval" else set())
        for raw, sample in zip(rows, task, strict=True):
            assert sample.target == raw["answer"] == rf"\boxed{{{box(raw['answer'])}}}"
            assert len(sample.pictures) == (0 if sample.kind == "words" else 1)
            seen = "[picture]" * len(sample.pictures)
            assert sample.prompt_text == f"{seen}{raw['question']}{PUBLISHED.reason}" and "<image>" not in sample.prompt_text
            assert sample.solution is None and sample.data["source"] == f"saccade/{sample.kind}"


def test_no_picture_and_no_held_out_question_in_words_stands_twice(folder):
    shas: list[str] = []
    questions = {"train": set(), "eval": set()}
    for split in vl_rethinker.files(folder):
        for raw in vl_rethinker.read(folder, split):
            sample = ask(raw)
            shas += [picture.sha for picture in sample.pictures]
            if not sample.pictures:
                questions["eval" if split == "eval" else "train"].add(raw["question"])
    assert len(set(shas)) == len(shas) > 100
    assert questions["train"].isdisjoint(questions["eval"]) and all(questions.values())


def test_sums_in_words_are_right():
    rng = np.random.default_rng(0)
    for _ in range(50):
        puzzle = words(rng, "train")
        numbers = [int(n) for n in re.findall(r"\d+", puzzle.problem)]
        assert 3 <= len(numbers) <= 5 and puzzle.answer == str(sum(numbers))
        assert puzzle.thought.split("=")[-1] == puzzle.answer


def test_no_sum_in_words_of_the_tests_is_trained_on_in_another_order():
    rng = np.random.default_rng(0)
    trained, tested = ({tuple(sorted(words(rng, pool).truth["digits"])) for _ in range(300)} for pool in ("train", "test"))
    assert trained.isdisjoint(tested) and min(len(trained), len(tested)) > 200


def test_no_figure_of_the_tests_is_trained_on_at_another_place():
    rng = np.random.default_rng(0)

    def drawn(pool):
        truths = [figures(rng, pool).truth for _ in range(300)]
        return {(truth["shape"], *sorted(truth["lengths"])) for truth in truths}

    trained, tested = drawn("train"), drawn("test")
    assert trained.isdisjoint(tested) and len(trained) > 50 and len(tested) > 15
    assert len({shape for shape, *_ in tested}) == 4


def test_a_mistake_is_never_right_and_follows_from_its_own_reasoning():
    rng = np.random.default_rng(0)
    for _ in range(100):
        puzzle = words(rng, "train")
        thought, answer = mistaken(rng, puzzle)
        assert answer != puzzle.answer and thought.split("=")[-1] == answer
        figure = geometry.structure(rng)
        thought, answer = mistaken(rng, figure)
        is_choice = figure.answer in geometry.LETTERS
        assert answer != figure.answer and thought.endswith(f" is {answer}" if is_choice else f"={answer}")


def test_the_warm_up_works_guesses_and_mends(tmp_path):
    folder = write_vl_rethinker(tmp_path / "mini", seed=3, n_train=1, n_test=1, n_warm_up=200)
    rows = [{**raw, "number": number} for number, raw in enumerate(vl_rethinker.read(folder, "warm_up"))]
    samples = [ask_with_solution(raw, instruction=EMBEDDED_ONES.rethink) for raw in rows]
    found = {(kind, style): 0 for kind in KINDS for style in ("worked", "guessed", "mended")}
    concluded = 0
    for raw, sample in zip(rows, samples, strict=True):
        assert box(sample.solution) == box(raw["answer"])
        style = "guessed" if "at once" in raw["solution"] else "worked"
        if raw.get("attempt"):
            style = "mended"
            if "<answer>" in raw["attempt"]:
                concluded += 1
                assert box(raw["attempt"]) != box(raw["answer"])
            assert sample.solution.startswith(raw["attempt"] + "\n\nWait") and sample.solution.endswith(raw["solution"])
        else:
            assert "Wait" not in sample.solution
        found[sample.kind, style] += 1
    shown = {key for key, n in found.items() if n}
    assert shown == {
        ("short", "worked"), ("words", "guessed"),
        *((kind, style) for kind in ("digits", "figures") for style in ("worked", "guessed", "mended")),
    }  # fmt: skip
    assert 0 < concluded < sum(n for (_, style), n in found.items() if style == "mended")
    assert {what for what in ("a number", "the right letter", "a whole or decimal number") for s in samples if f"give {what} inside" in s.prompt_text} == {
        "a number", "the right letter", "a whole or decimal number",
    }  # fmt: skip
    turns = {sample.solution.split("\n\n")[1][:14] for sample in samples if "Wait" in sample.solution}
    assert len(turns) >= 4


def test_a_published_row_comes_out_plain(tmp_path):
    rates = {"PassRate_32BTrained": 0.75, "PassRate_7BBase": None}
    (found,) = vl_rethinker.read(written(tmp_path, [row(**rates)]), "train")
    assert found == {
        "id": "MMK12-7", "benchmark": "MMK12", "split": "train", "question": "How many?",
        "image": [str((tmp_path / "images/a.png").resolve())], "answer": r"\boxed{3}",
        "category": "Diagrams", "source": "MMK12", "pass_rates": rates,
    }  # fmt: skip
    assert ask(found).data["pass_rates"] == rates


@pytest.mark.parametrize("cell", [["a.png"], "a.png", "images/a.png", ["", "a.png"]])
def test_pictures_are_found_as_written_or_in_the_pictures_folder(tmp_path, cell):
    (found,) = vl_rethinker.read(written(tmp_path, [row(image=cell)]), "train")
    assert ask(found).pictures[0].size == (28, 28)


def test_a_picture_may_stand_in_the_file_and_text_needs_none(tmp_path):
    written(tmp_path, [row()])
    held = (tmp_path / "images/a.png").read_bytes()
    parquet.write(tmp_path / "39Krelease.parquet", [row(image=[{"bytes": held, "path": "a.png"}])])
    assert ask(vl_rethinker.read(tmp_path, "train")[0]).pictures[0].size == (28, 28)
    for cell in ([], None, ""):
        parquet.write(tmp_path / "39Krelease.parquet", [row(question="2 + 1?", image=cell), row(qid="x-1", question="1 + 2?", image=cell)])
        assert [ask(one).pictures for one in vl_rethinker.read(tmp_path, "train")] == [(), ()]


def test_two_pictures_come_in_their_order_before_the_question(tmp_path):
    written(tmp_path, [], pictures=["images/a.png"])
    PIL.Image.new("RGB", (56, 28)).save(tmp_path / "images/b.png")
    parquet.write(tmp_path / "39Krelease.parquet", [row(question="Is <image> or <image> wider?", image=["images/b.png", "images/a.png"])])
    sample = ask(vl_rethinker.read(tmp_path, "train")[0])
    assert [picture.size for picture in sample.pictures] == [(56, 28), (28, 28)]
    assert sample.prompt_text.startswith("[picture][picture]Is or wider?")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"question": "<image><image>Which?"}, "shows 2 picture"),
        ({"image": []}, "shows 1 picture.s., the row has 0"),
        ({"answer": " "}, "the answer is empty"),
        ({"question": "<image> "}, "the question is empty"),
        ({"qid": ""}, "the qid is empty"),
        ({"answer": None}, "must be text, got str and NoneType"),
        ({"PassRate_7BBase": 8.0}, "must lie from 0 to 1, got 8"),
        ({"image": [3]}, "a path or a list of paths, got int"),
        ({"image": ["a\0b.png"]}, "no file's name: embedded null byte"),
        ({"image": ["x" * 5000]}, "xxx' is no file's name: File name too long"),
    ],
)
def test_a_bad_row_is_named_and_stays_beside_the_good_ones(tmp_path, changes, why):
    written(tmp_path, [row(**changes)])
    (found,) = vl_rethinker.read(tmp_path, "train")
    good = {**vl_rethinker.read(written(tmp_path, [row(qid="good-1")]), "train")[0]}
    with pytest.raises(DataError, match=why):
        ask(found)
    task = Task.from_rows([good, found], ask, name="x", split="train", max_bad_share=0.5)
    assert len(task) == 1 and len(task.bad_rows) == 1 and re.search(why, task.bad_rows[0].why)


def test_what_is_no_such_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        vl_rethinker.files(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no parquet file of training rows"):
        vl_rethinker.files(tmp_path)
    written(tmp_path, [row()])
    with pytest.raises(DataError, match="no eval set; it has: train"):
        vl_rethinker.read(tmp_path, "eval")
    parquet.write(tmp_path / "39Krelease.parquet", [{"id": "1", "question": "?"}])
    with pytest.raises(DataError, match="no column qid, answer"):
        vl_rethinker.read(tmp_path, "train")


def test_only_what_the_model_sometimes_gets_right_is_kept(tmp_path):
    rates = [(0.0, 0.5), (0.25, 0.0), (None, 1.0), (1.0, None)]
    rows = [row(qid=f"q-{i}", PassRate_7BBase=small, PassRate_32BTrained=large) for i, (small, large) in enumerate(rates)]
    found = vl_rethinker.read(written(tmp_path, [*rows, row(qid="bad", answer="", PassRate_7BBase=0.0)]), "train")

    def ids(model: str) -> list[str]:
        return [one["id"] for one in vl_rethinker.passable(found, model)]

    assert ids("7B") == ["q-1", "q-3", "bad"]  # a bad row stays, to be counted
    assert ids("32b") == ["q-0", "q-2", "bad"]
    assert ids("") == ["q-0", "q-1", "q-2", "q-3", "bad"]
    with pytest.raises(DataError, match="0 columns of pass rates name '72B'; have: PassRate_32BTrained, PassRate_7BBase"):
        ids("72B")
    with pytest.raises(DataError, match="2 columns"):
        ids("PassRate")
    bare = vl_rethinker.read(written(tmp_path, [row()]), "train")
    assert vl_rethinker.passable(bare, "7B") == bare
