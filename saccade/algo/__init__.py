"""The maths of policy optimisation: pure functions of log-probs, rewards and lengths; no model, no text, no state.

A part with numbers in it (a clip range, an epsilon) is a small frozen dataclass that is called; a part without is a
plain function. So an Algorithm prints with its numbers, compares by value, and a paper adds a function, never a branch.
"""
