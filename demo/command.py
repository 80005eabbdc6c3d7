"""What does the demo do with its arguments?"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

import vicinal

from . import answering, display, library
from .asking import Answer, Asker, K
from .corpus import CorpusError
from .embedding import as_vectors
from .entries import valid_text
from .evaluate import evaluate
from .questions import (
    DIVERSE,
    LANGCHAIN,
    LLAMA_INDEX,
    SHOWN,
    Condition,
    Question,
    parse_condition,
    questions_about,
)

DEFAULT_DATA = Path(__file__).resolve().parents[1] / ".vicinal-demo"
_FRAMEWORKS = {"langchain": LANGCHAIN, "llama-index": LLAMA_INDEX}
_DEFAULT = "langchain"


def main(argv: Sequence[str] | None, environment: Mapping[str, str], console: Console | None) -> int:
    """Run the demo. Returns 0, 1 if a part of it failed, 2 for a wrong argument."""
    # wordllama sets up logging, chattily, when it is first used; whoever comes first decides.
    logging.basicConfig(level=logging.WARNING)
    arguments = parsed(argv)
    console = console or display.make_console()
    try:
        with vicinal.PersistentClient(arguments.data) as client:
            run(client, arguments, environment, console)
        return 0
    except CorpusError as error:
        return _failed(console, error, status=2)
    except (vicinal.errors.VicinalError, answering.ModelError) as error:
        return _failed(console, error, status=1)


def run(
    client: vicinal.Client,
    arguments: argparse.Namespace,
    environment: Mapping[str, str],
    console: Console,
) -> None:
    """Fill or open the collection, then answer what is asked."""
    filled = _filled(client, arguments, console)
    embed = filled.collection.embedding_function
    assert embed is not None, "the collection was created with the default function"
    if arguments.evaluate:
        display.show_evaluation(console, evaluate(filled.collection))
        return
    # Opens the index and loads the model, so that the times below are those of asking.
    filled.collection.query(query_texts="warm up", n_results=1)
    answerer = answering.answerer({} if arguments.reader else environment, partial(as_vectors, embed))
    asker = Asker(filled.collection, embed, answerer)
    for number, question in enumerate(_questions(arguments, filled), start=1):
        display.show_question(console, number, question)
        answer = asker.ask(question, arguments.k)
        # What a filter or MMR changes is shown with the questions chosen to show it.
        comparison = _comparison(asker, answer) if question in SHOWN else ""
        display.show_answer(console, answer, answerer.name, comparison)
    if not arguments.ask:
        console.print()
        console.print(Text(f"Ask your own: {_again(arguments)}", style="bold"), soft_wrap=True)


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. What would be ignored is refused: only questions of the user's own are asked his way."""
    arguments = parser().parse_args(argv)
    if arguments.ask and arguments.evaluate:
        parser().error("argument --ask: not allowed with argument --evaluate")
    manner = {"--with": arguments.framework, "--filter": arguments.filter, "--mmr": arguments.mmr}
    for name, given in manner.items():
        if given is not None and not arguments.ask:
            parser().error(f"argument {name}: only with --ask, whose questions it is for")
    return arguments


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m demo",
        description="Vicinal over the documentation that your Python carries, through LangChain and "
        "LlamaIndex.",
        epilog="A model is configured by OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL; without one "
        "the demo quotes the entries that answer.",
    )
    add = arguments.add_argument
    add("--ask", action="append", type=_question, metavar="TEXT", help="a question of yours; may be repeated")
    either = arguments.add_mutually_exclusive_group().add_argument  # the pairs are of Python's documentation
    either(
        "--path", type=Path, metavar="DIR", help="ask over a folder of your own .md, .rst, .txt, .py files"
    )
    add("--data", type=Path, default=DEFAULT_DATA, metavar="DIR", help="where the collections are kept")
    add("--with", dest="framework", choices=_FRAMEWORKS, help=f"who answers --ask (default {_DEFAULT})")
    add(
        "--filter",
        action="append",
        type=_condition,
        metavar="KEY=VALUE",
        help="of --ask: only entries with this metadata, e.g. kind=topic or package=json,csv; repeatable",
    )
    add(
        "--mmr",
        type=_lambda,
        metavar="LAMBDA",
        help=f"of --ask: from 1, nearness alone, to 0, difference alone (default {DIVERSE})",
    )
    add("-k", type=_positive, default=K, metavar="N", help="how many entries to retrieve")
    add("--reader", action="store_true", help="use the extractive reader even if a model is configured")
    either(
        "--evaluate", action="store_true", help="print hit@5 over questions about Python's own documentation"
    )
    return arguments


def _filled(client: vicinal.Client, arguments: argparse.Namespace, console: Console) -> library.Filled:
    started = time.perf_counter()
    with display.progress(console) as on_progress:
        if arguments.path is None:
            filled = library.open_python_docs(client, on_progress)
            what = f"the documentation of Python {sys.version.split()[0]}"
        else:
            filled = library.open_folder(client, arguments.path, on_progress)
            what = f"the texts in {arguments.path}"
    display.show_filled(console, filled, what, arguments.data, time.perf_counter() - started)
    return filled


def _questions(arguments: argparse.Namespace, filled: library.Filled) -> Sequence[Question]:
    if arguments.ask:
        framework = _FRAMEWORKS[arguments.framework or _DEFAULT]
        mmr = DIVERSE if arguments.mmr is None else arguments.mmr
        manner = (framework, tuple(arguments.filter or ()), mmr)
        return [Question(text, *manner) for text in arguments.ask]
    if arguments.path:
        return questions_about(filled.collection.get(where={"chunk": 1})["metadatas"] or [])
    return SHOWN


def _again(arguments: argparse.Namespace) -> str:
    """The command that asks the same texts, as a shell and make read it."""
    path = f"--path {shlex.quote(str(arguments.path))} " if arguments.path else ""
    data = f" --data {shlex.quote(str(arguments.data))}" if arguments.data != DEFAULT_DATA else ""
    arguments_of_make = f'{path}--ask "…"{data}'.replace("$", "$$")
    return f"make demo ARGS={shlex.quote(arguments_of_make)}"


def _comparison(asker: Asker, answer: Answer) -> str:
    """The same question without MMR, or if it has none without filter; nothing for a plain question."""
    question = answer.question
    if question.mmr is not None:
        return display.comparison(answer, asker.ask(question._replace(mmr=None)), "MMR")
    if question.filter:
        return display.comparison(answer, asker.ask(question._replace(filter=())), "the filter")
    return ""


def _question(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the question is empty")
    if text != valid_text(text):
        raise argparse.ArgumentTypeError(f"not valid Unicode text: {valid_text(text)}")
    return text


def _condition(text: str) -> Condition:
    try:
        return parse_condition(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _lambda(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def _failed(console: Console, error: Exception, status: int) -> int:
    console.print(Text.assemble(("Error: ", "bold red"), str(error)), soft_wrap=True)
    return status
