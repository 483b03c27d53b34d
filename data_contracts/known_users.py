"""Users in the online snapshot: one entry each, so that a request finds at once all that is known and counted of one.

It is MessagePack: serving reads one for nearly every request, in half a microsecond.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from data_contracts.keys import USER, key_tuple
from data_contracts.snapshot import A_USER, stored_key


class KnownUser(msgspec.Struct, array_like=True, frozen=True):
    """What a snapshot holds of a user: the attributes by key, and of each key tuple that begins with the user, in the
    order of SnapshotMeta.counts, packed counts by the rest of the entity's name (empty where there is no more)."""

    attributes: Mapping[str, str]
    counts: Sequence[Mapping[str, bytes]]


USERS = msgspec.msgpack.Decoder(KnownUser)


def unpacked_user(content: bytes) -> KnownUser:
    """Raises ValueError on content that is none."""
    try:
        return USERS.decode(content)
    except msgspec.MsgspecError as error:
        raise ValueError(f"an entry is no user's: {error}") from None


def is_of_user(keys: str) -> bool:
    """Does a key tuple begin with the user?"""
    return key_tuple(keys)[:1] == (USER,)


def user_entries(
    attributes: Iterable[tuple[str, Mapping[str, str]]], counts: Sequence[Iterable[tuple[str, bytes]]]
) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of all users, sorted: from what is known by user, and the packed counts by entity of each key
    tuple that begins with the user, in the order of SnapshotMeta.counts. A user_id, a pseudonym, holds no `|`."""
    parts: list[Iterable[tuple[str, int, Mapping[str, Any]]]] = [
        ((user, -1, known) for user, known in sorted(attributes, key=itemgetter(0)))
    ]
    parts += [_by_user(place, entities) for place, entities in enumerate(counts)]
    for user, own in groupby(merge(*parts, key=itemgetter(0)), itemgetter(0)):
        found = {place: known for _, place, known in own}
        of_tuples = [found.get(place, {}) for place in range(len(counts))]
        yield stored_key(A_USER, user), msgspec.msgpack.encode(KnownUser(found.get(-1, {}), of_tuples))


def _by_user(place: int, entities: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, int, Mapping[str, bytes]]]:
    split = sorted((*entity.partition("|")[::2], counts) for entity, counts in entities)
    for user, own in groupby(split, itemgetter(0)):
        yield user, place, {rest: counts for _, rest, counts in own}
