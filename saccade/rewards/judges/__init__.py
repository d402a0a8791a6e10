"""Judges: asking a model, or a rule, what an answer is worth.

    judge.py   Question, Reply, JudgeFailed and `judged`, which makes a reward of them
    quote.py   a policy's text as data that cannot instruct
    schema.py  JSON replies: found and checked
    server.py  any OpenAI-compatible server, one request of which is in chat.py
    wave.py    many questions, one call: local models and the policy itself
    rule.py    a plain function
    cache.py   replies kept on disk
"""

from saccade.rewards.judges.cache import CacheError, Cached
from saccade.rewards.judges.judge import Judge, Judged, JudgeFailed, Question, Reply, judged
from saccade.rewards.judges.quote import NOTICE, quoted
from saccade.rewards.judges.rule import Rule
from saccade.rewards.judges.server import Server
from saccade.rewards.judges.wave import Local, Wave

__all__ = [
    "NOTICE",
    "CacheError",
    "Cached",
    "Judge",
    "JudgeFailed",
    "Judged",
    "Local",
    "Question",
    "Reply",
    "Rule",
    "Server",
    "Wave",
    "judged",
    "quoted",
]
