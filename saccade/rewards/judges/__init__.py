"""Judges: asking a model, or a rule, what an answer is worth.

    judge.py   Question, Reply, JudgeFailed and `judged`, which makes a reward of them
    quote.py   a policy's text as data that cannot instruct
    schema.py  JSON replies: found and checked
    server.py  any OpenAI-compatible server
    wave.py    many questions, one call: local models and the policy itself
    rule.py    a plain function
    cache.py   replies kept on disk
"""

from saccade.rewards.judges.judge import Judge, JudgeFailed, Judged, Question, Reply, judged
from saccade.rewards.judges.quote import NOTICE, quoted
from saccade.rewards.judges.rule import Rule

__all__ = ["NOTICE", "Judge", "JudgeFailed", "Judged", "Question", "Reply", "Rule", "judged", "quoted"]
