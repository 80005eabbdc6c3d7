"""How does an existing Chroma directory become a Vicinal one?

`catalog` reads what collections there are, `segment` their vectors, `records` everything else, `move` writes
it all into a Vicinal directory. The source is only read, and chromadb is not needed.
"""
