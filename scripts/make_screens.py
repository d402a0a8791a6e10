"""Renders the screens of the GUI miniature: real widgets laid out by Chromium, photographed, their boxes measured.

    python scripts/make_screens.py                                   the shipped saccade/data/miniature/screens.parquet
    python scripts/make_screens.py --out /tmp/screens.parquet --train 6000 --test 0 --seed 1        more, to teach from
    python scripts/make_screens.py --sheet docs/pictures/gui_r1_screens.png       shipped screens with commands and gold boxes, to look at

Needs Debian's chromium-headless-shell (or chromium, chrome) and its fonts: measured with version 156. A page holds many
screens of 112 x 112 CSS pixels side by side; one run of the browser photographs it, another prints the document after a
script has written the place of every widget (getBoundingClientRect) into it. The same seed lays out the same screens; the
pixels are those of the browser and its fonts.

Three platforms differ in bars, shapes and colours around the widgets: web and phone stand in the splits train and test, desktop
only in shifted.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import io
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pyarrow

from saccade.data import parquet
from saccade.data.miniature import screens
from saccade.data.miniature.puzzle import SIDE
from saccade.data.miniature.solids import COLORS

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PER_ROW, PER_PAGE = 16, 256  # screens side by side, and in a photograph
KINDS = {
    "web": ("button", "box", "list", "check", "tab"),
    "phone": ("button", "box", "list", "switch", "tab"),
    "desktop": ("button", "box", "list", "check", "tab"),
}
SPLITS = {"train": ("web", "phone"), "test": ("web", "phone"), "shifted": ("desktop",)}
TITLES = ("Mail", "Shop", "Notes", "Music", "News", "Maps", "Photos", "Tasks")
LABELS = ("OK", "Go", "Add", "Next", "Yes", "Run", "Save", "Buy")
DIALOG_SHARE = 0.08

STYLE = """
* { box-sizing: border-box; margin: 0; padding: 0; }
body { width: 1792px; display: flex; flex-wrap: wrap; background: #fff; }
.screen { width: 112px; height: 112px; position: relative; overflow: hidden; display: flex; flex-direction: column;
  font: 8px Liberation Sans, DejaVu Sans, sans-serif; }
.bar { flex: none; padding: 0 3px; white-space: nowrap; display: flex; justify-content: space-between; align-items: center; }
.area { flex: 1; display: flex; flex-wrap: wrap; padding: 2px; min-height: 0; }
.w { font: bold 9px Liberation Sans, DejaVu Sans, sans-serif; flex: none; text-align: center; text-decoration: none; overflow: hidden; }
label.w { display: flex; align-items: center; padding-left: 2px; } label.w input { width: 10px; height: 10px; }
a.w { display: flex; align-items: center; justify-content: center; }
input.box { text-align: left; padding-left: 3px; } select.w { text-align: left; }
.knob { position: absolute; right: 2px; top: 2px; bottom: 2px; aspect-ratio: 1; border-radius: 50%; background: #fff; }
.switch { position: relative; border-radius: 12px; display: block; }
.shade { position: absolute; inset: 0; background: rgba(0,0,0,.55); display: flex; align-items: center; justify-content: center; }
.dialog { background: #fafafa; padding: 3px; width: 78px; height: 50px; position: relative; }
.dialog i { position: absolute; right: 2px; top: 0; font: bold 11px sans-serif; }
.web .bar { height: 11px; background: #e6e8ec; color: #444; border-bottom: 1px solid #bbb; }
.web .bar span { background: #fff; border-radius: 4px; flex: 1; margin: 0 4px; padding: 0 3px; }
.web .w { border: 1px solid rgba(0,0,0,.35); border-radius: 3px; } .web input.box { border: 2px inset #999; border-radius: 0; }
.web a.w { border-width: 1px 1px 0 1px; border-radius: 5px 5px 0 0; } .web .dialog { border-radius: 3px; border: 1px solid #888; }
.phone .bar { height: 8px; color: #555; font-size: 7px; } .phone .nav { height: 9px; justify-content: space-around; border-top: 1px solid #ccc; }
.phone .w { border: 0; border-radius: 9px; } .phone input.box { border-bottom: 2px solid rgba(0,0,0,.45); border-radius: 4px 4px 0 0; }
.phone a.w { border-radius: 0; border-bottom: 3px solid rgba(0,0,0,.5); } .phone .dialog { border-radius: 9px; }
.desktop { border: 1px solid #555; } .desktop .bar { height: 9px; background: #20407a; color: #fff; }
.desktop .menu { height: 8px; background: #d8d4cc; color: #222; justify-content: flex-start; gap: 5px; }
.desktop .nav { height: 8px; background: #b9b5ab; color: #222; border-top: 1px solid #eee; }
.desktop .w { border: 2px outset #ddd; border-radius: 0; } .desktop input.box, .desktop select.w { border: 2px inset #ddd; }
.desktop .dialog { border: 2px outset #ddd; background: #d8d4cc; }
"""
MEASURE = """
const found = [];
for (const screen of document.querySelectorAll('.screen')) {
  const at = screen.getBoundingClientRect(), area = screen.querySelector('.area').getBoundingClientRect();
  const widgets = [...screen.querySelectorAll('.w')].map(w => [w, w.getBoundingClientRect()]);
  found.push({
    inside: widgets.every(([w, b]) => b.left >= area.left && b.top >= area.top && b.right <= area.right && b.bottom <= area.bottom),
    widgets: widgets.map(([w, b]) => ({color: w.dataset.color, kind: w.dataset.kind,
      box: [b.left - at.left, b.top - at.top, b.right - at.left, b.bottom - at.top].map(Math.round)})) });
}
const out = document.createElement('pre'); out.id = 'found'; out.textContent = JSON.stringify(found); document.body.append(out);
"""


def main() -> None:
    """Renders as many screens as asked for of each split, and writes them into one parquet file."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--out", type=Path, default=screens.SHIPPED)
    options.add_argument("--seed", type=int, default=0)
    for split, n in (("train", 400), ("test", 120), ("shifted", 120)):
        options.add_argument(f"--{split}", type=int, default=n)
    options.add_argument("--sheet", type=Path)
    given = options.parse_args()
    if given.sheet:
        sheet().save(given.sheet, optimize=True)
        return
    rows: list[dict[str, Any]] = []
    taken: set[bytes] = set()
    for split, platforms in SPLITS.items():
        rng = np.random.default_rng([given.seed, *split.encode()])
        rows += rendered(rng, split, platforms, getattr(given, split), taken)
    parquet.write(given.out, rows, schema=screens.SCHEMA)
    sizes = {split: sum(row["split"] == split for row in rows) for split in SPLITS}
    print(f"{given.out}: {sizes}, {given.out.stat().st_size:,} bytes")


def rendered(
    rng: np.random.Generator, split: str, platforms: tuple[str, ...], count: int, taken: set[bytes]
) -> list[dict[str, Any]]:
    """`count` rows of screens that look like none taken before and have all their widgets in full view."""
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        names = [str(rng.choice(platforms)) for _ in range(PER_PAGE)]
        dialogs = rng.random(PER_PAGE) < DIALOG_SHARE
        parts = [screen(rng, name, has_dialog=bool(d)) for name, d in zip(names, dialogs, strict=True)]
        photo, found = photographed(page(parts))
        for place, (name, has_dialog, seen) in enumerate(zip(names, dialogs, found, strict=True)):
            x, y = place % PER_ROW * SIDE, place // PER_ROW * SIDE
            tile = photo.crop((x, y, x + SIDE, y + SIDE))
            pixels = hashlib.sha256(tile.tobytes()).digest()
            if len(rows) == count or pixels in taken or not seen["inside"]:
                continue
            taken.add(pixels)
            rows.append({
                "id": f"{name}-{split}-{len(rows):04d}",
                "split": split,
                "platform": name,
                "has_dialog": bool(has_dialog),
                "image": png(tile),
                "widgets": seen["widgets"],
            })  # fmt: skip
    return rows


def screen(rng: np.random.Generator, platform: str, *, has_dialog: bool) -> str:
    """The markup of one screen: bars, two to five widgets of different colours, a window in front."""
    n = int(rng.choice([2, 3, 4, 5], p=[0.2, 0.35, 0.3, 0.15]))
    colors = rng.permutation(list(COLORS))[:n].tolist()
    scale = 0.9 if platform == "desktop" else 1.0  # its bars take more of the screen
    drawn = [widget(rng, color, str(rng.choice(KINDS[platform])), scale=scale) for color in colors]
    paper = "rgb({},{},{})".format(*(rng.integers(222, 256, size=3) if platform != "desktop" else rng.integers(196, 218, size=3)))
    gap, spread = int(rng.integers(7, 17)), str(rng.choice(["space-around", "space-evenly", "space-between", "flex-start", "flex-end"]))
    rows = str(rng.choice(["space-around", "space-evenly", "space-between", "flex-start", "flex-end"]))
    style = f"gap:{gap}px; justify-content:{spread}; align-content:{rows}; align-items:{rng.choice(['center', 'flex-start', 'flex-end'])};"
    style += f"padding:{int(rng.integers(2, 9))}px {int(rng.integers(2, 9))}px"
    title = str(rng.choice(TITLES))
    top = {
        "web": f"<div class=bar>&#9664;<span>{title.lower()}.com</span>&#8801;</div>",
        "phone": f"<div class=bar><b>{int(rng.integers(1, 13))}:{int(rng.integers(10, 60))}</b><b>{title}</b>&#9646;&#9646;</div>",
        "desktop": f"<div class=bar><b>{title}</b><b>_ &#9633; x</b></div><div class='bar menu'><span><u>F</u>ile</span><span><u>E</u>dit</span></div>",
    }[platform]
    foot = {
        "web": "",
        "phone": "<div class='bar nav'><b>&#9664;</b><b>&#9679;</b><b>&#9632;</b></div>",
        "desktop": "<div class='bar nav'><b>Start</b><b>12:00</b></div>",
    }[platform]
    front = f"<div class=shade><div class=dialog>{rng.choice(TITLES)}?<i>x</i></div></div>" if has_dialog else ""
    area = f"<div class=area style='{style}'>{''.join(drawn)}</div>"
    return f"<div class='screen {platform}' style='background:{paper}'>{top}{area}{foot}{front}</div>"


def widget(rng: np.random.Generator, color: str, kind: str, *, scale: float) -> str:
    """The markup of one widget, a real element of HTML in the colour."""
    fill = "rgb({},{},{})".format(*COLORS[color])
    ink = "#fff" if sum(COLORS[color]) < 400 else "#000"
    wide, high = int(rng.integers(25, 38)), int(rng.integers(13, 20))
    wide = {"check": wide - 4, "switch": max(22, wide - 8), "list": wide + 2}.get(kind, wide)
    wide, high = round(wide * scale), round(high * scale)
    common = f"data-color={color} data-kind={kind} style='width:{wide}px;height:{high}px;background-color:{fill};color:{ink}'"
    label = str(rng.choice(LABELS))
    match kind:
        case "button":
            return f"<button class=w {common}>{label}</button>"
        case "box":
            return f"<input type=text class='w box' {common} value='{'' if rng.random() < 0.5 else '...'}'>"
        case "list":
            return f"<select class=w {common}><option>{int(rng.integers(0, 10))}</select>"
        case "check":
            return f"<label class=w {common}><input type=checkbox {'checked' if rng.random() < 0.5 else ''}></label>"
        case "switch":
            return f"<button class='w switch' role=switch {common}><span class=knob></span></button>"
    return f"<a href='#' role=tab class=w {common}>{label}</a>"


def page(parts: list[str]) -> str:
    """The document that shows the screens in rows and, once loaded, says where every widget lies."""
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><body>{''.join(parts)}<script>{MEASURE}</script>"


def photographed(document: str) -> tuple[PIL.Image.Image, list[dict[str, Any]]]:
    """The photograph of a page, and of each screen its widgets and whether all lie inside its area, clear of the bars."""
    with tempfile.TemporaryDirectory() as folder:
        path, photo = Path(folder) / "page.html", Path(folder) / "page.png"
        path.write_text(document, encoding="utf-8")
        browse(path, f"--screenshot={photo}")
        dom = browse(path, "--dump-dom")
        with PIL.Image.open(photo) as opened:
            image = opened.convert("RGB")
    written = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    if written is None:
        raise RuntimeError("the page did not say where its widgets are")
    return image, json.loads(html.unescape(written[1]))


def browse(path: Path, action: str) -> str:
    """What the browser prints about a page."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise RuntimeError(f"no browser found: install one of {', '.join(BROWSERS)}")
    size = f"--window-size={PER_ROW * SIDE},{PER_PAGE // PER_ROW * SIDE + 64}"
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1", size)
    done = subprocess.run([browser, *flags, action, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def sheet(columns: int = 6, rows: int = 3, zoom: int = 2) -> PIL.Image.Image:
    """Steps on shipped screens, a row for each split, every click's gold box in magenta and the command, history and action below."""
    side, below = SIDE * zoom, 40
    drawn = PIL.Image.new("RGB", (columns * (side + 8), rows * (side + below)), "white")
    pen = PIL.ImageDraw.Draw(drawn)
    font = PIL.ImageFont.load_default(12)
    rng = np.random.default_rng(5)
    for row, split in enumerate(SPLITS):
        for column in range(columns):
            picture, command, history, gold = screens.lesson(rng, split, level="low" if column == 0 else "high")
            x, y = column * (side + 8), row * (side + below)
            drawn.paste(PIL.Image.fromarray(picture).resize((side, side), PIL.Image.Resampling.NEAREST), (x, y))
            if gold["box"]:
                x1, y1, x2, y2 = (edge * zoom for edge in gold["box"])
                pen.rectangle((x + x1 - 3, y + y1 - 3, x + x2 + 2, y + y2 + 2), outline=(255, 0, 255), width=3)
            said = " ".join(filter(None, (gold["action"], gold["text"])))
            pen.text((x, y + side + 2), f"{command}\nafter {history}: {said}", fill="black", font=font, spacing=2)
    return drawn


def png(tile: PIL.Image.Image) -> bytes:
    """The tile as a small file: a palette where it loses nothing."""
    colors = tile.getcolors(256)
    buffer = io.BytesIO()
    (tile.quantize(len(colors)) if colors else tile).save(buffer, "PNG", optimize=True)
    with PIL.Image.open(buffer) as again:
        if again.convert("RGB").tobytes() != tile.tobytes():
            buffer = io.BytesIO()
            tile.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
