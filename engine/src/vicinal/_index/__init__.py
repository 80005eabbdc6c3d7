"""Which rows are nearest?

Everything here is derived from the truth and knows rows only, never ids: the immutable `View` that a
query searches, the columns that filters run on, and three ways to what is near (exact measuring, codes
that rule rows out, the graph) with the planner that chooses between them.
"""
