"""Which entry should each question find?

Questions that Python users ask, with the entries that answer them, for hit@5. The questions were
written before any figure was known and were not reworded to find more; an entry was added only
where it does answer.

Entries are patterns over ids without the chunk number, `*` standing for anything. They hold for
Python 3.10 to 3.14.
"""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """A question and the entries that answer it."""

    question: str
    entries: tuple[str, ...]


_TABLE = (
    ("How are default parameter values evaluated?", "help/*/function-definitions"),
    ("How do decorators work?", "help/*/function-definitions help/*/class-definitions"),
    ("How do I get the most common elements of a counter?", "collections.Counter.most_common"),
    ("How do I merge several sorted inputs into one?", "heapq.merge"),
    ("How do I get the three largest numbers from a list?", "heapq.nlargest"),
    (
        "How can I remember the results of an expensive function so it is not called again?",
        "functools.lru_cache functools.cache",
    ),
    (
        "How do I split a string at commas?",
        "builtins.str.split builtins.str.rsplit help/string-methods/* builtins.str.partition",
    ),
    ("How do I copy a whole directory tree?", "shutil.copytree"),
    (
        "How do I make a temporary directory that deletes itself?",
        "tempfile.TemporaryDirectory tempfile.mkdtemp tempfile",
    ),
    (
        "How do I parse a date from a string with a given format?",
        "datetime.datetime.strptime time.strptime datetime.date.fromisoformat "
        "datetime.datetime.fromisoformat",
    ),
    (
        "How do I show the differences between two lists of lines?",
        "difflib.*diff difflib.Differ* difflib.HtmlDiff*",
    ),
    (
        "How do I run a coroutine to completion?",
        "asyncio.runners.run asyncio.runners.Runner.run asyncio.*.run_until_complete",
    ),
    (
        "How do I call a blocking function from asyncio without blocking the event loop?",
        "asyncio.threads.to_thread",
    ),
    (
        "How do I generate a secure random token for a URL?",
        "secrets.token_urlsafe secrets.token_hex secrets.token_bytes secrets",
    ),
    (
        "How do I choose a random element from a list?",
        "random.Random.choice random.Random.choices random.Random.sample",
    ),
    ("How do I calculate the median of my data?", "statistics.median statistics"),
    ("Where should I insert an item so that a list stays sorted?", "bisect.* bisect"),
    (
        "How do I print a deeply nested dictionary readably?",
        "pprint.pprint pprint.pp pprint.pformat pprint.PrettyPrinter* pprint",
    ),
    ("How do I wrap a long paragraph to 70 columns?", "textwrap.wrap textwrap.fill textwrap.TextWrapper*"),
    ("How do I remove common indentation from a multi-line string?", "textwrap.dedent inspect.cleandoc"),
    ("What does the with statement do?", "help/*/the-with-statement help/*/with-statement-context-managers"),
    ("How do I ignore an exception?", "contextlib.suppress help/*/except-clause"),
    (
        "How do I write a context manager as a generator?",
        "contextlib.contextmanager contextlib.asynccontextmanager",
    ),
    ("When is the finally clause executed?", "help/*/finally-clause help/*/the-try-statement"),
    (
        "What is the difference between is and ==?",
        "help/*/comparisons help/*/value-comparisons help/*/identity-comparisons",
    ),
    (
        "Why do I get an UnboundLocalError for a variable that I assign later in the function?",
        "help/*/resolution-of-names help/*/binding-of-names builtins.UnboundLocalError help/global/*",
    ),
    ("How do I format a number with a thousands separator?", "help/formatstrings/* locale.format_string"),
    ("How do I make a deep copy of an object?", "copy copy.deepcopy copy.copy"),
    ("How do I turn a dict into a JSON string?", "json.dumps json.encoder.JSONEncoder* json"),
    ("How do I get all orderings of the items of a list?", "itertools.permutations"),
    ("How do I loop over two lists at the same time?", "builtins.zip itertools.zip_longest"),
    ("How do I get the index while looping over a list?", "builtins.enumerate"),
    (
        "How do I run a shell command and capture what it prints?",
        "subprocess.run subprocess.check_output subprocess.getoutput subprocess.getstatusoutput "
        "subprocess.Popen.communicate subprocess",
    ),
    (
        "How do I send an e-mail through an SMTP server?",
        "smtplib.SMTP smtplib.SMTP.sendmail smtplib.SMTP.send_message smtplib",
    ),
    ("How do I parse command line options?", "argparse argparse.* getopt getopt.* optparse optparse.*"),
    ("How do I escape special characters in HTML?", "html.escape xml.sax.saxutils.escape"),
    (
        "How do I find all files that match a pattern like *.txt?",
        "glob glob.* fnmatch.* pathlib.*.glob pathlib.*.rglob",
    ),
    (
        "How do I check whether a file exists?",
        "pathlib.*.exists pathlib.*.is_file genericpath.exists genericpath.isfile os.access",
    ),
    ("How do I measure how long a small piece of code takes?", "timeit timeit.*"),
    ("How do I wait until a thread has finished?", "threading.Thread.join"),
    ("How do I limit how many threads use something at once?", "threading.*Semaphore*"),
    ("How do I compress some bytes with gzip?", "gzip.compress gzip.open gzip.GzipFile*"),
    ("How do I get __init__ and __repr__ generated for my class?", "dataclasses dataclasses.*"),
    ("How do I sort a list by a key function?", "builtins.list.sort builtins.sorted help/typesseq*/*"),
    (
        "What happens when a function contains yield?",
        "help/*/the-yield-statement help/types/generator-functions",
    ),
    ("How do I require subclasses to implement a method?", "abc.abstractmethod abc.ABC abc"),
    ("How do I split an iterable into groups of consecutive equal items?", "itertools.groupby"),
    (
        "What does else mean after a for loop?",
        "help/*/the-for-statement help/*/the-while-statement help/break/*",
    ),
    ("How do I assign to a variable of the enclosing function?", "help/*/the-nonlocal-statement"),
    ("How do I log an exception together with its traceback?", "logging.exception logging.Logger.exception"),
    (
        "How do I read the lines of a zip archive member without extracting it?",
        "zipfile.ZipFile zipfile.ZipFile.open zipfile.ZipFile.read zipfile.ZipExtFile* zipfile.*.open",
    ),
    (
        "How do I check that a string starts with some prefix?",
        "builtins.str.startswith help/string-methods/* builtins.bytes.startswith "
        "builtins.bytearray.startswith",
    ),
    (
        "How do I replace text that matches a regular expression?",
        "re.sub re.subn re.Pattern.sub re.Pattern.subn",
    ),
    ("How do I keep only the newest N items in a queue?", "collections.deque"),
    (
        "How do I make a read-only attribute that is computed?",
        "builtins.property help/*/implementing-descriptors",
    ),
)

PAIRS = tuple(Pair(question, tuple(entries.split())) for question, entries in _TABLE)
