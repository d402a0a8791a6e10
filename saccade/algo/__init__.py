"""The maths of policy optimisation: pure functions of log-probs, rewards and lengths; no model, no text, no state.

A part with numbers in it (a clip range, an epsilon) is a small frozen dataclass that is called; a part without is a
plain function. So an Algorithm prints with its numbers, compares by value, and a paper adds a function, never a branch.

    advantages   rewards of one group -> advantages          surrogates   loss per token
    credit       a batch of groups -> credit per token       corrections  sampler and learner differ
    keep         which groups train                          penalties    distance from the reference
    replay       old experience for new                      weights      how much each token counts
    curriculum   which samples are asked                     schedules    numbers that change with progress
    algorithm    these parts as one value                    named        the field's algorithms
"""
