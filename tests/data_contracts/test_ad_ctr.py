"""The default feature set: its keys, and what its features say of counts."""

import math

import pytest

from data_contracts.feature_set_files import feature_set_path, load_feature_set

AD_CTR = load_feature_set(feature_set_path("ad_ctr"))
NOTHING_KNOWN = {"position": 2, "timestamp": 86_400 * 3 + 7 * 3_600 + 300}


def features_of(**counts):
    return dict(zip(AD_CTR.feature_names, AD_CTR.row({**NOTHING_KNOWN, **counts}), strict=True))


def test_the_default_feature_set_counts_by_these_keys():
    assert [" x ".join(keys) for keys in AD_CTR.key_tuples] == [
        "", "ad.topic", "ad_id", "campaign_id", "advertiser_id", "features.section", "device_type", "location",
        "user.features.age_band", "position", "user_id", "features.section x ad.topic", "device_type x ad.topic",
        "user.features.age_band x ad.topic", "user_id x ad.topic", "location x advertiser_id", "device_type x location",
        "user_id x ad_id",
    ]  # fmt: skip
    assert [each.name for each in AD_CTR.functions if not each.about] == []
    assert AD_CTR.base == "log_odds"


def test_where_nothing_is_known_every_lift_is_0_and_the_odds_are_those_of_3_percent():
    features = features_of()
    assert {value for name, value in features.items() if "lift" in name} == {0.0}
    assert features["log_odds"] == pytest.approx(math.log(0.03 / 0.97))
    assert (features["position"], features["hour"]) == (2.0, 7.0)
    assert {type(value) for value in features.values()} == {float}


HISTORY = {"all_clicks_28d": 294, "all_impressions_28d": 9_800}  # 3 %, as the prior


def test_an_ad_is_lifted_above_its_campaign_and_a_new_one_starts_from_there():
    campaign = {"campaign_clicks_28d": 60, "campaign_impressions_28d": 1_000}
    new = features_of(**HISTORY, **campaign)
    assert new["campaign_lift_28d"] == pytest.approx(math.log((60 + 12) / (1_000 * 0.03 + 12)))
    assert new["ad_lift_28d"] == 0.0
    known = features_of(**HISTORY, **campaign, ad_clicks_28d=20, ad_impressions_28d=200)
    expected = 200 * 0.03 * math.exp(new["campaign_lift_28d"])
    assert known["ad_lift_28d"] == pytest.approx(math.log((20 + 12) / (expected + 12)))
    assert known["log_odds"] == pytest.approx(new["log_odds"] + known["ad_lift_28d"])


def test_the_level_follows_the_last_hours():
    quiet, busy = (features_of(**HISTORY, all_clicks_6h=clicks, all_impressions_6h=2_500) for clicks in (75, 200))
    rate = 0.03 * (200 + 50) / (2_500 * 0.03 + 50)
    assert quiet["log_odds"] == pytest.approx(math.log(0.03 / 0.97))
    assert busy["log_odds"] == pytest.approx(math.log(rate / (1 - rate)))


def test_the_level_is_told_apart_from_how_good_the_ads_were_that_made_it():
    """The last hours' impressions were expected to be clicked 30 % more than all are: their ads were so good."""
    plain = features_of(**HISTORY)
    sums = {"sum_ctr_now_6h": 1_000_000_000, "sum_lifted_ctr_6h": 1_300_000_000}
    anchored = features_of(**HISTORY, **sums)
    assert anchored["log_odds"] == pytest.approx(plain["log_odds"] - math.log((1_300 + 10) / (1_000 + 10)))
    assert anchored["context_log_odds"] == pytest.approx(anchored["log_odds"])


def test_more_late_clicks_than_showings_are_no_certainty():
    assert features_of(all_clicks_6h=10**6)["log_odds"] == 0.0
