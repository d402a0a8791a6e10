"""Reading and scoring what a model wrote: pure text and geometry, no training.

    read/        what stands in a text: sections, choices, numbers, boxes, actions
    answers/     whether two answers are the same, or how close they are
    geometry/    boxes, detections, masks and paths against their gold
    papers/      the rewards of the published systems
    judges/      asking a model or a person's rule what an answer is worth
    mix.py       several rewards as one: routes, gates, all of, any of
    adapters.py  reward functions written for TRL or verl
"""
