"""Counts of a request's ads in one snapshot, each looked up as seldom as can be.

What an ad has by itself is looked up once a snapshot and ad. Other key tuples are grouped by what the ad tells of them:
a group is looked up once a request and value of that, so that a slate of many ads costs little more than its user's own
entities; and where it does not hang on the user, what was found is remembered over requests.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import lmdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from data_contracts.keys import TOLD_ELSEWHERE, USER, escaped, key_tuple, key_values
from data_contracts.snapshot import SnapshotMeta, stored_key

POSITION, AD_ID = "position", "ad_id"
TOLD_BY_ADS = frozenset(key for key, told in TOLD_ELSEWHERE.items() if told.startswith("ad."))
"""Columns that an ad's own row tells where the request does not state them."""
REMEMBERED = 100_000
"""Ads of a snapshot, and entities of a group, that are kept at most; then it begins anew."""

Attributes = Mapping[str, str]
Values = tuple[str | None, ...]
Counts = NDArray[np.int64]

NOTHING: Attributes = {}
ATTRIBUTES = msgspec.json.Decoder(dict[str, str])


def hangs_on_ad(key: str) -> bool:
    """Can two ads of one request differ in it, whatever the request states?"""
    return key in (AD_ID, POSITION) or key in TOLD_BY_ADS or key.startswith("ad.")


class KeyTuple:
    """What a snapshot counts by; `names` are its counts, `of_ads` those of its keys that hang on the ad."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.text, self.keys, self.names = text, key_tuple(text), tuple(names)
        self.of_ads = tuple(key for key in self.keys if hangs_on_ad(key))
        self.nothing = bytes(8 * len(names))

    def stored_key(self, values: Sequence[str | None]) -> bytes:
        """The snapshot's, of the entity that has these values of its keys, escaped; empty, as none is, where one of
        them is None."""
        return b"" if None in values else stored_key(self.text, "|".join(values))  # type: ignore[arg-type]


class Group:
    """Key tuples that hang on the same `of_ads` of an ad, all on the user or none, and on `asked` of the request. All
    values are escaped."""

    def __init__(self, of_ads: tuple[str, ...], tuples: Sequence[KeyTuple]) -> None:
        self.of_ads, self.tuples = of_ads, tuples
        self.asked = tuple({key: None for each in tuples for key in each.keys if not hangs_on_ad(key)})
        self.is_personal = USER in self.asked
        self.is_by_slot = POSITION in of_ads
        self._places = [[(*self.asked, *of_ads).index(key) for key in each.keys] for each in tuples]
        self._remembered: dict[tuple[Values, Values], bytes] = {}

    def counts(self, transaction: lmdb.Transaction, asked: Values, of_ad: Values) -> bytes:
        """Of all its tuples, one behind the other."""
        found = self._remembered.get((asked, of_ad))
        if found is None:
            found = b"".join(
                [
                    (key and transaction.get(key)) or each.nothing
                    for each, key in zip(self.tuples, self._stored_keys(asked + of_ad), strict=True)
                ]
            )
            self._remember(asked, {of_ad: found})
        return found

    def counts_of_many(self, cursor: lmdb.Cursor, asked: Values, of_ads: Iterable[Values]) -> dict[Values, bytes]:
        """`counts` for each of `of_ads`: what was not looked up before is looked up together."""
        found = {of_ad: self._remembered.get((asked, of_ad)) for of_ad in dict.fromkeys(of_ads)}
        missing = [of_ad for of_ad, counts in found.items() if counts is None]
        if missing:
            looked_up = dict(zip(missing, self._looked_up(cursor, asked, missing), strict=True))
            self._remember(asked, looked_up)
            found.update(looked_up)
        return found  # type: ignore[return-value]

    def in_slot(self, of_ad: Values, position: int) -> Values:
        """An ad's values of `of_ads` in this slot, which no ad knows by itself."""
        place = self.of_ads.index(POSITION)
        return (*of_ad[:place], str(position), *of_ad[place + 1 :])

    def _stored_keys(self, values: Values) -> list[bytes]:
        return [
            each.stored_key([values[place] for place in places])
            for each, places in zip(self.tuples, self._places, strict=True)
        ]

    def _looked_up(self, cursor: lmdb.Cursor, asked: Values, of_ads: Sequence[Values]) -> Iterable[bytes]:
        keys = [self._stored_keys(asked + of_ad) for of_ad in of_ads]
        stored: dict[bytes, bytes] = dict(cursor.getmulti([key for own in keys for key in own if key]))  # type: ignore[arg-type]
        for own in keys:
            yield b"".join([stored.get(key, each.nothing) for each, key in zip(self.tuples, own, strict=True)])

    def _remember(self, asked: Values, found: Mapping[Values, bytes]) -> None:
        if self.is_personal:
            return
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered.update({(asked, of_ad): counts for of_ad, counts in found.items()})


class Ad(NamedTuple):
    """An ad, what is known of it, its values of the `of_ads` of each group, and the counts that it has by itself."""

    ad_id: str
    attributes: Attributes
    values: Sequence[Values]
    own: bytes


class LookUp:
    """The counts of one snapshot; `names` is the order in which a row has them. For one thread."""

    def __init__(self, meta: SnapshotMeta, transaction: lmdb.Transaction) -> None:
        self._transaction, self._cursor = transaction, transaction.cursor()
        tuples = [KeyTuple(text, names) for text, names in meta.counts.items()]
        self._of_ads = [each for each in tuples if each.keys and each.of_ads == each.keys and POSITION not in each.keys]
        others: dict[tuple[tuple[str, ...], bool], list[KeyTuple]] = {}
        for each in tuples:
            if each not in self._of_ads:
                others.setdefault((each.of_ads, USER in each.keys), []).append(each)
        self._groups = [Group(of_ads, members) for (of_ads, _), members in others.items()]
        self._asked_keys = tuple({key for group in self._groups for key in group.asked})
        self._ad_keys = tuple(
            {key for each in self._of_ads for key in each.keys} | {key for each in self._groups for key in each.of_ads}
        )
        members = [each for group in self._groups for each in group.tuples]
        self.names = tuple(name for each in (*self._of_ads, *members) for name in each.names)
        self._ads: dict[str, Ad] = {}

    def attributes(self, kind: str, own_id: str) -> Attributes:
        """What is known of an `ad` or a `user`, by key."""
        content = self._transaction.get(stored_key(kind, own_id))
        return ATTRIBUTES.decode(content) if content else NOTHING

    def ad(self, ad_id: str, stated: Attributes) -> Ad:
        """An ad as a request sees it that states this; remembered where it states nothing that ads tell."""
        if not TOLD_BY_ADS.isdisjoint(stated):
            return self._made_ad(ad_id, stated)
        found = self._ads.get(ad_id)
        if found is None:
            if len(self._ads) >= REMEMBERED:
                self._ads.clear()
            found = self._ads[ad_id] = self._made_ad(ad_id, NOTHING)
        return found

    def _made_ad(self, ad_id: str, stated: Attributes) -> Ad:
        attributes = self.attributes("ad", ad_id)
        values = _escaped(key_values(self._ad_keys, {**stated, AD_ID: ad_id}, attributes, NOTHING))
        own = [
            self._transaction.get(each.stored_key([values[key] for key in each.keys])) or each.nothing
            for each in self._of_ads
        ]
        of_groups = [tuple([values[key] for key in group.of_ads]) for group in self._groups]
        return Ad(ad_id, attributes, of_groups, b"".join(own))

    def counts(self, ads: Sequence[Ad], positions: Sequence[int], stated: Attributes, user: Attributes) -> Counts:
        """(ads, names) of a request that states this of itself, its user_id too, for ads in their slots."""
        asked = _escaped(key_values(self._asked_keys, stated, NOTHING, user))
        own = [tuple([asked[key] for key in group.asked]) for group in self._groups]
        rows = self._row(ads[0], positions[0], own) if len(ads) == 1 else self._rows(ads, positions, own)
        return np.frombuffer(rows, "<i8").reshape(len(ads), len(self.names))

    def _row(self, ad: Ad, position: int, asked: Sequence[Values]) -> bytes:
        parts = [ad.own]
        for group, own, of_ad in zip(self._groups, asked, ad.values, strict=True):
            if group.is_by_slot:
                of_ad = group.in_slot(of_ad, position)
            parts.append(group.counts(self._transaction, own, of_ad))
        return b"".join(parts)

    def _rows(self, ads: Sequence[Ad], positions: Sequence[int], asked: Sequence[Values]) -> bytes:
        columns = [[ad.own for ad in ads]]
        for place, (group, own) in enumerate(zip(self._groups, asked, strict=True)):
            values = [ad.values[place] for ad in ads]
            if group.is_by_slot:
                values = [group.in_slot(of_ad, position) for of_ad, position in zip(values, positions, strict=True)]
            found = group.counts_of_many(self._cursor, own, values)
            columns.append([found[of_ad] for of_ad in values])
        return b"".join([counts for row in zip(*columns, strict=True) for counts in row])


def _escaped(values: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: None if value is None else escaped(value) for key, value in values.items()}
