"""Which rows are nearest?

Everything here is derived from the truth and knows rows only, never ids: the immutable `View` that a
query searches, the columns that filters run on, the exact search, the graph, and the planner that
chooses between them.
"""
