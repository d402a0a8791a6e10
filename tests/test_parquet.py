"""Rows and pictures of parquet files, as published data sets hold them, and what is said of files that are none."""

from __future__ import annotations

import io

import PIL.Image
import pyarrow.parquet
import pytest

from saccade.core.picture import PictureError
from saccade.core.sample import DataError
from saccade.data.parquet import picture, rows, write


def png(color: str) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (6, 4), color).save(buffer, "PNG")
    return buffer.getvalue()


def test_what_was_written_comes_back_in_order_over_many_batches(tmp_path):
    records = [{"id": f"r{i}", "n": i, "boxes": [[0.5, float(i)]], "note": None if i % 2 else "x"} for i in range(600)]
    path = write(tmp_path / "a.parquet", records)
    assert list(rows(path)) == records
    assert list(rows(path, needs=("id", "n"))) == records


def test_a_picture_in_any_of_the_published_forms(tmp_path):
    (tmp_path / "red.png").write_bytes(png("red"))
    cells = [{"bytes": png("red"), "path": "gone.png"}, {"bytes": None, "path": "red.png"}, png("red"), "red.png"]
    path = write(tmp_path / "a.parquet", [{"image": cell} for cell in cells[:2]])
    found = [picture(cell, beside=tmp_path) for cell in [row["image"] for row in rows(path)] + cells[2:]]
    assert [p.size for p in found] == [(6, 4)] * 4
    assert {p.image.getpixel((0, 0)) for p in found} == {(255, 0, 0)}
    for bad in (None, 3, "", {}, {"bytes": None}):
        with pytest.raises(DataError, match="a picture must be bytes"):
            picture(bad)
    with pytest.raises(PictureError, match="cannot be decoded"):
        picture(b"no picture")


def test_what_is_no_table_gets_one_sentence(tmp_path):
    with pytest.raises(DataError, match="gone.parquet does not exist"):
        list(rows(tmp_path / "gone.parquet"))
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(DataError, match="text.parquet is not a parquet file that can be read: "):
        list(rows(tmp_path / "text.parquet"))
    with pytest.raises(DataError, match="is not a parquet file"):
        list(rows(tmp_path))
    whole = write(tmp_path / "a.parquet", [{"id": "a", "n": 1}])
    with pytest.raises(DataError, match="a.parquet has no column image, problem; it has: id, n"):
        list(rows(whole, needs=("id", "image", "problem")))
    data = whole.read_bytes()
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="torn.parquet is not a parquet file"):
        list(rows(torn))
    flipped = bytearray(data)
    flipped[8:40] = bytes(32)
    (tmp_path / "flipped.parquet").write_bytes(flipped)
    with pytest.raises(DataError, match="flipped.parquet is damaged"):
        list(rows(tmp_path / "flipped.parquet"))


def test_text_that_is_not_utf_8_is_damage(tmp_path):
    latin = pyarrow.array(["caf\xe9".encode("latin-1")])
    text = pyarrow.Array.from_buffers(pyarrow.string(), 1, latin.buffers())
    pyarrow.parquet.write_table(pyarrow.table({"word": text}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="a.parquet is damaged: 'utf-8' codec can't decode"):
        list(rows(tmp_path / "a.parquet"))
