"""What does Vicinal do for me in five minutes, with text that I already have?

`python -m demo` (or `make demo`) fills a persistent collection with the documentation that this
Python carries and answers questions about it through a LangChain chain and a LlamaIndex query
engine. `command.py` says what it does with which arguments. Read in this order:

* `corpus.py`, `folder.py` — which texts are there? (`source.py` reads Python files, `entries.py`
  cuts long texts)
* `library.py` — what must be embedded, given what the collection holds already?
* `asking.py` — how do a LangChain chain and a LlamaIndex query engine find and answer?
* `answering.py`, `reader.py` — who writes the answer, a configured model or the extractive reader?
* `questions.py` — what is asked? `pairs.py`, `evaluate.py` — how often is the right entry found?
"""
