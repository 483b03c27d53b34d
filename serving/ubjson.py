"""Universal Binary JSON as XGBoost writes it: every array is counted, and one of numbers is a NumPy array.

The reader is pure Python and takes nothing on trust: a length is compared with what is left before anything is made.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_DEPTH = 32
MOST_VALUES = 500_000
"""A model of 5,000 trees has 120,000 values, a typed array counted as one."""
DTYPES = {b"U": ">u1", b"i": ">i1", b"I": ">i2", b"l": ">i4", b"L": ">i8", b"d": ">f4", b"D": ">f8"}
MARKERS = {"u1": b"U", "i1": b"i", "i2": b"I", "i4": b"l", "i8": b"L", "f4": b"d", "f8": b"D"}
NUMBERS = {b"U": ">B", b"i": ">b", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}
LENGTHS = frozenset((b"U", b"i", b"I", b"l", b"L"))
WORDS = {b"T": True, b"F": False, b"Z": None}


class UbjsonError(ValueError):
    """Bytes that are not of this dialect; the message never repeats them."""


class UbjsonLimitError(UbjsonError):
    """Deeper, or of more values, than is read."""


def read(content: bytes) -> object:
    """The one value that `content` is: dict, list, str, number, bool, None, or a NumPy array where an array is typed.
    Raises UbjsonError. Arrays are views of `content`, big-endian."""
    source = _Source(content)
    value = source.value(source.taken(1), 0)
    if source.place != len(content):
        raise UbjsonError("there is more after the end of the document")
    return value


@dataclass
class _Source:
    """A place in the bytes, which never passes their end."""

    content: bytes
    place: int = 0
    values: int = 0

    def taken(self, length: int) -> bytes:
        return self.content[self._passed(length) : self.place]

    def _passed(self, length: int) -> int:
        """Where the next `length` bytes start; moves behind them."""
        self._check_left(length)
        start = self.place
        self.place += length
        return start

    def _check_left(self, length: int) -> None:
        if not 0 <= length <= len(self.content) - self.place:
            raise UbjsonError("a length is negative or longer than what is left of the file")

    def value(self, marker: bytes, depth: int) -> object:
        self.values += 1
        if self.values > MOST_VALUES:
            raise UbjsonLimitError(f"more than {MOST_VALUES:,} values")
        if depth > MOST_DEPTH:
            raise UbjsonLimitError(f"values nested deeper than {MOST_DEPTH}")
        if marker == b"{":
            return self._object(depth)
        if marker == b"[":
            return self._array(depth)
        if marker == b"S":
            return self._text(self._length(self.taken(1)))
        if marker in WORDS:
            return WORDS[marker]
        return self._number(marker)

    def _number(self, marker: bytes) -> int | float:
        if marker not in NUMBERS:
            raise UbjsonError("an unknown type of value")
        found: int | float = struct.unpack(NUMBERS[marker], self.taken(struct.calcsize(NUMBERS[marker])))[0]
        return found

    def _length(self, marker: bytes) -> int:
        if marker not in LENGTHS:
            raise UbjsonError("a length that is no integer")
        length = int(self._number(marker))
        self._check_left(length)  # whatever is counted takes a byte at least
        return length

    def _text(self, length: int) -> str:
        try:
            return self.taken(length).decode()
        except UnicodeDecodeError:
            raise UbjsonError("a text that is not UTF-8") from None

    def _object(self, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        while (marker := self.taken(1)) != b"}":
            key = self._text(self._length(marker))
            if key in found:
                raise UbjsonError("an object holds a key twice")
            found[key] = self.value(self.taken(1), depth + 1)
        return found

    def _array(self, depth: int) -> object:
        marker = self.taken(1)
        kind = self.taken(1) if marker == b"$" else b""
        if kind:
            marker = self.taken(1)
        if marker != b"#":
            raise UbjsonError("an array that is not counted")
        length = self._length(self.taken(1))
        if kind:
            return self._typed(kind, length)
        return [self.value(self.taken(1), depth + 1) for _ in range(length)]

    def _typed(self, kind: bytes, length: int) -> NDArray[Any]:
        if kind not in DTYPES:
            raise UbjsonError("an array of an unknown type")
        dtype = np.dtype(DTYPES[kind])
        start = self._passed(length * dtype.itemsize)
        return np.frombuffer(self.content, dtype, length, start)


def written(value: object) -> bytes:
    """`value` of dicts, lists, texts, arrays, integers and floats (in 32 bits), as UBJ that XGBoost reads."""
    pieces: list[bytes] = []
    _write(value, pieces)
    return b"".join(pieces)


def _write(value: object, pieces: list[bytes]) -> None:
    if isinstance(value, np.ndarray):
        marker = MARKERS[value.dtype.str[1:]]
        pieces += [b"[$", marker, b"#", _packed(len(value)), value.astype(DTYPES[marker]).tobytes()]
    elif isinstance(value, dict):
        pieces.append(b"{")
        for key, each in value.items():
            pieces += [_packed(len(key.encode())), key.encode()]
            _write(each, pieces)
        pieces.append(b"}")
    elif isinstance(value, list | tuple):
        pieces += [b"[#", _packed(len(value))]
        for each in value:
            _write(each, pieces)
    elif isinstance(value, str):
        pieces += [b"S", _packed(len(value.encode())), value.encode()]
    elif isinstance(value, int) and not isinstance(value, bool):
        pieces.append(_packed(value))
    elif isinstance(value, float):
        pieces.append(b"d" + struct.pack(">f", value))
    else:
        raise TypeError(f"a {type(value).__name__} is not written")


def _packed(number: int) -> bytes:
    return b"L" + struct.pack(">q", number)
