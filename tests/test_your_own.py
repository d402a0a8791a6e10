"""Somebody's own data: the reader of a folder with a table, and docs/your-own.md run as it stands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from random import Random

import PIL.Image
import pytest

from saccade.core.picture import Picture
from saccade.core.sample import DataError
from saccade.data.table import read, split

ROOT = Path(__file__).parents[1]


def folder_of(path: Path, table: str | bytes, *, name: str = "questions.csv", pictures: int = 3) -> Path:
    """A folder with this table and pictures/0.png, 1.png ... of different colours."""
    (path / "pictures").mkdir(parents=True, exist_ok=True)
    for i in range(pictures):
        PIL.Image.new("RGB", (40, 30), (60 * i, 90, 120)).save(path / f"pictures/{i}.png")
    (path / name).write_bytes(table if isinstance(table, bytes) else table.encode())
    return path


def faults(rows: list[dict]) -> dict[str, str]:
    return {row["id"]: row["fault"] for row in rows if "fault" in row}


HEAD = "file,question,answer\n"
GOOD = "pictures/0.png,How many?,3\n"


def test_a_row_has_every_column_and_its_picture_by_its_whole_path(tmp_path):
    folder = folder_of(tmp_path, "id,file,question,answer,place\na7,pictures/1.png, How many? ,3,hall\n")
    (row,) = read(folder)
    picture = str(folder.resolve() / "pictures/1.png")
    assert row == {"id": "a7", "image": [picture], "file": "pictures/1.png", "question": "How many?", "answer": "3", "place": "hall"}
    assert Picture.open(row["image"][0]).size == (40, 30)


def test_without_an_id_a_row_is_named_by_the_line_where_it_begins(tmp_path):
    rows = read(folder_of(tmp_path, HEAD + GOOD + '\n"pictures/1.png","How many?\nOn the left.","4"\n' + GOOD))
    assert [row["id"] for row in rows] == ["questions/2", "questions/4", "questions/6"]
    assert rows[1]["question"] == "How many?\nOn the left."


def test_two_pictures_stand_in_two_columns(tmp_path):
    folder = folder_of(tmp_path, "before,after,answer\npictures/0.png,pictures/1.png,moved\npictures/0.png,,moved\n")
    good, bad = read(folder, pictures=("before", "after"), needs=("answer",))
    assert [Path(path).name for path in good["image"]] == ["0.png", "1.png"]
    assert bad["fault"] == "line 3: after is empty"


@pytest.mark.parametrize(
    ("written", "encoding"),
    [
        ("file,question,answer\npictures/0.png,Wie viele Äpfel?,3 €\n".encode(), None),
        ("\ufefffile,question,answer\npictures/0.png,Wie viele Äpfel?,3 €\n".encode(), None),
        ("file;question;answer\r\npictures/0.png;Wie viele Äpfel?;3 €\r\n".encode("cp1252"), "cp1252"),
        ('"file"\t"question"\t"answer"\n"pictures/0.png"\t"Wie viele Äpfel?"\t"3 €"\n'.encode("utf-16"), None),
        ('"file";"question";"answer"\rpictures/0.png;Wie viele Äpfel?;3 €'.encode(), None),
        ("file ; question;answer;;\npictures\\0.png;Wie viele Äpfel?;3 €;;\n".encode(), None),
    ],
    ids=["plain", "byte mark", "Excel in Europe", "Excel's Unicode text", "old line ends", "empty columns, Windows' slashes"],
)
def test_what_spreadsheets_write_is_read_alike(tmp_path, written, encoding):
    (row,) = read(folder_of(tmp_path, written), encoding=encoding)
    assert (row["question"], row["answer"]) == ("Wie viele Äpfel?", "3 €")
    assert Path(row["image"][0]).name == "0.png"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("pictures/9.png,How many?,3", "line 3: there is no picture pictures/9.png"),
        ("pictures/0.PNG,How many?,3", "line 3: there is no picture pictures/0.PNG; 0.png is there"),
        ("pictures/1.jpeg,How many?,3", "line 3: there is no picture pictures/1.jpeg; 1.png is there"),
        ("photos/0.png,How many?,3", "line 3: there is no picture photos/0.png; there is no folder"),
        ("pictures,How many?,3", "line 3: there is no picture pictures"),
        ("pictures/0.png,,3", "line 3: question is empty"),
        (" ,How many?, ", "line 3: file, answer are empty"),
        ("pictures/0.png,How many, if any?,3", "line 3: 4 cells where the header has 3; a cell with a comma needs quotes"),
        ("pictures/0.png,How many?", "line 3: 2 cells where the header has 3"),
        ('pictures/0.png,"How" many?,3', "line 3: it cannot be read: ',' expected after '\"'"),
        (f"{'x' * 5000}.png,How many?,3", "line 3: 'xxxxx"),
    ],
)
def test_a_bad_row_says_its_line_and_what_is_wrong_and_takes_no_other_with_it(tmp_path, line, why):
    rows = read(folder_of(tmp_path, HEAD + GOOD + line + "\n" + GOOD))
    (fault,) = faults(rows).values()
    assert fault.startswith(why)
    assert [row["id"] for row in rows] == ["questions/2", "questions/3", "questions/4"]


def test_an_id_that_stands_twice_is_a_fault_of_the_second(tmp_path):
    head = "id,file,question,answer\n"
    rows = read(folder_of(tmp_path, head + f"a,{GOOD}b,{GOOD}a,{GOOD}a,{GOOD}"))
    assert faults(rows) == {
        "a (again, line 4)": "line 4: id 'a' stands twice, first in line 2; ids must be unique",
        "a (again, line 5)": "line 5: id 'a' stands twice, first in line 2; ids must be unique",
    }


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "questions.csv is empty"),
        (HEAD, "questions.csv holds no rows below its header"),
        ("File,Question,answer\n" + GOOD, "has no column file (did you mean 'File'?), question (did you mean 'Question'?); it has: File, Question, answer"),
        ("file,answer\n" + GOOD, "has no column question; it has: file, answer"),
        ("file,question,answer,answer\n" + GOOD, "has two columns named answer"),
        ("file,question,answer,fault\n" + GOOD, "has a column named fault, which here says that a row is bad"),
        (HEAD + GOOD + 'pictures/0.png,"How many?,3\n' + GOOD, "a quote that opens in or below line 3 is never closed"),
        ((HEAD + GOOD + "pictures/0.png,Äpfel?,3\n").encode("cp1252"), "is not UTF-8 (line 3); save it as UTF-8, or name its encoding"),
    ],
)
def test_a_table_that_cannot_be_read_at_all_is_one_sentence(tmp_path, table, says):
    with pytest.raises(DataError, match=re.escape(says)):
        read(folder_of(tmp_path, table))


def test_which_table_is_read_is_never_guessed(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "gone")
    with pytest.raises(DataError, match="holds no .csv or .tsv file"):
        read(tmp_path)
    folder_of(tmp_path, HEAD + GOOD)
    folder_of(tmp_path, HEAD + GOOD + GOOD, name="more.csv")
    folder_of(tmp_path, "", name="~$more.csv")
    with pytest.raises(DataError, match=re.escape("holds 2 tables (more.csv, questions.csv); name one with table=")):
        read(tmp_path)
    assert len(read(tmp_path, table="more.csv")) == 2
    with pytest.raises(DataError, match="there is no table"):
        read(tmp_path, table="less.csv")
    with pytest.raises(DataError, match="there is no encoding 'utf-9'"):
        read(tmp_path, table="more.csv", encoding="utf-9")


def test_no_bytes_make_it_raise_anything_else(tmp_path):
    """Rows or DataError, and ids that differ, of 3,000 tables put together from what breaks tables."""
    folder, random = folder_of(tmp_path, ""), Random(0)
    pieces = [b"file", b"question", b"answer", b"id", b",", b";", b"\t", b"\n", b"\r", b"\r\n", b'"', b'""', b"pictures/0.png", b"3", GOOD.encode()]
    pieces += [b"\x00", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b" ", b"\xe2\x80\xa8", b"\x1a", "ä".encode(), b"..", b"p" * 300]
    heads = (b"", HEAD.encode(), b"id,file,question,answer\n", b"answer;file;question\r\n")
    good, faulty, refused = 0, 0, 0
    for _ in range(3000):
        common = random.choices(pieces[:15], k=random.randint(0, 20)) + random.choices(pieces, k=random.randint(0, 2))
        (folder / "questions.csv").write_bytes(random.choice(heads) + b"".join(random.sample(common, k=len(common))))
        try:
            rows = read(folder)
        except DataError:
            refused += 1
            continue
        assert len({row["id"] for row in rows}) == len(rows)
        good, faulty = good + sum("fault" not in row for row in rows), faulty + len(faults(rows))
    assert good > 100 and faulty > 500 and refused > 500


def test_a_picture_beside_its_table_is_found(tmp_path):
    folder_of(tmp_path / "deep", "file,question,answer\npictures/0.png,How many?,3\ndeep/pictures/1.png,How many?,3\n")
    rows = read(tmp_path, table="deep/questions.csv")
    assert [Path(row["image"][0]).name for row in rows] == ["0.png", "1.png"]


def test_no_picture_is_on_both_sides_even_under_another_name(tmp_path):
    names = [f"pictures/{i}.png" for i in range(12)] + [f"pictures/copy{i}.bmp" for i in range(12)]
    folder = folder_of(tmp_path, HEAD + "".join(f"{name},How many?,3\n" for name in names), pictures=0)
    for i in range(12):
        picture = PIL.Image.new("RGB", (40, 30), (20 * i, 90, 120))
        picture.save(folder / f"pictures/{i}.png")
        picture.save(folder / f"pictures/copy{i}.bmp")
    (folder / "pictures/3.png").write_bytes(b"no picture")
    train, held_out = split(read(folder), held_out=0.25)
    shas = [{Picture.open(row["image"][0]).sha for row in part if "fault" not in row} for part in (train, held_out)]
    assert not shas[0] & shas[1] and abs(len(held_out) - 0.25 * 23) <= 1
    assert "3.png" in faults(train)["questions/5"] and not faults(held_out)


# The page


PAGE = (ROOT / "docs/your-own.md").read_text()


def blocks() -> list[tuple[str, str]]:
    """(language, text) of the page's fenced blocks."""
    return re.findall(r"^```(python|sh)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def told(start: str) -> list[str]:
    """The words of the page's indented commands that begin so."""
    found = [shlex.split(line) for line in PAGE.splitlines() if line.startswith(f"    {start}")]
    assert found
    return found


def shell(command: str, folder: Path) -> str:
    """What a shell prints that runs the page's block, with this Python's `saccade`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = re.sub(r"(?m)^(saccade train .*)$", r"\1 --threads 1", command)  # the suite's other process has the other core
    done = subprocess.run(["bash", "-ec", command], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def written(tmp_path: Path) -> None:
    """The page's folder and its mine.py, in tmp_path."""
    (_, make), (_, mine), *_ = blocks()
    exec(compile(make, "your-own.md", "exec"), {})
    (tmp_path / "mine.py").write_text(mine)


def test_the_page_leads_to_a_model_that_has_learned(tmp_path, monkeypatch):
    """All its blocks, in order; the one real training of the page, a minute on one core."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    (_, first), (_, second), (language, use) = blocks()[2:]
    assert language == "python"
    assert "mine is sound" in shell(first, tmp_path)
    summary = json.loads((tmp_path / "runs/first/summary.json").read_text())
    measured = summary["evaluations"]["held-out"]
    gain = {mode: measured["after"][mode]["mean"] - measured["before"][mode]["mean"] for mode in ("greedy", "sampled")}
    assert gain["sampled"] > 0.25 and gain["greedy"] > 0.4
    assert measured["after"]["metrics"]["eval/held-out/picture_gain"] > 0.3
    assert sum(summary["bad_rows"].values()) == 0
    trained = {json.loads(line)["sample"] for line in (tmp_path / "runs/first/rollouts.jsonl").read_text().splitlines()}
    held_out = {row["id"] for row in split(read(tmp_path / "parts"), held_out=0.25)[1]}
    assert trained and len(held_out) == measured["n"] == 60 and not trained & held_out
    assert "held-out" in shell(second, tmp_path)
    printed: list[str] = []
    exec(compile(use, "your-own.md", "exec"), {"print": printed.append})
    assert re.search(r"<think>.*\d.*</think>.*<answer>\d+</answer>", printed[0], re.DOTALL)


def test_the_commands_that_are_not_run_name_what_there_is(tmp_path, monkeypatch):
    """Those for a GPU and for an hour: recipe, options and paths, without the training."""
    from bench.effects import Arm
    from saccade import catalog
    from saccade.cli import _parser
    from saccade.run.overrides import override

    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    for words in told("saccade train mine.py"):
        options = _parser().parse_args(words[1:])
        made = override(catalog.make(options.recipe, options=options.options, model=options.model, data=options.data, seed=0), options.settings)
        assert (made.stages[0].steps, made.model.max_pixels, made.model.dtype, made.model.path) == (200, 480000, "bfloat16", options.model)
        assert made.model.lora is not None and made.stages[0].sampling.max_tokens == 512
    ((_, _, module, *words),) = told("python -m bench.effects")
    arms = [Arm.parse(word) for before, word in zip(words, words[1:]) if before == "--arm"]
    assert (module, [arm.name for arm in arms]) == ("bench.effects", ["plain", "dapo", "slow"])
    for arm in arms:
        options = _parser().parse_args(["train", *words[:3], *arm.arguments])
        made = override(catalog.make(options.recipe, options=options.options, model="tiny", data=options.data, seed=0), options.settings)
        if options.algorithm:
            assert catalog.with_algorithm(made, options.algorithm).stages[0].algorithm.refill is not None


def test_the_table_of_rewards_names_what_there_is(tmp_path):
    import saccade.rewards.answers.accuracy as accuracy
    from saccade.core.reward import Reward, reward

    rows = re.findall(r"^\| (?:a |anything).* \| (.*) \|$", PAGE, re.MULTILINE)
    calls = [call for row in rows for call in re.findall(r"`([^`]+)`", row)]
    named = [call for call in calls if re.fullmatch(r"\w+\(.*\)", call)]
    assert len(rows) == 5 and len(named) == 7
    assert all(isinstance(eval(call, dict(vars(accuracy))), Reward) for call in named)
    space: dict = {"reward": reward}
    exec("@reward\n" + calls[-1], space)
    assert isinstance(space["is_right"], Reward)
