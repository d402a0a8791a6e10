"""Where the tiny vision-language model is that comes with the package.

    >>> AutoProcessor.from_pretrained(TINY), AutoModelForImageTextToText.from_pretrained(TINY)      # no network

An ordinary Qwen2.5-VL checkpoint folder of 1.7 M parameters, made by scripts/make_tiny.py.
"""

from pathlib import Path

TINY: Path = Path(__file__).resolve().parent / "tiny"
