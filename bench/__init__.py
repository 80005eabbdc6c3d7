"""How fast is Vicinal, beside what one could use instead?

`corpus.py`: which texts and questions? `filters.py`: which filters? `engines/`: what is compared?
`workloads.py`: what does an engine do in its turn? `worker.py`, `turns.py`: where does it run, and when?
`truth.py`: what is right? `figures.py`: what are the medians? `bars.py`: what is to be reached?
`tables.py`, `plots.py`, `report.py`, `scaling.py`: how do measurements become pages? A new engine is a file
in `engines/`, a new workload a function in `workloads.py` with its turn in `turns.py` and its table in
`tables.py`, a new bar a line in `bars.py`.
"""
