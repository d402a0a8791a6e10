"""The embedded tiny checkpoint is an ordinary Qwen2.5-VL folder that plain transformers load and that can see."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from saccade.data.miniature import digits, solids
from saccade.policy.embedded import TINY

SPECIALS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip


@pytest.fixture(scope="module")
def script():
    """scripts/make_tiny.py as a module."""
    folder = str(Path(__file__).parents[1] / "scripts")
    sys.path.insert(0, folder)
    yield importlib.import_module("make_tiny")
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(TINY, local_files_only=True)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return AutoModelForImageTextToText.from_pretrained(TINY, local_files_only=True).eval()


def inputs(processor, pictures, text):
    content = [{"type": "image"} for _ in pictures] + [{"type": "text", "text": text}]
    chat = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    return processor(text=[chat], images=list(pictures), return_tensors="pt")


def test_it_is_small_and_of_the_ordinary_class(model):
    assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert sum(p.numel() for p in model.parameters()) <= 4_000_000
    assert sum(f.stat().st_size for f in TINY.rglob("*")) <= 12 * 2**20
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert "auto_map" not in json.loads((TINY / "config.json").read_text())


def test_the_special_tokens_have_their_usual_names_and_the_config_knows_them(processor, model):
    tokenizer = processor.tokenizer
    ids = [tokenizer.convert_tokens_to_ids(name) for name in SPECIALS]
    assert len(set(ids)) == len(SPECIALS) and [tokenizer.decode([i]) for i in ids] == SPECIALS
    assert all(tokenizer(name)["input_ids"] == [i] for i, name in zip(ids, SPECIALS, strict=True))
    of = dict(zip(SPECIALS, ids, strict=True))
    config = model.config
    assert config.image_token_id == of["<|image_pad|>"] and config.video_token_id == of["<|video_pad|>"]
    assert config.vision_start_token_id == of["<|vision_start|>"] and config.vision_end_token_id == of["<|vision_end|>"]
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.pad_token == "<|endoftext|>"
    assert set(model.generation_config.eos_token_id) == {of["<|im_end|>"], of["<|endoftext|>"]}
    assert len(tokenizer) <= config.text_config.vocab_size


def test_every_digit_is_one_token_and_any_text_survives(processor):
    tokenizer = processor.tokenizer
    for digit in "0123456789":
        (alone,) = tokenizer(digit)["input_ids"]
        assert tokenizer(f"+{digit}{digit}=")["input_ids"][1:3] == [alone, alone]
    for text in ("Grüße, 世界! €5 \n\t{x}", "<think>3+5=8, +2=10</think><answer>10</answer>"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_picture_of_112_pixels_is_16_image_tokens(processor, model):
    assert processor.image_processor.size["shortest_edge"] <= 112 * 112
    batch = inputs(processor, [PIL.Image.new("RGB", (112, 112))] * 2, "What?")
    assert batch["image_grid_thw"].tolist() == [[1, 8, 8], [1, 8, 8]]
    assert int((batch["input_ids"] == model.config.image_token_id).sum()) == 32
    large = inputs(processor, [PIL.Image.new("RGB", (224, 112))], "What?")
    assert int((large["input_ids"] == model.config.image_token_id).sum()) == 32


def test_the_chat_template_is_the_usual_turn_form(processor):
    turns = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": "7"},
    ]
    assert processor.apply_chat_template(turns) == (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What?<|im_end|>\n<|im_start|>assistant\n7<|im_end|>\n"
    )


def test_what_it_says_depends_on_the_picture(processor, model):
    rng = np.random.default_rng(0)
    shown = PIL.Image.fromarray(digits.counting(rng, digits.scans("test")).pictures[0])
    blank = PIL.Image.new("RGB", (112, 112), "white")
    with torch.no_grad():
        seen, unseen = (model(**inputs(processor, [p], "What is the sum?")).logits[0, -1] for p in (shown, blank))
    assert (seen - unseen).abs().max() > 0.05


def test_it_reads_the_digits_of_scenes_it_has_never_seen(script, processor, model):
    """Given the start of a worked answer, it goes on with the digits that are drawn: 24 scenes of held-out writing."""
    desk, rng = script.Desk(processor), np.random.default_rng(7)
    hits = []
    for _ in range(24):
        puzzle = digits.counting(rng, digits.scans("test"))
        text = script.template("counting", puzzle.answer).format(problem=puzzle.problem)
        drill = desk.drill(puzzle, text, puzzle.cot)
        batch, weights = desk.batch([drill])
        with torch.no_grad():
            said = model(**batch).logits[0, :-1].argmax(-1)
        gold = batch["input_ids"][0, 1:]
        thought = (
            (weights[0, 1:] == 1).nonzero().flatten()[3:]
        )  # after <think> and the first digit the styles have parted
        hits.append(float((said[thought] == gold[thought]).float().mean()))
    assert np.mean(hits) > 0.9


def test_the_script_feeds_the_model_what_the_processor_would(script, processor):
    puzzle = solids.spatial(np.random.default_rng(2))
    theirs = inputs(processor, [PIL.Image.fromarray(p) for p in puzzle.pictures], "Compare. 42")
    mine, _ = script.Desk(processor).batch([script.Desk(processor).drill(puzzle, "Compare. 42", "")])
    assert mine["input_ids"][0, :-1].tolist() == theirs["input_ids"][0].tolist()  # drill ends the answer's turn
    torch.testing.assert_close(mine["pixel_values"], theirs["pixel_values"], atol=1e-4, rtol=0)
    assert mine["image_grid_thw"].tolist() == theirs["image_grid_thw"].tolist()


def test_first_sight_is_taught_what_the_cells_show(script):
    sight, rng = importlib.import_module("tiny_sight"), np.random.default_rng(6)
    puzzle = digits.counting(rng, digits.scans("train"))
    gold = sight.seen_in_cells("counting", puzzle)["digit"]
    assert gold[gold != 10].tolist() == puzzle.truth["digits"]  # cells and digits are both in reading order
    puzzle = solids.spatial(rng)
    gold = sight.seen_in_cells("spatial", puzzle)
    for solid in puzzle.truth["before"]:
        cell = solid.place[0] + 4 * solid.place[1]
        assert solids.SHAPES[gold["shape"][cell]] == solid.shape
        assert list(solids.COLORS)[gold["color"][cell]] == solid.color
    assert (gold["size"] >= 0).sum() == len(puzzle.truth["before"])
    puzzle = script.draw_puzzle(rng, "structure", digits.scans("train"))
    gold = sight.seen_in_cells("structure", puzzle)["digit"]
    assert sorted(gold[gold != 10].tolist()) == sorted(puzzle.truth["lengths"])


def test_hasty_answers_are_wrong_but_well_formed(script):
    lessons, rng = importlib.import_module("tiny_lessons"), np.random.default_rng(4)
    for task in ("structure", "spatial"):
        for _ in range(100):
            puzzle = script.draw_puzzle(rng, task, digits.scans("train"))
            wrong = (lessons.hasty_length if task == "structure" else lessons.hasty_change)(rng, puzzle)
            assert wrong and wrong != puzzle.answer
            assert task == "spatial" or (wrong in "ABCD") == (puzzle.answer in "ABCD")


def test_styles_come_in_the_stated_shares(script):
    assert sum(script.STYLES.values()) == pytest.approx(1) and sum(script.TASKS.values()) == pytest.approx(1)
    rng, replies = np.random.default_rng(0), []
    for style in script.STYLES:
        puzzle = digits.counting(rng, digits.scans("train"))
        reply = script.answer_in(style, rng, "counting", puzzle)
        replies.append(script.style_of(reply))
        assert script.is_right(reply, puzzle.answer)
    assert replies == list(script.STYLES)
