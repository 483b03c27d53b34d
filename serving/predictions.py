"""A scored request as what goes out and what is kept: the answer and its record, of one making."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

import msgspec

from data_contracts.landed_tables import EXPERIMENT, MODEL_PREDICTIONS, VARIANT
from data_contracts.landing import EncodedRows, instant_text
from serving.requests import PredictRequest
from serving.scoring import Scores

ENCODER = msgspec.json.Encoder()


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """The score of one ad; an impression of it must carry `impression_id`."""

    ad_id: str
    probability: float
    prediction_id: str
    impression_id: str


class Answer(msgspec.Struct, frozen=True):
    """The answer to a slate."""

    request_id: str
    model_version: str
    source: str
    counts_as_of: str | None
    variant: str
    predictions: Sequence[Prediction]


class SingleAnswer(msgspec.Struct, frozen=True, gc=False):
    """The answer to a request for one ad: that to a slate, with the prediction's fields in place of the list."""

    request_id: str
    model_version: str
    source: str
    counts_as_of: str | None
    variant: str
    ad_id: str
    probability: float
    prediction_id: str
    impression_id: str


class SlateAd(msgspec.Struct, frozen=True, gc=False):
    """What a record tells of one ad. Its own `inputs` are in the order of the record's input_names, null for a number
    that was not there. As in every landed row, the fields are sorted by name."""

    ad_id: str
    impression_id: str
    inputs: Sequence[float]
    position: int
    prediction_id: str
    probability: float


class SlateRecord(msgspec.Struct, frozen=True):
    """The one landed row of a request, of which spark_jobs.slates makes a row of model_predictions an ad. `features`
    are the inputs that all its ads share."""

    counts_as_of: str | None
    experiment: str
    feature_set_hash: str
    features: Mapping[str, float]
    input_names: msgspec.Raw
    model_version: str
    predicted_at: str
    request_id: str
    slate: Sequence[SlateAd]
    source: str
    user_id: str
    variant: str


def answer(request: PredictRequest, scores: Scores) -> Answer:
    """Mints the ids."""
    request_id, *ids = minted_ids(1 + 2 * len(request.candidates))
    halfway = len(request.candidates)
    predictions = [
        Prediction(candidate.ad_id, probability, prediction_id, impression_id)
        for candidate, probability, prediction_id, impression_id in zip(
            request.candidates, scores.probabilities, ids[:halfway], ids[halfway:], strict=True
        )
    ]
    counts_as_of = None if scores.counts_as_of is None else _instant(scores.counts_as_of)
    return Answer(request_id, scores.model_version, scores.source, counts_as_of, str(VARIANT.default), predictions)


def answer_body(given: Answer, is_slate: bool) -> bytes:
    """JSON; a probability reads back bit for bit."""
    if is_slate:
        return ENCODER.encode(given)
    (one,) = given.predictions
    shared = given.request_id, given.model_version, given.source, given.counts_as_of, given.variant
    return ENCODER.encode(SingleAnswer(*shared, one.ad_id, one.probability, one.prediction_id, one.impression_id))


def record(request: PredictRequest, scores: Scores, given: Answer, now: datetime) -> EncodedRows:
    """The request's landed row, with the inputs as used."""
    slate = [
        SlateAd(each.ad_id, each.impression_id, inputs, candidate.position, each.prediction_id, each.probability)
        for candidate, each, inputs in zip(request.candidates, given.predictions, scores.inputs.rows, strict=True)
    ]
    row = SlateRecord(
        given.counts_as_of,
        str(EXPERIMENT.default),
        scores.feature_set_hash,
        scores.inputs.shared,
        _input_names(scores.inputs.names),
        given.model_version,
        instant_text(now),
        given.request_id,
        slate,
        given.source,
        scores.user,
        given.variant,
    )
    return EncodedRows(MODEL_PREDICTIONS.name, now, [ENCODER.encode(row)])


@lru_cache(maxsize=64)
def _input_names(names: tuple[str, ...]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(names))


_instant = lru_cache(maxsize=64)(instant_text)


def minted_ids(count: int) -> list[str]:
    """UUIDs of version 8 (RFC 9562, section 5.8), up to 65,536 at once: they share 106 random bits and end in their
    number, since bits of its own for each ad of a slate would take longer than its score."""
    bits = os.urandom(14).hex()
    variant = "89ab"[int(bits[15], 16) & 3]
    start = f"{bits[:8]}-{bits[8:12]}-8{bits[12:15]}-{variant}{bits[16:19]}-{bits[19:27]}"
    return [start + number for number in _numbers(count)]


@lru_cache(maxsize=2048)
def _numbers(count: int) -> tuple[str, ...]:
    return tuple(f"{number:04x}" for number in range(count))
