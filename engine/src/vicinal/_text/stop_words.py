"""Which English words say nothing about a text?

Articles, pronouns, prepositions, conjunctions, auxiliary verbs, the words that questions begin with, and
what remains of a contraction once its apostrophe is gone.
"""

from __future__ import annotations

_WORDS = """
    a about above after again against all also am among an and any are as at be because been before being
    below between both but by can could did do does doing down during each either every few for from further
    had has have having he her here hers herself him himself his how i if in into is it its itself just
    may me might more most must my myself neither no nor not now of off on once only or other our ours
    ourselves out over own same shall she should so some such than that the their theirs them themselves
    then there these they this those through thus to too under until up upon us very was we were what when
    where whether which while who whom whose why will with within without would you your yours yourself
    yourselves
    d ll m re s t ve ain aren couldn didn doesn don hadn hasn haven isn mightn mustn needn shan shouldn wasn
    weren won wouldn
"""

ENGLISH = frozenset(_WORDS.split())
