"""The one reader: what stands in a model's text.

    reading.py     Reading: a value, or None and the reason why
    tags.py        sections such as <think> and <answer>, and the grammars of prompts
    numbers.py     numbers and quantities: signs, thousands, percents, fractions, units
    choices.py     the letter of an option; yes or no
    latex.py       boxed answers, and LaTeX as plain text
    literals.py    JSON and Python literals, fenced or bare
    boxes.py       boxes and points, typed in a frame
    actions.py     GUI actions
    calls.py       sequences of function calls
    tool_calls.py  one tool call in JSON
    flight.py      flight commands of four numbers

Model text is hostile by nature. Every reader is total: any text gives a value, or None with the reason why; none raises,
none evaluates, and each takes time linear in the length of the text. A regular expression here never gives back what it
took (possessive quantifiers) where giving back could be tried again and again, and starts a word only at a word's
beginning.
"""
