"""Small data sets that a generator writes in a paper's own on-disk format, so that its real reader is exercised."""
