"""Searches for what the tests have not found: python -m tests.soak --seconds 600

In turns, until the time is over and with fresh seeds: writers that are killed at random steps and
moments, histories of the model machine, random records and filters, and damaged directories. Prints a
tally; stops at the first contradiction, with the seed that leads to it.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "engine"))

import test_durability as durability
import test_fuzz as fuzz
import test_model as model

from vicinal._index import planner
from vicinal._storage import changes

KILLS, HISTORIES, FUZZED, DAMAGED = 40, 20, 100, 60  # of one turn

Tally = Counter[str]


def counted(tally: Tally, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that counts its calls."""

    def call(*args: Any, **kwargs: Any) -> Any:
        tally[name] += 1
        return function(*args, **kwargs)

    return call


def count_everything(tally: Tally) -> None:
    """Let the tests' own functions count what they do."""
    check = model.check
    # The machine deletes checkpoints while they are written; what is left of one is no contradiction.
    model.check = lambda client: [found for found in check(client) if ": checkpoint " not in found]
    for module in (durability, fuzz, model):
        module.check = counted(tally, "checks of a whole database", module.check)
    model.Machine.pick = counted(tally, "operations of the model machine", model.Machine.pick)
    model.Machine.teardown = counted(tally, "histories of the model machine", model.Machine.teardown)
    fuzz.History.step = counted(tally, "operations of the fuzzer", fuzz.History.step)
    fuzz.run_history = counted(tally, "histories of the fuzzer", fuzz.run_history)


def kills(tally: Tally, seed: int, victims: durability.Victims) -> None:
    """One ingest, killed again and again, at random moments and at named steps."""
    planner.GRAPH_BYTES_MIN = durability.GRAPH_BYTES_MIN
    rng, expected, before = random.Random(seed), durability.Model(seed), victims.killed
    steps = [step for step in durability.STEPS if step != "file: grow"]
    with tempfile.TemporaryDirectory() as directory:
        while victims.killed < before + KILLS:
            step, moment = "", (rng.randrange(12), rng.random() * 0.02)
            if rng.random() < 0.4:
                step, moment = rng.choice(steps), None
            heard = victims.run(
                durability.write_batches,
                Path(directory),
                seed,
                expected.batches,
                step=step,
                times=rng.randint(1, 3),
                kill=moment,
                certain=not step,
            )
            expected = durability.verify(Path(directory), expected, expected.batches + len(heard))
            tally["batches acknowledged by killed processes"] += len(heard)
    tally["kills survived"] += victims.killed - before


def histories(tally: Tally, seed: int, victims: Any) -> None:
    """The model machine, with graphs for five records and a log of four changes."""
    kept, changes.KEPT = changes.KEPT, 4
    walk, planner._WALK_S_PER_CANDIDATE = planner._WALK_S_PER_CANDIDATE, 0.0
    planner.GRAPH_BYTES_MIN = 32
    try:
        for machine in model.MACHINES:
            model.search(machine, HISTORIES, 60, derandomize=False)
    finally:
        changes.KEPT, planner._WALK_S_PER_CANDIDATE = kept, walk


def texts(tally: Tally, seed: int, victims: Any) -> None:
    """Random ids, documents, metadata and filters."""
    fuzz.fuzz(FUZZED, steps=20, derandomize=False)


def damages(tally: Tally, seed: int, victims: Any) -> None:
    """Directories with a random harm."""
    lives = list(fuzz.run_damaged(seed % 10**9, DAMAGED))
    tally["damaged directories opened, repaired and written"] += len(lives)
    found = fuzz.foreign(lives)
    assert not found, f"errors that are not ours: {found[:3]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--without", nargs="*", default=[], help="turns to leave out, such as damages")
    args = parser.parse_args()
    turns = [turn for turn in (kills, histories, texts, damages) if turn.__name__ not in args.without]
    tally, started, failure = Counter[str](), time.monotonic(), None
    count_everything(tally)
    victims = durability.Victims()
    for number, turn in enumerate(itertools.cycle(turns)):
        if time.monotonic() > started + args.seconds:
            break
        try:
            turn(tally, args.seed + number, victims)
        except BaseException:
            failure = f"{turn.__name__} --seed {args.seed + number}\n{traceback.format_exc()}"
            break
    victims.close()
    print(f"{time.monotonic() - started:.0f} s, seed {args.seed}")
    for name, count in sorted(tally.items()):
        print(f"{count:>9,}  {name}")
    print("nothing contradicted the model" if failure is None else f"FAILED: {failure}")
    return int(failure is not None)


if __name__ == "__main__":
    sys.exit(main())
