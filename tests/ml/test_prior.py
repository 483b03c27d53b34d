"""The prior of a bundle is counted over the rows of its own training set."""

from data_contracts.features import training_set_id
from data_contracts.prior import Prior, Shown
from data_contracts.settings import Settings
from ml.prior import prior_of
from ml.training_sets import table_versions
from tests.ml import learnable_market as market

NAME = training_set_id(market.feature_set().hash, market.FIRST_AS_OF)
ROWS = market.impressions()[:6]
ADS = (("a", "spring", 1), ("a", "spring", 0), ("a", "fall", 0), ("b", "spring", 0), ("b", "spring", 1), ("c", "x", 1))


def test_clicks_and_impressions_are_counted_by_ad_and_campaign(settings: Settings) -> None:
    rows = [
        {**row, "ad_id": ad, "campaign_id": campaign, "clicked": clicked}
        for row, (ad, campaign, clicked) in zip(ROWS, ADS, strict=True)
    ]
    market.write_training_set(settings, rows[:5], market.FIRST_AS_OF)
    market.write_training_set(settings, rows[5:], market.SECOND_AS_OF)
    market.write_impressions(settings, rows)
    versions = table_versions(settings, ["training_sets", "ad_impressions"])
    assert prior_of(settings, versions, NAME) == Prior(
        Shown(2, 5),
        {"spring": Shown(2, 4), "fall": Shown(0, 1)},
        {"a": Shown(1, 3), "b": Shown(1, 2)},
        {"a": "spring", "b": "spring"},
    )
