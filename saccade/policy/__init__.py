"""Models behind a few verbs: encode, sample, logprobs, backward, update, save."""
