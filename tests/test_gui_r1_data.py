"""GUI-R1's data: the screens, the miniature drawn from them, and the reader of the published format."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow.parquet
import pytest

from saccade.core.picture import Box, Frame, Point
from saccade.core.sample import DataError, Task
from saccade.data import gui_r1, parquet
from saccade.data.duplicates import appearances, near_pairs
from saccade.data.miniature.gui_r1 import write_gui_r1
from saccade.data.miniature.screens import lesson, screens, step
from saccade.data.miniature.solids import COLORS
from saccade.recipes.gui_r1.samples import ask, offered
from saccade.rewards.papers.gui_r1 import GoldAction

MINIWOB = Path(__file__).parents[2] / "shared/data/gui_miniwob"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_gui_r1(tmp_path_factory.mktemp("data") / "mini", seed=3, n_train=300, n_watch=20, n_test=60)


def png(size: tuple[int, int] = (200, 100), seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 255, size=(size[1], size[0], 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


def published(**columns) -> dict:
    row = {
        "image": {"bytes": png(), "path": None},
        "instruction": "Open the settings.",
        "history": "None",
        "task_type": "high",
        "gt_bbox": [0.25, 0.5, 0.5, 0.75],
        "gt_action": "click",
        "gt_input_text": "no input text",
        "group": "os_atlas",
        "id": "a",
    }
    return {**row, **columns}


def written(tmp_path: Path, *rows: dict, name: str = "train") -> Path:
    parquet.write(tmp_path / f"{name}.parquet", rows)
    return tmp_path


def pixels(folder: Path, name: str) -> set[str]:
    return {ask(row).pictures[0].sha for row in gui_r1.read(folder, name)}


# The screens.


def test_the_shipped_screens_are_real_sizes_and_every_widget_has_its_colour_in_its_box():
    seen = {}
    for split in ("train", "test", "shifted"):
        for screen in screens(split):
            picture = screen.picture
            assert picture.shape == (112, 112, 3) and 2 <= len(screen.widgets) <= 5
            assert len({widget.color for widget in screen.widgets}) == len(screen.widgets)
            for widget in () if screen.has_dialog else screen.widgets:
                x1, y1, x2, y2 = widget.box
                inside = picture[y1:y2, x1:x2].reshape(-1, 3).astype(int)
                share = (np.abs(inside - COLORS[widget.color]).max(1) <= 8).mean()
                seen.setdefault(widget.kind, []).append(share)
                around = picture[max(0, y1 - 3) : y2 + 3, max(0, x1 - 3) : x2 + 3].reshape(-1, 3).astype(int)
                outside = (np.abs(around - COLORS[widget.color]).max(1) <= 8).sum() - share * len(inside)
                assert outside <= 2, f"{screen.id} {widget}: its colour goes on outside its box"
    assert set(seen) == {"button", "box", "list", "check", "tab", "switch"}
    for kind, shares in seen.items():
        assert min(shares) > 0.15 and np.median(shares) > 0.4, kind


def test_the_desktop_is_in_the_shifted_split_alone_and_no_screen_in_two_splits():
    shas = {}
    for split, platforms in (("train", {"web", "phone"}), ("test", {"web", "phone"}), ("shifted", {"desktop"})):
        assert {screen.platform for screen in screens(split)} == platforms
        shas[split] = {hashlib.sha256(screen.picture.tobytes()).hexdigest() for screen in screens(split)}
        assert len(shas[split]) == len(screens(split)) >= 100
        assert 0.02 < np.mean([screen.has_dialog for screen in screens(split)]) < 0.2
    assert not shas["train"] & shas["test"] and not shas["train"] & shas["shifted"] and not shas["test"] & shas["shifted"]
    with pytest.raises(ValueError, match="have: train, test, shifted"):
        screens("val")


NEXT = [  # (command, history, action, text): what anyone would do next
    (r"Write (\d\d) in the (\w+ box)\.", "None", "click", None),
    (r"Write (\d\d) in the (\w+ box)\.", "click {1}", "type", "{0}"),
    (r"Write (\d\d) in the (\w+ box)\.", "click {1}, type {0}", "enter", None),
    (r"Write (\d\d) in the (\w+ box)\.", "click {1}, type {0}, enter", "complete", None),
    (r"Choose (\d) in the (\w+ list)\.", "None", "click", None),
    (r"Choose (\d) in the (\w+ list)\.", "click {1}", "select", "{0}"),
    (r"Choose (\d) in the (\w+ list)\.", "click {1}, select {0}", "complete", None),
    (r"Press the (\w+ (?:button|tab|check|switch))\.", "None", "click", None),
    (r"Press the (\w+ (?:button|tab|check|switch))\.", "click {0}", "complete", None),
    (r"Scroll (up|down|left|right)\.", "None", "scroll", "{0}"),
    (r"Scroll (up|down|left|right)\.", "scroll {0}", "complete", None),
    (r"Go back\.", "None", "press_back", None),
    (r"Go back\.", "press_back", "complete", None),
    (r"Go to the start\.", "None", "press_home", None),
    (r"Go to the start\.", "press_home", "complete", None),
    (r"Close this page\.", "None", "close/delete", None),
    (r"Close this page\.", "close/delete", "complete", None),
]


def test_the_next_step_is_what_the_command_the_history_and_the_screen_ask_for():
    rng, pool, met = np.random.default_rng(0), screens("train"), set()
    for _ in range(1500):
        screen = pool[int(rng.integers(len(pool)))]
        command, history, gold = step(rng, screen, "high")
        names = {widget.name: widget.box for widget in screen.widgets}
        if screen.has_dialog:
            assert (history, gold["action"], gold["box"], gold["text"]) == ("None", "close/delete", None, None)
            met.add("dialog")
            continue
        fitting = []
        for number, (form, done, action, text) in enumerate(NEXT):
            found = re.fullmatch(form, command)
            if found and history == done.format(*found.groups()):
                fitting.append((number, found.groups(), action, text and text.format(*found.groups())))
        ((number, words, action, text),) = fitting
        if action == "click":
            if words[-1] not in names:
                assert command.startswith("Press") and words[-1].split()[0] not in {name.split()[0] for name in names}
                action, text = "scroll", "down"
                met.add("look")
            else:
                assert gold["box"] == names[words[-1]]
        met.add(number)
        assert (gold["action"], gold["text"]) == (action, text), (command, history)
        assert (gold["box"] is None) == (action != "click")
    assert met == {*range(len(NEXT)), "dialog", "look"}


def test_a_low_level_lesson_is_a_click_on_a_widget_that_can_be_seen():
    rng = np.random.default_rng(1)
    dark = [screen for screen in screens("test") if screen.has_dialog]
    light = [screen for screen in screens("test") if not screen.has_dialog]
    shown = {hashlib.sha256(screen.picture.tobytes()).digest(): screen for screen in light}
    for _ in range(100):
        picture, command, history, gold = lesson(rng, level="low", pool=dark[:3] + light[:3])
        screen = shown[hashlib.sha256(picture.tobytes()).digest()]
        assert history == "None" and gold["action"] == "click" and gold["level"] == "low"
        assert {f"Click the {widget.name}.": widget.box for widget in screen.widgets}[command] == gold["box"]


# The miniature.


def test_same_seed_same_bytes_and_another_seed_other_bytes(folder, tmp_path):
    def prints(at):
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in at.iterdir()}

    again = write_gui_r1(tmp_path / "again", seed=3, n_train=300, n_watch=20, n_test=60)
    other = write_gui_r1(tmp_path / "other", seed=4, n_train=300, n_watch=20, n_test=60)
    assert prints(again) == prints(folder)
    assert prints(other).keys() == prints(folder).keys() and not set(prints(other).values()) & set(prints(folder).values())


def test_its_sets_are_of_the_size_asked_half_of_each_level_and_share_no_screen(folder):
    assert set(gui_r1.files(folder)) == {"train", "test", "screens", "desktop"}
    for name, n in (("train", 300), ("test", 20), ("screens", 60), ("desktop", 60)):
        rows = gui_r1.read(folder, name)
        assert len(rows) == n and [row["task_type"] for row in rows].count("low") == n // 2
        assert len({row["id"] for row in rows}) == n
        assert len({(ask(row).pictures[0].sha, row["instruction"], row["history"]) for row in rows}) == n
        assert {row["group"] for row in rows} == ({"desktop"} if name == "desktop" else {"web", "phone"})
    shas = [pixels(folder, name) for name in ("train", "test", "screens", "desktop")]
    assert len(set().union(*shas)) == sum(map(len, shas))


def test_its_columns_are_the_published_ones_with_boxes_in_fractions(folder):
    table = pyarrow.parquet.read_table(folder / "train.parquet")
    assert set(table.column_names) == {
        "image", "instruction", "history", "task_type", "gt_bbox", "gt_action", "gt_input_text", "group", "id",
    }  # fmt: skip
    boxes = {screen.id: {widget.name: widget.box for widget in screen.widgets} for screen in screens("train")}
    n = 0
    for row in table.to_pylist():
        if row["gt_action"] == "click":
            name = re.search(r"the (\w+ \w+)\.", row["instruction"])[1]
            assert [side * 112 for side in row["gt_bbox"]] == pytest.approx(boxes[row["id"].split("/")[0]][name])
            n += 1
        else:
            assert row["gt_bbox"] == []
    assert n > 150


def test_too_few_rows_and_a_folder_that_is_there_are_refused(folder, tmp_path):
    with pytest.raises(DataError, match="at least 2"):
        write_gui_r1(tmp_path / "x", n_watch=1)
    with pytest.raises(DataError, match="exists already"):
        write_gui_r1(folder)


# The reader.


def test_a_published_row_becomes_a_sample_whose_gold_lies_in_fractions(tmp_path):
    (row,) = gui_r1.read(written(tmp_path, published(verify_bbox=[1, 2], success_rate=0.4)), "train")
    sample = ask(row)
    assert sample.target == GoldAction(name="click", place=Box(0.25, 0.5, 0.5, 0.75, Frame.UNIT))
    assert sample.pictures[0].size == (200, 100)
    assert sample.pictures[0].convert(sample.target.place, to=Frame.PIXEL) == Box(50.0, 50.0, 100.0, 75.0, Frame.PIXEL)
    assert sample.kind == "high" and sample.id == "a"
    assert dict(sample.data) == {"set": "train", "group": "os_atlas", "verify_bbox": [1, 2], "success_rate": 0.4}
    assert "Command: Open the settings. Done: None. Actions: complete, close/delete, press_home, click," in sample.prompt_text
    assert sample.prompt_text.startswith("[picture]") and len(sample.messages) == 1


def test_a_gold_of_two_numbers_is_a_point_and_one_of_none_has_no_place(tmp_path):
    rows = [
        published(id="p", gt_bbox=[0.5, 0.1]),
        published(id="n", gt_bbox=[], gt_action="press_back", gt_input_text=None, history=None),
        published(id="t", gt_bbox=[-100.0, -100.0], gt_action="type", gt_input_text="it's [5, 6]", history="click"),
    ]
    point, none, typed = map(ask, gui_r1.read(written(tmp_path, *rows), "train"))
    assert point.target.place == Point(0.5, 0.1, Frame.UNIT)
    assert none.target == GoldAction(name="press_back") and "Done: None." in none.prompt_text
    assert typed.target.text == "it's [5, 6]" and "Done: click." in typed.prompt_text


def test_a_low_level_row_is_asked_with_click_alone_and_without_its_history(tmp_path):
    rows = [published(task_type=kind, id=kind, history="opened it") for kind in ("low", "ground", "high")]
    low, ground, high = map(ask, gui_r1.read(written(tmp_path, *rows), "train"))
    for sample in (low, ground):
        assert sample.kind == "low" and "Action: click. Where?" in sample.prompt_text and "opened it" not in sample.prompt_text
    assert "opened it" in high.prompt_text and "press_home" in high.prompt_text


def test_braces_in_an_instruction_stand_as_they_are(tmp_path):
    (row,) = gui_r1.read(written(tmp_path, published(instruction="Type {history} or {x}.", history="{actions}")), "train")
    assert "Command: Type {history} or {x}. Done: {actions}. Actions: complete," in ask(row).prompt_text


def test_bad_rows_are_named_and_the_good_ones_stay(tmp_path):
    rows = [
        published(id="good"),
        published(id="no words", instruction=None),
        published(id="blank", instruction="  "),
        published(id="no action", gt_action=None),
        published(id="no picture", image=None),
        published(id="torn", image={"bytes": png()[:200], "path": None}),
        published(id="three", gt_bbox=[0.1, 0.2, 0.3]),
        published(id="pixels", gt_bbox=[10.0, 20.0, 30.0, 40.0]),
        published(id="flat", gt_bbox=[0.1, 0.2, 0.1, 0.4]),
        published(id="nan", gt_bbox=[0.1, 0.2, float("nan"), 0.4]),
        published(id="no box", gt_bbox=None),
        published(id="type what", gt_action="type", gt_input_text=None),
        published(id="scroll where", gt_action="scroll", gt_input_text="no input text"),
    ]
    task = Task.from_rows(gui_r1.read(written(tmp_path, *rows), "train"), ask, name="t", split="train", max_bad_share=1)
    assert [sample.id for sample in task] == ["good"]
    why = {bad.id: bad.why for bad in task.bad_rows}
    assert set(why) == {row["id"] for row in rows[1:]}
    assert why["no words"] == "train.parquet row 1: instruction must be a text, got NoneType 'None'"
    assert "cannot be decoded" in why["torn"] and "image must be bytes" in why["no picture"]
    assert "2 or 4 fractions" in why["three"] and "between 0 and 1" in why["pixels"]
    assert why["type what"].startswith("gt_action type has no gt_input_text") and why["scroll where"].startswith("gt_action scroll has no")
    assert "no area" in why["flat"] and "list of numbers" in why["nan"] and "2 or 4" in why["no box"]


def test_ids_that_repeat_or_lack_are_told_apart_by_their_numbers(tmp_path):
    rows = [published(id="a"), published(id="a"), published(id=None), published(id=""), published(id="b")]
    assert [row["id"] for row in gui_r1.read(written(tmp_path, *rows), "train")] == ["a", "a#1", "train/2", "train/3", "b"]


def test_what_is_no_such_folder_file_or_set_is_said_in_a_sentence(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        gui_r1.files(tmp_path / "none")
    with pytest.raises(DataError, match=r"has no train.parquet, test.parquet or NAME_test.parquet"):
        gui_r1.files(tmp_path)
    written(tmp_path, published(), name="omniact_web_test")
    with pytest.raises(DataError, match="has no set 'train'; it has: omniact_web"):
        gui_r1.read(tmp_path, "train")
    parquet.write(tmp_path / "train.parquet", [{"image": b"", "instruction": "x"}])
    with pytest.raises(DataError, match="no column gt_bbox, gt_action"):
        gui_r1.read(tmp_path, "train")


@pytest.mark.parametrize(
    ("name", "level", "actions"),
    [
        ("train", "low", "click"),
        ("train", "high", "complete close/delete press_home click press_back type select scroll enter"),
        ("androidcontrol_high", "high", "wait long_press click press_back type open_app scroll"),
        ("androidcontrol_low", "low", "wait long_press click press_back type open_app scroll"),
        ("guiact_web", "high", "scroll click complete"),
        ("guiodyssey", "high", "press_back press_recent press_home complete long_press scroll click impossible type"),
        ("omniact_desktop", "low", "click moveto press_pgdn"),
        ("omniact_web", "low", "press_tab moveto rightclick press_enter scroll click press_down hotkey press_space doubleclick"),
        ("screenspot", "low", "click"),
        ("screenspot_pro", "low", "click"),
        ("somewhere", "high", "complete close/delete press_home click press_back type select scroll enter"),
        ("test", "low", "click"),
    ],
)
def test_every_benchmark_has_its_own_list_of_actions(name, level, actions):
    assert offered(name, level) == tuple(actions.split())


def test_screenspot_records_become_rows_in_sets_that_share_no_picture(tmp_path):
    (tmp_path / "images").mkdir()
    records = []
    for number in range(10):
        (tmp_path / f"images/{number}.png").write_bytes(png(seed=number))
        for bbox in ([20, 10, 40, 30], [100, 50, 100, 50]):
            records.append({"img_filename": f"{number}.png", "instruction": f"Take {bbox[0]}.", "bbox": bbox, "data_type": "icon"})
    (tmp_path / "screenspot_web.json").write_text(json.dumps(records))
    assert gui_r1.is_screenspot(tmp_path)
    sets = gui_r1.screenspot(tmp_path)
    samples = {name: [ask(row) for row in rows] for name, rows in sets.items()}
    assert {name: len(rows) for name, rows in samples.items()} == {"train": 14, "test": 2, "screenspot": 4}
    shas = [{sample.pictures[0].sha for sample in rows} for rows in samples.values()]
    assert len(set().union(*shas)) == sum(map(len, shas)) == 10
    places = {sample.prompt_text[len("[picture]Command: "):].split(".")[0]: sample.target.place for sample in samples["train"]}
    assert places == {"Take 20": Box(0.1, 0.1, 0.3, 0.4, Frame.UNIT), "Take 100": Box(0.5, 0.5, 1.0, 1.0, Frame.UNIT)}
    parquet.write(tmp_path / "train.parquet", [published()])
    assert not gui_r1.is_screenspot(tmp_path)


def test_screens_that_look_alike_are_in_one_set(tmp_path):
    """Pages of one template, which differ in a word, are no test of what was trained on them."""
    (tmp_path / "images").mkdir()
    records = []
    for template in range(6):
        noise = np.random.default_rng(template).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        page = PIL.Image.fromarray(noise).resize((240, 240), PIL.Image.Resampling.NEAREST)
        for word in range(4):
            page.putpixel((100 + word, 3), (255, 0, 0))  # other pixels, the same page
            page.save(tmp_path / f"images/{template}-{word}.png")
            records.append({"img_filename": f"{template}-{word}.png", "instruction": "Take it.", "bbox": [9, 9, 9, 9], "data_type": "icon"})
    (tmp_path / "images/cut.png").write_bytes(png()[:4000])  # its header can be read and its pixels cannot
    cut = {**records[0], "img_filename": "cut.png"}
    (tmp_path / "screenspot_web.json").write_text(json.dumps([cut, *records]))
    for seed in range(3):
        sets = gui_r1.screenspot(tmp_path, seed=seed)
        assert "fault" in sets["train"].pop(0)
        templates = {name: {row["id"].partition("-")[0] for row in rows} for name, rows in sets.items()}
        assert {name: len(rows) for name, rows in sets.items()} == {"train": 16, "test": 4, "screenspot": 4}
        assert {name: len(kinds) for name, kinds in templates.items()} == {"train": 4, "test": 1, "screenspot": 1}
        assert len(set().union(*templates.values())) == 6


@pytest.mark.skipif(not MINIWOB.is_dir(), reason="the shared data is not here")
def test_the_real_miniwob_records_are_all_read():
    sets = gui_r1.screenspot(MINIWOB)
    tasks = [Task.from_rows(rows, ask, name=name, split=name, max_bad_share=0) for name, rows in sets.items()]
    assert sum(map(len, tasks)) == 92
    assert {sample.target.name for task in tasks for sample in task} == {"click"}
    train, *tests = [appearances([sample.pictures[0] for sample in task]) for task in tasks]
    assert [near_pairs(train, test) for test in tests] == [[], []] and near_pairs(*tests) == []


@pytest.mark.skipif(shutil.which("chromium-headless-shell") is None, reason="no Chromium to render with")
def test_the_script_lays_out_the_shipped_screens_again():
    source = Path(__file__).parents[1] / "scripts/make_screens.py"
    spec = importlib.util.spec_from_file_location("make_screens", source)
    make_screens = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_screens)
    rows = make_screens.rendered(np.random.default_rng([0, *b"shifted"]), "shifted", ("desktop",), 20, set())
    for row, screen in zip(rows, screens("shifted"), strict=False):
        assert row["id"] == screen.id and row["has_dialog"] == screen.has_dialog
        assert [(w["color"], w["kind"], tuple(w["box"])) for w in row["widgets"]] == [(w.color, w.kind, w.box) for w in screen.widgets]
        again = np.asarray(PIL.Image.open(io.BytesIO(row["image"])).convert("RGB")).astype(int)
        assert np.abs(again - screen.picture).mean() < 2  # other fonts draw other letters
