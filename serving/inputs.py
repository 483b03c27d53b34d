"""A model's inputs for the ads of a request: the matrix that it scores, and what a record keeps of them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.keys import key_values, number
from serving.key_groups import AD_ID, POSITION
from serving.loaded_model import LoadedModel, Places
from serving.lookup import Ad, Attributes, Counts
from serving.requests import PredictRequest
from serving.stated import keys_by_feature, stated_by

Floats = NDArray[np.float64]
FIELDS = 2
"""A model's inputs begin with position and timestamp; then come its numbers and its counts."""


class CountedAds(NamedTuple):
    """A request's ads with what is known of them; `counts` (ads, names), of which `alike` are the same for all."""

    ads: Sequence[Ad]
    user: Attributes
    counts: Counts
    names: tuple[str, ...]
    alike: frozenset[str] = frozenset()


class Kept(NamedTuple):
    """What a record keeps: `shared` inputs of all ads, and of each ad its own by `names`, NaN where a number is not
    there. Counts stay integers, of which JSON is made in a quarter of the time."""

    shared: Mapping[str, float]
    names: tuple[str, ...]
    rows: Sequence[Sequence[float]]


class ModelInputs(NamedTuple):
    """Of each ad: its slot, its numbers (NaN: none there) and its counts (ads, counts), in the model's order."""

    positions: Sequence[int]
    timestamp: float
    numbers: Sequence[Sequence[float]]
    counts: Counts

    def matrix(self) -> Floats:
        """(ads, input_names)"""
        first = FIELDS + (len(self.numbers[0]) if self.numbers else 0)
        found = np.empty((len(self.positions), first + self.counts.shape[1]))
        found[:, 0], found[:, 1] = self.positions, self.timestamp
        if self.numbers:
            found[:, FIELDS:first] = self.numbers
        found[:, first:] = self.counts
        return found

    def kept(self, model: LoadedModel, alike: frozenset[str]) -> Kept:
        """Of `model`'s inputs; counts that are `alike` once."""
        if len(self.positions) == 1 or not alike:
            return Kept({}, model.input_names, self._rows([self.timestamp], self.counts))
        split = model.split(alike)
        values = [self.timestamp, *self.counts[0, split.alike].tolist()]
        shared = dict(zip(split.alike_names, values, strict=True))
        return Kept(shared, split.own_names, self._rows([], self.counts.take(split.own, axis=1)))

    def _rows(self, fields: list[float], counts: Counts) -> list[list[float]]:
        """Slot, `fields`, numbers and `counts` of each ad."""
        numbers: Sequence[Sequence[float]] = self.numbers or [()] * len(self.positions)
        rows = zip(self.positions, numbers, counts.tolist(), strict=True)
        return [[slot, *fields, *own, *counted] for slot, own, counted in rows]


def inputs_of(
    model: LoadedModel, places: Places, request: PredictRequest, counted: CountedAds, now: datetime
) -> ModelInputs:
    """What `model` is told of each ad; its counts stand at `places`."""
    numbers = list(numbers_of(request, counted, model.numbers)) if model.numbers else []
    positions = [candidate.position for candidate in request.candidates]
    return ModelInputs(positions, now.timestamp(), numbers, counted.counts.take(places, axis=1))


def numbers_of(request: PredictRequest, counted: CountedAds, keys: tuple[str, ...]) -> Iterator[list[float]]:
    """Of each ad, the number that is the value of each key; NaN where it is none."""
    features = keys_by_feature(keys)
    stated = stated_by(request.features, features)
    for candidate, ad in zip(request.candidates, counted.ads, strict=True):
        of_ad = {AD_ID: candidate.ad_id, POSITION: str(candidate.position)}
        told = {**stated, **stated_by(candidate.features, features), **of_ad}
        values = key_values(keys, told, ad.attributes, counted.user)
        yield [number(values[key] or "") for key in keys]
