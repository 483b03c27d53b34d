"""The newest ids of one table that were told to this process, and what they held: so a repeat is known at once."""

import asyncio
from collections.abc import Mapping, Set
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Write:
    """Ids, with their rows, on their way to the disk together."""

    rows: dict[str, bytes] = field(default_factory=dict)
    is_stored: bool | None = None
    """None until it is known."""
    _waiting: "list[asyncio.Future[None]]" = field(default_factory=list)

    async def ended_well(self) -> bool:
        """Waits until it is known; whoever is cancelled meanwhile, others wait on."""
        if self.is_stored is None:
            ended = asyncio.get_running_loop().create_future()
            self._waiting.append(ended)
            await ended
        return bool(self.is_stored)

    def end(self, is_stored: bool) -> None:
        self.is_stored = is_stored
        for ended in self._waiting:
            if not ended.done():
                ended.set_result(None)


class EventWindow:
    """Knows about `size` ids at most, and at least the newer half of so many: two generations, of which the older is
    dropped when the newer is full. An id counts as known once it is on disk; until then it is under way."""

    def __init__(self, size: int) -> None:
        self._generation_size = size // 2
        self._newer: dict[str, bytes] = {}
        self._older: dict[str, bytes] = {}
        self._under_way: dict[str, Write] = {}

    def known(self, identity: str) -> bytes | None:
        """The row that an id on disk was last told with."""
        return self._newer.get(identity) or self._older.get(identity)

    def under_way(self, identity: str) -> Write | None:
        return self._under_way.get(identity)

    def is_new_to_all(self, identities: Set[str]) -> bool:
        """Is none of them known or under way?"""
        return (
            self._newer.keys().isdisjoint(identities)
            and self._older.keys().isdisjoint(identities)
            and self._under_way.keys().isdisjoint(identities)
        )

    def begin(self, write: Write) -> None:
        """The ids of `write` are under way."""
        self._under_way.update(dict.fromkeys(write.rows, write))

    def settle(self, write: Write, is_stored: bool) -> None:
        """The end of a write: what is stored is known, what is not is forgotten."""
        for identity in write.rows:
            if self._under_way.get(identity) is write:
                del self._under_way[identity]
        if is_stored:
            self._remember(write.rows)
        write.end(is_stored)

    def _remember(self, rows: Mapping[str, bytes]) -> None:
        if len(self._newer) >= self._generation_size:
            self._older, self._newer = self._newer, {}
        self._newer.update(rows)
