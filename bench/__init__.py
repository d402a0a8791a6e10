"""Speed and memory of Saccade beside TRL and vLLM, doing the same work on the same tiny model in one run."""
