"""The page as one HTML file: styles, scripts and data inlined, so that it opens from disk, by e-mail and without a network.

The scripts in page/js are modules that import one another by name; `bundled` puts them in order and joins them into one
inline script. A content security policy names the hashes of just these scripts, so nothing that a model wrote or a file was
called can run, and no address outside the page can be reached.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).parent / "page"
LIBRARIES = ("htm-preact.umd.js", "uPlot.iife.min.js")
IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?function|class|const)", re.MULTILINE)


def static_page(
    names: Sequence[str], *, runs: Sequence[str], tokens: Sequence[str], pictures: Mapping[str, str]
) -> str:
    """The file that `saccade view` writes.

    `runs` are the `packed` objects that run_data.py describes; `tokens` one packed {group id: traces} per run;
    `pictures` maps a picture's hash to base64 WebP.
    """
    data = [_blob(f"run-{n}", run) for n, run in enumerate(runs)]
    data += [_blob(f"tokens-{n}", traces) for n, traces in enumerate(tokens)]
    data.append(f'<script type="application/json" id="pictures">{_inert(pictures)}</script>')
    return _page(title=" and ".join(names), data="\n".join(data), is_live=False).text


def packed(value: Any) -> str:
    """JSON as the browser unpacks it: gzip in base64, which holds no character that could end an element."""
    return base64.b64encode(
        gzip.compress(json.dumps(value, separators=(",", ":")).encode("ascii"), compresslevel=6, mtime=0)
    ).decode()


class Page(NamedTuple):
    """A page's HTML, and the content security policy that it is held to."""

    text: str
    policy: str


def live_page(title: str) -> Page:
    """The page as the live server sends it: no data, which it asks the server for."""
    return _page(title=title, data='<script type="application/json" id="live">true</script>', is_live=True)


def bundled(main: str = "main", *, folder: Path | None = None) -> str:
    """The modules that `main` needs, each after those it imports, as one script."""
    folder = folder or PAGE / "js"
    done: dict[str, str] = {}

    def add(name: str, path: tuple[str, ...] = ()) -> None:
        if name in path:
            raise ValueError(f"modules import one another in a circle: {' > '.join((*path, name))}")
        if name in done:
            return
        text = (folder / f"{name}.js").read_text(encoding="utf-8")
        for needed in IMPORT.findall(text):
            add(needed, (*path, name))
        done[name] = EXPORT.sub("", IMPORT.sub("", text)).strip()

    add(main)
    body = "\n\n".join(f"// {name}.js\n{text}" for name, text in done.items())
    return f'(() => {{\n"use strict";\n{body}\n}})();'


def _page(*, title: str, data: str, is_live: bool) -> Page:
    scripts = [*((PAGE / "vendor" / name).read_text(encoding="utf-8") for name in LIBRARIES), bundled()]
    if bad := next((text for text in scripts if re.search(r"</script|<!--", text, re.IGNORECASE)), None):
        raise ValueError(f"a script of the page holds </script or <!--, which would end it early: {bad[:60]!r}")
    styles = [(PAGE / "vendor" / "uPlot.min.css"), *sorted((PAGE / "css").glob("*.css"))]
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    own, none = "'self'", "'none'"  # the live page asks its server for data and pictures
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:{' ' + own if is_live else ''}; "
        f"connect-src {own if is_live else none}; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(title),
        "style": "\n".join(path.read_text(encoding="utf-8") for path in styles),
        "data": data,
        "scripts": "\n".join(f"<script>{text}</script>" for text in scripts),
    }
    template = (PAGE / "index.html").read_text(encoding="utf-8")
    return Page(re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template), policy)


def _blob(name: str, text: str) -> str:
    return f'<script type="application/octet-stream" id="{name}">{text}</script>'


def _inert(value: Any) -> str:
    """JSON within a script element: no < is left that could end it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
