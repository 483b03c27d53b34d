import json
from datetime import UTC, datetime

import pytest

from data_contracts.tables import MODEL_PREDICTIONS
from serving.predictions import answer, answer_body, records
from serving.requests import Candidate, PredictRequest
from serving.scoring import Scores

NOON = datetime(2019, 11, 30, 12, tzinfo=UTC)
CANDIDATES = [Candidate("a", 1, {}), Candidate("b", 2, {})]


def scores(*probabilities: float) -> Scores:
    return Scores("model", "7", "abc", NOON, "pseudonym", probabilities, [{"position": 1.0} for _ in probabilities])


@pytest.mark.parametrize("probability", [0.1, 1 / 3, 5e-324, 1e-9, 0.30000000000000004, 1.0, 0.0, 2.5e-17])
def test_answer_and_record_hold_the_same_probability_bit_for_bit(probability: float) -> None:
    request = PredictRequest("u", CANDIDATES[:1], is_slate=False)
    scored = scores(probability)
    given = answer(request, scored)
    (row,) = records(request, scored, given, NOON).rows
    landed = json.loads(row)["probability"]
    told = json.loads(answer_body(given, is_slate=False))["probability"]
    assert float(told).hex() == float(landed).hex() == probability.hex()


def test_a_record_states_every_column_that_is_not_null() -> None:
    request = PredictRequest("u", CANDIDATES, is_slate=True)
    scored = scores(0.1, 0.2)
    kept = records(request, scored, answer(request, scored), NOON)
    assert (kept.table, kept.received_at, len(kept.rows)) == ("model_predictions", NOON, 2)
    for row in kept.rows:
        assert {column.name for column in MODEL_PREDICTIONS.event_columns} - set(json.loads(row)) == {"propensity"}


def test_an_input_that_is_not_finite_is_no_record() -> None:
    request = PredictRequest("u", CANDIDATES[:1], is_slate=False)
    scored = Scores("model", "7", "abc", NOON, "pseudonym", [0.1], [{"position": float("nan")}])
    with pytest.raises(ValueError, match="not JSON compliant"):
        records(request, scored, answer(request, scored), NOON)


def test_no_id_is_given_twice() -> None:
    request = PredictRequest("u", CANDIDATES, is_slate=True)
    given = [answer(request, scores(0.1, 0.2)) for _ in range(50)]
    ids = [one.request_id for one in given]
    ids += [id_ for one in given for item in one.predictions for id_ in (item.prediction_id, item.impression_id)]
    assert len(set(ids)) == 50 + 200
