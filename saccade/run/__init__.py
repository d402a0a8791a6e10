"""The run: rollouts, the optimizer step, stages, evaluation, and the folder that a run leaves behind."""
