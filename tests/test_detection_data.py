"""Readers and writers of detection annotations: frames, mends and faults, one sentence each; real sets where they lie."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import saccade
from saccade.core.picture import Box, Frame, Labelled, Picture, Point
from saccade.core.sample import DataError, Message, Sample, Task
from saccade.data.detection import FORMATS, coco, deeppcb, forgery, format_of, parted, points, read, read_boxes, screenspot, split, voc, yolo
from saccade.data.detection.annotation import Annotation, Mark
from saccade.data.detection.stream import pieces
from saccade.rewards.geometry.objects import gold_objects
from saccade.rewards.geometry.sample_map import sample_map

ROOT = Path(saccade.__file__).parent.parent
SHARED = Path(os.environ.get("SACCADE_SHARED", ROOT.parent / "shared")) / "data"
real = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real data in {SHARED}")
FOLDERS = ("bccd", "playing_cards", "deeppcb", "histology_hgsc", "urban_trees", "forgery_derived", "gui_miniwob")


def box(*corners):
    return Box(*corners, Frame.PIXEL)


def picture(seed=0, size=(40, 30)):
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Picture.of(PIL.Image.fromarray(noise))


def saved(path, seed=0, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size).image.save(path)
    return path


def fault(rows):
    """The one fault among rows: a sentence on one line, of a length that one reads."""
    found = [row["fault"] for row in rows if "fault" in row]
    assert len(found) == 1, found
    assert "\n" not in found[0] and len(found[0]) < 500
    return found[0]


def bare(rows):
    """Rows without what copying them changes: where their pictures lie, and what was mended when they were read first."""
    return [{name: value for name, value in row.items() if name not in ("image", "noise", "masks")} for row in rows]


# VOC


def voc_xml(*objects, size="<size><width>40</width><height>30</height><depth>3</depth></size>", more=""):
    return f"<annotation><filename>elsewhere.jpg</filename>{size}{''.join(objects)}{more}</annotation>"


def voc_object(corners, name="cat", more=""):
    sides = "".join(f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


def voc_folder(folder, text, name="a", size=(40, 30)):
    saved(folder / "JPEGImages" / f"{name}.png", size=size)
    path = folder / "Annotations" / f"{name}.xml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_voc_counts_pixels_from_one_and_we_count_edges(tmp_path):
    text = voc_xml(voc_object((1, 1, 40, 30)), voc_object((5, 6, 7, 8), more="<difficult>1</difficult><truncated>1</truncated>"))
    folder = voc_folder(tmp_path, text)
    (row,) = voc.read(folder)
    assert row["objects"] == (
        Annotation("cat", box(0, 0, 40, 30)),  # the whole picture
        Annotation("cat", box(4, 5, 7, 8), flags=("difficult", "truncated")),  # 3 x 3 pixels
    )
    assert all(isinstance(thing, Labelled) for thing in row["objects"])
    assert row["size"] == (40, 30) == Picture.open(row["image"][0]).size
    assert (row["id"], row["part"], row["noise"]) == ("a", "", ())
    others = {corners: voc.read(folder, corners=corners)[0]["objects"][1].box for corners in voc.Corners}
    assert others[voc.Corners.ZERO_BASED] == box(5, 6, 8, 9) and others[voc.Corners.EDGES] == box(5, 6, 7, 8)


def test_voc_boxes_of_a_persons_parts_are_not_the_persons(tmp_path):
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    (row,) = voc.read(voc_folder(tmp_path, voc_xml(voc_object((5, 6, 7, 8), name="person", more=part))))
    assert row["objects"] == (Annotation("person", box(4, 5, 7, 8)),)


def test_a_voc_file_without_objects_is_a_negative_and_stays(tmp_path):
    (row,) = voc.read(voc_folder(tmp_path, voc_xml()))
    assert row["objects"] == () and "fault" not in row


def test_boxes_over_the_edge_are_cut_by_a_little_and_refused_by_much(tmp_path):
    folder = voc_folder(tmp_path, voc_xml(voc_object((0, 3, 42, 20)), voc_object((9, 9, 9, 9)), voc_object((9, 9, 5, 20))))
    (row,) = voc.read(folder)
    assert row["objects"] == (Annotation("cat", box(0, 2, 40, 20)),)
    cut, click, turned = row["noise"]
    assert "a.xml object 1 (cat) was cut at the edge, which it passed by 2 pixels" in cut
    assert "a.xml object 2 (cat) has no area and is left out: 9, 9, 9, 9" in click
    assert "object 3 (cat) has no area" in turned
    assert "passes the edge of the 40x30 picture by 2 pixels" in fault(voc.read(folder, tolerance=1))
    far = voc_folder(tmp_path / "far", voc_xml(voc_object((5, 5, 60, 20))))
    assert "a.xml object 1 (cat) passes the edge of the 40x30 picture by 20 pixels" in fault(voc.read(far))
    assert voc.read(far, tolerance=100)[0]["objects"][0].box == box(4, 4, 40, 20)


def test_a_box_wholly_outside_within_the_tolerance_is_left_out_and_named(tmp_path):
    (row,) = voc.read(voc_folder(tmp_path, voc_xml(voc_object((41, 5, 42, 9)))))
    assert row["objects"] == () and "lies outside and is left out" in row["noise"][0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (voc_xml(size="<size><width>30</width><height>40</height></size>"), "declares 30x40 pixels, but a.png has 40x30"),
        (voc_xml(size="<size><width>x</width><height>40</height></size>"), "<width> must be a number, got 'x'"),
        (voc_xml(size="<size><height>40</height></size>"), "has no <width>"),
        (voc_xml("<object><name>cat</name></object>"), "object 1 (cat) has no <bndbox>"),
        (voc_xml(voc_object((1, 1, 5, 5)), voc_object((1, 1, 5, 5), name="")), "object 2 has no <name>"),
        (voc_xml(voc_object((1, 1, "nan", 5))), "object 1 <xmax> must be a number, got 'nan'"),
        (voc_xml(voc_object((1, 1, "1_0", 5))), "object 1 <xmax> must be a number"),
        (voc_xml(voc_object((1, 1, "1e999", 5))), "object 1 <xmax> must be a number"),
        (voc_xml(voc_object((1, 1, "9" * 5000, 5))), "object 1 <xmax> must be a number"),
        ("<annotation><object>", "is not XML: no element found: line 1"),
        ("", "is not XML"),
        ("\0\1", "is not XML"),
        ("<html/>", "begins with <html>, not <annotation>"),
        (voc_xml(more="<a>" * 40 + "</a>" * 40), "nests more than 32 elements"),
        (b'<?xml version="1.0" encoding="ebcdic-odd"?><annotation/>', "is not XML"),
    ],
)  # fmt: skip
def test_a_bad_voc_file_is_one_sentence_and_takes_nothing_else_with_it(tmp_path, text, said):
    folder = voc_folder(tmp_path, text)
    voc_folder(folder, voc_xml(voc_object((1, 1, 5, 5))), name="b")
    rows = voc.read(folder)
    assert [row["id"] for row in rows] == ["a", "b"] and rows[1]["objects"] == (Annotation("cat", box(0, 0, 5, 5)),)
    assert said in fault(rows) and "a.xml" in fault(rows)


LAUGHS = "<!DOCTYPE l [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    "doctype",
    [
        LAUGHS + "]>",
        "<!DOCTYPE a [<!ENTITY j SYSTEM 'file://{secret}'>]>",
        "<!DOCTYPE a SYSTEM 'http://127.0.0.1:9/a.dtd' [<!ENTITY j ''>]>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM 'file://{secret}'> %p; <!ENTITY j ''>]>",
        "<!DOCTYPE annotation>",
    ],
    ids=["laughs", "file", "dtd", "parameter", "plain"],
)
def test_xml_with_a_document_type_is_refused_before_anything_is_expanded_or_fetched(tmp_path, doctype):
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden")
    folder = voc_folder(tmp_path / "set", doctype.replace("{secret}", str(secret)) + voc_xml(voc_object((1, 1, 5, 5), name="&j;")))
    said = fault(voc.read(folder))
    assert "has a document type" in said and "hidden" not in said and "haha" not in said


def test_pictures_without_annotation_and_annotations_without_picture_are_named(tmp_path):
    folder = voc_folder(tmp_path, voc_xml())
    saved(folder / "JPEGImages" / "lonely.png")
    assert "lonely.png has no lonely.xml" in fault(voc.read(folder))
    (folder / "JPEGImages" / "lonely.png").unlink()
    (folder / "JPEGImages" / "a.png").unlink()
    assert "a.xml has no picture a.* in Annotations or JPEGImages" in fault(voc.read(folder))
    (folder / "JPEGImages" / "a.png").write_bytes(b"no picture")
    assert "a.png cannot be read" in fault(voc.read(folder))
    saved(folder / "JPEGImages" / "a.png")
    saved(folder / "JPEGImages" / "a.jpg")
    assert "both a.jpg and a.png" in fault(voc.read(folder))


def test_the_picture_that_filename_names_serves_where_none_has_the_files_own_name(tmp_path):
    folder = voc_folder(tmp_path, voc_xml(voc_object((1, 1, 5, 5))))
    (folder / "JPEGImages" / "a.png").rename(folder / "JPEGImages" / "elsewhere.jpg")
    (row,) = voc.read(folder)
    assert row["image"] == [str(folder / "JPEGImages" / "elsewhere.jpg")]


def test_parts_are_folders_or_lists(tmp_path):
    for part in ("train", "test"):
        saved(tmp_path / "images" / part / "a.png", seed=len(part))
        (tmp_path / "images" / part / "a.xml").write_text(voc_xml())
    assert [(row["id"], row["part"]) for row in voc.read(tmp_path)] == [("test/a", "test"), ("train/a", "train")]
    assert [row["id"] for row in read(tmp_path, part="train")] == ["train/a"]
    with pytest.raises(DataError, match="has no part 'val'; it has: 'test', 'train'"):
        voc.read(tmp_path, part="val")
    listed = voc_folder(voc_folder(tmp_path / "voc", voc_xml()), voc_xml(), name="b")
    (listed / "ImageSets" / "Main").mkdir(parents=True)
    (listed / "ImageSets" / "Main" / "val.txt").write_text("b\nz\n")
    rows = voc.read(listed, part="val")
    assert [row["id"] for row in rows] == ["b", "z"] and "names z, which has no annotation" in fault(rows)
    (listed / "ImageSets" / "Main" / "cat_val.txt").write_text("a 1\nb -1\n")
    with pytest.raises(DataError, match="has more than names"):
        voc.read(listed, part="cat_val")


def test_an_id_that_stands_twice_is_a_fault_of_the_second(tmp_path):
    folder = voc_folder(tmp_path, voc_xml())
    saved(folder / "images" / "a.png", seed=1)
    (folder / "images" / "a.xml").write_text(voc_xml())
    rows = voc.read(folder)
    assert "id 'a' stands twice" in fault(rows) and len({row["id"] for row in rows}) == 2


# EXIF


def turned_picture(path, orientation, place):
    """A picture of 40 x 30 stored pixels with a red place (x1, y1, x2, y2 as stored) and an EXIF turn."""
    image = PIL.Image.new("RGB", (40, 30), "white")
    PIL.ImageDraw.Draw(image).rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill="red")
    tag = PIL.Image.Exif()
    tag[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=tag)


def is_red(row, where):
    """Whether the upright picture is red inside the box and nowhere else."""
    pixels = np.asarray(Picture.open(row["image"][0]).image)[:, :, 1] == 0
    expected = np.zeros_like(pixels)
    expected[int(where.y1) : int(where.y2), int(where.x1) : int(where.x2)] = True
    return (pixels == expected).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_made_on_the_stored_picture_lie_right_on_the_upright_one(tmp_path, orientation):
    place = (4, 5, 11, 23)
    turned_picture(tmp_path / "JPEGImages" / "a.png", orientation, place)
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(voc_xml(voc_object((5, 6, 11, 23))))
    (row,) = voc.read(tmp_path, seen="stored")
    assert row["size"] == ((40, 30) if orientation < 5 else (30, 40)) == Picture.open(row["image"][0]).size
    assert is_red(row, row["objects"][0].box)
    body = {
        "images": [{"id": 1, "file_name": "JPEGImages/a.png", "width": 40, "height": 30}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 5, 7, 18], "segmentation": [[4, 5, 11, 5, 11, 23, 4, 23]]}],
        "categories": [{"id": 1, "name": "cat"}],
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(body))
    (thing,) = coco.read(tmp_path, seen="stored")[0]["objects"]
    assert thing.box == row["objects"][0].box
    xs, ys = thing.outline[0][::2], thing.outline[0][1::2]
    assert box(min(xs), min(ys), max(xs), max(ys)) == thing.box


def test_an_annotation_made_on_the_stored_picture_is_refused_with_the_way_out(tmp_path):
    turned_picture(tmp_path / "JPEGImages" / "a.png", 6, (4, 5, 11, 23))
    (tmp_path / "Annotations").mkdir()
    path = tmp_path / "Annotations" / "a.xml"
    path.write_text(voc_xml(voc_object((5, 6, 11, 23))))
    said = fault(voc.read(tmp_path))
    assert "declares 40x30 pixels, but a.png has 30x40 (EXIF orientation 6)" in said and "seen='stored'" in said
    path.write_text(voc_xml(voc_object((8, 5, 25, 11)), size="<size><width>30</width><height>40</height></size>"))
    (row,) = voc.read(tmp_path)
    assert row["objects"][0].box == box(7, 4, 25, 11) and is_red(row, row["objects"][0].box)
    assert "seen='upright'" in fault(voc.read(tmp_path, seen="stored"))


def test_fractions_count_in_the_picture_as_seen(tmp_path):
    turned_picture(tmp_path / "a.png", 6, (0, 0, 20, 15))
    (tmp_path / "a.txt").write_text("0 0.25 0.25 0.5 0.5\n")
    (tmp_path / "classes.txt").write_text("red\n")
    (row,) = yolo.read(tmp_path, seen="stored")
    assert is_red(row, row["objects"][0].box)
    assert yolo.read(tmp_path)[0]["objects"][0].box == box(0, 0, 15, 20)


# COCO


def coco_body(**changes):
    body = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}, {"id": 2, "file_name": "b.png", "width": 40, "height": 30}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 3, "bbox": [4, 5, 10, 20], "area": 150.5, "iscrowd": 0}],
        "categories": [{"id": 3, "name": "cat"}],
    }  # fmt: skip
    return body | changes


def coco_folder(folder, body, name="annotations.json"):
    for seed, picture_name in enumerate(("a.png", "b.png")):
        saved(folder / "images" / picture_name, seed)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body if isinstance(body, str) else json.dumps(body))
    return folder


def annotation(**changes):
    return {"id": 7, "image_id": 1, "category_id": 3, "bbox": [4, 5, 10, 20]} | changes


def test_coco_boxes_are_corner_and_size_and_pictures_without_objects_stay(tmp_path):
    first, second = coco.read(coco_folder(tmp_path, coco_body()))
    assert first["objects"] == (Annotation("cat", box(4, 5, 14, 25), area=150.5),)
    assert (first["id"], second["id"], second["objects"]) == ("1", "2", ())


def test_crowds_are_flagged_and_outlines_are_left_as_they_are(tmp_path):
    code = {"counts": "abc", "size": [30, 40]}
    body = coco_body(annotations=[annotation(iscrowd=1, segmentation=code), annotation(id=8, segmentation=[[4, 5, 14, 5, 9, 25.5]])])
    crowd, cat = coco.read(coco_folder(tmp_path, body))[0]["objects"]
    assert crowd.flags == ("crowd",) and crowd.outline == code
    assert cat.flags == () and cat.outline == ((4, 5, 14, 5, 9, 25.5),)
    assert all(thing.outline is None for thing in coco.read(tmp_path, outlines=False)[0]["objects"])
    assert hash(cat) != hash(crowd) and hash(crowd) == hash(crowd)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"annotations": [annotation(category_id=9)]}, "annotations[0] (id 7) is of class id 9; known are 3"),
        ({"annotations": [annotation(bbox=[1, 2, 3])]}, "annotations[0] (id 7): bbox must be x, y, width, height, got [1, 2, 3]"),
        ({"annotations": [annotation(bbox=[1, 2, True, 3])]}, "bbox must be a number, got True"),
        ({"annotations": [annotation(bbox=[1, 2, float("nan"), 3])]}, "bbox must be a number, got nan"),
        ({"annotations": [annotation(bbox=[1, 2, 10**400, 3])]}, "bbox must be a number"),
        ({"annotations": [annotation(segmentation=[[1, 2, 3]])]}, "segmentation must be rings"),
        ({"annotations": [annotation(image_id=5)]}, "is of the picture 5, which is not among the images"),
        ({"annotations": [annotation(image_id=None)]}, "image_id must be a whole number or text, got None"),
        ({"annotations": [annotation(), annotation()]}, "annotations[1] (id 7): this annotation id stands twice"),
        ({"annotations": ["cat"]}, "annotations[0] must be an object, got 'cat'"),
        ({"images": [*coco_body()["images"], {"id": 3, "file_name": "a.png"}]}, "image 3 is the picture a.png of image 1 once more"),
        ({"images": [*coco_body()["images"], {"id": 1, "file_name": "images/../images/b.png"}]}, "id '1' stands twice"),
        ({"images": [*coco_body()["images"], {"id": 3, "file_name": "gone.png"}]}, "gone.png does not exist"),
        ({"images": [*coco_body()["images"], {"id": 3, "file_name": "n" * 300 + ".png"}]}, "File name too long"),
        ({"images": [*coco_body()["images"], {"id": 3, "file_name": "a\0.png"}]}, "cannot be read"),
        ({"images": [*coco_body()["images"], {"id": 3}]}, "image 3 has no file_name"),
        ({"images": [*coco_body()["images"], {"file_name": "b.png"}]}, "images[2]: id must be a whole number or text"),
        ({"images": [*coco_body()["images"][:1], {"id": 2, "file_name": "b.png", "width": 80, "height": 60}]}, "declares 80x60 pixels"),
    ],
)  # fmt: skip
def test_a_bad_coco_entry_is_one_sentence_and_takes_nothing_else_with_it(tmp_path, changes, said):
    rows = coco.read(coco_folder(tmp_path, coco_body(**changes)))
    assert said in fault(rows)
    assert sum("fault" not in row for row in rows) >= 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(coco_body())[:-40], r"annotations.json is not JSON of a data set \(line 1\)"),
        (json.dumps(coco_body()) + "{}", "text after the object"),
        (json.dumps(coco_body()).replace('"categories": [', '"categories" ['), "colon"),
        (json.dumps(coco_body(images={})) + " ", "images must be a list, got dict"),
        (json.dumps(coco_body(categories=[])), "has no categories"),
        (json.dumps(coco_body(categories=[{"id": 3, "name": "a"}, {"id": 3, "name": "b"}])), "class id 3 stands twice"),
        (json.dumps(coco_body(categories=[{"id": 3}])), r"categories\[0\] has no name"),
        ('{"images": [' + "[" * 100_000, "cannot be read|is not JSON"),
        ('{"images": [' + "1" * 5000 + "]}", "cannot be read"),
        (json.dumps(coco_body(images=[], annotations=[])), "has no images"),
    ],
)  # fmt: skip
def test_a_broken_coco_file_is_one_sentence(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        coco.read(coco_folder(tmp_path, text))


@pytest.mark.parametrize("chunk", [7, 100, 10_000])
def test_a_broken_line_is_named_as_json_names_it(tmp_path, chunk):
    text = json.dumps(coco_body(), indent=1).replace('"bbox": [', '"bbox": [,')
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(json.JSONDecodeError) as theirs:
        json.loads(text)
    with pytest.raises(DataError, match=rf"\(line {theirs.value.lineno}\): Expecting value"):
        list(pieces(tmp_path / "a.json", chunk=chunk))


def test_coco_parts_come_from_file_names_or_folders(tmp_path):
    coco_folder(tmp_path / "official", coco_body(), "annotations/instances_val2017.json")
    coco_folder(tmp_path / "official", coco_body(), "annotations/instances_train2017.json")
    (tmp_path / "official" / "annotations" / "captions_val2017.json").write_text('{"images": [], "annotations": []}')
    (tmp_path / "official" / "images").rename(tmp_path / "official" / "val2017")
    shutil.copytree(tmp_path / "official" / "val2017", tmp_path / "official" / "train2017")
    rows = read(tmp_path / "official")
    assert [row["id"] for row in rows] == ["train2017/1", "train2017/2", "val2017/1", "val2017/2"]
    assert Path(rows[2]["image"][0]).parent.name == "val2017" and not any("fault" in row for row in rows)
    assert [row["part"] for row in read(tmp_path / "official", part="val2017")] == ["val2017"] * 2
    with pytest.raises(DataError, match="no part 'test'; it has: 'train2017', 'val2017'"):
        read(tmp_path / "official", part="test")
    coco_folder(tmp_path / "flow", coco_body(), "train/_annotations.coco.json")
    for name in ("a.png", "b.png"):
        (tmp_path / "flow" / "images" / name).rename(tmp_path / "flow" / "train" / name)
    assert [row["id"] for row in read(tmp_path / "flow")] == ["train/1", "train/2"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=12,
        ),
        max_size=5,
    ),
    chunk=st.integers(1, 40),
    indent=st.none() | st.integers(0, 2),
)
def test_any_object_comes_out_in_pieces_as_json_would_read_it(tmp_path, body, chunk, indent):
    path = tmp_path / "any.json"
    path.write_text(json.dumps(body, indent=indent, ensure_ascii=False), encoding="utf-8")
    found = {key: [] if isinstance(value, list) else None for key, value in body.items()}
    for piece in pieces(path, chunk=chunk):
        if piece.index is None:
            found[piece.key] = piece.value
        else:
            assert piece.index == len(found[piece.key])
            found[piece.key].append(piece.value)
    assert found == body


def test_a_large_file_is_read_piece_by_piece(tmp_path, monkeypatch):
    path = tmp_path / "large.json"
    path.write_text(json.dumps({"images": [{"id": n, "pad": "x" * 90} for n in range(20_000)]}))
    longest = []
    from saccade.data.detection import stream

    more = stream._Scanner.more
    monkeypatch.setattr(stream._Scanner, "more", lambda self, size: (more(self, size), longest.append(len(self.text)))[0])
    assert sum(1 for _ in pieces(path, chunk=10_000)) == 20_000
    assert max(longest) < 50_000 < path.stat().st_size / 40 * 2


# YOLO


def yolo_folder(folder, text, names="cat\ndog\n", size=(40, 30)):
    saved(folder / "images" / "train" / "a.png", size=size)
    saved(folder / "images" / "train" / "empty.png", seed=1)
    (folder / "labels" / "train").mkdir(parents=True)
    (folder / "labels" / "train" / "a.txt").write_text(text)
    (folder / "classes.txt").write_text(names)
    return folder


def test_yolo_is_centre_and_size_in_fractions(tmp_path):
    a, empty = yolo.read(yolo_folder(tmp_path, "1 0.5 0.5 0.25 0.4\n\n0 0.0 0.5 0.1 1\n"))
    assert a["objects"] == (Annotation("dog", box(15, 9, 25, 21)), Annotation("cat", box(0, 0, 2, 30)))
    assert "line 3 (cat) was cut at the edge, which it passed by 2 pixels" in a["noise"][0]
    assert (a["id"], a["part"], empty["objects"]) == ("train/a", "train", ())


def test_a_yolo_outline_is_bounded_by_its_box(tmp_path):
    (thing,) = yolo.read(yolo_folder(tmp_path, "0 0.1 0.1 0.5 0.2 0.3 0.9\n"))[0]["objects"]
    assert thing == Annotation("cat", box(4, 3, 20, 27), outline=((4, 3, 20, 6, 12, 27),))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1", "a.txt line 2 is of class 2; there are 2, from 0 (cat, dog)"),
        ("-1 0.5 0.5 0.1 0.1", "line 1 is of class -1"),
        ("0.5 0.5 0.5 0.1 0.1", "line 1 is of class 0.5"),
        ("0 0.5 0.5 0.1", "line 1 must be a class and four numbers, or a class and three or more points; got 4"),
        ("0 0.5 0.5 0.1 0.1 0.9", "line 1 must be a class and four numbers, or a class and three or more points; got 6"),
        ("0 20 15 10 10", "line 1 holds 20; YOLO counts in fractions of the picture, not in pixels"),
        ("0 0.5 0.5 inf 0.1", "line 1 must be a number, got 'inf'"),
        ("cat 0.5 0.5 0.1 0.1", "line 1 must be a number, got 'cat'"),
        ("0 0.5 0.5 0,1 0.1", "line 1 must be a number, got '0,1'"),
        ("0 0.9 0.5 0.9 0.1", "line 1 (cat) passes the edge of the 40x30 picture by 14 pixels"),
    ],
)
def test_a_bad_yolo_line_is_one_sentence_and_takes_nothing_else_with_it(tmp_path, text, said):
    rows = yolo.read(yolo_folder(tmp_path, text))
    assert said in fault(rows) and "a.txt" in fault(rows) and rows[1]["objects"] == ()


@pytest.mark.parametrize("body", ["names: [cat, dog]\n", "nc: 2\nnames:\n  0: cat\n  1: dog\n", "names:\n- cat\n- dog\n"])
def test_class_names_of_a_yaml_file(tmp_path, body):
    folder = yolo_folder(tmp_path, "1 0.5 0.5 0.2 0.2", names="wrong\n")
    (folder / "data.yaml").write_text(body)
    assert yolo.read(folder)[0]["objects"][0].label == "dog"


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("data.yaml", "names: {1: cat, 2: dog}", "must be numbered 0 to 1"),
        ("data.yaml", "names: [yes, no]", "yes and no in quotes"),
        ("data.yaml", "names: [cat", "are not YAML"),
        ("data.yaml", "nc: 2", "must be a list of names"),
        ("data.yaml", "names: !!python/object/apply:os.system ['true']", "are not YAML"),
        ("classes.txt", "cat\n\ndog\n", "no empty line"),
    ],
)
def test_class_names_that_would_shift_or_run_are_refused(tmp_path, name, body, said):
    folder = yolo_folder(tmp_path, "1 0.5 0.5 0.2 0.2")
    (folder / name).write_text(body)
    with pytest.raises(DataError, match=said):
        yolo.read(folder)


def test_yolo_without_names_or_picture_is_named_and_withheld_labels_are_no_negatives(tmp_path):
    folder = yolo_folder(tmp_path, "1 0.5 0.5 0.2 0.2")
    (folder / "labels" / "train" / "gone.txt").write_text("")
    assert "gone.txt has no picture gone.*" in fault(yolo.read(folder))
    saved(folder / "images" / "test" / "secret.png", seed=4)
    saved(folder / "plot.png", seed=5)
    assert not any("secret" in row["id"] or "plot" in row["id"] for row in yolo.read(folder))
    (folder / "classes.txt").unlink()
    with pytest.raises(DataError, match="no class names; add classes.txt"):
        read(folder)
    assert yolo.read(folder, names=["a", "b"])[0]["objects"][0].label == "b"


def test_linked_folders_are_followed_once(tmp_path):
    folder = yolo_folder(tmp_path / "set", "1 0.5 0.5 0.2 0.2")
    (folder / "images").rename(tmp_path / "disk")
    (folder / "images").symlink_to(tmp_path / "disk")
    (folder / "labels" / "loop").symlink_to(folder)
    rows = read(folder)
    assert [row["id"] for row in rows] == ["train/a", "train/empty"] and len(rows[0]["objects"]) == 1


# the others


def test_deeppcb_pairs_and_their_faults(tmp_path):
    jpegs = {name: saved(tmp_path / f"{name}.jpg", seed) for seed, name in enumerate(("test", "temp"))}
    rows = [
        {"id": f"{n:08d}", "image": [*map(str, jpegs.values())], "part": "", "objects": (Labelled("spur", box(2, 3, 9, 8)),)}
        for n in range(3)
    ]
    folder = deeppcb.write(tmp_path / "set", rows)
    first = read(folder)[0]
    assert [Path(path).name for path in first["image"]] == ["00000000_test.jpg", "00000000_temp.jpg"]
    labels = folder / "group" / "group_not" / "00000001.txt"
    assert labels.read_text() == "2 3 9 8 4\n"
    labels.write_text("2,3,9,8,4\n")
    assert read(folder)[1]["objects"] == first["objects"]
    for text, said in (("2 3 9 8 7", "line 1 is of type 7; there are 1 to 6"), ("2 3 9 8", "must be x1 y1 x2 y2 type")):
        labels.write_text(text)
        assert said in fault(read(folder))
    labels.unlink()
    assert "00000001.txt does not exist" in fault(read(folder))
    labels.write_text("")
    saved(folder / "group" / "group" / "00000002_temp.jpg", size=(20, 30))
    rows = read(folder)
    assert rows[1]["objects"] == () and "the template has (20, 30) pixels" in fault(rows)


def test_points_and_their_faults(tmp_path):
    marks = (Mark(1.5, 2, Frame.PIXEL, label="tree"), Mark(40, 30, Frame.PIXEL, label="bush"))
    rows = [{"id": name, "image": [picture(seed)], "points": some} for seed, (name, some) in enumerate({"a": marks, "b": ()}.items())]
    folder = points.write(tmp_path / "set", rows)
    first, second = read(folder)
    assert (first["points"], second["points"]) == (marks, ()) and isinstance(first["points"][0], Point)
    moved = Picture.open(first["image"][0]).convert(first["points"][1], to=Frame.UNIT)
    assert (moved.x, moved.y) == (1, 1)
    path = folder / "csv" / "a.csv"
    path.write_text("x,y\n5,6\n5,6\n41,2\n")
    first = read(folder, label="tree")[0]
    assert [(mark.x, mark.label) for mark in first["points"]] == [(5, "tree"), (5, "tree"), (40, "tree")]
    assert "line 3 (5, 6) stands twice" in first["noise"][0] and "line 4 (41, 2) was moved to the edge" in first["noise"][1]
    for text, said in (
        ("5,6\n", "must begin with the columns x,y or x,y,label, got 5,6"),
        ("", "got nothing"),
        ("x,y\n5\n", "line 2 has 1 columns, the header 2"),
        ("x,y\n5,a\n", "line 2 must be a number, got 'a'"),
        ("x,y\n5,90\n", "line 2 (5, 90) lies 60 pixels outside the 40x30 picture"),
        ('x,y\n"5,6\n', "is not CSV"),
    ):
        path.write_text(text)
        assert said in fault(read(folder))
    path.unlink()
    (folder / "csv" / "z.csv").write_text("x,y\n")
    rows = read(folder)
    assert rows[0]["points"] == () and "z.csv has no picture z.*" in fault(rows)


def test_forgeries_and_their_faults(tmp_path):
    pasted = Annotation("splicing", box(2, 3, 9, 8), outline=picture(5))
    rows = [
        {"id": "au", "image": [picture(0)], "label": "authentic", "objects": (), "more": {"base": "x"}},
        {"id": "tp", "image": [picture(1)], "label": "tampered", "objects": (pasted,)},
    ]
    folder = forgery.write(tmp_path / "set", rows)
    authentic, tampered = read(folder)
    assert (authentic["label"], authentic["objects"], authentic["more"]) == ("authentic", (), {"base": "x"})
    assert tampered["masks"] == (str(folder / "Gt" / "tp_gt.png"),) == (tampered["objects"][0].outline,)
    path = folder / "list.jsonl"
    good, line = path.read_text().splitlines()
    for changes, said in (
        ({"label": "odd"}, "line 2: label must be authentic or tampered, got 'odd'"),
        ({"mask": None}, "a tampered picture has a type, a mask and a bbox"),
        ({"bbox": [1, 2]}, "bbox must be x1, y1, x2, y2"),
        ({"mask": "Gt/gone.png"}, "gone.png does not exist"),
        ({"image": 3}, "line 2 has no image"),
    ):
        path.write_text(f"{good}\n{json.dumps(json.loads(line) | changes)}\n")
        assert said in fault(read(folder))
    path.write_text(f"{good}\n{line[:-1]}\n")
    assert "line 2 is not JSON" in fault(read(folder))
    saved(folder / "Gt" / "tp_gt.png", size=(20, 30))
    path.write_text(f"{good}\n{line}\n")
    assert "the mask Gt/tp_gt.png has (20, 30) pixels, the picture (40, 30)" in fault(read(folder))


def test_screenspot_records_and_their_faults(tmp_path):
    shot = picture(0)
    rows = [
        {"id": f"shot/{n}", "part": "web", "image": [shot], "instruction": f"Click {n}.", "objects": (Labelled("icon", box(n, 3, 9, 8)),)}
        for n in range(2)
    ]  # fmt: skip
    folder = screenspot.write(tmp_path / "set", rows)
    records = json.loads((folder / "screenspot_web.json").read_text())
    assert records[1] == {"img_filename": "shot.png", "instruction": "Click 1.", "bbox": [1, 3, 8, 5], "data_type": "icon"}
    assert [row["objects"] for row in read(folder)] == [(Annotation("icon", box(n, 3, 9, 8)),) for n in range(2)]
    for changes, said in (
        ({"bbox": [1, 2, 0, 4]}, "record 1: bbox [1, 2, 0, 4] has no area"),
        ({"bbox": "1 2 3 4"}, "bbox must be x, y, width, height, got '1 2 3 4'"),
        ({"instruction": " "}, "record 1 has no instruction"),
        ({"img_filename": "gone.png"}, "gone.png does not exist"),
    ):
        (folder / "screenspot_web.json").write_text(json.dumps([records[0], records[1] | changes]))
        assert said in fault(read(folder))


def test_what_is_no_data_of_a_detector_is_refused_in_one_sentence(tmp_path):
    shot = {"id": "shot/0", "part": "web", "image": [picture(0)], "instruction": "Go.", "objects": (Labelled("icon", box(1, 3, 9, 8)),)}
    records = screenspot.write(tmp_path / "records", [shot])
    with pytest.raises(DataError, match="ScreenSpot's records, which box one element of a screen and no other of its kind"):
        read_boxes(records)
    marks = (Mark(5, 5, Frame.PIXEL, label="tree"),)
    with pytest.raises(DataError, match=r"\(points\) has no boxes to find; detection needs labelled boxes$"):
        read_boxes(points.write(tmp_path / "marks", [{"id": "a", "image": [picture(0)], "points": marks}]))
    boxed = voc.write(tmp_path / "boxed", [{"id": "a", "image": [picture(0)], "objects": (Labelled("cat", box(1, 3, 9, 8)),)}])
    assert read_boxes(boxed) == read(boxed)
    (boxed / "Annotations/a.xml").write_text("<annotation><object></object></annotation>")
    with pytest.raises(DataError, match=r"\(1 of 1 rows cannot be used, the first: .* has no <name>\)$"):
        read_boxes(boxed)


@pytest.mark.parametrize(
    ("parts", "tested"),
    [
        (("train2017", "val2017"), {"val2017"}),
        (("train", "valid", "testing"), {"testing"}),
        (("", "val"), {"val"}),
        (("train", "test2015", "test2017"), {"test2015", "test2017"}),
        (("trainval", "dev"), {"dev"}),
    ],
)
def test_a_data_sets_own_test_part_is_what_is_held_out(parts, tested):
    rows = [{"id": f"{part}/{n}", "part": part, "fault": "torn"} if n else {"id": part, "part": part} for part in parts for n in range(3)]
    train, test = parted(rows, held_out=0.2, seed=0)
    assert {row["part"] for row in test} == tested and len(test) == 3 * len(tested)
    assert {row["part"] for row in train} == {*parts} - tested and len(train) + len(test) == len(rows)


@pytest.mark.parametrize("part", ["", "train", "val2017"])
def test_without_a_test_part_of_its_own_a_share_is_held_out(part):
    rows = [{"id": str(n), "part": part, "image": [picture(n)], "objects": ()} for n in range(10)]
    assert parted(rows, held_out=0.2, seed=3) == split(rows, held_out=0.2, seed=3)


# all formats


@pytest.mark.parametrize("form", ["voc", "coco", "yolo", "deeppcb"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_written_is_read_again(tmp_path_factory, form, data):
    folder = tmp_path_factory.mktemp("round")
    labels = st.sampled_from(["open", "spur", "pin-hole"] if form == "deeppcb" else ["cat", "größter Hund", "a & <b>"])
    side = st.integers(0, 3999).map(lambda n: n / 100)
    flags = st.sampled_from({"voc": [(), ("difficult",), ("truncated", "occluded")], "coco": [(), ("crowd",)]}.get(form, [()]))
    rows = []
    for number in range(data.draw(st.integers(1, 4))):
        things = []
        for _ in range(data.draw(st.integers(0, 4))):
            x, y = sorted((data.draw(side), data.draw(side))), sorted((data.draw(side), data.draw(side)))
            area = data.draw(st.none() | st.integers(1, 99)) if form == "coco" else None
            if x[1] - x[0] > 1.5 and y[1] - y[0] > 1.5:
                corners = box(x[0], y[0] * 0.75, x[1], y[1] * 0.75)
                corners = box(*(round(each, 4) for each in (corners.x1, corners.y1, corners.x2, corners.y2)))
                things.append(Annotation(data.draw(labels), corners, flags=data.draw(flags), area=area))
        part = data.draw(st.sampled_from(["", "train"])) if form in ("coco", "yolo", "voc") else ""
        id_ = f"{part}/{number}".lstrip("/")
        images = [str(saved(folder / f"{form}{seed}.jpg", seed)) for seed in range(2)] if form == "deeppcb" else [picture(number)]
        rows.append({"id": id_, "part": part, "image": images, "size": (40, 30), "objects": tuple(things)})
    rows.sort(key=lambda row: row["id"])
    FORMATS[form].write(folder / "set", rows)
    again = read(folder / "set")
    assert sorted(bare(again), key=lambda row: row["id"]) == bare(rows) and not any(row["noise"] for row in again)
    if form != "deeppcb":
        by_id = {row["id"]: row["image"][0] for row in again}
        assert all(Picture.open(by_id[row["id"]]) == row["image"][0] for row in rows)


def test_writers_refuse_what_reading_would_change(tmp_path):
    def one(thing=None, **changes):
        return [{"id": "a", "image": [picture()], "objects": (thing,) if thing else ()} | changes]

    crowd = Annotation("cat", box(1, 1, 9, 9), flags=("crowd",))
    for form, rows, said in (
        ("voc", one(crowd), "the format has no place for crowd"),
        ("voc", one(Annotation("cat", box(1, 1, 9, 9), area=3.0)), "no place for area"),
        ("yolo", one(Annotation("cat", box(1, 1, 9, 9), flags=("difficult",))), "no place for difficult"),
        ("voc", one(Labelled("cat", box(1, 1, 2, 2))), "is a single pixel"),
        ("coco", one(Labelled("cat", box(1, 1, 50, 9))), "has no area inside its 40x30 picture"),
        ("coco", one(Labelled("cat", box(1, 1, 1, 9))), "has no area"),
        ("coco", one(Labelled("cat", Box(0, 0, 1, 1, Frame.UNIT))), "'unit' frame"),
        ("coco", one(Labelled(" cat", box(1, 1, 9, 9))), "label ' cat'"),
        ("yolo", one(Labelled("c\nat", box(1, 1, 9, 9))), "labels are one line"),
        ("yolo", one(id="../a"), "cannot be a file name"),
        ("coco", one(id="/etc/a"), "cannot be a file name"),
        ("voc", one() * 2, "id 'a' stands twice"),
        ("voc", one(image=[picture(), picture(1)]), "has 2 pictures; the format holds 1"),
        ("voc", [{"id": "a", "fault": "torn"}], "row a has a fault and cannot be written: torn"),
        ("deeppcb", one(Labelled("cat", box(1, 1, 9, 9)), image=[picture(), picture()]), "DeepPCB has no type 'cat'"),
    ):
        with pytest.raises(DataError, match=said):
            FORMATS[form].write(tmp_path / "set", rows)
        assert list(tmp_path.iterdir()) == [], "a torn data set was left behind"
    voc.write(tmp_path / "set", one())
    with pytest.raises(DataError, match="exists already"):
        voc.write(tmp_path / "set", one())


def test_a_folder_that_is_none_or_several_formats_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "gone")
    with pytest.raises(DataError, match="holds no annotations that can be read: it has nothing. VOC: .*; COCO: .*; YOLO: "):
        read(tmp_path)
    folder = coco_folder(voc_folder(tmp_path, voc_xml(voc_object((1, 1, 5, 5)))), coco_body())
    with pytest.raises(DataError, match="looks like voc and like coco; say which with form='voc'"):
        read(folder)
    assert len(read(folder, form="coco")) == 2
    with pytest.raises(DataError, match="there is no format 'xml'; there are voc, coco"):
        read(folder, form="xml")


def test_faults_become_bad_rows_of_a_task(tmp_path):
    folder = voc_folder(voc_folder(tmp_path, voc_xml(voc_object((1, 1, 5, 5)))), "<broken", name="b")

    def ask(row):
        if "fault" in row:
            raise DataError(row["fault"])
        shot = Picture.open(row["image"][0])
        return Sample(id=row["id"], messages=(Message("user", (shot, "Which boxes?")),), target=row["objects"])

    task = Task.from_rows(read(folder), ask, name="cats", split="train", max_bad_share=0.5)
    assert len(task) == 1 and task.bad_rows[0].id == "b" and "is not XML" in task.bad_rows[0].why


def test_rewards_take_the_objects_for_gold(tmp_path):
    objects = read(coco_folder(tmp_path, coco_body(annotations=[annotation(), annotation(id=8, iscrowd=1)])))[0]["objects"]
    assert gold_objects(objects).value == objects
    assert sample_map(objects, objects).map == pytest.approx(1)
    assert pickle.loads(pickle.dumps(objects)) == objects
    assert Labelled("cat", box(4, 5, 14, 25)) != objects[0], "what a file said is part of it"


def test_every_format_has_its_row_in_the_docs():
    page = (ROOT / "docs" / "detection-data.md").read_text()
    table = page.partition("| format |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == list(FORMATS)


# the split


def plain_rows(folder, seeds):
    return [{"id": f"r{n}", "image": [str(saved(folder / f"{n}.png", seed))]} for n, seed in enumerate(seeds)]


def test_the_split_shares_no_picture_by_name_or_pixels(tmp_path):
    rows = plain_rows(tmp_path, [n % 20 for n in range(60)])  # each picture under three names
    rows[0]["image"].append(rows[1]["image"][0])  # and two groups tied by a row of two pictures
    train, held_out = split(rows, held_out=0.25, seed=3)
    shas = [{Picture.open(path).sha for row in part for path in row["image"]} for part in (train, held_out)]
    assert not shas[0] & shas[1] and len(train) + len(held_out) == 60 and len(held_out) == 15
    assert [row["id"] for row in train] == [row["id"] for row in rows if row in train]


def test_the_split_depends_on_seed_and_pixels_not_on_order_or_names(tmp_path):
    rows = plain_rows(tmp_path, range(40))
    held_out = {row["id"] for row in split(rows, seed=1)[1]}
    assert len(held_out) == 8
    assert held_out == {row["id"] for row in split(rows[::-1], seed=1)[1]}
    for row in rows:
        path = Path(row["image"][0])
        row["image"] = [str(path.rename(path.with_name(f"other{path.name}")))]
    assert held_out == {row["id"] for row in split(rows, seed=1)[1]}
    assert len({frozenset(row["id"] for row in split(rows, seed=seed)[1]) for seed in range(8)}) == 8


def test_the_split_keeps_what_belongs_together(tmp_path):
    rows = [row | {"patient": n % 5} for n, row in enumerate(plain_rows(tmp_path, range(30)))]
    train, held_out = split(rows, held_out=0.2, together=lambda row: row["patient"])
    assert len(held_out) == 6 and not {row["patient"] for row in train} & {row["patient"] for row in held_out}


def test_the_split_names_what_it_cannot_do(tmp_path):
    rows = plain_rows(tmp_path, [0, 0, 0])
    with pytest.raises(DataError, match="3 rows cannot be split: all share pictures"):
        split(rows)
    with pytest.raises(DataError, match="share between 0 and 1, got 1"):
        split(rows, held_out=1)
    with pytest.raises(DataError, match="none is without a fault"):
        split([{"id": "a", "fault": "torn"}])
    rows = plain_rows(tmp_path / "torn", range(6))
    Path(rows[2]["image"][0]).write_bytes(Path(rows[2]["image"][0]).read_bytes()[:300])
    rows.append({"id": "bad", "fault": "broken XML"})
    train, held_out = split(rows, held_out=0.01)
    assert [row["id"] for row in train if "fault" in row] == ["r2", "bad"] and len(held_out) == 1 and len(train) == 6
    train, held_out = split(rows, held_out=0.99)
    assert len(held_out) == 4 and len([row for row in train if "fault" not in row]) == 1


# real sets


@real
@pytest.mark.parametrize(
    ("name", "form", "n", "labels", "noise"),
    [
        ("bccd", "voc", 242, {"RBC": 2826, "WBC": 245, "Platelets": 259}, 2),
        ("playing_cards", "voc", 45, {"ace": 19, "ten": 18, "queen": 18, "nine": 14, "king": 11, "jack": 6}, 0),
        ("deeppcb", "deeppcb", 80, {"open": 103, "short": 80, "mousebite": 99, "spur": 83, "copper": 85, "pin-hole": 77}, 0),
        ("histology_hgsc", "coco", 48, {"inflammatory": 604, "connective": 450, "neoplastic": 261}, 0),
        ("urban_trees", "points", 110, {}, 1),
        ("forgery_derived", "forgery", 80, {"copy-move": 20, "splicing": 20}, 0),
        ("gui_miniwob", "screenspot", 92, {"text": 52, "icon": 40}, 0),
    ],
)
def test_a_real_set_reads_as_its_readme_says(name, form, n, labels, noise):
    folder = SHARED / name
    assert format_of(folder) == form
    rows = read(folder)
    assert len(rows) == n and not any("fault" in row for row in rows)
    assert Counter(thing.label for row in rows for thing in row["objects"]) == labels
    assert len([each for row in rows for each in row["noise"]]) == noise
    assert len({row["id"] for row in rows}) == n
    for row in rows:
        width, height = row["size"]
        assert all(Path(path).is_file() for path in row["image"]) and len(row["image"]) == (2 if form == "deeppcb" else 1)
        for thing in row["objects"]:
            assert 0 <= thing.box.x1 < thing.box.x2 <= width and 0 <= thing.box.y1 < thing.box.y2 <= height
        assert all(0 <= mark.x <= width and 0 <= mark.y <= height for mark in row.get("points", ()))


@real
def test_the_label_noise_of_real_sets_is_named():
    noise = [each for row in read(SHARED / "bccd") for each in row["noise"]]
    assert [each.partition("Annotations/")[2] for each in noise] == [
        "BloodImage_00338.xml object 13 (RBC) has no area and is left out: 504, 337, 504, 337",
        "BloodImage_00343.xml object 4 (RBC) has no area and is left out: 181, 329, 181, 329",
    ]
    trees = read(SHARED / "urban_trees", label="tree")
    assert sum(len(row["points"]) for row in trees) == 6156
    assert [row["id"] for row in trees if not row["points"]] == ["palm_springs_2020_57"]


@real
def test_real_boxes_lie_on_what_they_name():
    """Pixels tell: white blood cells are darker, boards differ from their templates at defects, masks bound their boxes."""
    right, mirrored = 0, 0
    for row in read(SHARED / "deeppcb"):
        test, template = (np.asarray(Picture.open(path).image.convert("L"), dtype=int) for path in row["image"])
        differs = abs(test - template) > 128
        for thing in row["objects"]:
            y1, y2, x1, x2 = (int(side) for side in (thing.box.y1, thing.box.y2, thing.box.x1, thing.box.x2))
            right += differs[y1:y2, x1:x2].sum()
            mirrored += differs[y1:y2, ::-1][:, x1:x2].sum()
    assert right > 4 * mirrored
    for row in read(SHARED / "forgery_derived"):
        for thing in row["objects"]:
            mask = PIL.Image.open(thing.outline).point(lambda value: 255 * (value > 127))
            assert mask.getbbox() == (thing.box.x1, thing.box.y1, thing.box.x2, thing.box.y2)
    bluer = []
    for row in read(SHARED / "bccd")[:40]:
        image = np.asarray(Picture.open(row["image"][0]).image, dtype=float)
        green = image[:, :, 1]
        for thing in row["objects"]:
            if thing.label == "WBC":
                middle = green[int(thing.box.y1) : int(thing.box.y2), int(thing.box.x1) : int(thing.box.x2)]
                bluer.append(middle.mean() < green.mean())
    assert len(bluer) >= 35 and np.mean(bluer) > 0.95


@real
@pytest.mark.parametrize("name", FOLDERS)
def test_a_real_set_survives_writing_and_splitting(tmp_path, name):
    rows = read(SHARED / name)
    form = format_of(SHARED / name)
    FORMATS[form].write(tmp_path / "set", rows)
    again = read(tmp_path / "set")

    def without_mask_paths(rows):
        strip = [{**row, "objects": tuple((o.label, o.box, o.flags, o.area) for o in row["objects"])} for row in bare(rows)]
        return strip if form == "forgery" else bare(rows)

    assert without_mask_paths(again) == without_mask_paths(rows)
    train, held_out = split(rows, held_out=0.2, seed=0)
    shas = [{Picture(path=Path(path)).sha for row in part for path in row["image"]} for part in (train, held_out)]
    assert not shas[0] & shas[1] and abs(len(held_out) - 0.2 * len(rows)) <= 1
