"""Whether two answers say the same, and how close they are."""
