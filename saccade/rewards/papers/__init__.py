"""One file per published system: its rewards in the paper's reading, with the released code's as a switch.

A recipe, and anyone's own, takes them from here and may mix those of several papers. docs/rewards.md is the table.
"""
