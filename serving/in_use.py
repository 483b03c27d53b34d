"""Which loaded versions answer whom."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from data_contracts.model_versions import CANARY, CHAMPION, PREVIOUS
from serving.loaded_model import LoadedModel

NO_SHADOWS: Mapping[str, LoadedModel] = MappingProxyType({})


@dataclass(frozen=True)
class Canary:
    """A version that answers a share of users, 0 to 1, in the champion's place."""

    model: LoadedModel
    share: float

    def takes(self, user: str) -> bool:
        """Is this user, a pseudonym, among its share? Always the same ones, and others for another version."""
        drawn = hashlib.blake2b(f"{self.model.version}|{user}".encode(), digest_size=8).digest()
        return int.from_bytes(drawn) < self.share * 2**64


class InUse(NamedTuple):
    """What answers a request: the champion, the version before it where that gives no probability or is away, the
    canary for its share of users; and `shadows` by alias, which score what others answer."""

    champion: LoadedModel | None = None
    previous: LoadedModel | None = None
    canary: Canary | None = None
    shadows: Mapping[str, LoadedModel] = NO_SHADOWS

    @property
    def by_alias(self) -> dict[str, LoadedModel]:
        """All that is loaded."""
        canary = None if self.canary is None else self.canary.model
        named = {CHAMPION: self.champion, PREVIOUS: self.previous, CANARY: canary, **self.shadows}
        return {alias: model for alias, model in named.items() if model is not None}

    @property
    def has_prior(self) -> bool:
        """Is there an answer without any counts?"""
        return any(model is not None and model.prior is not None for model in (self.champion, self.previous))

    def rungs(self, user: str, is_fresh: bool) -> list[tuple[str, LoadedModel]]:
        """Who is asked for a user, one after the other, and what the answer's source is then called; a canary only
        beside a champion and with fresh counts."""
        rungs = []
        if self.champion is not None:
            if self.canary is not None and is_fresh and self.canary.takes(user):
                rungs.append((CANARY, self.canary.model))
            rungs.append(("model" if is_fresh else "stale_counts", self.champion))
        if self.previous is not None:
            rungs.append(("previous_model", self.previous))
        return rungs

    def others(self, source: str, answered: LoadedModel) -> Sequence[LoadedModel]:
        """Who scores a request, too, that `answered` has answered: the shadows, and the champion what the canary has
        answered."""
        if not self.shadows and source != CANARY:
            return ()
        shadows = {model.version: model for model in self.shadows.values()}
        if source == CANARY and self.champion is not None:
            shadows[self.champion.version] = self.champion
        shadows.pop(answered.version, None)
        return list(shadows.values())
