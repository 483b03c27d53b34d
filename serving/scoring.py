"""The ladder: what answers a request, and with which probabilities.

Champion with fresh counts ("model"), champion with counts past two cadences ("stale_counts"), the smoothed CTR of the
counts alone ("prior": no champion, or one that cannot answer). Without any snapshot nothing can answer honestly, since
a count that is not known is not a count of 0: 503. A request is answered by one rung, one version and one snapshot.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from data_contracts.features import DAY, Count
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS
from serving.counts import Snapshot, SnapshotWatch
from serving.models import Champion, ChampionWatch
from serving.problems import unavailable
from serving.requests import Candidate, PredictRequest, feature_text

LOGGER = logging.getLogger(__name__)

AD_IMPRESSIONS_7D = Count(("ad_id",), "impressions", 7 * DAY).name
AD_CLICKS_7D = Count(("ad_id",), "clicks", 7 * DAY).name
NO_VERSION = NO_HASH = "none"
ABSENT = {column.name: column.default or "" for column in AD_IMPRESSIONS.columns}
"""What an impression that does not state a column is counted under."""


@dataclass(frozen=True)
class Scores:
    """Probabilities of a request's ads, in order, with everything they were computed from."""

    source: str
    model_version: str
    feature_set_hash: str
    counts_as_of: datetime
    user: str
    probabilities: Sequence[float]
    inputs: Sequence[Mapping[str, float]]


class Scoring:
    """Scores requests with whatever champion and snapshot are current when it is asked."""

    def __init__(self, settings: Settings, champions: ChampionWatch, snapshots: SnapshotWatch) -> None:
        self._key = load_key(settings.pseudonym_key)
        self._prior_strength = settings.serving.prior_strength
        self._champions, self._snapshots = champions, snapshots

    def scores(self, request: PredictRequest, now: datetime) -> Scores:
        """Raises ProblemError 503 when nothing can answer."""
        champion, snapshot = self._champions.current, self._snapshots.current
        if snapshot is None:
            raise unavailable("no_counts", self._snapshots.problem)
        user = pseudonym(self._key, request.user_id)
        counts = snapshot.counts(_row(user, candidate) for candidate in request.candidates)
        if champion is not None and snapshot.names.issuperset(champion.count_names):
            inputs = _model_inputs(champion, request.candidates, counts, now.timestamp())
            probabilities = champion.probabilities(inputs)
            if probabilities is not None:
                source = "model" if snapshot.is_fresh(now) else "stale_counts"
                hashed = champion.feature_set_hash
                return Scores(source, champion.version, hashed, snapshot.as_of, user, probabilities, inputs)
        priors = [_prior_inputs(snapshot, own, self._prior_strength) for own in counts]
        probabilities = [_prior_ctr(inputs) for inputs in priors]
        return Scores("prior", NO_VERSION, NO_HASH, snapshot.as_of, user, probabilities, priors)


def _row(user: str, candidate: Candidate) -> Callable[[str], str]:
    """The candidate's value of a key column, as text."""
    own = {"user_id": user, "ad_id": candidate.ad_id, "position": str(candidate.position)}

    def value(column: str) -> str:
        if column in own:
            return own[column]
        if column in candidate.features:
            return feature_text(candidate.features[column])
        return ABSENT.get(column, "")

    return value


def _model_inputs(
    champion: Champion, candidates: Sequence[Candidate], counts: Sequence[Mapping[str, float]], timestamp: float
) -> list[dict[str, float]]:
    return [
        {"position": float(candidate.position), "timestamp": timestamp}
        | {name: own[name] for name in champion.count_names}
        for candidate, own in zip(candidates, counts, strict=True)
    ]


def _prior_inputs(snapshot: Snapshot, counts: Mapping[str, float], strength: float) -> dict[str, float]:
    """What the prior of one ad is computed from; a snapshot that does not count ads leaves all ads alike."""
    if not snapshot.meta.impressions:
        raise unavailable("no_counts", "the snapshot of the counts holds no impression")
    return {
        AD_CLICKS_7D: counts.get(AD_CLICKS_7D, 0.0),
        AD_IMPRESSIONS_7D: counts.get(AD_IMPRESSIONS_7D, 0.0),
        "clicks": float(snapshot.meta.clicks),
        "impressions": float(snapshot.meta.impressions),
        "prior_strength": strength,
    }


def _prior_ctr(inputs: Mapping[str, float]) -> float:
    """Posterior mean of the ad's CTR under a Beta prior around the CTR of all ads, which weighs prior_strength
    impressions."""
    overall, strength = inputs["clicks"] / inputs["impressions"], inputs["prior_strength"]
    weight = inputs[AD_IMPRESSIONS_7D] + strength
    return (inputs[AD_CLICKS_7D] + overall * strength) / weight if weight else overall
