"""What is durably true?

`records.sqlite3` (ids, documents, metadata, the change log) and the vector file up to the committed
row count are the truth; every other file can be deleted and is rebuilt. This room knows files and
tables; it knows neither requests nor search.
"""
