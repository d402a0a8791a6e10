"""The grounding checkpoint finds what is asked, the scenes it learns from are what they say, and so are its lessons."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from saccade.data.miniature import digits, objects, solids
from saccade.data.miniature.screens import screens
from saccade.policy.embedded import EMBEDDED, TINY

FOLDER = EMBEDDED["tiny-grounding"]


@pytest.fixture(scope="module")
def script():
    """scripts/make_grounding.py as a module."""
    folder = str(Path(__file__).parents[1] / "scripts")
    sys.path.insert(0, folder)
    yield importlib.import_module("make_grounding")
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def exam(script):
    """scripts/grounding_exam.py as a module."""
    return importlib.import_module("grounding_exam")


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(FOLDER, local_files_only=True)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return AutoModelForImageTextToText.from_pretrained(FOLDER, local_files_only=True).eval()


def scenes(n, split="test", **options):
    rng = np.random.default_rng(3)
    return [objects.scene(rng, split, **options) for _ in range(n)]


# The scenes


def test_a_scene_is_drawn_again_by_the_same_seed_and_its_things_stand_in_reading_order():
    for options in ({}, {"repeat": True}, {"layout": "free", "most": 7}):
        (picture, things), (again, same) = (objects.scene(np.random.default_rng(5), "train", **options) for _ in "12")
        assert (picture == again).all() and things == same and picture.shape == (112, 112, 3)
        rows = [((thing.box[1] + thing.box[3]) // 2 // 28, thing.box[0] + thing.box[2]) for thing in things]
        assert rows == sorted(rows)


def test_boxes_are_tight_lie_apart_and_hold_all_that_is_drawn():
    for picture, things in scenes(40, most=5) + scenes(40, layout="free", most=7):
        paper = picture[0, 0] if not any(t.box[0] == 0 and t.box[1] == 0 for t in things) else picture[-1, -1]
        is_ink = np.abs(picture.astype(int) - paper.astype(int)).max(-1) > 60
        for x1, y1, x2, y2 in (thing.box for thing in things):
            assert 0 <= x1 < x2 <= 112 and 0 <= y1 < y2 <= 112
            inside = is_ink[y1:y2, x1:x2]
            assert inside.any()
            is_ink[y1:y2, x1:x2] = False
        assert is_ink.mean() < 0.002
        boxes = [thing.box for thing in things]
        for i, a in enumerate(boxes):
            assert all(a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1] for b in boxes[:i])


def test_a_solid_fills_its_box_to_every_edge():
    picture, things = objects.scene(np.random.default_rng(2), "train", kinds=("solid",))
    for thing in things:
        x1, y1, x2, y2 = thing.box
        ink = np.abs(picture[y1:y2, x1:x2].astype(int) - picture[55, 55].astype(int)).max(-1) > 40
        assert ink[0].any() and ink[-1].any() and ink[:, 0].any() and ink[:, -1].any()


def test_labels_are_unique_unless_repeats_are_wanted():
    for _, things in scenes(60, most=7):
        names = [word for thing in things for word in thing.words]
        assert len(set(names)) == 2 * len(things)
        assert all(thing.words[0] == thing.label and thing.label in thing.words[1] for thing in things)
    repeated = [len({t.label for t in things}) < len(things) for _, things in scenes(60, repeat=True)]
    assert 0.4 < np.mean(repeated) < 0.9


def test_kinds_and_counts_are_as_asked():
    for _, things in scenes(30, kinds=("digit",), least=3, most=4):
        assert 3 <= len(things) <= 4 and {thing.label for thing in things} <= set(objects.KINDS["digit"])
    for _, things in scenes(30, kinds=("solid",), least=6, most=6):
        assert len(things) == 6 and {thing.label for thing in things} <= set(solids.COLORS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layout": "heap"}, "layout is 'heap'; have: grid, free"),
        ({"kinds": ()}, "have: digit, solid"),
        ({"kinds": ("solid",), "most": 9}, "need 1 <= least <= most <= 8"),
        ({"least": 0}, "need 1 <= least"),
        ({"layout": "free", "most": 10, "repeat": True}, "<= 9"),
    ],
)
def test_a_scene_that_cannot_be_drawn_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        objects.scene(np.random.default_rng(0), "train", **options)


# The checkpoint


def test_it_is_small_and_of_the_ordinary_class(model):
    assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert sum(p.numel() for p in model.parameters()) <= 2_000_000
    assert sum(f.stat().st_size for f in FOLDER.rglob("*")) <= 8 * 2**20
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert "auto_map" not in json.loads((FOLDER / "config.json").read_text())


def test_its_vocabulary_has_that_of_the_tiny_model_and_says_answers_shortly(processor, model):
    tokenizer, tiny = processor.tokenizer, AutoProcessor.from_pretrained(TINY, local_files_only=True).tokenizer
    assert set(tiny.get_vocab()) <= set(tokenizer.get_vocab())
    assert len(tokenizer) <= model.config.text_config.vocab_size
    text = '<think>It is at 0 2.</think><answer>{"bbox_2d": [12, 30, 40, 60]}</answer>'
    assert len(tokenizer(text)["input_ids"]) <= 30 < len(tiny(text)["input_ids"])
    assert all(len(tokenizer(word)["input_ids"]) == 1 for word in [*"0123456789", *(f" {c}" for c in solids.COLORS)])


@pytest.mark.parametrize(
    "text",
    [
        '```json\n[{"bbox_2d": [1, 2, 30, 40], "label": "red cube"}, {"bbox_2d": [1, 2, 3, 4], "label": "7"}]\n```',
        '[{"bbox_2d":[1,2,30,40],"label":"x"}]  {"bbox_2d": [',
        "<think>a</think>\n<answer>[{'action': 'type', 'point': [-100, -100], 'input_text': 'no input text'}]</answer>",
        "Grüße, 世界! €5 \n\t{x} <answer><answer> ]}]} no input text",
    ],
)
def test_any_text_survives_its_tokenizer(processor, text):
    tokenizer = processor.tokenizer
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def replies(script, exam, model, processor, lessons, begin):
    """Greedy answers to lessons, all of which begin with the same words."""
    desk, out = script.Desk(processor), []
    for lesson in lessons:
        puzzle = exam.Puzzle(pictures=(lesson.picture,), problem="", thought="", answer="")
        ids = desk.drill(puzzle, lesson.prompt, begin).ids[:-1]
        drill = script.replace(desk.drill(puzzle, lesson.prompt, begin), ids=ids, weights=[0.0] * len(ids))
        inputs, _ = desk.batch([drill])
        with torch.no_grad():
            said = model.generate(**inputs, max_new_tokens=70, do_sample=False)[0, len(ids) :]
        out.append(begin + processor.tokenizer.decode(said, skip_special_tokens=True))
    return out


def test_it_finds_things_in_scenes_of_digits_it_has_never_seen(script, exam, model, processor):
    """Once it has begun to look, of 24 things on the grid."""
    rng, ways = np.random.default_rng(8), script.Ways(pool=digits.scans("test"))
    lessons = [script.LESSONS["where"](rng, ways) for _ in range(24)]
    said = replies(script, exam, model, processor, lessons, "<think>It is")
    assert np.mean([exam.marks(*pair)["exact"] for pair in zip(lessons, said, strict=True)]) >= 0.7


def test_it_looks_at_the_picture_it_is_shown(script, exam, model, processor):
    """The same question about a mirrored picture has a mirrored answer: 12 scenes of solids."""
    rng, ways = np.random.default_rng(9), script.Ways(pool=digits.scans("test"), longer=0.0)
    drawn = (script.LESSONS["where"](rng, ways) for _ in range(200))
    lessons = [lesson for lesson in drawn if lesson.gold[0][0] in solids.COLORS][:12]
    mirrored = [script.replace(lesson, picture=lesson.picture[:, ::-1].copy()) for lesson in lessons]
    before, after = (replies(script, exam, model, processor, group, "<think>It is") for group in (lessons, mirrored))
    agree = []
    for one, other in zip(before, after, strict=True):
        (_, (x1, y1, x2, y2)), (_, box) = exam.boxes_in(one)[0], exam.boxes_in(other)[0]
        agree.append(exam.iou((112 - x2, y1, 112 - x1, y2), box) > 0.5)
    assert np.mean(agree) >= 0.7


def test_its_first_answers_are_often_hasty(script, exam, model, processor):
    """What is left to learn: of 40 sampled answers, some look and some do not."""
    rng, ways = np.random.default_rng(10), script.Ways(pool=digits.scans("test"))
    lessons = [script.LESSONS["where"](rng, ways) for _ in range(40)]
    torch.manual_seed(0)
    said = exam.answers(model, script.Desk(processor), lessons, is_sampled=True)
    hasty = np.mean(["at once" in text for text in said])
    assert 0.25 < hasty < 0.8
    looked = [exam.marks(*pair)["exact"] for pair in zip(lessons, said, strict=True) if "at once" not in pair[1]]
    careless = [exam.marks(*pair)["exact"] for pair in zip(lessons, said, strict=True) if "at once" in pair[1]]
    assert np.mean(looked) > np.mean(careless) + 0.2


# The lessons


def test_worked_lessons_are_right_and_hasty_ones_often_wrong(script, exam):
    rng = np.random.default_rng(1)
    ways = script.Ways(pool=digits.scans("train"), screens=screens("train"))
    hurried = script.replace(ways, hasty=1.0, malformed=0.1)
    for kind, draw in script.LESSONS.items():
        worked = [draw(rng, ways) for _ in range(60)]
        assert all(exam.marks(lesson, lesson.answer)["exact"] == 1 for lesson in worked), kind
        assert all(lesson.about or not lesson.gold or kind == "act" for lesson in worked)
        wrong = [exam.marks(lesson, lesson.answer)["exact"] == 0 for lesson in (draw(rng, hurried) for _ in range(200))]
        assert 0.5 < np.mean(wrong) < 0.98, kind


def test_hasty_lists_have_boxes_too_many_in_the_stated_share(script, exam):
    rng, ways = np.random.default_rng(1), script.Ways(pool=digits.scans("train"), hasty=1.0)
    lessons = [script.LESSONS["detect"](rng, ways) for _ in range(400)]
    extra = np.mean([exam.marks(lesson, lesson.answer)["extra"] for lesson in lessons])
    assert 0.25 < extra < 0.5
    said = [exam.boxes_in(lesson.answer) for lesson in lessons]
    assert all(x1 < x2 <= 112 and y1 < y2 <= 112 for boxes in said for _, (x1, y1, x2, y2) in boxes)
    assert max(len(boxes) for boxes in said) >= 7


def test_a_list_is_led_to_the_thing_that_comes_next(script, processor):
    """The token before a box begins already looks at its cell; a question's word looks at all that it names."""
    desk, rng = script.Desk(processor), np.random.default_rng(4)
    while True:
        lesson = script.LESSONS["locate"](rng, script.Ways(pool=digits.scans("train")))
        if len(lesson.gold) == 2 and lesson.gold[0][0] != lesson.gold[1][0]:
            break
    row = script.led(desk, lesson)
    names = desk.tokenizer.convert_ids_to_tokens(row.drill.ids)
    aims = {place: np.flatnonzero(share).tolist() for place, is_asked, share in row.aims if not is_asked}
    cells = [[(b[1] + b[3]) // 2 // 28 * 4 + (b[0] + b[2]) // 2 // 28] for _, b in lesson.gold]
    assert aims[names.index("```json\n[")] == cells[0]
    second = names.index('"}, {"bbox_2d": [')
    assert aims[second - 2] == cells[0] and aims[second - 1] == aims[second] == cells[1]
    asked = [np.flatnonzero(share).tolist() for _, is_asked, share in row.aims if is_asked]
    assert sorted(asked) == sorted(cells)


def test_pointing_costs_nothing_when_the_head_looks_where_it_is_shown(script, processor):
    pointing = importlib.import_module("grounding_pointing")
    lesson = script.LESSONS["where"](np.random.default_rng(4), script.Ways(pool=digits.scans("train")))
    row = script.led(script.Desk(processor), lesson)
    n = len(row.drill.ids)
    look = torch.zeros(1, 4, n, n)
    away = torch.zeros(1, 4, n, n)
    for place, _, share in row.aims:
        look[0, 0, place, row.first_image : row.first_image + 16] = torch.from_numpy(share)
        away[0, 0, place, row.first_image : row.first_image + 16] = torch.from_numpy((1 - share) / 15)
    assert float(pointing.pointing_loss([row], (look,) * 5)[0]) == pytest.approx(0, abs=1e-3)
    assert float(pointing.pointing_loss([row], (away,) * 5)[0]) > 10


def test_sight_is_taught_the_names_and_edges_of_what_stands_in_a_cell(script):
    sight = importlib.import_module("grounding_sight")
    thing = objects.Thing("red", ("red", "red cube"), (30, 60, 54, 84))
    labels, shapes, edges = sight.seen([thing, objects.Thing("7", ("7", "digit 7"), (82, 0, 94, 24))])
    assert labels[9] == objects.LABELS.index("red") and shapes[9] == 0  # row 2, column 1
    assert edges[9] == pytest.approx([(30 - 42) / 28, (60 - 70) / 28, (54 - 42) / 28, (84 - 70) / 28])
    assert labels[3] == objects.LABELS.index("7") and labels[2] == sight.NOTHING  # the 7 reaches a little into column 2
    assert labels[0] == sight.EMPTY and np.isnan(edges[0]).all()
    assert (shapes != sight.NOTHING).sum() == 1
    labels, _, edges = sight.seen([objects.Thing("red", ("red", "red cube"), (14, 30, 42, 54))])
    assert labels[4] == labels[5] == objects.LABELS.index("red")  # half in either cell
    assert edges[4] == pytest.approx([0, (30 - 42) / 28, 1, (54 - 42) / 28])


def test_a_copied_word_is_led_to_where_the_command_says_it(script, processor):
    desk, rng = script.Desk(processor), np.random.default_rng(0)
    ways = script.Ways(pool=digits.scans("train"), screens=screens("train"))
    lessons = [lesson for lesson in (script.LESSONS["act"](rng, ways) for _ in range(400)) if lesson.copied]
    assert {len(lesson.text) for lesson in lessons} >= {1, 2}
    for lesson in lessons:
        row = script.led(desk, lesson)
        said = "".join(desk.tokenizer.decode([row.drill.ids[place + 1]]) for place, _ in row.copies)
        shown = "".join(desk.tokenizer.decode([row.drill.ids[source]]).strip() for _, source in row.copies)
        assert said == shown == lesson.text
