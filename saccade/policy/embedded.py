"""Where the tiny vision-language models are that come with the package.

    >>> folder = EMBEDDED["tiny"]
    >>> AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder)      # no network

Ordinary Qwen2.5-VL checkpoint folders of 1.7 M parameters each.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent

EMBEDDED: dict[str, Path] = {
    "tiny": _HERE / "tiny",  # reads digits and figures, sums, reasons or guesses: scripts/make_tiny.py
    "tiny-grounding": _HERE / "tiny_grounding",  # finds what is asked, writes boxes and clicks: scripts/make_grounding.py
}
TINY: Path = EMBEDDED["tiny"]
