"""A folder of pictures and a table of questions about them, CSV or TSV: somebody's own data, read into rows.

    folder/questions.csv                     file,question,answer
    folder/pictures/0001.png                 pictures/0001.png,How many bolts are missing?,3

    >>> rows = read("folder")
    >>> rows[0]
    {'id': 'questions/2', 'image': ['/.../folder/pictures/0001.png'], 'file': 'pictures/0001.png',
     'question': 'How many bolts are missing?', 'answer': '3'}
    >>> train, held_out = split(rows, held_out=0.2, seed=0)          # no picture in both, by its pixels

A row is named by its `id` column, or else by the table's name and its line. One that cannot be used holds its `fault` in
place of all that, with the line it stands in, for `ask` to refuse: `Task.from_rows` counts and names it. docs/your-own.md
is the walk from here to a trained model.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from saccade.core.sample import DataError
from saccade.data.detection.splitting import split

__all__ = ["Row", "read", "split"]

Row = dict[str, Any]
Records = Iterator[tuple[int, list[str] | str]]

SUFFIXES = {".csv": ",;\t", ".tsv": "\t"}  # what may stand between the cells
BYTE_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}  # Excel's "Unicode text"; that of UTF-8 is read and dropped
LARGEST_CELL = 1 << 24  # O characters; csv's own limit of 131,072 is less than some worked answers


def read(
    folder: Path | str,
    *,
    table: str | None = None,
    pictures: Sequence[str] = ("file",),
    needs: Sequence[str] = ("question", "answer"),
    encoding: str | None = None,
) -> list[Row]:
    """The rows of a folder's table, every column under its own name, and `image`: the pictures' absolute paths in order.

    `pictures` are the columns that name picture files, from the folder or from the table's own place; `needs` those that
    must not be empty besides. `table` names the file where the folder has several. The text is UTF-8, or UTF-16 with its
    mark, unless `encoding` says otherwise; cells are parted by commas, semicolons or tabs, whichever gives the needed
    columns.

    DataError where no table can be read at all: no folder, no file or several, another encoding, columns that are absent.
    """
    path = _table(Path(folder), table)
    wanted = (*pictures, *needs)
    header, records = _parsed(path, _text(path, encoding), wanted)
    places = (Path(folder).resolve(), path.parent.resolve())
    rows, seen = [], {}
    for line, cells in records:
        row = _row(f"{path.stem}/{line}", line, header, cells, wanted=wanted, pictures=pictures, places=places)
        if row["id"] in seen:
            why = f"line {line}: id {row['id']!r} stands twice, first in line {seen[row['id']]}; ids must be unique"
            row = {"id": f"{row['id']} (again, line {line})", "fault": why}
        seen[row["id"]] = line
        rows.append(row)
    if not rows:
        raise DataError(f"{path} holds no rows below its header")
    return rows


def _table(folder: Path, name: str | None) -> Path:
    if not folder.is_dir():
        raise DataError(f"data folder {folder} {'is a file, not a folder' if folder.exists() else 'does not exist'}")
    if name is not None:
        if (folder / name).is_file():
            return folder / name
        raise DataError(f"there is no table {folder / name}")
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    found = [path for path in tables if not path.name.startswith((".", "~"))]
    if not found:
        raise DataError(f"{folder} holds no .csv or .tsv file")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"{folder} holds {len(found)} tables ({names}); name one with table=")
    return found[0]


def _text(path: Path, encoding: str | None) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    chosen = encoding or BYTE_MARKS.get(data[:2], "utf-8-sig")
    try:
        return data.decode(chosen)
    except LookupError:
        raise DataError(f"there is no encoding {encoding!r}") from None
    except UnicodeError as error:
        before = data[: getattr(error, "start", 0)]
        line = before.count(b"\n") + 1
        raise DataError(
            f"{path} is not {chosen.removesuffix('-sig').upper()} (line {line}); save it as UTF-8, or name its encoding, "
            "such as encoding='cp1252'"
        ) from None


def _parsed(path: Path, text: str, wanted: Sequence[str]) -> tuple[list[str], Records]:
    """The header, and the records below it, with the delimiter that gives the wanted columns."""
    if not text.strip():
        raise DataError(f"{path} is empty")
    headers = []
    for delimiter in SUFFIXES.get(path.suffix.lower(), ",;\t"):
        records = _records(path, text, delimiter)
        _, first = next(records, (0, "nothing but blanks"))
        if isinstance(first, str):  # such as quotes that end before a delimiter of another kind
            continue
        header = [name.strip() for name in first]
        headers.append(header)
        if set(wanted) <= set(header):
            _require_sound(header, path)
            return header, records
    if not headers:
        raise DataError(f"{path} has a header that is not parted by commas, semicolons or tabs")
    header = max(headers, key=lambda names: (len(set(names) & set(wanted)), len(names)))
    absent = [name for name in wanted if name not in header]
    near = [f"{name} (did you mean {close[0]!r}?)" if (close := _near(name, header)) else name for name in absent]
    raise DataError(f"{path} has no column {', '.join(near)}; it has: {', '.join(header)}")


def _require_sound(header: Sequence[str], path: Path) -> None:
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise DataError(f"{path} has two columns named {', '.join(twice)}")
    if "fault" in header:
        raise DataError(f"{path} has a column named fault, which here says that a row is bad; give it another name")


def _near(name: str, header: Sequence[str]) -> list[str]:
    spelt = {one.lower(): one for one in header}
    return [spelt[one] for one in get_close_matches(name.lower(), spelt, n=1, cutoff=0.7)]


def _records(path: Path, text: str, delimiter: str) -> Records:
    """(the line where it begins, its cells or what is wrong) of every record with anything in it."""
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):  # all rows below it are in that cell
                raise DataError(f"{path}: a quote that opens in or below line {line} is never closed") from None
            which = "it" if reader.line_num == line else f"the lines to {reader.line_num}"
            cells = f"{which} cannot be read: {error}"
        if isinstance(cells, str) or any(cell.strip() for cell in cells):
            yield line, cells
        line = reader.line_num + 1


def _row(
    name: str,
    line: int,
    header: Sequence[str],
    cells: Sequence[str] | str,
    *,
    wanted: Sequence[str],
    pictures: Sequence[str],
    places: Sequence[Path],
) -> Row:
    """One row, or its fault."""
    if isinstance(cells, str):
        return {"id": name, "fault": f"line {line}: {cells}"}
    cells = [cell.strip() for cell in cells]
    while len(cells) > len(header) and not cells[-1]:
        cells.pop()  # a line that ends in commas
    row: Row = {column: cell for column, cell in zip(header, cells) if column}
    row_id = row.get("id") or name
    if len(cells) != len(header):
        why = f"{len(cells)} cells where the header has {len(header)}; a cell with a comma needs quotes"
        return {"id": row_id, "fault": f"line {line}: {why}"}
    if empty := [column for column in wanted if not row[column]]:
        return {"id": row_id, "fault": f"line {line}: {', '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty"}
    try:
        image = [str(_picture(row[column], places)) for column in pictures]
    except DataError as error:
        return {"id": row_id, "fault": f"line {line}: {error}"}
    others = {column: cell for column, cell in row.items() if column not in ("id", "image")}
    return {"id": row_id, "image": image, **others}


def _picture(name: str, places: Sequence[Path]) -> Path:
    """The file that a cell names. DataError where there is none, with one that is nearly so."""
    spellings = [name, name.replace("\\", "/")]  # a table from Windows
    for spelling in spellings:
        for place in places:
            try:
                if (place / spelling).is_file():
                    return (place / spelling).resolve()
            except (OSError, ValueError) as error:  # a name that no disk takes
                raise DataError(f"{name[:60]!r} is no file's name ({error})") from None
    beside = places[0] / spellings[-1]
    if not beside.parent.is_dir():
        raise DataError(f"there is no picture {name}; there is no folder {beside.parent}")
    alike = (other for other in beside.parent.iterdir() if other.stem.lower() == beside.stem.lower())
    near = sorted(other.name for other in alike if other.is_file())
    raise DataError(f"there is no picture {name}{f'; {near[0]} is there' if near else ''}")
