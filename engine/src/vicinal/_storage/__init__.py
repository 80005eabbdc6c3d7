"""What is durably true?

`catalog.sqlite3` (tenants, databases, collections), `records.sqlite3` (ids, documents, metadata, the
change log), their `-wal` files and the vector file up to the committed row count are the truth; what is
in `checkpoints/` can be deleted and is rebuilt. This room knows files and tables; it knows neither
requests nor search.
"""
