"""Which of Chroma's own tests are not run against Vicinal, and why?"""

LEFT_OUT: dict[str, tuple[str, ...]] = {}
FILES_LEFT_OUT: dict[str, tuple[str, ...]] = {}
