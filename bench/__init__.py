"""How fast is Vicinal, beside what one could use instead?

`corpus.py`: which texts and questions? `filters.py`: which filters? `engines.py`: what is compared?
`workloads.py`: what does an engine do in its turn? `turns.py`: who runs when? `truth.py`: what is
right? `report.py`: how do measurements become tables and plots? A new engine is a class in `engines.py`,
a new workload a function in `workloads.py` with its turn in `turns.py` and its table in `report.py`.
"""
