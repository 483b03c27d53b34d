"""The ladder: what answers a request, and with which probabilities.

Champion with fresh counts ("model"), champion with counts past two cadences ("stale_counts"), the smoothed CTR of the
counts alone ("prior": no champion, or one that cannot answer). Without any snapshot nothing can answer honestly, since
a count that is not known is not a count of 0: 503. A request is answered by one rung, one version and one snapshot.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from data_contracts.keys import COLUMNS, CONTEXT
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import Settings
from serving.counts import Row, Snapshot, SnapshotWatch
from serving.models import Champion, ChampionWatch
from serving.problems import unavailable
from serving.requests import Candidate, PredictRequest, feature_text

LOGGER = logging.getLogger(__name__)

NO_VERSION = NO_HASH = "none"


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
        rows = snapshot.rows(_stated(user, candidate) for candidate in request.candidates)
        if champion is not None and snapshot.names.issuperset(champion.count_names):
            inputs = _model_inputs(champion, request.candidates, rows, now.timestamp())
            probabilities = champion.probabilities(inputs)
            if probabilities is not None:
                source = "model" if snapshot.is_fresh(now) else "stale_counts"
                hashed = champion.feature_set_hash
                return Scores(source, champion.version, hashed, snapshot.as_of, user, probabilities, inputs)
        priors = [_prior_inputs(snapshot, row, self._prior_strength) for row in rows]
        probabilities = [_prior_ctr(snapshot.meta.prior, inputs) for inputs in priors]
        return Scores("prior", NO_VERSION, NO_HASH, snapshot.as_of, user, probabilities, priors)


def _stated(user: str, candidate: Candidate) -> dict[str, str]:
    """What a request states of a candidate, by key: a feature with the name of a column is that column."""
    features = {name: feature_text(value) for name, value in candidate.features.items()}
    given = {name if name in COLUMNS else CONTEXT + name: text for name, text in features.items()}
    return {**given, "user_id": user, "ad_id": candidate.ad_id, "position": str(candidate.position)}


def _model_inputs(
    champion: Champion, candidates: Sequence[Candidate], rows: Sequence[Row], timestamp: float
) -> list[dict[str, float]]:
    """By name; a number that is not there is left out."""
    found = []
    for candidate, row in zip(candidates, rows, strict=True):
        numbers = {name: row.number(key) for name, key in champion.numbers.items()}
        found.append(
            {"position": float(candidate.position), "timestamp": timestamp}
            | {name: value for name, value in numbers.items() if not math.isnan(value)}
            | {name: row.counts[name] for name in champion.count_names}
        )
    return found


def _prior_inputs(snapshot: Snapshot, row: Row, strength: float) -> dict[str, float]:
    """What the prior of one ad is computed from; a snapshot that does not count ads leaves all ads alike."""
    if not snapshot.meta.impressions:
        raise unavailable("no_counts", "the snapshot of the counts holds no impression")
    return {
        **{name: row.counts[name] for name in snapshot.meta.prior},
        "clicks": float(snapshot.meta.clicks),
        "impressions": float(snapshot.meta.impressions),
        "prior_strength": strength,
    }


def _prior_ctr(names: Sequence[str], inputs: Mapping[str, float]) -> float:
    """Posterior mean of the ad's CTR under a Beta prior around the CTR of all ads, which weighs prior_strength
    impressions."""
    overall, strength = inputs["clicks"] / inputs["impressions"], inputs["prior_strength"]
    impressions, clicks = (inputs[name] for name in names) if names else (0.0, 0.0)
    weight = impressions + strength
    return (clicks + overall * strength) / weight if weight else overall
