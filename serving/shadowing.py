"""What others than the one that answered would have said: scored off the path of requests, and kept in the log.

Shadows score what is answered, and the champion scores what the canary answers; a canary whose scores are too far from
the champion's ends by it.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from data_contracts.group_commit import QueueFullError
from data_contracts.landed_tables import SHADOW_PREDICTIONS
from data_contracts.landing import EncodedRows, instant_text
from data_contracts.model_versions import CANARY
from data_contracts.settings import Settings
from serving.background import Repeated
from serving.event_log import EventLog
from serving.inputs import inputs_of
from serving.loaded_model import LoadedModel
from serving.metrics import Metrics
from serving.models import ModelWatch
from serving.predictions import Answer
from serving.requests import PredictRequest
from serving.score_shift import ScoreShift
from serving.scoring import Scores

if TYPE_CHECKING:
    from serving.kernel_model import Inputs

MOST_WAITING_ROWS = 20_000
ROWS_AT_ONCE = 2_000
EVERY_SECONDS = 0.05
ENCODER = msgspec.json.Encoder()


class ShadowAd(msgspec.Struct, frozen=True, gc=False):
    """Both scores of one ad. As in every landed row, the fields are sorted by name."""

    impression_id: str
    prediction_id: str
    probability: float
    served_probability: float


class ShadowRecord(msgspec.Struct, frozen=True):
    """The one landed row of a request and version, of which spark_jobs.slates makes a row of shadow_predictions an
    ad."""

    feature_set_hash: str
    model_version: str
    predicted_at: str
    request_id: str
    served_source: str
    served_version: str
    slate: Sequence[ShadowAd]


class Answered(NamedTuple):
    """A request with the answer that it was given."""

    request: PredictRequest
    scores: Scores
    given: Answer
    at: datetime


class Shadowing:
    """Takes what is answered and scores it in a thread of its own, many at once. What comes faster than that is left
    out, and counted."""

    def __init__(self, settings: Settings, models: ModelWatch, log: EventLog, metrics: Metrics) -> None:
        self._models, self._log, self._metrics = models, log, metrics
        self._limits = settings.canary
        self._shifts: dict[tuple[str, str], ScoreShift] = {}
        self._waiting: deque[Answered] = deque()
        self._waiting_rows = 0
        self._finished_rows = 0
        self._thread = Repeated("shadow", EVERY_SECONDS, self._score_waiting)
        self.start, self.stop = self._thread.start, self._thread.stop

    def offer(self, answered: Answered) -> None:
        """For the thread of the requests."""
        rows = len(answered.scores.probabilities)
        if self._waiting_rows - self._finished_rows > MOST_WAITING_ROWS or self._log.is_half_full:
            self._metrics.left_out(rows)
            return
        self._waiting_rows += rows
        self._waiting.append(answered)

    def _score_waiting(self) -> None:
        while taken := self._taken():
            try:
                for model in {other.version: other for each in taken for other in each.scores.others}.values():
                    self._score(model, [each for each in taken if model in each.scores.others])
            finally:
                self._finished_rows += sum(len(each.scores.probabilities) for each in taken)

    def _taken(self) -> list[Answered]:
        taken: list[Answered] = []
        rows = 0
        while self._waiting and rows < ROWS_AT_ONCE:
            taken.append(self._waiting.popleft())
            rows += len(taken[-1].scores.probabilities)
        return taken

    def _score(self, model: LoadedModel, taken: Sequence[Answered]) -> None:
        """By one version, all in one call; where that fails, request by request."""
        if self._log.is_half_full:
            self._metrics.left_out(sum(len(each.scores.probabilities) for each in taken))
            return
        asked = [(each, inputs) for each in taken if (inputs := _inputs(model, each)) is not None]
        if not asked:
            return
        together = model.tried(np.concatenate([inputs for _, inputs in asked]))
        if isinstance(together, str):
            told = [(each, model.tried(inputs)) for each, inputs in asked]
        else:
            scores = iter(together)
            told = [(each, list(islice(scores, len(inputs)))) for each, inputs in asked]
        self._keep(model, [(each, own) for each, own in told if not isinstance(own, str)])
        for problem in [own for _, own in told if isinstance(own, str)]:
            self._failed(model, problem)

    def _keep(self, model: LoadedModel, scored: Sequence[tuple[Answered, list[float]]]) -> None:
        rows = sum(len(own) for _, own in scored)
        try:
            self._log.append([_record(model, each, own) for each, own in scored])
        except QueueFullError:
            self._metrics.left_out(rows)
            return
        self._metrics.shadowed(model.version, rows)
        for each, own in scored:
            if each.scores.source == CANARY:
                self._compare(each.scores, model.version, own)

    def _failed(self, model: LoadedModel, problem: str) -> None:
        """What a shadow cannot score is told as its failure; the champion's are those of requests that it answers."""
        self._metrics.shadow_failed(model.version)
        if model is not self._models.current:
            model.count_failure(problem)

    def _compare(self, scores: Scores, champion: str, own: list[float]) -> None:
        key = scores.model_version, champion
        if key not in self._shifts:
            self._shifts = {key: ScoreShift(self._limits)}
        if problem := self._shifts[key].add(scores.user, scores.probabilities, own):
            self._models.end_canary(scores.model_version, problem)


def _inputs(model: LoadedModel, each: Answered) -> "Inputs | None":
    """The model's inputs (ads, input_names); None where the snapshot lacks one of its counts."""
    counted = each.scores.counted
    places = None if counted is None else model.places(counted.names)
    if counted is None or places is None:
        return None
    return inputs_of(model, places, each.request, counted, each.at).matrix()


def _record(model: LoadedModel, each: Answered, own: Sequence[float]) -> EncodedRows:
    slate = [
        ShadowAd(given.impression_id, given.prediction_id, probability, given.probability)
        for given, probability in zip(each.given.predictions, own, strict=True)
    ]
    row = ShadowRecord(
        model.feature_set_hash,
        model.version,
        instant_text(each.at),
        each.given.request_id,
        each.given.source,
        each.given.model_version,
        slate,
    )
    return EncodedRows(SHADOW_PREDICTIONS.name, each.at, [ENCODER.encode(row)])
