"""JSON Lines: an object a line, its keys the columns, its values as text; a malformed line costs only itself."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import IO, Any

import msgspec
import pyarrow as pa

from cli.importing.rows import Batch, numbered, text_schema
from cli.importing.text_lines import BYTE_ORDER_MARK, LINE_LIMIT, after_line, line_blocks, line_count

DECODER = msgspec.json.Decoder()
SAMPLE_LINES = 1_000
"""The keys of this many first lines are the columns of a member (and of no more than its first block)."""


class JsonLines:
    """The lines of one member; its columns are the keys of the first lines, and `names`, which may come later. A key
    that a line does not have is null there; of a key that it has twice, the last counts."""

    def __init__(self, stream: IO[bytes], origin: str, names: Sequence[str] = ()) -> None:
        blocks = line_blocks(stream, origin)
        number, first = next(blocks, (1, b""))
        first = first.removeprefix(BYTE_ORDER_MARK)
        self._blocks = chain([(number, first)] if first else [], blocks)
        keys = dict.fromkeys(names)
        for line in first.split(b"\n", SAMPLE_LINES)[:SAMPLE_LINES]:
            keys |= dict.fromkeys(object_of(line)[0] or {})
        self.schema = text_schema(list(keys), origin)

    def batches(self, columns: Sequence[str], after: int = 0) -> Iterator[Batch]:
        """The lines; blank ones are left out."""
        for number, block in after_line(self._blocks, after):
            numbers, objects, malformed = [], [], []
            for place, line in enumerate(block.removesuffix(b"\n").split(b"\n"), number):
                found, error = object_of(line)
                if error:
                    malformed.append((place, error))
                elif found is not None:
                    numbers.append(place)
                    objects.append(found)
            texts = {name: _texts([found.get(name) for found in objects]) for name in columns}
            lines = numbered(pa.array(numbers, pa.int64()), texts)
            yield Batch(lines, malformed, number + line_count(block) - 1)


def object_of(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """The object of a line, None for a blank one, or what is wrong in words that quote nothing of it."""
    if len(line) > LINE_LIMIT:
        return None, f"longer than {LINE_LIMIT} bytes"
    if not line or line.isspace():
        return None, ""
    try:
        found = DECODER.decode(line)
    except UnicodeDecodeError:
        return None, "not valid UTF-8"
    except msgspec.MsgspecError as error:
        return None, f"not valid JSON: {error}"
    if not isinstance(found, dict):
        return None, "not a JSON object"
    return found, ""


def _texts(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    """A text as it is, null as null, and anything else as JSON writes it."""
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
