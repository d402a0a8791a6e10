"""Saccade: R1-style reinforcement fine-tuning of vision models, from a laptop to GPUs."""

__version__ = "0.1.0"
