"""How many tokens samples become for the recipe's model, by its processor alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saccade.core.sample import Sample
from saccade.policy.families import CutsPictures, UnsupportedModel
from saccade.policy.loading import require_whole_pictures
from saccade.policy.reader import PictureMismatch, Reader
from saccade.policy.spec import ModelSpec
from saccade.run.check.findings import Finding, Part
from saccade.run.recipe import Recipe

MOST_IMAGE_TOKENS = 16_384  # O of one picture; # C Qwen2-VL's default most
ENCODED = 96  # O rows of a set that are encoded: a third the largest pictures, a third the longest texts, the rest drawn


@dataclass(frozen=True, kw_only=True)
class Reads:
    """A set of samples, their gold answers, and the most tokens that an answer may have (None: as many as the gold has)."""

    samples: Sequence[Sample]
    golds: Sequence[str | None]
    limit: int | None


def token_part(spec: ModelSpec, sets: Mapping[str, Reads], *, seed: int) -> Part:
    """Tokens of prompts and pictures, against what the model has room for; a warning where its processor cannot be had."""
    try:
        reader = Reader.of(spec)
    except UnsupportedModel as error:
        what = f"tokens are not counted, as the model's processor cannot be loaded: {error}"
        finding = Finding(level="warning", kind="model", what=what, advice="a run with this model would stop here, too")
        return Part(name="tokens", about=f"{spec.path}: not counted", findings=(finding,))
    findings: list[Finding] = []
    all_prompts, all_images = [], []
    for name, read in sets.items():
        prompts, images, found = _of_set(reader, name, read, seed=seed)
        all_prompts += prompts
        all_images += images
        findings += found
    about = f"{spec.path}: {_spread(all_prompts)} a prompt, {_spread(all_images)} of its pictures"
    return Part(name="tokens", about=about, findings=tuple(findings))


def tile_findings(recipe: Recipe) -> list[Finding]:
    """An error where the recipe tells places in pixels of the picture as the model sees it, and the model sees tiles."""
    if not recipe.uses_model_pixels:
        return []
    try:
        require_whole_pictures(recipe.model, of=recipe.name)
    except CutsPictures as error:
        return [Finding(level="error", kind="model", what=str(error))]
    except UnsupportedModel:  # told with the tokens, which cannot be counted
        return []
    return []


def _of_set(reader: Reader, name: str, read: Reads, *, seed: int) -> tuple[list[int], list[int], list[Finding]]:
    """(tokens of each prompt, image tokens of each, findings) of the rows of a set that are encoded."""
    chosen = _telling(read.samples, seed=seed)
    prompts, images, faults = [], [], {}
    crowded, heavy, long = [], [], []
    for place, sample in enumerate(read.samples):
        gold = read.golds[place]
        try:
            reader.check(sample)
            n_gold = 0 if gold is None else len(reader.branch_of(gold).token_T)
            if read.limit is not None and n_gold > read.limit:
                long.append((n_gold, sample.id))
            if place not in chosen:
                continue
            prompt = reader.read(sample)
        except (PictureMismatch, ValueError) as error:  # a processor refuses pictures with ValueError
            faults[sample.id] = str(error)
            continue
        image = int((prompt.token_P == reader.image_token).sum())
        prompts.append(len(prompt))
        images.append(image)
        whole = len(prompt) + (n_gold if read.limit is None else read.limit)
        if reader.context is not None and whole > reader.context:
            crowded.append((whole, sample.id))
        if image > MOST_IMAGE_TOKENS * max(1, len(sample.pictures)):
            heavy.append((image, sample.id))
    findings = []

    def add(level, what: str, found: Sequence[tuple[int, str]], of: int, advice: str) -> None:
        if found:
            rows = tuple(row for _, row in sorted(found, reverse=True))
            findings.append(Finding(level=level, kind="tokens", what=what, rows=rows, of=of, advice=advice))

    if faults:
        what = f"{name}: {next(iter(faults.values()))[:200]}"
        advice = "mend or remove these rows"
        findings.append(Finding(level="error", kind="tokens", what=what, rows=tuple(faults), of=len(read.samples), advice=advice))
    most = max((n for n, _ in crowded), default=0)
    what = f"{name}: prompt and answer may take {most:,} tokens, the model has room for {reader.context:,}" if crowded else ""
    add("warning", what, crowded, len(prompts), "shrink the pictures (max_pixels) or the limit")
    most = max((n for n, _ in heavy), default=0)
    add("warning", f"{name}: pictures of up to {most:,} tokens", heavy, len(prompts), "shrink them: max_pixels of the ModelSpec")
    most = max((n for n, _ in long), default=0)
    what = f"{name}: gold answers of up to {most:,} tokens, and an answer may have {read.limit:,}" if long else ""
    add("warning", what, long, len(read.samples), "raise the limit: cut answers earn nothing")
    return prompts, images, findings


def _telling(samples: Sequence[Sample], *, seed: int) -> set[int]:
    """Places of the rows to encode: those with the largest pictures, the longest texts, and some at random."""
    places = range(len(samples))
    if len(samples) <= ENCODED:
        return set(places)
    third = ENCODED // 3
    area = [sum(picture.size[0] * picture.size[1] for picture in sample.pictures) for sample in samples]
    length = [len(sample.prompt_text) for sample in samples]
    chosen = set(sorted(places, key=area.__getitem__)[-third:]) | set(sorted(places, key=length.__getitem__)[-third:])
    for place in np.random.default_rng(seed).permutation(len(samples)).tolist():
        if len(chosen) >= ENCODED:
            break
        chosen.add(place)
    return chosen


def _spread(counts: Sequence[int]) -> str:
    """Least to most, and the median."""
    if not counts:
        return "none"
    low, middle, high = min(counts), int(np.median(counts)), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,} (median {middle:,})"
