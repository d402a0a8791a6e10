"""Readers of on-disk data formats, and miniature data sets written in those same formats."""
