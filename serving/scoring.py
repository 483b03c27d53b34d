"""The ladder: what answers a request, and with which probabilities.

"model": the champion with fresh counts; "canary": in its place, for a share of users. "stale_counts": the champion
with counts past two cadences. "previous_model": the version before it, where the champion gives no probability.
"prior": the smoothed CTR of the counts alone, and without any counts that of the model's bundle, since a count that is
not known is not a count of 0. With neither: 503. A request is answered by one rung, one version and one snapshot.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from data_contracts.keys import USER
from data_contracts.model_versions import CANARY
from data_contracts.prior import prior_ctr, smoothed_ctr
from data_contracts.settings import Settings
from serving.counts import Snapshot, SnapshotWatch
from serving.in_use import InUse
from serving.inputs import CountedAds, Kept, inputs_of
from serving.loaded_model import LoadedModel
from serving.lookup import LookUp
from serving.models import ModelWatch
from serving.problems import unavailable
from serving.requests import PredictRequest
from serving.stated import stated_by

NO_VERSION = NO_HASH = "none"
OF_ALL_ADS = ("clicks", "impressions", "prior_strength")


class Scores(NamedTuple):
    """Probabilities of a request's ads, in order, with everything they were computed from. `others` are to score the
    same, `counted`, beside."""

    source: str
    model_version: str
    feature_set_hash: str
    counts_as_of: datetime | None
    user: str
    probabilities: Sequence[float]
    inputs: Kept
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
            inputs = inputs_of(model, places, request, counted, now)
            probabilities = model.probabilities(inputs.matrix())
            if probabilities is not None:
                given = source, model.version, model.feature_set_hash, snapshot.as_of, user, probabilities
                return Scores(*given, inputs.kept(model, counted.alike), counted, in_use.others(source, model))
            if source == CANARY:
                self._models.end_canary(model.version, model.last_failure)
        kept = _prior_inputs(snapshot, counted, self._prior_strength)
        probabilities = [_prior_ctr(*row) for row in kept.rows]
        return Scores("prior", NO_VERSION, NO_HASH, snapshot.as_of, user, probabilities, kept)

    def _without_counts(self, in_use: InUse, request: PredictRequest, user: str) -> Scores:
        """By the prior of a bundle."""
        prior = next((model.prior for _, model in in_use.rungs(user, False) if model.prior is not None), None)
        if prior is None:
            raise unavailable("no_counts", self._snapshots.problem)
        inputs = [prior.inputs(candidate.ad_id, self._prior_strength) for candidate in request.candidates]
        probabilities = [prior_ctr(each) for each in inputs]
        rows = [list(each.values()) for each in inputs]
        return Scores("prior", NO_VERSION, NO_HASH, None, user, probabilities, Kept({}, tuple(inputs[0]), rows))


def counted_ads(lookup: LookUp, request: PredictRequest, user_id: str) -> CountedAds:
    """What a snapshot knows of each of a request's ads."""
    user, stated = lookup.user(user_id), stated_by(request.features, lookup.features)
    stated[USER] = user_id
    positions = [candidate.position for candidate in request.candidates]
    if not any(candidate.features for candidate in request.candidates):
        found = lookup.ads([candidate.ad_id for candidate in request.candidates], stated)
        counts = lookup.counts(found, positions, stated, user)
        return CountedAds(found, user.attributes, counts, lookup.names, lookup.alike)
    told = [stated_by(candidate.features, lookup.features) for candidate in request.candidates]
    owns = [{**stated, **each, USER: user_id} for each in told]
    ads = [lookup.ads([each.ad_id], own)[0] for each, own in zip(request.candidates, owns, strict=True)]
    asked = zip(ads, positions, owns, strict=True)
    counts = np.concatenate([lookup.counts([ad], [position], own, user) for ad, position, own in asked])
    return CountedAds(ads, user.attributes, counts, lookup.names)


def _prior_inputs(snapshot: Snapshot, counted: CountedAds, strength: float) -> Kept:
    """What the priors of ads are computed from; a snapshot that does not count ads leaves all ads alike."""
    meta = snapshot.meta
    if not meta.impressions:
        raise unavailable("no_counts", "the snapshot of the counts holds no impression")
    places = [snapshot.lookup.names.index(name) for name in meta.prior]
    of_all = [float(meta.clicks), float(meta.impressions), strength]
    return Kept({}, (*OF_ALL_ADS, *meta.prior), [of_all + own for own in counted.counts[:, places].tolist()])


def _prior_ctr(
    all_clicks: float, all_impressions: float, strength: float, impressions: float = 0.0, clicks: float = 0.0
) -> float:
    return smoothed_ctr(clicks, impressions, all_clicks / all_impressions, strength)
