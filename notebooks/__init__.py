"""How is Vicinal used, step by step, with results to look at?

Notebooks executed by tests/notebooks and kept with their outputs; `python -m notebooks.execute` makes
those anew. `maps.py` draws their maps, `pictures.py` the pictures of the one on image search.
"""
