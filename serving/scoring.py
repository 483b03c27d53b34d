"""The ladder: what answers a request, and with which probabilities.

"model": the champion with fresh counts; "canary": in its place, for a share of users. "stale_counts": the champion
with counts past two cadences. "previous_model": the version before it, where the champion gives no probability.
"prior": the smoothed CTR of the counts alone, and without any counts that of the model's bundle, since a count that is
not known is not a count of 0. With neither: 503. A request is answered by one rung, one version and one snapshot.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.keys import COLUMNS, CONTEXT, USER, key_values, number
from data_contracts.model_versions import CANARY
from data_contracts.prior import prior_ctr, smoothed_ctr
from data_contracts.settings import Settings
from serving.counts import Snapshot, SnapshotWatch
from serving.in_use import InUse
from serving.loaded_model import LoadedModel, Places
from serving.lookup import AD_ID, POSITION, Ad, Attributes, Counts, LookUp
from serving.models import ModelWatch
from serving.problems import unavailable
from serving.requests import Candidate, Features, PredictRequest, feature_text

NO_VERSION = NO_HASH = "none"
OF_TABLE = frozenset(COLUMNS)
OF_ALL_ADS = ("clicks", "impressions", "prior_strength")

Floats = NDArray[np.float64]


class AskedAd(NamedTuple):
    """An ad of a request with what is stated of it."""

    ad: Ad
    stated: Attributes


class CountedAds(NamedTuple):
    """A request's ads with what is known of them; `counts` (ads, names)."""

    ads: Sequence[AskedAd]
    user: Attributes
    counts: Counts
    names: tuple[str, ...]


class Scores(NamedTuple):
    """Probabilities of a request's ads, in order, with everything they were computed from: of each ad the `inputs` by
    `input_names`, NaN where a number is not there. `others` are to score the same, `counted`, beside."""

    source: str
    model_version: str
    feature_set_hash: str
    counts_as_of: datetime | None
    user: str
    probabilities: Sequence[float]
    input_names: tuple[str, ...]
    inputs: Sequence[Sequence[float]]
    counted: CountedAds | None = None
    others: Sequence[LoadedModel] = ()


class Scoring:
    """Scores requests with whatever champion and snapshot are current when it is asked. For one thread."""

    def __init__(
        self,
        settings: Settings,
        models: ModelWatch,
        snapshots: SnapshotWatch,
        pseudonym_of: Callable[[str], str],
    ) -> None:
        self._pseudonym_of = pseudonym_of
        self._prior_strength = settings.serving.prior_strength
        self._models, self._snapshots = models, snapshots

    def scores(self, request: PredictRequest, now: datetime) -> Scores:
        """Raises ProblemError 503 when nothing can answer."""
        in_use, snapshot = self._models.in_use, self._snapshots.current
        user = self._pseudonym_of(request.user_id)
        if snapshot is None:
            return self._without_counts(in_use, request, user)
        counted, is_fresh = counted_ads(snapshot.lookup, request, user), snapshot.is_fresh(now)
        for source, model in in_use.rungs(user, is_fresh):
            places = model.places(counted.names)
            if places is None:
                continue
            fields, counts = inputs_of(model, places, request, counted, now)
            probabilities = model.probabilities(np.concatenate((fields, counts), axis=1))
            if probabilities is not None:
                given = source, model.version, model.feature_set_hash, snapshot.as_of, user, probabilities
                others = in_use.others(source, model)
                return Scores(*given, model.input_names, _rows(fields, counts), counted, others)
            if source == CANARY:
                self._models.end_canary(model.version, model.last_failure)
        names, inputs = _prior_inputs(snapshot, counted, self._prior_strength)
        probabilities = [_prior_ctr(*row) for row in inputs]
        return Scores("prior", NO_VERSION, NO_HASH, snapshot.as_of, user, probabilities, names, inputs)

    def _without_counts(self, in_use: InUse, request: PredictRequest, user: str) -> Scores:
        """By the prior of a bundle."""
        prior = next((model.prior for _, model in in_use.rungs(user, False) if model.prior is not None), None)
        if prior is None:
            raise unavailable("no_counts", self._snapshots.problem)
        inputs = [prior.inputs(candidate.ad_id, self._prior_strength) for candidate in request.candidates]
        probabilities = [prior_ctr(each) for each in inputs]
        rows = [list(each.values()) for each in inputs]
        return Scores("prior", NO_VERSION, NO_HASH, None, user, probabilities, tuple(inputs[0]), rows)


def inputs_of(
    model: LoadedModel, places: Places, request: PredictRequest, counted: CountedAds, now: datetime
) -> tuple[Floats, Counts]:
    """Request fields and numbers, and counts, of each ad: the model's inputs, in its order."""
    timestamp = now.timestamp()
    fields = [[float(candidate.position), timestamp] for candidate in request.candidates]
    if model.numbers:
        for row, numbers in zip(fields, numbers_of(request, counted, model.numbers), strict=True):
            row += numbers
    return np.array(fields), counted.counts.take(places, axis=1)


def counted_ads(lookup: LookUp, request: PredictRequest, user_id: str) -> CountedAds:
    """What a snapshot knows of each of a request's ads."""
    user, stated = lookup.attributes("user", user_id), stated_by(request.features)
    stated[USER] = user_id
    alike = not any(candidate.features for candidate in request.candidates)
    if alike:
        ads = [AskedAd(lookup.ad(candidate.ad_id, stated), stated) for candidate in request.candidates]
    else:
        ads = [_asked_ad(lookup, candidate, stated) for candidate in request.candidates]
    positions = [candidate.position for candidate in request.candidates]
    if alike:
        counts = lookup.counts([ad for ad, _ in ads], positions, stated, user)
    else:
        each = [lookup.counts([ad], [at], own, user) for (ad, own), at in zip(ads, positions, strict=True)]
        counts = np.concatenate(each)
    return CountedAds(ads, user, counts, lookup.names)


def _asked_ad(lookup: LookUp, candidate: Candidate, stated: Attributes) -> AskedAd:
    own = {**stated, **stated_by(candidate.features), USER: stated[USER]}
    return AskedAd(lookup.ad(candidate.ad_id, own), own)


def stated_by(features: Features) -> dict[str, str]:
    """What a request states, by key: a feature with the name of a column is that column."""
    return {
        name if name in OF_TABLE else CONTEXT + name: value if type(value) is str else feature_text(value)
        for name, value in features.items()
    }


def numbers_of(request: PredictRequest, counted: CountedAds, keys: Sequence[str]) -> Iterator[list[float]]:
    """Of each ad, the number that is the value of each key; NaN where it is none."""
    for candidate, (ad, stated) in zip(request.candidates, counted.ads, strict=True):
        told = {**stated, AD_ID: candidate.ad_id, POSITION: str(candidate.position)}
        values = key_values(keys, told, ad.attributes, counted.user)
        yield [number(values[key] or "") for key in keys]


def _rows(fields: Floats, counts: Counts) -> list[list[float]]:
    """Of each ad both, side by side. Counts stay integers, of which JSON is made in a quarter of the time."""
    return [own + counted for own, counted in zip(fields.tolist(), counts.tolist(), strict=True)]


def _prior_inputs(
    snapshot: Snapshot, counted: CountedAds, strength: float
) -> tuple[tuple[str, ...], list[list[float]]]:
    """What the priors of ads are computed from; a snapshot that does not count ads leaves all ads alike."""
    meta = snapshot.meta
    if not meta.impressions:
        raise unavailable("no_counts", "the snapshot of the counts holds no impression")
    places = [snapshot.lookup.names.index(name) for name in meta.prior]
    of_all = [float(meta.clicks), float(meta.impressions), strength]
    return (*OF_ALL_ADS, *meta.prior), [of_all + own for own in counted.counts[:, places].tolist()]


def _prior_ctr(
    all_clicks: float, all_impressions: float, strength: float, impressions: float = 0.0, clicks: float = 0.0
) -> float:
    return smoothed_ctr(clicks, impressions, all_clicks / all_impressions, strength)
