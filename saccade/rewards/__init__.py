"""Reading and judging what a model wrote: pure text, no model, no training.

Model text is hostile by nature. Everything here is total (any text gets an answer, none raises) and takes time linear
in the length of the text; nothing is ever evaluated.
"""
