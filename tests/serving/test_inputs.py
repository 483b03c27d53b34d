"""What a record keeps of a slate's inputs is what each ad would have kept by itself."""

from typing import Any

from tests.serving.landed import landed_tables

USER = {"user_id": "u", "features": {"device_type": "phone"}}
ADS = [{"ad_id": "shoes"}, {"ad_id": "hats", "features": {}}, {"ad_id": "never seen"}]


def record_of(served: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The landed record of the request's answer."""
    asked = served.predict(request)["request_id"]
    records = landed_tables(served.settings.landing)["model_predictions"]
    return next(record for record in records if record["request_id"] == asked)


def inputs_of(record: dict[str, Any]) -> list[dict[str, float]]:
    """Of each ad by name, but for when it was asked."""
    own = [dict(zip(record["input_names"], ad["inputs"], strict=True)) for ad in record["slate"]]
    every = [{**record["features"], **each} for each in own]
    assert all(each.pop("timestamp") > 0 for each in every)
    return every


def test_a_slate_keeps_what_its_ads_share_once_and_all_that_each_by_itself_would(served: Any) -> None:
    slate = record_of(served, {**USER, "ads": ADS})
    assert set(slate["features"]) == {"timestamp", "user_clicks_7d", "user_impressions_7d"}
    alone = [inputs_of(record_of(served, {**USER, "ad_id": ad["ad_id"]}))[0] for ad in ADS]
    assert inputs_of(slate) == alone
    assert alone[0]["ad_impressions_7d"] == 1000
    assert alone[0] != alone[1] != alone[2]


def test_one_ad_keeps_all_as_its_own(served: Any) -> None:
    assert record_of(served, {**USER, "ad_id": "shoes"})["features"] == {}


def test_ads_with_features_of_their_own_share_nothing(served: Any) -> None:
    ads = [{"ad_id": "shoes", "features": {"device_type": "desktop"}}, {"ad_id": "shoes"}]
    record = record_of(served, {**USER, "ads": ads})
    assert record["features"] == {}
    first, second = inputs_of(record)
    assert first != second
