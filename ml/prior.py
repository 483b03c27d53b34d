"""The prior CTRs of a training set's ads, for the model's bundle."""

from collections.abc import Mapping

from data_contracts.prior import Prior, Shown
from data_contracts.settings import Settings
from data_contracts.tables import AD_IMPRESSIONS, TRAINING_SETS
from ml.training_sets import pinned, rows_of


def prior_of(settings: Settings, versions: Mapping[str, int], training_set_id: str) -> Prior:
    """Clicks and impressions among the rows of a training set, which are mature, at the tables' `versions`. Of an ad
    that moved from one campaign to another the one with the most impressions is its campaign."""
    query = (
        f"SELECT ad_id, campaign_id, sum(clicked)::BIGINT AS clicks, count(*) AS impressions "
        f"FROM {pinned(settings, versions, TRAINING_SETS.name)} "
        f"JOIN {pinned(settings, versions, AD_IMPRESSIONS.name)} USING (impression_id) "
        f"WHERE training_set_id = ? GROUP BY ALL ORDER BY ad_id, impressions, campaign_id"
    )
    ads: dict[str, Shown] = {}
    campaigns: dict[str, Shown] = {}
    campaign_of: dict[str, str] = {}
    for row in rows_of(settings, query, [training_set_id]).to_pylist():
        shown = Shown(row["clicks"], row["impressions"])
        ads[row["ad_id"]] = _sum(ads.get(row["ad_id"]), shown)
        campaigns[row["campaign_id"]] = _sum(campaigns.get(row["campaign_id"]), shown)
        campaign_of[row["ad_id"]] = row["campaign_id"]
    total = Shown(sum(each.clicks for each in ads.values()), sum(each.impressions for each in ads.values()))
    return Prior(total, campaigns, ads, campaign_of)


def _sum(before: Shown | None, more: Shown) -> Shown:
    return more if before is None else Shown(before.clicks + more.clicks, before.impressions + more.impressions)
