import json
import re
from datetime import UTC, datetime

import pytest

from data_contracts.tables import MODEL_PREDICTIONS
from serving.inputs import Kept
from serving.predictions import answer, answer_body, minted_ids, record
from serving.requests import Candidate, PredictRequest
from serving.scoring import Scores
from tests.serving.landed import stated_rows

NOON = datetime(2019, 11, 30, 12, tzinfo=UTC)
SINGLE = PredictRequest("u", {}, [Candidate("a", 1)], is_slate=False)
SLATE = PredictRequest("u", {}, [Candidate("a", 1), Candidate("b", 2)], is_slate=True)


def scores(*probabilities: float, number: float = 2.5) -> Scores:
    inputs = [[1.0, number, place] for place in range(len(probabilities))]
    names = ("position", "price", "ad_clicks_1d")
    return Scores("model", "7", "abc", NOON, "pseudonym", probabilities, Kept({"timestamp": 7.5}, names, inputs))


@pytest.mark.parametrize("probability", [0.1, 1 / 3, 5e-324, 1e-9, 0.30000000000000004, 1.0, 0.0, 2.5e-17])
def test_answer_and_record_hold_the_same_probability_bit_for_bit(probability: float) -> None:
    scored = scores(probability)
    given = answer(SINGLE, scored)
    (row,) = record(SINGLE, scored, given, NOON).rows
    (ad,) = json.loads(row)["slate"]
    told = json.loads(answer_body(given, is_slate=False))["probability"]
    assert float(told).hex() == float(ad["probability"]).hex() == probability.hex()


def test_a_slate_is_one_record_that_states_every_column_of_each_ad() -> None:
    scored = scores(0.1, 0.2)
    given = answer(SLATE, scored)
    kept = record(SLATE, scored, given, NOON)
    assert (kept.table, kept.received_at, len(kept.rows)) == ("model_predictions", NOON, 1)
    rows = list(stated_rows(json.loads(kept.rows[0])))
    for row in rows:
        assert {column.name for column in MODEL_PREDICTIONS.event_columns} - set(row) == {"propensity"}
    assert [(row["ad_id"], row["position"], row["probability"]) for row in rows] == [("a", 1, 0.1), ("b", 2, 0.2)]
    assert [row["prediction_id"] for row in rows] == [each.prediction_id for each in given.predictions]
    assert [row["impression_id"] for row in rows] == [each.impression_id for each in given.predictions]
    assert rows[1]["features"] == {"timestamp": 7.5, "position": 1.0, "price": 2.5, "ad_clicks_1d": 1}
    assert (rows[0]["user_id"], rows[0]["predicted_at"]) == ("pseudonym", "2019-11-30T12:00:00.000000Z")


def test_a_record_is_canonical() -> None:
    scored = scores(0.1, 0.2)
    (row,) = record(SLATE, scored, answer(SLATE, scored), NOON).rows
    assert row == json.dumps(json.loads(row), sort_keys=True, separators=(",", ":")).encode()


def test_a_number_that_is_not_there_is_null_in_the_record() -> None:
    scored = scores(0.1, number=float("nan"))
    (row,) = record(SINGLE, scored, answer(SINGLE, scored), NOON).rows
    assert json.loads(row)["slate"][0]["inputs"] == [1.0, None, 0]


def test_the_single_form_holds_what_the_slate_holds() -> None:
    given = answer(SINGLE, scores(0.1))
    slate = json.loads(answer_body(given, is_slate=True))
    (one,) = slate.pop("predictions")
    assert json.loads(answer_body(given, is_slate=False)) == slate | one


def test_no_id_is_given_twice_and_each_is_a_uuid() -> None:
    given = [answer(SLATE, scores(0.1, 0.2)) for _ in range(50)]
    ids = [one.request_id for one in given]
    ids += [id_ for one in given for item in one.predictions for id_ in (item.prediction_id, item.impression_id)]
    ids += minted_ids(2001)
    assert len(set(ids)) == 50 + 200 + 2001
    form = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(form.fullmatch(id_) for id_ in ids)
