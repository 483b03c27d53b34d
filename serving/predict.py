"""POST /predict from body to answer: decoded, scored, and given once its record is on disk."""

from collections.abc import Callable

from data_contracts.settings import Settings
from serving.counts import SnapshotWatch
from serving.metrics import Metrics
from serving.models import ModelWatch
from serving.predictions import answer, answer_body, record
from serving.problems import OnceStored, ProblemError, Response, unavailable
from serving.requests import PredictRequest, opted_out, parsed
from serving.scoring import Scoring
from serving.shadowing import Answered, Shadowing


class Predictor:
    """Answers with whatever models and snapshot are in use when it is asked. For one thread."""

    def __init__(
        self,
        settings: Settings,
        models: ModelWatch,
        snapshots: SnapshotWatch,
        pseudonym_of: Callable[[str], str],
        metrics: Metrics,
        shadowing: Shadowing,
    ) -> None:
        self._limits, self._clock, self._metrics = settings.serving, settings.clock, metrics
        self._shadowing = shadowing
        self._scoring = Scoring(settings, models, snapshots, pseudonym_of)

    def predict(self, body: bytes) -> OnceStored:
        """Raises ProblemError."""
        return self._answered(parsed(body, self._limits.default_position, self._limits.slate_limit))

    def predict_contextually(self, body: bytes) -> OnceStored:
        """Without the user's history, and what the user declared. Raises ProblemError."""
        return self._answered(opted_out(parsed(body, self._limits.default_position, self._limits.slate_limit)))

    def _answered(self, request: PredictRequest) -> OnceStored:
        now = self._clock.now()
        scores = self._scoring.scores(request, now)
        given = answer(request, scores)
        self._metrics.predicted(scores.source, scores.model_version, len(request.candidates))
        if scores.others:
            self._shadowing.offer(Answered(request, scores, given, now))
        rows = [record(request, scores, given, now)]
        return OnceStored(rows, Response(200, answer_body(given, request.is_slate)), _not_stored)


def _not_stored(error: Exception) -> ProblemError:
    reason = f"the prediction could not be stored: {getattr(error, 'strerror', None) or type(error).__name__}"
    return unavailable("prediction_not_stored", reason)
