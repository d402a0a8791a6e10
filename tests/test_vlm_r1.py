"""The recipe of VLM-R1: frames from the file to the model and back, what is rewarded, what a set's figures are."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import pytest

from saccade.core.marks import all_drawn, marks_in
from saccade.core.picture import Box, Frame, Labelled, Picture
from saccade.core.rollout import Rollout, Stop
from saccade.core.sample import DataError, Message, Sample
from saccade.data.detection import coco, read, voc, yolo
from saccade.data.detection.annotation import Annotation
from saccade.data.miniature.vlm_r1 import write_vlm_r1
from saccade.policy.reader import Reader
from saccade.recipes.vlm_r1 import MINIATURE, PAPER, recipe
from saccade.recipes.vlm_r1.figures import detection, grounding, precisions
from saccade.recipes.vlm_r1.prompts import TEMPLATES, prompt
from saccade.recipes.vlm_r1.samples import ask, ask_native, worked
from saccade.recipes.vlm_r1.sets import TEST, native
from saccade.rewards.papers.vlm_r1 import METHOD, od_ap, od_length, rec
from saccade.run.stage import RL, SFT

SHARED = Path(os.environ.get("SACCADE_SHARED", Path(__file__).parents[2] / "shared")) / "data"
FENCE = "```json\n[{}]\n```"


def px(*corners: float) -> Box:
    return Box(*corners, Frame.PIXEL)


def sample_of(kind: str, target: object, *, size=(640, 480), seen=(112, 84), method="odLength") -> Sample:
    picture = Picture.of(PIL.Image.new("RGB", size, (90, 90, 90))).seen_at(seen)
    return Sample(id="s", messages=(Message("user", (picture, "?")),), target=target, kind=kind, data={METHOD: method})


def said(sample: Sample, text: str) -> Rollout:
    return Rollout(sample=sample, text=text, token_T=(), logp_T=(), is_sampled_T=(), stop=Stop.EOS, pictures=sample.pictures)


def value(reward, rollout) -> float:
    return reward.function(rollout).value


def drawn(tmp_path, n: int, *, write, crowd: int = 0, part=lambda i: ""):
    """Pictures of 200 x 100 pixels with a dark bar each; `crowd` more dots of another class in the first."""
    rows = []
    for i in range(n):
        image = PIL.Image.new("RGB", (200, 100), (200, 200, 200))
        PIL.ImageDraw.Draw(image).rectangle([10 + i, 20, 60 + i, 70], fill=(10 * i, 0, 0))
        objects = [Annotation("bar", px(10 + i, 20, 61 + i, 71))]
        objects += [Annotation("dot", px(4 * k, 80, 4 * k + 3, 90)) for k in range(crowd if i == 0 else 0)]
        rows.append({"id": f"{part(i)}p{i}", "image": [Picture.of(image)], "size": (200, 100), "objects": tuple(objects)})
    return write(tmp_path / write.__module__.rpartition(".")[2], rows)


@pytest.fixture(scope="module")
def native_folder(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("native"), 12, write=voc.write)


# Questions and answers


def test_the_sentence_stands_before_the_question_for_detection_and_after_it_otherwise():
    assert prompt("odLength", "Find: cat.").endswith("Find: cat.") and prompt("odLength", "Find: cat.").startswith("Think")
    for kind in ("rec", "ic", "default"):
        assert prompt(kind, "Where {x}?").startswith("Where {x}? Think")
    assert "JSON" in prompt("rec", "?") and "JSON" in prompt("ic", "?") and "JSON" not in prompt("default", "?")
    assert all(len(text.split()) < 35 and "<think>" in text and "<answer>" in text for text in TEMPLATES.values())


def test_a_worked_answer_is_in_the_models_frame_and_earns_full_marks_at_any_size():
    one = sample_of("rec", px(64, 48, 320, 240))
    text = worked(one, frame=Frame.MODEL)
    assert text == '<think>I look.</think><answer>{"bbox_2d": [11.2, 8.4, 56, 42]}</answer>'
    assert value(rec(), said(one, text)) == pytest.approx(1, abs=1e-6)
    assert '"bbox_2d": [100, 100, 500, 500]' in worked(one, frame=Frame.MILLE)
    many = sample_of("ovd", (Labelled("cat", px(64, 48, 320, 240)), Labelled("dog", px(10, 10, 600, 470))))
    assert value(od_length(), said(many, worked(many, frame=Frame.MODEL))) == 1.0
    assert worked(sample_of("ovd", ()), frame=Frame.MODEL, thought=None) == "<answer>None</answer>"
    assert worked(sample_of("text", "No Defect"), frame=Frame.MODEL, thought=None) == "<answer>No Defect</answer>"


def test_thoughts_name_the_cells_of_the_models_picture_where_the_row_has_none():
    many = sample_of("ovd", (Labelled("cat", px(64, 48, 320, 240)), Labelled("dog", px(480, 380, 640, 480))))
    assert worked(many, frame=Frame.MODEL, cells=True).startswith("<think>cat at 1 0, dog at 3 2.</think>")
    assert worked(sample_of("rec", px(0, 0, 64, 48)), frame=Frame.MODEL, cells=True).startswith("<think>It is at 0 0.</think>")
    assert worked(sample_of("ovd", ()), frame=Frame.MODEL, cells=True) == "<think>Nothing is there.</think><answer>None</answer>"
    own = replace(many, data={**many.data, "thought": "Mine."})
    assert worked(own, frame=Frame.MODEL, cells=True).startswith("<think>Mine.</think>")


def test_the_files_own_pixels_as_an_answer_earn_nothing():
    one = sample_of("rec", px(64, 48, 320, 240))
    assert value(rec(), said(one, '<think>x</think><answer>{"bbox_2d": [64, 48, 320, 240]}</answer>')) < 0.1


def test_imitated_answers_hold_whole_pixels_of_the_picture_that_this_processor_makes(native_folder):
    made = recipe(model="tiny", data=native_folder)
    warm, reader = made.stages[0], Reader.of(made.model)
    for sample in warm.task:
        shown = reader.seen(sample)
        width, height = shown[0].model_size
        assert sample.pictures[0].size == (200, 100) and width % 28 == height % 28 == 0 and (width, height) != (200, 100)
        box = sample.target[0].box
        numbers = [round(v) for v in (box.x1 * width / 200, box.y1 * height / 100, box.x2 * width / 200, box.y2 * height / 100)]
        assert f'"bbox_2d": {numbers}, "label": "bar"' in warm.answer(sample.showing(shown))


# Rewards and figures


def test_odlength_charges_for_every_box_that_map_lets_pass():
    one = sample_of("ovd", (Labelled("cat", px(0, 0, 100, 100)),), size=(112, 112), seen=(112, 112))
    right = '{"bbox_2d": [0, 0, 100, 100], "label": "cat"}'
    extra = '{"bbox_2d": [50, 50, 60, 60], "label": "cat"}'
    for n, length in ((0, 1.0), (1, 1 / 2), (4, 1 / 5), (9, 1 / 10)):
        text = f"<think>x</think><answer>{FENCE.format(', '.join([right, *[extra] * n]))}</answer>"
        assert value(od_ap(), said(one, text)) == 1.0 and value(od_length(), said(one, text)) == pytest.approx(length)


def test_precision_recall_boxes_and_nms_in_literal_numbers():
    gold = [Labelled("cat", px(0, 0, 50, 50)), Labelled("dog", px(60, 60, 110, 110))]
    said_ = [Labelled("cat", px(0, 0, 50, 50)), Labelled("dog", px(0, 0, 50, 50)), Labelled("dog", px(60, 60, 110, 110)), Labelled("cat", px(0, 60, 20, 80))]
    found = precisions([gold], [said_])
    assert (found["precision"], found["recall"], found["gold_boxes"]) == (0.5, 1.0, 2.0)
    assert found["map"] == pytest.approx(0.75)  # cat first: 1; the dog stands behind a false one: 1/2
    assert found["nms_map"] == 1.0  # the same box by another name goes
    assert precisions([[]], [[]])["map"] == 0.0 and precisions([[]], [[]])["precision"] == 1.0


def test_totals_read_answers_in_the_models_frame_and_count_every_item():
    one = sample_of("ovd", (Labelled("Cat", px(64, 48, 320, 240)),))
    right = '{"bbox_2d": [11.2, 8.4, 56, 42], "label": "cat"}'
    answers = [f"<answer>{FENCE.format(right)}</answer>", f"<answer>{FENCE.format(right + ', {}, {}')}</answer>", "nothing at all"]
    found = detection(Frame.MODEL)([said(one, text) for text in answers])
    assert found["boxes"] == pytest.approx(4 / 3) and found["recall"] == pytest.approx(2 / 3) and found["precision"] == 1.0
    assert found["ap50"] == pytest.approx(0.6634, abs=2e-3)  # two of three pictures: 67 of 101 recall levels
    box = sample_of("rec", px(64, 48, 320, 240))
    texts = ["<answer>[11, 8, 56, 42]</answer>", "<answer>[64, 48, 320, 240]</answer>", "no", "<answer>[11, 8, 56, 42]</answer>"]
    assert grounding(Frame.MODEL)([said(box, text) for text in texts]) == {"acc50": 0.5}


# The recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_vlm_r1(tmp_path_factory.mktemp("vlm_r1") / "mini", seed=1, n_train=30, n_test=6)


def test_kinds_methods_and_the_reward_override(folder):
    made = recipe(model="tiny", data=folder)
    assert [type(stage) for stage in made.stages] == [RL]
    warm, text = recipe(model="tiny", data=folder, task="text").stages
    assert isinstance(warm, SFT) and warm.name == "warm" and isinstance(text, RL)
    methods = Counter(sample.data[METHOD] for stage in made.stages for sample in stage.task)
    assert set(methods) == {"rec", "odLength", "all_match"}
    other = recipe(model="tiny", data=folder, reward="od_ap", task="ovd")
    assert {sample.data[METHOD] for sample in other.stages[0].task} == {"od_ap"} and len(other.stages) == 1
    assert [e.name for e in other.evaluations] == ["val-ovd", "ovd_test", "ovd_test_ood_crowded", "ovd_test_ood_free"]
    assert [e.is_shifted for e in other.evaluations] == [False, False, True, True]
    mixed = recipe(model="tiny", data=folder, reward="weighted_sum")
    assert Counter(s.data[METHOD] for s in mixed.stages[-1].task)["all_match"] == methods["all_match"]
    with pytest.raises(DataError, match="task is 'text'.*training rows of: rec"):
        recipe(model="tiny", data=folder / "rec_train.jsonl", task="text")


@pytest.mark.parametrize("coordinates", ["model", "mille"])
def test_worked_answers_are_drawn_on_their_gold_boxes(folder, coordinates):
    made = recipe(model="tiny", data=folder, frame=coordinates)
    kinds = Counter()
    for sample in made.stages[0].task:
        shown = sample.showing([picture.seen_at((140, 84)) for picture in sample.pictures])
        rollout = said(shown, worked(shown, frame=Frame(coordinates), decimals=4))
        marks, golds = all_drawn(made.marks(rollout), rollout.pictures), all_drawn(marks_in(sample.target), rollout.pictures)
        assert len(marks) == len(golds)
        for mark, gold in zip(marks, golds):
            assert mark["picture"] == 0 and mark["box"] == pytest.approx(gold["box"], abs=1e-3)
            assert mark.get("label") == gold.get("label")
        kinds[sample.kind] += len(golds)
        assert not made.marks(said(shown, "no answer"))
    assert kinds["rec"] and kinds["ovd"] and not kinds["text"]


def test_the_published_lists_name_files_folders_and_methods(folder):
    made = recipe(model="tiny", data=folder, files="rec_train.jsonl:rec_test.jsonl", images=".:.", methods="rec:rec")
    assert {s.kind for s in made.stages[0].task} == {"rec"} and [e.name for e in made.evaluations] == ["val-rec", "rec_test"]
    with pytest.raises(DataError, match="no file to train on among rec_test.jsonl"):
        recipe(model="tiny", data=folder, files="rec_test.jsonl")


def test_terms_are_summed_with_weight_one(folder):
    def names(terms):
        return [(t.reward.name, t.weight) for t in recipe(model="tiny", data=folder, terms=terms).stages[-1].rewards.terms]

    assert names("none") == [("accuracy", 1.0), ("format", 1.0)]
    assert names("both") == [("accuracy", 1.0), ("format", 1.0), ("length", 1.0), ("repetition", 1.0)]


def test_imitation_takes_the_place_of_rl_with_its_rows_steps_and_prompts(folder, native_folder):
    for data in (folder, native_folder):
        stages = {v: recipe(model="tiny", data=data, variant=v).stages for v in ("rl", "sft", "cot_sft")}
        rl = stages["rl"][-1]
        for variant in ("sft", "cot_sft"):
            (*before, sft) = stages[variant]
            assert (sft.steps, sft.batch) == (rl.steps, rl.prompts)
            assert [s.id for s in sft.task] == [s.id for s in rl.task]
            assert [(one.name, one.steps) for one in before] == [(one.name, one.steps) for one in stages["rl"][:-1]]
        sample = next(s for s in rl.task if s.kind != "text").showing([p.seen_at(p.size) for p in rl.task.samples[0].pictures])
        bare, shown = (stages[variant][-1].answer(sample) for variant in ("sft", "cot_sft"))
        assert bare.startswith("<answer>") and shown.startswith("<think>") and "I look." not in shown
        assert bare == shown[shown.index("<answer>") :]


def test_no_picture_of_a_test_set_is_trained_on_and_it_is_said(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    lines = (copy / "rec_test.jsonl").read_text().splitlines()
    with (copy / "rec_train.jsonl").open("a") as file:
        file.writelines(line.replace('"id": ', '"id": 9') + "\n" for line in lines[:4])
    made = recipe(model="tiny", data=copy, task="rec")
    trained = {p.sha for stage in made.stages for s in stage.task for p in s.pictures}
    assert not trained & {p.sha for e in made.evaluations for s in e.task for p in s.pictures}
    assert len(made.stages[0].task.left_out) == 4
    assert recipe(model="tiny", data=folder, task="rec").stages[0].task.left_out == ()


def test_file_names_are_told_by_whole_words(folder, tmp_path):
    for name, is_test in (("device_train", False), ("my_val", True), ("validation-2", True), ("retest", False), ("rec_test_ood_free", True)):
        assert bool(TEST.search(name.replace("_", "-"))) is is_test, name


def test_options_that_are_none_or_do_nothing_are_refused(folder, native_folder):
    for option in ("variant", "task", "reward", "terms", "frame"):
        with pytest.raises(DataError, match=f"{option} is 'foo'; have: "):
            recipe(model="tiny", data=folder, **{option: "foo"})
    for options in ({"task": "rec"}, {"images": "x"}, {"methods": "rec"}):
        with pytest.raises(DataError, match="native format"):
            recipe(model="tiny", data=native_folder, **options)
    with pytest.raises(DataError, match="'llm' needs a judge"):
        ask({"id": "1", "image": [], "problem": "?", "answer": "b", METHOD: "llm"})


def test_the_papers_numbers():
    assert (PAPER.prompts, PAPER.text_prompts, PAPER.siblings, PAPER.epochs) == (16, 4, 8, 2)
    assert (PAPER.rl.lr, PAPER.lora_lr, PAPER.beta, PAPER.ovd_beta) == (1e-6, 1e-5, 0.04, 0.0)
    assert (PAPER.sampling.max_tokens, PAPER.sampling.temperature, PAPER.length_limit) == (2048, 0.9, 1024)
    made = recipe(model="Qwen/Qwen2.5-VL-3B-Instruct", lora=64)
    assert made.model.lora.rank == 64 and made.model.lora.alpha == 128 and made.model.freeze == ("vision", "connector")
    (rl,) = made.stages
    assert rl.optimization.lr == 1e-5 and rl.algorithm.beta == 0.04
    (ovd,) = recipe(model="Qwen/Qwen2.5-VL-3B-Instruct", task="ovd").stages
    assert ovd.algorithm.beta == 0.0 and ovd.optimization.lr == 1e-6


# Detection data in its native format


@pytest.mark.parametrize("module", [voc, coco, yolo], ids=["voc", "coco", "yolo"])
def test_a_native_folder_keeps_every_picture_and_leaks_none(tmp_path, module):
    folder = drawn(tmp_path, 10, write=module.write, crowd=12)
    sets = native(folder, method="odLength", most_boxes=10, seed=0)
    (test,), train = sets.tests, sets.train["ovd"]
    everything = [*train, *test.task]
    assert len(everything) == 10 and len(test.task) == 2 and not train.bad_rows and test.kind == "ovd"
    assert not {p.sha for s in train for p in s.pictures} & {p.sha for s in test.task for p in s.pictures}
    for sample in everything:
        (bar,) = sample.target  # the crowded label is not asked for
        assert bar.label == "bar" and bar.box.x2 - bar.box.x1 == pytest.approx(51) and bar.box.frame is Frame.PIXEL
    first = next(s for s in everything if s.id.endswith("p0"))
    assert first.data["asked"] == ("bar",) and (first.data["boxes"], first.data["boxes_asked"]) == (13, 1)
    assert "10 of 22 boxes asked for" in sets.about


def test_of_parts_the_test_part_is_measured_on_and_all_others_trained_on(tmp_path):
    folder = drawn(tmp_path, 9, write=coco.write, part=lambda i: ("train/", "val/", "test/")[i % 3])
    sets = native(folder, method="odLength", most_boxes=10, seed=0)
    assert {s.id.partition("/")[0] for s in sets.train["ovd"]} == {"train", "val"} and len(sets.train["ovd"]) == 6
    assert {s.id.partition("/")[0] for s in sets.tests[0].task} == {"test"} and len(sets.tests[0].task) == 3


def test_crowds_and_difficult_objects_are_no_target_and_a_picture_of_crowds_alone_still_asks(tmp_path):
    image = PIL.Image.new("RGB", (64, 64))
    image.save(tmp_path / "a.png")
    things = [Annotation("a", px(i, 0, i + 1, 9)) for i in range(5)] + [Annotation("b", px(i, 0, i + 1, 9)) for i in range(4)]
    row = {"id": "1", "image": [str(tmp_path / "a.png")], "objects": tuple(things)}
    asked = ask_native(row, names=["a", "b"], method="od_ap", most_boxes=3, seed=0)
    assert asked.data["asked"] == ("b",) and len(asked.target) == 4 and asked.data[METHOD] == "od_ap"
    absent = ask_native(row, names=["a", "b", "c"], method="od_ap", most_boxes=3, seed=0)
    assert absent.data["asked"] == ("b", "c") and len(absent.target) == 4  # an absent label alone would make it a None question
    flagged = {**row, "objects": (replace(things[0], flags=("difficult",)), replace(things[1], flags=("crowd",)), things[2])}
    asked = ask_native(flagged, names=["a", "b"], method="od_ap", most_boxes=3, seed=0)
    assert asked.target == (things[2],) or [t.box for t in asked.target] == [things[2].box]
    assert (asked.data["unsure"], asked.data["boxes"]) == (2, 1) and asked.data["asked"] == ("a", "b")


def test_of_many_labels_those_in_the_picture_and_one_to_three_others_are_asked_for(tmp_path):
    names = [f"n{i}" for i in range(30)]
    counts = set()
    for i in range(40):
        PIL.Image.new("RGB", (32, 32), (i, i, i)).save(tmp_path / f"{i}.png")
        row = {"id": str(i), "image": [str(tmp_path / f"{i}.png")], "objects": (Annotation("n3", px(1, 1, 9, 9)),)}
        asked = ask_native(row, names=names, method="odLength", most_boxes=10, seed=0).data["asked"]
        assert "n3" in asked and len(set(asked)) == len(asked)
        counts.add(len(asked))
    assert counts == {2, 3, 4}


def test_a_faulty_row_is_named_and_points_are_no_boxes(tmp_path):
    with pytest.raises(DataError, match="torn"):
        ask_native({"id": "1", "fault": "torn"}, names=["a"], method="od_ap", most_boxes=3, seed=0)
    with pytest.raises(DataError, match="row 1"):
        ask({"id": "1", "fault": "row 1"})


@pytest.mark.skipif(not (SHARED / "urban_trees").is_dir(), reason="needs shared data")
def test_a_set_of_points_is_refused_in_one_sentence():
    with pytest.raises(DataError, match="no boxes to find"):
        native(SHARED / "urban_trees", method="odLength", most_boxes=10, seed=0)


@pytest.mark.skipif(not (SHARED / "bccd").is_dir(), reason="needs shared data")
@pytest.mark.parametrize(("name", "n", "size"), [("bccd", 242, (112, 84)), ("playing_cards", 45, None), ("deeppcb", 80, (112, 112)), ("histology_hgsc", 48, (112, 112))])
def test_real_pictures_keep_their_number_and_their_boxes_meet_in_the_models_frame(name, n, size):
    made = recipe(model="tiny", data=SHARED / name)
    (warm, rl), (val, test) = made.stages, made.evaluations
    everything = [*rl.task, *val.task, *test.task]
    assert len(everything) == n == len(read(SHARED / name)) and not rl.task.bad_rows
    assert len({s.pictures[0].sha for s in everything}) == n
    reader = Reader.of(made.model)
    for sample in list(warm.task)[:12]:
        shown = reader.seen(sample)
        assert size is None or shown[0].model_size == size
        assert max(shown[0].model_size) <= 168
        rollout = replace(said(sample, warm.answer(sample.showing(shown))), pictures=shown)
        large = [t for t in sample.target if shown[0].convert(t.box, to=Frame.MODEL).area > 150]
        kept = detection(Frame.MODEL)([rollout])
        if large and len(large) == len(sample.target):
            assert kept["recall"] == 1.0 == kept["precision"]  # whole pixels of the small picture are near enough


def test_the_miniatures_numbers_say_that_they_are_ours():
    assert MINIATURE.siblings == PAPER.siblings and MINIATURE.ovd_beta == 0.0 and MINIATURE.max_pixels == 112 * 112
