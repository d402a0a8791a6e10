"""The one reader: what stands in a model's text.

Model text is hostile by nature. Every reader is total: any text gives a value, or None with the reason why; none raises, none
evaluates, and each takes time linear in the length of the text. A regular expression here never gives back what it took
(possessive quantifiers) where giving back could be tried again and again, and starts a word only at a word's beginning.
"""
