"""What does a name look like that has a newline, or what moves the terminal's cursor, in it?"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def one_line(text: str) -> str:
    """The text with its control characters as Python writes them: a line that a terminal shows as it is."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
