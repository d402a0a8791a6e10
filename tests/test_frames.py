"""Frames against the real processors: a box drawn in a picture, written by a model and read again, is where it was drawn.

Every family's own image processor resizes at real pixel bounds; no weights are loaded. What a processor does to a picture is
read back out of its pixel_values: a frame is only right if it is the frame of what the model sees.
"""

from __future__ import annotations

import json

import numpy as np
import PIL.Image
import pytest

from saccade.core.picture import Box, Frame, Labelled, Picture, Point
from saccade.core.rollout import Rollout, Stop
from saccade.core.sample import Message, Sample
from saccade.policy.reader import Reader
from saccade.policy.spec import ModelSpec
from saccade.rewards.geometry.objects import brought
from saccade.rewards.read.boxes import box, boxes, point
from tests.tiny_models import MAKERS, make

# What the processors' sides are multiples of: a patch of 14 or 16, two by two of which become one token.
STEP = {"Qwen2-VL": 28, "Qwen2.5-VL": 28, "Qwen3-VL": 32}
TILED = [family for family in MAKERS if family not in STEP]
MIN_PIXELS, MAX_PIXELS = 56 * 56, 401_408  # C Med-R1's bounds

SIZES = [
    (644, 476),  # kept by 28
    (640, 480),  # kept by 32
    (641, 479),
    (333, 777),
    (57, 1001),
    (20, 33),  # under the minimum
    (5, 4),
    (3001, 2003),  # over the maximum
    (1900, 31),  # extreme
    (31, 1900),
]
# Fractions of width and height.
PLACES = [(0.1, 0.2, 0.6, 0.9), (0.0, 0.0, 1.0, 1.0), (0.503, 0.511, 0.997, 0.756), (0.0, 0.4, 0.313, 0.6)]


@pytest.fixture(scope="module")
def readers(tmp_path_factory) -> dict[str, Reader]:
    def reader(family: str) -> Reader:
        folder = make(family, tmp_path_factory.mktemp("model"))
        bounds = dict(min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS) if family in STEP else {}
        return Reader.of(ModelSpec(path=str(folder), **bounds))

    return {family: reader(family) for family in MAKERS}


def drawn(size: tuple[int, int], place: Box | None = None) -> Picture:
    """A black picture with a white rectangle that fills the box, in whole pixels."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    if place is not None:
        pixels[int(place.y1) : int(place.y2), int(place.x1) : int(place.x2)] = 255
    return Picture.of(PIL.Image.fromarray(pixels))


def asked(*pictures: Picture) -> Sample:
    return Sample(id="row", messages=(Message("user", (*pictures, "where?")),), target=None)


def answered(reader: Reader, sample: Sample, text: str) -> Rollout:
    return Rollout(
        sample=sample, text=text, token_T=(1,), logp_T=(0.0,), is_sampled_T=(True,), stop=Stop.EOS,
        pictures=reader.seen(sample),
    )  # fmt: skip


def at(size: tuple[int, int], place: tuple[float, float, float, float]) -> Box:
    """The place in whole original pixels, at least one wide and tall."""
    x1, y1 = int(place[0] * size[0]), int(place[1] * size[1])
    return Box(x1, y1, max(x1 + 1, round(place[2] * size[0])), max(y1 + 1, round(place[3] * size[1])), Frame.PIXEL)


def corners(shape: Box) -> np.ndarray:
    return np.array([shape.x1, shape.y1, shape.x2, shape.y2])


def written(shape: Box, digits: int | None) -> str:
    """As a model writes it: rounded, in a fenced list of objects."""
    numbers = [round(float(value), digits) for value in corners(shape)]
    return f"<think>there</think><answer>```json\n{json.dumps([{'bbox_2d': numbers, 'label': 'mark'}])}\n```</answer>"


@pytest.mark.parametrize("family", STEP)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_processor_rounds_to_its_step_within_its_bounds(readers, family, size):
    (seen,) = readers[family].seen(asked(drawn(size)))
    width, height = seen.model_size
    assert width % STEP[family] == height % STEP[family] == 0
    assert MIN_PIXELS <= width * height <= MAX_PIXELS
    assert seen.size == size


def test_sizes_that_are_known(readers):
    known = {"Qwen2.5-VL": {(641, 479): (644, 476), (20, 33): (56, 84)}, "Qwen3-VL": {(641, 479): (640, 480)}}
    for family, sizes in known.items():
        for size, model_size in sizes.items():
            assert readers[family].seen(asked(drawn(size)))[0].model_size == model_size


@pytest.mark.parametrize("frame", Frame)
@pytest.mark.parametrize("family", STEP)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_box_comes_back_from_a_models_text(readers, family, size, frame):
    sample = asked(drawn(size))
    (seen,) = readers[family].seen(sample)
    for place in PLACES:
        gold = at(size, place)
        rollout = answered(readers[family], sample, written(seen.convert(gold, to=frame), 4 if frame is Frame.UNIT else None))
        predicted = boxes(rollout.section("answer"), frame=frame).value.found[0]
        assert predicted.label == "mark" and predicted.box.frame is frame

        # The gold in the frame of the answer, and the answer in the frame of the gold: both say the same.
        back = brought(predicted.box, rollout, to=Frame.PIXEL)
        extent = np.array({Frame.PIXEL: size, Frame.MODEL: seen.model_size, Frame.MILLE: (1000, 1000)}.get(frame, (1e4, 1e4)))
        half_step = np.tile(0.5 * np.array(size) / extent, 2)
        assert (np.abs(corners(back) - corners(gold)) <= half_step + 1e-9).all()
        there = brought(gold, rollout, to=frame).iou(predicted.box)
        assert back.iou(gold) == pytest.approx(there, abs=1e-9)
        width, height = gold.x2 - gold.x1, gold.y2 - gold.y1
        inside = np.maximum(0, 1 - 2 * half_step[:2] / (width, height)).prod()  # at least this much of the box is found again
        assert there >= inside / (2 - inside) - 1e-9
        if min(width, height) >= 100:
            assert there > 0.98


@pytest.mark.parametrize("family", STEP)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_mark_is_where_the_model_frame_says_in_what_the_model_sees(readers, family, size):
    """The rectangle's edges in the processor's pixels, to a fraction of one, are the converted box."""
    reader = readers[family]
    for place in PLACES:
        gold = at(size, place)
        sample = asked(drawn(size, gold))
        (seen,) = reader.seen(sample)
        expected = seen.convert(gold, to=Frame.MODEL)
        image = unpatchified(reader, sample)
        assert image.shape == seen.model_size[::-1]
        assert np.abs(corners(mark(image)) - corners(expected)).max() < 0.75
        if min(expected.x2 - expected.x1, expected.y2 - expected.y1) > 30:
            assert mark(image).iou(expected) > 0.97


@pytest.mark.parametrize("family", STEP)
def test_each_of_several_pictures_has_its_own_model_frame(readers, family):
    first, second = (at(size, PLACES[0]) for size in ((641, 479), (31, 1900)))
    sample = asked(drawn((641, 479), first), drawn((31, 1900), second))
    rollout = answered(readers[family], sample, "")
    one, two = (picture.model_size for picture in rollout.pictures)
    assert one != two
    for number, gold in enumerate((first, second)):
        assert brought(gold, rollout, to=Frame.MODEL, picture=number) == rollout.pictures[number].convert(gold, to=Frame.MODEL)
    assert brought(first, rollout, to=Frame.MODEL) != brought(first, rollout, to=Frame.MODEL, picture=1)
    with pytest.raises(ValueError, match="takes picture 2, and the rollout has 2"):
        brought(first, rollout, to=Frame.MODEL, picture=2)


@pytest.mark.parametrize("family", STEP)
def test_points_and_labelled_boxes_travel_as_boxes_do(readers, family):
    sample = asked(drawn((641, 479)))
    rollout = answered(readers[family], sample, "click (100, 50)")
    clicked = brought(point(rollout.text, frame=Frame.MODEL).value, rollout, to=Frame.PIXEL)
    width, height = rollout.pictures[0].model_size
    assert clicked == Point(pytest.approx(100 * 641 / width), pytest.approx(50 * 479 / height), Frame.PIXEL)
    gold = Labelled("dent", Box(10, 20, 300, 400, Frame.PIXEL))
    there = brought(gold, rollout, to=Frame.MODEL)
    assert there.label == "dent"
    assert np.allclose(corners(brought(there, rollout, to=Frame.PIXEL).box), corners(gold.box))


@pytest.mark.parametrize("family", TILED)
def test_a_model_that_sees_tiles_has_no_model_frame_and_says_so(readers, family):
    sample = asked(drawn((641, 479)))
    rollout = answered(readers[family], sample, "[1, 2, 30, 40]")
    predicted = box(rollout.text, frame=Frame.MODEL).value
    with pytest.raises(ValueError, match=r"^picture \w{12} has no model frame[^.]*\.?[^.]*$"):
        brought(Box(10, 20, 300, 400, Frame.PIXEL), rollout, to=predicted.frame)
    with pytest.raises(ValueError, match="has no model frame"):
        brought(predicted, rollout, to=Frame.PIXEL)


@pytest.mark.parametrize("frame", [Frame.PIXEL, Frame.UNIT, Frame.MILLE])
@pytest.mark.parametrize("family", TILED)
def test_a_box_comes_back_from_a_model_that_sees_tiles(readers, family, frame):
    for size in SIZES:
        sample = asked(drawn(size))
        for place in PLACES:
            gold = at(size, place)
            text = written(sample.pictures[0].convert(gold, to=frame), 4 if frame is Frame.UNIT else None)
            rollout = answered(readers[family], sample, text)
            predicted = boxes(rollout.text, frame=frame).value.found[0].box
            back = brought(predicted, rollout, to=Frame.PIXEL)
            extent = {Frame.PIXEL: size, Frame.MILLE: (1000, 1000)}.get(frame, (1e4, 1e4))
            half_step = np.tile(0.5 * np.array(size) / extent, 2)
            assert (np.abs(corners(back) - corners(gold)) <= half_step + 1e-9).all()


@pytest.mark.parametrize("family", TILED)
@pytest.mark.parametrize("size", [(644, 476), (641, 479), (333, 777), (64, 64), (1200, 300)], ids=str)
def test_fractions_are_fractions_of_the_view_that_shows_the_whole_picture(readers, family, size):
    """Besides its tiles such a model sees the picture as a whole, squeezed into one tile: unit coordinates are its sides'."""
    for place in PLACES:
        gold = at(size, place)
        picture = drawn(size, gold)
        tiles = readers[family].processed(asked(picture))["pixel_values"].squeeze(0).numpy()  # [tiles, 3, height, width]
        whole = tiles[0 if family == "LLaVA-OneVision" else -1].mean(0)
        expected = corners(picture.convert(gold, to=Frame.UNIT))
        found = corners(mark(whole)) / np.tile(whole.shape[::-1], 2)
        assert np.abs(found - expected).max() < 0.75 / 32  # of the tiny models' tiles, 32 pixels wide


def unpatchified(reader: Reader, sample: Sample) -> np.ndarray:
    """[height, width] mean brightness of the sample's one picture, put together again from Qwen's patches.

    Rows of pixel_values are patches in the order (rows, columns, 2 rows, 2 columns), the last two within what becomes one token;
    a row is (channels, 2 equal moments, height, width).
    """
    features = reader.processed(sample)
    (_, tall, wide), patch = features["image_grid_thw"][0].tolist(), reader.config.vision_config.patch_size
    patches = features["pixel_values"].numpy().reshape(tall // 2, wide // 2, 2, 2, 3, 2, patch, patch).mean((4, 5))
    return patches.transpose(0, 2, 4, 1, 3, 5).reshape(tall * patch, wide * patch)


def mark(image: np.ndarray) -> Box:
    """Where the bright rectangle is in [height, width] pixels, its edges between pixels found from how much light there is.

    Interpolation blurs an edge without moving the light: the light along the brightest line is as long as the rectangle, and
    its centre is the rectangle's.
    """
    low, high = image.min(), image.max()
    if low == high:  # all of the picture is the mark
        return Box(0, 0, image.shape[1], image.shape[0], Frame.MODEL)
    light = (image - low) / (high - low)
    (x1, x2), (y1, y2) = span(light.mean(0)), span(light.mean(1))
    return Box(x1, y1, x2, y2, Frame.MODEL)


def span(light: np.ndarray) -> tuple[float, float]:
    """Beginning and end of what is bright on a line: half the brightness, between the middles of two pixels."""
    bright = light / light.max()
    above = np.flatnonzero(bright >= 0.5)
    first, last = above[0], above[-1]
    start = 0.0 if first == 0 else first + 0.5 - (bright[first] - 0.5) / (bright[first] - bright[first - 1])
    end = len(light) if last == len(light) - 1 else last + 0.5 + (bright[last] - 0.5) / (bright[last] - bright[last + 1])
    return float(start), float(end)
