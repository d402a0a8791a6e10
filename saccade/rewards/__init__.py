"""Reading and scoring what a model wrote: pure text and geometry, no training.

    read/        what stands in a text: sections, choices, numbers, boxes, actions
    answers/     whether two answers are the same, or how close they are
    geometry/    boxes, detections, masks and paths against their gold
    papers/      the rewards of the published systems
    judges/      asking a model or a person's rule what an answer is worth
    mix.py       several rewards as one: routes, gates, all of, any of
    adapters.py  reward functions written for TRL or verl
    format.py, length.py, repetition.py, steps.py    what looks at the form of an answer and not at what it says
    preference.py                                    2AFC, a figure for evaluations
    published.py                                     what docs/rewards.md is made of

A new reward of a published system goes into its file in papers/, marked with `@published` (published.py shows how); the
common tests and the page find it there. What reads a text goes into read/, what compares two answers into answers/, and
a reward of your own domain stays with its recipe.
"""
