"""Counts of a request's ads in one snapshot, each looked up as seldom as can be.

What an ad has by itself is looked up once a snapshot and ad. A user is one entry, which holds all that is counted by
the user. Other key tuples are grouped by what the ad tells of them: a group is looked up once a snapshot and value of
that and of what the request states, so that a slate of many ads costs little more than its user's entry.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import lmdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from data_contracts.keys import USER, escaped, key_values
from data_contracts.known_users import KnownUser, is_of_user, unpacked_user
from data_contracts.snapshot import A_USER, AD, SnapshotMeta, stored_key
from serving.key_groups import AD_ID, POSITION, TOLD_BY_ADS, Group, History, KeyTuple, Values
from serving.stated import keys_by_feature

REMEMBERED = 100_000
"""Ads of a snapshot, and entities of its groups, that are kept at most; then it begins anew."""
REMEMBERED_USER_BYTES = 2 << 20
"""As much is kept of users' entries as they are stored; decoded they take seven times as much. Those with a long
history ask often, and theirs takes longest to read."""
LEAST_USER_BYTES = 128

Attributes = Mapping[str, str]
Counts = NDArray[np.int64]

NOTHING: Attributes = {}
ATTRIBUTES = msgspec.json.Decoder(dict[str, str])


class Ad(NamedTuple):
    """An ad, what is known of it, the counts that it has by itself, and of each group and history its values of the
    `of_ads`, also as one text."""

    ad_id: str
    attributes: Attributes
    own: bytes
    values: Sequence[Values]
    names: Sequence[str]


class Context(NamedTuple):
    """What of a request's own values each group and history hangs on, and what is known of each group under them."""

    asked: Sequence[Values]
    known: Sequence[dict[str, bytes]]


class LookUp:
    """The counts of one snapshot; `names` is the order in which a row has them, `alike` are those that are the same for
    all ads of a request, `features` those of a request that it asks for (serving.stated). For one thread."""

    def __init__(self, meta: SnapshotMeta, transaction: lmdb.Transaction) -> None:
        self._transaction = transaction
        tuples = [KeyTuple(text, names) for text, names in meta.counts.items()]
        of_users = [each for each in tuples if is_of_user(each.text)]
        self._of_ads = [each for each in tuples if each.keys and each.of_ads == each.keys and POSITION not in each.keys]
        others: dict[tuple[str, ...], list[KeyTuple]] = {}
        for each in tuples:
            if each not in of_users and each not in self._of_ads:
                others.setdefault(each.of_ads, []).append(each)
        self._groups = [Group(of_ads, members) for of_ads, members in others.items()]
        self._histories = [History(place, each) for place, each in enumerate(of_users)]
        self._parts: list[Group | History] = [*self._groups, *self._histories]
        asked = tuple(dict.fromkeys(key for part in self._parts for key in part.asked))
        self._asked_keys = (USER, *asked)
        self._asked_places = [[asked.index(key) for key in part.asked] for part in self._parts]
        of_ads = [*(each.keys for each in self._of_ads), *(part.of_ads for part in self._parts)]
        self._ad_keys = tuple(dict.fromkeys(chain.from_iterable(of_ads)))
        self.features = keys_by_feature((*self._asked_keys, *self._ad_keys, *sorted(TOLD_BY_ADS)))
        members = [each for group in self._groups for each in group.tuples]
        ordered = [*self._of_ads, *members, *of_users]
        self.names = tuple(name for each in ordered for name in each.names)
        self.alike = frozenset(name for each in ordered if not each.of_ads for name in each.names)
        self._ads: dict[str, Ad] = {}
        self._contexts: dict[Values, Context] = {}
        self._known: dict[tuple[int, Values], dict[str, bytes]] = {}
        self._held = 0
        self._nobody = KnownUser(NOTHING, [{}] * len(of_users))
        self._users: dict[str, KnownUser] = {}
        self._user_bytes = 0

    def user(self, user_id: str) -> KnownUser:
        """What is known of a user, and counted."""
        found = self._users.get(user_id)
        if found is None:
            if self._user_bytes >= REMEMBERED_USER_BYTES:
                self._users.clear()
                self._user_bytes = 0
            content = bytes(self._transaction.get(stored_key(A_USER, user_id)) or b"")
            found = self._users[user_id] = unpacked_user(content) if content else self._nobody
            self._user_bytes += LEAST_USER_BYTES + len(content)
        return found

    def ads(self, ad_ids: Sequence[str], stated: Attributes) -> list[Ad]:
        """Ads as a request sees them that states this; remembered where it states nothing that ads tell."""
        if not TOLD_BY_ADS.isdisjoint(stated):
            return [self._made_ad(ad_id, stated) for ad_id in ad_ids]
        known = self._ads
        return [known.get(ad_id) or self._remembered(ad_id) for ad_id in ad_ids]

    def _remembered(self, ad_id: str) -> Ad:
        if len(self._ads) >= REMEMBERED:
            self._ads.clear()
        found = self._ads[ad_id] = self._made_ad(ad_id, NOTHING)
        return found

    def _made_ad(self, ad_id: str, stated: Attributes) -> Ad:
        content = self._transaction.get(stored_key(AD, ad_id))
        attributes = ATTRIBUTES.decode(content) if content else NOTHING
        found = key_values(self._ad_keys, {**stated, AD_ID: ad_id}, attributes, NOTHING)
        values = {key: escaped(value or "") for key, value in found.items()}
        own = [each.counts(self._transaction, [values[key] for key in each.keys]) for each in self._of_ads]
        of_parts = [tuple([values[key] for key in part.of_ads]) for part in self._parts]
        names = tuple([sys.intern("|".join(each)) for each in of_parts])
        return Ad(ad_id, attributes, b"".join(own), of_parts, names)

    def counts(self, ads: Sequence[Ad], positions: Sequence[int], stated: Attributes, user: KnownUser) -> Counts:
        """(ads, names) of a request that states this of itself, its user_id too, for ads in their slots."""
        user_id, *values = key_values(self._asked_keys, stated, NOTHING, user.attributes).values()
        asked = tuple([escaped(value or "") for value in values])
        context = self._contexts.get(asked) or self._begun(asked)
        of_user = self._nobody if user_id is None else user
        names = list(zip(*[ad.names for ad in ads], strict=True))
        columns: list[Iterable[bytes]] = [[ad.own for ad in ads]]
        for place, (group, known) in enumerate(zip(self._groups, context.known, strict=True)):
            own: Sequence[str] = names[place]
            if group.of_ads == (POSITION,):
                own = [*map(str, positions)]
            elif group.is_by_slot:
                own = ["|".join(of_ad) for of_ad in self._in_slots(place, ads, positions)]
            try:
                columns.append([*map(known.__getitem__, own)])
            except KeyError:
                columns.append(self._looked_up(place, context, own, self._in_slots(place, ads, positions)))
        for place, history in enumerate(self._histories, len(self._groups)):
            own = names[place]
            if history.is_by_slot or history.asked:
                own = history.names(context.asked[place], self._in_slots(place, ads, positions))
            columns.append(history.counts(of_user, own))
        rows = b"".join(chain.from_iterable(zip(*columns, strict=True)))
        return np.frombuffer(rows, "<i8").reshape(len(ads), len(self.names))

    def _in_slots(self, place: int, ads: Sequence[Ad], positions: Sequence[int]) -> list[Values]:
        """The ads' values of `of_ads` of a group or history."""
        part = self._parts[place]
        return [part.in_slot(ad.values[place], position) for ad, position in zip(ads, positions, strict=True)]

    def _begun(self, values: Values) -> Context:
        """That of a request with these values of the asked keys."""
        self._held_more(1)
        asked = [tuple([values[place] for place in places]) for places in self._asked_places]
        known = [self._known.setdefault((place, asked[place]), {}) for place in range(len(self._groups))]
        found = self._contexts[values] = Context(asked, known)
        return found

    def _looked_up(
        self, place: int, context: Context, names: Sequence[str], of_ads: Sequence[Values]
    ) -> Iterable[bytes]:
        """Counts of a group, by its ads' names and values; those that are not known yet become so."""
        known = context.known[place]
        missing = {name: of_ad for name, of_ad in zip(names, of_ads, strict=True) if name not in known}
        self._held_more(len(missing))
        for name, of_ad in missing.items():
            known[name] = self._groups[place].looked_up(self._transaction, context.asked[place], of_ad)
        return [known[name] for name in names]

    def _held_more(self, entries: int) -> None:
        if self._held >= REMEMBERED:
            self._contexts.clear()
            self._known.clear()
            self._held = 0
        self._held += entries
