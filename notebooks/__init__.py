"""How is Vicinal used, step by step, with results to look at?

Three notebooks, executed by tests/notebooks and kept with their outputs; `python -m notebooks.execute`
makes those anew. `maps.py` draws their maps.
"""
