"""The rewards of VLM-R1 (2504.07615): accuracy by a method per sample, format, and the optional length and repetition
terms.

    rewards = weighted((accuracy(), 1.0), (format(), 1.0))                      # C the sum, 0 to 2
    rewards = weighted((rec(), 1.0), (format_rec(), 1.0))                       # P referring expressions: one box
    rewards = weighted((od_length(), 1.0), (format_ovd(), 1.0))                 # P open-vocabulary detection

`accuracy` looks at the row's column "accu_reward_method" (C), and refuses a name that it does not know:

    rec                      IoU with the one gold box (C: a switch of the task, no method)
    od_ap, od_ap50           COCO mAP, or AP at IoU 0.5, of the answer's boxes              grounding.py, detection.py
    odLength                 min(1, L_gold / L_said) * mAP, which stops lists without end
    weighted_sum             0.7 * mean IoU + 0.3 * completeness over the gold
    map                      mAP of the boxes anywhere in the text, without answer tags
    mcq, yes_no, all_match, numeric, math, llm, default                                     answers.py

Boxes are read in `frame=`, the one that the prompt asked for: the model's pixels for Qwen2.5-VL, Frame.MILLE for
InternVL; the gold is in any frame (C: original pixels), as a Box (rec) or a sequence of Labelled, empty where nothing
is there.

Departs, each with its reason; `as_released=True` does as the code does:
- An unknown or mistyped method is refused; the released code falls to its default.
- rec reads the last answer block, with floats and signs; the released code reads the first one, whole numbers only, and
  its IoU takes an overlap of a pixel or less for none. It converted from the model's pixels to the picture's only from
  June 2025 on.
- Lists without a fence, in single quotes or cut off are read. L_said counts malformed items. Labels are compared
  without case.
- The formats want the whole text and one block of each; the released format_rec passes anything around them. The OVD
  format wants the JSON fence (P); in the code it is the generic one.
- mcq reads explicit choices, "B)" too. yes_no without a yes or no in the answer is 0; there, none in both is 1.
- default gives a wrong number nothing; there, "43" for "42" is half right by its letters.
- The cosine length is over the real accuracy and bounded; there, the accuracy is overwritten with 1 and an answer of
  2048 tokens is worth as much as an empty one. What a long wrong answer costs is an option, as constants and code
  disagree.
- A label that is missing is a wrong label; in the released weighted_sum it is another box's.

Marks: # P paper, # C released code, # I inferred, # O ours.
"""

from __future__ import annotations

from saccade.core.picture import Frame
from saccade.core.reward import Reward
from saccade.core.sample import DataError, Sample
from saccade.rewards.judges.judge import Judge, OnFailure
from saccade.rewards.mix import routed
from saccade.rewards.papers.vlm_r1.answers import all_match, default, llm, math, mcq, numeric, yes_no
from saccade.rewards.papers.vlm_r1.detection import format, format_ovd, map, od_ap, od_ap50, od_length, weighted_sum
from saccade.rewards.papers.vlm_r1.grounding import format_rec, rec
from saccade.rewards.papers.vlm_r1.reading import SYSTEM
from saccade.rewards.papers.vlm_r1.terms import length, repetition
from saccade.rewards.published import Example, published

__all__ = [
    "METHOD",
    "SYSTEM",
    "accuracy",
    "all_match",
    "default",
    "format",
    "format_ovd",
    "format_rec",
    "length",
    "llm",
    "map",
    "math",
    "mcq",
    "numeric",
    "od_ap",
    "od_ap50",
    "od_length",
    "rec",
    "repetition",
    "weighted_sum",
    "yes_no",
]

METHOD = "accu_reward_method"  # C the column


@published(
    formula="the method that the row's accu_reward_method names",
    source="C",
    target="what the method reads: a text, a Box, or a sequence of Labelled",
    released="an unknown name falls to default",
    changed="an unknown name is refused, with those that exist; numeric and rec are methods, too",
    example=Example(text="<think>Two.</think>\n<answer>B</answer>", target="B", data={METHOD: "mcq"}),
)
def accuracy(
    *, frame: Frame = Frame.MODEL, judge: Judge | None = None, on_failure: OnFailure = "none", as_released: bool = False
) -> Reward:
    """The accuracy of mixed data, named "accuracy" and logged per method; a row without a method takes default.

    `llm` rows need a `judge`; DataError names the row where there is none, and where a method is unknown.
    """
    boxes, words = {"frame": frame, "as_released": as_released}, {"as_released": as_released}
    routes = {
        "default": default(**words),
        "mcq": mcq(**words),
        "yes_no": yes_no(**words),
        "all_match": all_match(**words),
        "numeric": numeric(**words),
        "math": math(**words),
        "rec": rec(**boxes),
        "od_ap": od_ap(**boxes),
        "od_ap50": od_ap50(**boxes),
        "odLength": od_length(**boxes),
        "map": map(frame=frame),
        "weighted_sum": weighted_sum(frame=frame),
    }
    if judge is not None:
        routes["llm"] = llm(judge=judge, on_failure=on_failure, as_released=as_released)

    def method_of(sample: Sample) -> str:
        method = sample.data.get(METHOD) or "default"
        if method == "llm" and judge is None:
            raise DataError(f"sample {sample.id!r} asks for the method 'llm', which needs accuracy(judge=...)")
        return "default" if as_released and method not in routes else method

    return routed(method_of, routes, name="accuracy")
