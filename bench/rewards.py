"""How fast answers are scored, on one core: `python -m bench.rewards`.

    python -m bench.rewards              mAP beside pycocotools, then every published reward that asks no judge
    python -m bench.rewards map          only the first
    python -m bench.rewards rules        only the second
"""

import asyncio
import contextlib
import io
import json
import os
import random
import sys
import time
from pathlib import Path

from saccade.core.picture import Box, Frame, Labelled
from saccade.core.reward import weighted
from saccade.core.rollout import Group
from saccade.rewards.geometry.coco import coco_metrics, from_coco
from saccade.rewards.geometry.sample_map import sample_map
from saccade.rewards.papers.vlm_r1 import od_length
from saccade.rewards.published import Example, all_published

BOXES = (1, 2, 5, 10, 20, 50)
ANSWERS = 20  # of each number of boxes
PICTURES = 200  # of the data set
SIBLINGS = 8
GROUPS = 16
WANTED = 5000  # completions a second
REASONING = " ".join(f"Step {n}: object {n} stands left of the next, so it cannot be counted twice." for n in range(1, 31))


def main():
    """Runs what the command line names and prints the tables."""
    asked = sys.argv[1:] or ["map", "rules"]
    if unknown := set(asked) - {"map", "rules"}:
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; have map, rules")
    print(f"one core, load {os.getloadavg()[0]:.1f}")
    if "map" in asked:
        print(map_table())
    if "rules" in asked:
        print(rule_tables())


# mAP


def map_table():
    """Milliseconds per answer of pycocotools and ours by number of gold boxes, the ratio, and the same for a data set."""
    lines = [
        "\nmAP of one answer, three labels, all scores 1; and the whole of VLM-R1's od_length, from text to score",
        f"{'boxes':>8}{'pycocotools':>14}{'Saccade':>12}{'ratio':>9}{'differ by':>12}{'od_length':>14}",
    ]
    for n in BOXES:
        rng = random.Random(n)
        answers = [answer(rng, n) for _ in range(ANSWERS)]
        theirs = best_of(lambda: [peer_map(*each) for each in answers]) / ANSWERS
        ours = best_of(lambda: [sample_map(*each) for each in answers]) / ANSWERS
        apart = max(abs(peer_map(*each) - sample_map(*each).map) for each in answers)
        whole = scoring(od_length(frame=Frame.PIXEL), [rollout_of(*each) for each in answers]) / ANSWERS
        timed = f"{n:>8}{theirs * 1e3:>11.2f} ms{ours * 1e3:>9.3f} ms{theirs / ours:>8.0f}x"
        lines.append(f"{timed}{apart:>12.0e}{whole * 1e3:>11.3f} ms")
    annotations, results = data_set(random.Random(0))
    theirs = best_of(lambda: peer_stats(annotations, results))
    ours = best_of(lambda: coco_metrics(*from_coco(annotations, results)))
    n_gold = len(annotations["annotations"])
    lines.append(f"\nall twelve figures of {PICTURES} pictures, {n_gold} gold boxes, {len(results)} predictions:")
    lines.append(f"pycocotools {theirs:.2f} s, Saccade {ours:.3f} s, {theirs / ours:.0f}x")
    return "\n".join(lines)


def answer(rng, n):
    """(predictions, gold) of n gold boxes: as many predictions, most of them near, one in ten of another label."""
    gold, said = [], []
    for _ in range(n):
        x, y, width, height = rng.randint(0, 900), rng.randint(0, 900), rng.randint(5, 150), rng.randint(5, 150)
        label = rng.choice("abc")
        gold.append(Labelled(label, Box(x, y, x + width, y + height, Frame.PIXEL)))
        corners = ((x, width), (y, height), (x + width, width), (y + height, height))
        near = (value + int(rng.gauss(0, 0.08) * size) for value, size in corners)
        said.append(Labelled(label if n == 1 or rng.random() < 0.9 else rng.choice("abcd"), Box(*near, Frame.PIXEL)))
    rng.shuffle(said)
    return said, gold


def rollout_of(said, gold):
    """The predictions as a model writes them, with some reasoning before."""
    listed = json.dumps([{"bbox_2d": [t.box.x1, t.box.y1, t.box.x2, t.box.y2], "label": t.label} for t in said])
    text = f"<think>{REASONING}</think>\n<answer>```json\n{listed}\n```</answer>"
    return Example(text=text, target=tuple(gold)).rollout()


def coco_rows(said, gold, picture=1):
    """COCO's dictionaries for one picture, as VLM-R1 makes them: categories the labels of the gold, all scores 1."""
    number = {label: n for n, label in enumerate(dict.fromkeys(thing.label for thing in gold), start=1)}

    def xywh(box):
        return [box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1]

    def row(thing, **more):
        return {"image_id": picture, "category_id": number[thing.label], "bbox": xywh(thing.box)} | more

    annotations = [row(thing, id=n, iscrowd=0, area=thing.box.area) for n, thing in enumerate(gold, start=1)]
    results = [row(thing, score=1.0) for thing in said if thing.label in number]
    categories = [{"id": n} for n in number.values()]
    return {"images": [{"id": picture}], "categories": categories, "annotations": annotations}, results


def peer_map(said, gold):
    """mAP by pycocotools; without what only its printed summary takes."""
    evaluation = peer(*coco_rows(said, gold))
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    return float(precision[precision > -1].mean())


def peer_stats(annotations, results):
    """The twelve figures by pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = peer(annotations, results)
        evaluation.summarize()
    return evaluation.stats


def peer(annotations, results):
    """pycocotools' evaluation of these dictionaries, printing nothing."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = annotations
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def data_set(rng):
    """Annotations and results of PICTURES pictures with up to 20 gold boxes each."""
    whole = {"images": [], "categories": [{"id": n} for n in range(1, 4)], "annotations": []}
    results = []
    for picture in range(1, PICTURES + 1):
        said, gold = answer(rng, rng.randint(1, 20))
        annotations, rows = coco_rows(said, gold, picture)
        whole["images"] += annotations["images"]
        for row in annotations["annotations"]:
            whole["annotations"].append(row | {"id": len(whole["annotations"]) + 1})
        results += [row | {"score": rng.random()} for row in rows for _ in range(3)]
    return whole, results


# rules


def rule_tables():
    """Completions a second of every published reward with an example: the slowest, and apart those that ask math-verify."""
    rules, symbolic_ones, unmeasured = [], [], []
    for one in all_published():
        name = f"{one.system} {one.name}"
        if one.example is None:
            unmeasured.append(name)
            continue
        rate, asks_math_verify = rate_of(one)
        (symbolic_ones if asks_math_verify else rules).append((rate, name))
    rules.sort()
    slow = [name for rate, name in rules if rate < WANTED]
    lines = [f"\n{len(rules)} rule rewards, completions per second of processor time, the slowest first"]
    lines += [f"{rate:>10,.0f}  {name}" for rate, name in rules[:10]]
    lines.append(f"{len(rules) - len(slow)} of {len(rules)} reach {WANTED:,}" + (f"; not {', '.join(slow)}" if slow else ""))
    lines.append("\nthose that ask math-verify, in another process, where answer and gold differ: completions per second")
    lines += [f"{rate:>10,.0f}  {name}" for rate, name in sorted(symbolic_ones)]
    lines.append(f"\nnot measured, as they compare siblings, ask a judge or have no perfect answer: {', '.join(unmeasured)}")
    return "\n".join(lines)


def rate_of(one):
    """(completions a second, whether math-verify was asked) over a right, a long and a wrong answer in turns."""
    right = one.example.rollout()
    long = right.text.replace("<think>", f"<think>{REASONING} ", 1)
    texts = (right.text, long, f"<think>{REASONING}</think>\n<answer>37.5</answer>")
    rollouts = [one.example.rollout(texts[n % len(texts)]) for n in range(SIBLINGS * GROUPS)]
    before = children_seconds()
    waited = scoring(one.make(), rollouts, clock=time.perf_counter)
    asks_math_verify = children_seconds() > before + 0.02
    return len(rollouts) / (waited if asks_math_verify else scoring(one.make(), rollouts)), asks_math_verify


def scoring(reward, rollouts, *, clock=time.process_time):
    """The seconds that it takes to score the rollouts, SIBLINGS to a group, as a run does; imports and caches are warm."""
    rewards = weighted((reward, 1.0))
    parts = [tuple(rollouts[n : n + SIBLINGS]) for n in range(0, len(rollouts), SIBLINGS)]
    groups = [Group(sample=part[0].sample, rollouts=part) for part in parts]

    async def ask(*_, **__):
        return "1"

    async def score():  # returns nothing: asyncio.run writes out what its task returns
        await rewards.score(groups, progress=0.5, pieces=lambda token_T: [""] * len(token_T), ask=ask)

    asyncio.run(score())
    return best_of(lambda: asyncio.run(score()), clock=clock)


def children_seconds():
    """The processor time that the child processes have had; math-verify works in one, and nothing else here does."""
    pids = [pid for listed in Path("/proc/self/task").glob("*/children") for pid in listed.read_text().split()]
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


def best_of(function, *, repeats=5, clock=time.process_time):
    """The seconds of the fastest of several calls, of the processor's time by default: others on the machine only add."""
    times = []
    for _ in range(repeats):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


if __name__ == "__main__":
    main()
