"""Whether two answers say the same, and how close they are.

    text.py      equal, normalised, by edits, ANLS
    numeric.py   numbers with a tolerance, ChartQA's relaxed accuracy
    overlap.py   ROUGE and F1 of words
    symbolic.py  formulas, by math-verify in a process that can be killed
    rule.py      words, numbers or formulas: what a rule-based verifier asks
    verdict.py   what a judge makes of an answer beside the gold
    accuracy.py  rewards made of all these, and of a comparison of your own
"""
