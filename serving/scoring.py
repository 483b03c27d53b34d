"""The ladder: what answers a request, and with which probabilities.

Champion with fresh counts ("model"), champion with counts past two cadences ("stale_counts"), the smoothed CTR of the
counts alone ("prior": no champion, or one that cannot answer). Without any snapshot nothing can answer honestly, since
a count that is not known is not a count of 0: 503. A request is answered by one rung, one version and one snapshot.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.keys import COLUMNS, CONTEXT, USER, key_values, number
from data_contracts.settings import Settings
from serving.counts import Snapshot, SnapshotWatch
from serving.lookup import AD_ID, POSITION, Ad, Attributes, Counts, LookUp
from serving.models import Champion, ChampionWatch
from serving.problems import unavailable
from serving.requests import Candidate, Features, PredictRequest, feature_text

LOGGER = logging.getLogger(__name__)

NO_VERSION = NO_HASH = "none"
OF_TABLE = frozenset(COLUMNS)
OF_ALL_ADS = ("clicks", "impressions", "prior_strength")

Floats = NDArray[np.float64]


class Scores(NamedTuple):
    """Probabilities of a request's ads, in order, with everything they were computed from: of each ad the `inputs` by
    `input_names`, NaN where a number is not there."""

    source: str
    model_version: str
    feature_set_hash: str
    counts_as_of: datetime
    user: str
    probabilities: Sequence[float]
    input_names: tuple[str, ...]
    inputs: Sequence[Sequence[float]]


class AskedAd(NamedTuple):
    """An ad of a request with what is stated of it."""

    ad: Ad
    stated: Attributes


class CountedAds(NamedTuple):
    """A request's ads with what is known of them; `counts` (ads, names of the lookup)."""

    ads: Sequence[AskedAd]
    user: Attributes
    counts: Counts


@dataclass(frozen=True)
class Plan:
    """Where the counts of one champion stand in the rows of one snapshot."""

    champion: Champion
    snapshot: Snapshot
    places: NDArray[np.intp]


class Scoring:
    """Scores requests with whatever champion and snapshot are current when it is asked. For one thread."""

    def __init__(
        self,
        settings: Settings,
        champions: ChampionWatch,
        snapshots: SnapshotWatch,
        pseudonym_of: Callable[[str], str],
    ) -> None:
        self._pseudonym_of = pseudonym_of
        self._prior_strength = settings.serving.prior_strength
        self._champions, self._snapshots = champions, snapshots
        self._plan: Plan | None = None

    def scores(self, request: PredictRequest, now: datetime) -> Scores:
        """Raises ProblemError 503 when nothing can answer."""
        champion, snapshot = self._champions.current, self._snapshots.current
        if snapshot is None:
            raise unavailable("no_counts", self._snapshots.problem)
        user = self._pseudonym_of(request.user_id)
        counted = counted_ads(snapshot.lookup, request, user)
        if champion is not None and snapshot.names.issuperset(champion.count_names):
            fields, counts = self._inputs(champion, snapshot, request, counted, now)
            probabilities = champion.probabilities(np.concatenate((fields, counts), axis=1))
            if probabilities is not None:
                source = "model" if snapshot.is_fresh(now) else "stale_counts"
                of_model = champion.version, champion.feature_set_hash, snapshot.as_of
                return Scores(source, *of_model, user, probabilities, champion.input_names, _rows(fields, counts))
        names, inputs = _prior_inputs(snapshot, counted, self._prior_strength)
        probabilities = [_prior_ctr(*row) for row in inputs]
        return Scores("prior", NO_VERSION, NO_HASH, snapshot.as_of, user, probabilities, names, inputs)

    def _inputs(
        self, champion: Champion, snapshot: Snapshot, request: PredictRequest, counted: CountedAds, now: datetime
    ) -> tuple[Floats, Counts]:
        """Request fields and numbers, and counts, of each ad: the champion's inputs, in its order."""
        plan = self._plan
        if plan is None or plan.champion is not champion or plan.snapshot is not snapshot:
            places = [snapshot.lookup.names.index(name) for name in champion.count_names]
            plan = self._plan = Plan(champion, snapshot, np.array(places, np.intp))
        timestamp = now.timestamp()
        fields = [[float(candidate.position), timestamp] for candidate in request.candidates]
        if champion.numbers:
            for row, numbers in zip(fields, numbers_of(request, counted, champion.numbers), strict=True):
                row += numbers
        return np.array(fields), counted.counts.take(plan.places, axis=1)


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
    return CountedAds(ads, user, counts)


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
    """Posterior mean of the ad's CTR under a Beta prior around the CTR of all ads, which weighs prior_strength
    impressions."""
    overall, weight = all_clicks / all_impressions, impressions + strength
    return (clicks + overall * strength) / weight if weight else overall
