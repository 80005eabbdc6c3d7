"""Which rows can contain this string at all?

Every row has a signature: 4,096 bits, of which each three neighbouring bytes of its text set the one that
their hash names. A text can contain a string only if it has all the bits that the string has. Signatures are
stored by bit, not by row, so a question reads one stripe of N / 8 bytes for each three bytes of the string
and combines them with AND (bit-sliced signatures as in Goodwin et al., BitFunnel, SIGIR 2017).

The answer is a superset: what it leaves out cannot match, what it keeps must be tested. It is made of
text with upper case folded, so that it serves both kinds of comparison.

* Rows that the index does not cover yet are candidates (test_rows_that_are_not_covered_are_candidates).
* 512 bytes a row, whatever its text; a text of many thousand characters sets most of its bits and is then a
  candidate for many strings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vicinal._text.literals import Requirement
from vicinal._text.postings import Mask, Rows
from vicinal._turns import in_texts

BITS = 4096
BLOCK_ROWS = 8192
_BATCH = 512
_CHARS = 1 << 19  # of a batch, of which each takes some 25 bytes meanwhile
_MULTIPLIER = np.uint32(2654435761)  # Knuth's: 2³² over the golden ratio
_SHIFT = np.uint32(20)
_FORMAT = 1
# What equals an ASCII letter when case is ignored, and sigma, whose lower case depends on its place.
_FOLDED = str.maketrans({"İ": "i", "ı": "i", "ſ": "s", "\u212a": "k", "Σ": "σ", "ς": "σ"})

Stripes = NDArray[np.uint8]


@dataclass(frozen=True)
class Signatures:
    """One immutable version: the first `rows` rows, in blocks of shape (BITS, BLOCK_ROWS / 8)."""

    blocks: tuple[Stripes, ...]
    rows: int


EMPTY = Signatures((), 0)


def extend(old: Signatures, rows: int, texts: Iterable[tuple[int, str]]) -> Signatures:
    """The next version, which covers `rows`; each row at most once, a row without text needs no mention.

    Rows that were altered in place are given again and forget what they had. Blocks that change are copied,
    4 MiB each: extend by thousands of rows, and let those in between be candidates.
    """
    blocks = list(old.blocks)
    blocks += [
        np.zeros((BITS, BLOCK_ROWS // 8), np.uint8) for _ in range(-(-rows // BLOCK_ROWS) - len(blocks))
    ]
    owned = set(range(len(old.blocks), len(blocks)))
    for batch in in_texts(texts, _BATCH, _CHARS):
        numbers = np.array([row for row, _ in batch], dtype=np.int64)
        bits = _bits([text for _, text in batch])
        for number in np.unique(numbers // BLOCK_ROWS).tolist():
            if number not in owned:
                blocks[number] = blocks[number].copy()
                owned.add(number)
            inside = numbers // BLOCK_ROWS == number
            _put(blocks[number], numbers[inside] % BLOCK_ROWS, bits[inside])
    for number in owned:
        blocks[number].flags.writeable = False
    return Signatures(tuple(blocks), max(rows, old.rows))


def _bits(texts: list[str]) -> NDArray[np.uint8]:
    """By text and bit, 0 or 1."""
    encoded = [_folded(text) for text in texts]
    sizes = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    data = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    bits = np.zeros(len(texts) * BITS, dtype=np.uint8)
    if len(data) >= 3:
        # The last two positions of a text look into the next one: they set bits too many, never too few.
        owner = np.repeat(np.arange(0, len(bits), BITS, dtype=np.int64), sizes)[: len(data) - 2]
        owner += _hashes(data)
        bits[owner] = 1
    return bits.reshape(len(texts), BITS)


def _hashes(data: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """The bit of each three neighbouring bytes."""
    wide = data.astype(np.uint32)
    grams: NDArray[np.uint32] = wide[:-2] | (wide[1:-1] << np.uint32(8)) | (wide[2:] << np.uint32(16))
    grams *= _MULTIPLIER
    grams >>= _SHIFT
    return grams


def _folded(text: str) -> bytes:
    """As UTF-8, character by character in lower case, whatever stands beside it."""
    if text.isascii():
        return text.lower().encode()
    return text.translate(_FOLDED).lower().encode("utf-8", "surrogatepass")


def _put(block: Stripes, places: Rows, bits: NDArray[np.uint8]) -> None:
    """Set the signatures at these places of a block."""
    columns = np.unique(places // 8)
    wide = np.zeros((len(columns), 8, BITS), dtype=np.uint8)
    given = np.zeros((len(columns), 8), dtype=np.uint8)
    at = np.searchsorted(columns, places // 8)
    wide[at, places % 8] = bits
    given[at, places % 8] = 1
    packed = wide[:, 0].copy()
    for bit in range(1, 8):
        packed |= wide[:, bit] << np.uint8(bit)
    kept = ~np.packbits(given, axis=1, bitorder="little")[:, 0]
    if len(columns) == columns[-1] - columns[0] + 1:  # the usual case: neighbours
        part = block[:, columns[0] : columns[-1] + 1]
        np.bitwise_and(part, kept, out=part)
        np.bitwise_or(part, packed.T, out=part)
    else:
        block[:, columns] = (block[:, columns] & kept) | packed.T


# --- candidates -------------------------------------------------------------------------------------------


def candidates(index: Signatures, requirement: Requirement, rows: int) -> Mask | None:
    """By row, for `rows` rows, whether it may match; None when nothing can be excluded.

    The requirement comes from `literals`. A covered row without text is none.
    """
    if not index.rows:
        return None
    found = [_required(block, requirement) for block in index.blocks]
    if any(packed is None for packed in found):
        return None
    mask = np.ones(rows, dtype=np.bool_)
    covered = min(rows, index.rows)
    joined = np.concatenate([packed for packed in found if packed is not None])
    mask[:covered] = np.unpackbits(joined, count=index.rows, bitorder="little")[:covered]
    return mask


def _required(block: Stripes, requirement: Requirement) -> Stripes | None:
    """Packed candidates of a block; None for all."""
    wanted = [bit for text in requirement.strings for bit in _stripes(text)]
    result = np.bitwise_and.reduce(block[sorted(set(wanted))], axis=0) if wanted else None
    for choice in requirement.choices:
        options = [_required(block, one) for one in choice]
        known = [option for option in options if option is not None]
        if len(known) == len(options):
            either: Stripes = np.bitwise_or.reduce(known)
            result = either if result is None else result & either
    return result


def _stripes(text: str) -> list[int]:
    data = np.frombuffer(_folded(text), dtype=np.uint8)
    return [int(bit) for bit in _hashes(data)] if len(data) >= 3 else []


# --- files ------------------------------------------------------------------------------------------------


def pack(index: Signatures) -> dict[str, NDArray[np.generic]]:
    """Everything as arrays of numbers, for a file."""
    form = np.array([_FORMAT, index.rows], dtype=np.int64)
    blocks = np.stack(index.blocks) if index.blocks else np.zeros((0, BITS, BLOCK_ROWS // 8), np.uint8)
    return {"format": form, "blocks": blocks}


def unpack(arrays: dict[str, NDArray[np.generic]]) -> Signatures:
    """What `pack` packed.

    Raises:
        ValueError, KeyError: The arrays are damaged, of another format, or incomplete.
    """
    form, rows = (int(value) for value in arrays["format"].tolist())
    blocks = arrays["blocks"].astype(np.uint8, copy=False)
    if form != _FORMAT or blocks.shape[1:] != (BITS, BLOCK_ROWS // 8):
        raise ValueError("signatures of another format")
    return Signatures(tuple(blocks), rows)
