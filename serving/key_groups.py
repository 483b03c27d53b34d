"""Key tuples of a snapshot, grouped by what an ad and a request tell of them, and looked up so."""

from collections.abc import Iterable, Sequence
from itertools import repeat

import lmdb

from data_contracts.keys import TOLD_ELSEWHERE, USER, key_tuple
from data_contracts.known_users import KnownUser
from data_contracts.snapshot import stored_key

POSITION, AD_ID = "position", "ad_id"
TOLD_BY_ADS = frozenset(key for key, told in TOLD_ELSEWHERE.items() if told.startswith("ad."))
"""Columns that an ad's own row tells where the request does not state them."""

Values = tuple[str, ...]
"""Of several keys, escaped (data_contracts.keys)."""


def hangs_on_ad(key: str) -> bool:
    """Can two ads of one request differ in it, whatever the request states?"""
    return key in (AD_ID, POSITION) or key in TOLD_BY_ADS or key.startswith("ad.")


class KeyTuple:
    """What a snapshot counts by; `names` are its counts, `of_ads` those of its keys that hang on the ad, `asked` the
    others but the user."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.text, self.keys, self.names = text, key_tuple(text), tuple(names)
        self.of_ads = tuple(key for key in self.keys if hangs_on_ad(key))
        self.asked = tuple(key for key in self.keys if key not in self.of_ads and key != USER)
        self.nothing = bytes(8 * len(names))

    def counts(self, transaction: lmdb.Transaction, values: Sequence[str]) -> bytes:
        """Of the entity with these values of its keys, escaped; not of a user's, which stand in the user's entry."""
        return transaction.get(stored_key(self.text, "|".join(values))) or self.nothing  # type: ignore[return-value]


class Part:
    """Key tuples that hang on the same `of_ads` of an ad, and on `asked` of the request. All values are escaped."""

    def __init__(self, of_ads: tuple[str, ...], asked: tuple[str, ...]) -> None:
        self.of_ads, self.asked = of_ads, asked
        self._slot = of_ads.index(POSITION) if POSITION in of_ads else None

    @property
    def is_by_slot(self) -> bool:
        return self._slot is not None

    def in_slot(self, of_ad: Values, position: int) -> Values:
        """An ad's values of `of_ads` in this slot, which no ad knows by itself."""
        if self._slot is None:
            return of_ad
        return (*of_ad[: self._slot], str(position), *of_ad[self._slot + 1 :])

    def places(self, keys: Sequence[str]) -> list[int]:
        """Where the values of these keys stand among `asked` and `of_ads`."""
        return [(*self.asked, *self.of_ads).index(key) for key in keys]


class Group(Part):
    """Those that do not hang on the user."""

    def __init__(self, of_ads: tuple[str, ...], tuples: Sequence[KeyTuple]) -> None:
        super().__init__(of_ads, tuple({key: None for each in tuples for key in each.asked}))
        self.tuples = tuples
        self._places = [self.places(each.keys) for each in tuples]

    def looked_up(self, transaction: lmdb.Transaction, asked: Values, of_ad: Values) -> bytes:
        """Counts of all its tuples, one behind the other."""
        values = asked + of_ad
        return b"".join(
            [
                each.counts(transaction, [values[place] for place in places])
                for each, places in zip(self.tuples, self._places, strict=True)
            ]
        )


class History(Part):
    """One that begins with the user; `place` is where a user's entry has its counts."""

    def __init__(self, place: int, of: KeyTuple) -> None:
        super().__init__(of.of_ads, of.asked)
        self._place, self._nothing, self._places = place, of.nothing, self.places(of.keys[1:])

    def names(self, asked: Values, of_ads: Sequence[Values]) -> list[str]:
        """Under which a user's entry has the counts of each ad."""
        return ["|".join([(asked + of_ad)[place] for place in self._places]) for of_ad in of_ads]

    def counts(self, user: KnownUser, names: Sequence[str]) -> Iterable[bytes]:
        """By `names`."""
        known = user.counts[self._place]
        return map(known.get, names, repeat(self._nothing)) if known else repeat(self._nothing, len(names))
