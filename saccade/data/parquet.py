"""Parquet files of published data sets, row by row: their columns as plain values, their pictures as Pictures.

    >>> for row in rows("GUI-R1/train.parquet"):
    ...     screen, words = picture(row["image"]), row["instruction"]

Data sets on the hub hold a picture as {"bytes": encoded file, "path": name}, as bare bytes, or as a path beside the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from saccade.core.picture import Picture
from saccade.core.sample import DataError

_ROWS_AT_ONCE = 256  # pictures make rows large


def rows(path: Path | str, *, needs: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows of a parquet file in order, read a few hundred at a time.

    DataError, naming the file, where it cannot be read or lacks one of the columns that it `needs`.
    """
    path = Path(path)
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except FileNotFoundError:
        raise DataError(f"data file {path} does not exist") from None
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} is not a parquet file that can be read: {error}") from None
    with file:
        have = file.schema_arrow.names
        if absent := [name for name in needs if name not in have]:
            raise DataError(f"{path} has no column {', '.join(absent)}; it has: {', '.join(have)}")
        try:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                yield from batch.to_pylist()
        except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:  # the last: text that is not UTF-8
            raise DataError(f"{path} is damaged: {error}") from None


def write(path: Path | str, records: Sequence[Mapping[str, Any]], *, schema: pyarrow.Schema | None = None) -> Path:
    """A parquet file of these records; the columns' types are told from them where no schema is given."""
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(record) for record in records], schema=schema), path)
    return Path(path)


def picture(cell: Any, *, beside: Path | str = ".") -> Picture:
    """The picture of a cell: encoded bytes, {bytes, path}, or a path below the folder `beside`.

    DataError for anything else; PictureError where the bytes are no picture.
    """
    if isinstance(cell, Mapping):
        held = cell.get("bytes")
        return picture(held if held is not None else cell.get("path"), beside=beside)
    if isinstance(cell, bytes):
        return Picture.encoded(cell)
    if isinstance(cell, str) and cell:
        return Picture.open(Path(beside) / cell)
    raise DataError(f"a picture must be bytes, {{bytes, path}} or a path, got {type(cell).__name__}")
