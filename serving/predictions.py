"""A scored request as what goes out and what is kept: the answer and its model_predictions records, of one making."""

import uuid
from datetime import datetime

import msgspec

from data_contracts.landed_tables import EXPERIMENT, MODEL_PREDICTIONS, VARIANT
from data_contracts.landing import EncodedRows, canonical_row, instant_text
from serving.requests import PredictRequest
from serving.scoring import Scores


class Prediction(msgspec.Struct, frozen=True):
    """The score of one ad; an impression of it must carry `impression_id`."""

    ad_id: str
    probability: float
    prediction_id: str
    impression_id: str


class Answer(msgspec.Struct, frozen=True):
    """The answer to a slate. The single form holds the same, with the one prediction's fields in place of the list."""

    request_id: str
    model_version: str
    source: str
    counts_as_of: str
    variant: str
    predictions: list[Prediction]


def answer(request: PredictRequest, scores: Scores) -> Answer:
    """Mints the ids."""
    predictions = [
        Prediction(candidate.ad_id, probability, str(uuid.uuid4()), str(uuid.uuid4()))
        for candidate, probability in zip(request.candidates, scores.probabilities, strict=True)
    ]
    return Answer(
        str(uuid.uuid4()),
        scores.model_version,
        scores.source,
        instant_text(scores.counts_as_of),
        str(VARIANT.default),
        predictions,
    )


def answer_body(given: Answer, is_slate: bool) -> bytes:
    """JSON; a probability reads back bit for bit."""
    if is_slate:
        return msgspec.json.encode(given)
    fields = msgspec.structs.asdict(given)
    (prediction,) = fields.pop("predictions")
    return msgspec.json.encode(fields | msgspec.structs.asdict(prediction))


def records(request: PredictRequest, scores: Scores, given: Answer, now: datetime) -> EncodedRows:
    """One model_predictions row an ad, with the inputs as used. Raises ValueError on a number that is not finite."""
    shared = {
        "request_id": given.request_id,
        "user_id": scores.user,
        "experiment": EXPERIMENT.default,
        "variant": given.variant,
        "model_version": given.model_version,
        "predicted_at": instant_text(now),
        "source": given.source,
        "counts_as_of": given.counts_as_of,
        "feature_set_hash": scores.feature_set_hash,
    }
    rows = [
        canonical_row(
            {**shared, **msgspec.structs.asdict(prediction), "position": candidate.position, "features": inputs}
        )
        for candidate, prediction, inputs in zip(request.candidates, given.predictions, scores.inputs, strict=True)
    ]
    return EncodedRows(MODEL_PREDICTIONS.name, now, rows)
