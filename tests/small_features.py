"""A small feature set for tests: how often an ad, the ad in this slot, and this user were shown and clicked of late."""

from math import log1p

from data_contracts.features import DAY, Count

COUNTS = tuple(
    Count(keys=keys, event=event, window=window)
    for keys in (("ad_id",), ("ad_id", "position"), ("user_id",))
    for window in (DAY, 7 * DAY)
    for event in ("impressions", "clicks")
)

RISING = tuple(f"{entity}_ctr_{window}" for entity in ("ad", "ad_position", "user") for window in ("1d", "7d"))
"""More clicks on an entity may never lower its score, all else equal."""
PRIOR_CTR = 0.005
"""What an entity never shown is taken for; the first mature model corrects it through calibration."""
PRIOR_IMPRESSIONS = 200.0
"""How many impressions the prior weighs."""


def _smoothed_ctr(clicks, impressions):
    """Posterior mean of the CTR under a Beta prior of mean PRIOR_CTR and weight PRIOR_IMPRESSIONS."""
    return (clicks + PRIOR_CTR * PRIOR_IMPRESSIONS) / (impressions + PRIOR_IMPRESSIONS)


def ad_ctr_1d(ad_clicks_1d, ad_impressions_1d):
    """Smoothed CTR of the ad over a day."""
    return _smoothed_ctr(ad_clicks_1d, ad_impressions_1d)


def ad_ctr_7d(ad_clicks_7d, ad_impressions_7d):
    """Smoothed CTR of the ad over a week."""
    return _smoothed_ctr(ad_clicks_7d, ad_impressions_7d)


def ad_position_ctr_1d(ad_position_clicks_1d, ad_position_impressions_1d):
    """Smoothed CTR of the ad in this slot over a day."""
    return _smoothed_ctr(ad_position_clicks_1d, ad_position_impressions_1d)


def ad_position_ctr_7d(ad_position_clicks_7d, ad_position_impressions_7d):
    """Smoothed CTR of the ad in this slot over a week."""
    return _smoothed_ctr(ad_position_clicks_7d, ad_position_impressions_7d)


def user_ctr_1d(user_clicks_1d, user_impressions_1d):
    """Smoothed CTR of the user (of the cohort, where a log knows no users) over a day."""
    return _smoothed_ctr(user_clicks_1d, user_impressions_1d)


def user_ctr_7d(user_clicks_7d, user_impressions_7d):
    """Smoothed CTR of the user over a week."""
    return _smoothed_ctr(user_clicks_7d, user_impressions_7d)


def ad_log_impressions_1d(ad_impressions_1d):
    """How widely the ad is shown: ln(1 + impressions) over a day."""
    return log1p(ad_impressions_1d)


def ad_log_impressions_7d(ad_impressions_7d):
    """ln(1 + impressions) of the ad over a week."""
    return log1p(ad_impressions_7d)


def ad_position_log_impressions_7d(ad_position_impressions_7d):
    """ln(1 + impressions) of the ad in this slot over a week."""
    return log1p(ad_position_impressions_7d)


def user_log_impressions_7d(user_impressions_7d):
    """ln(1 + impressions) seen by the user over a week."""
    return log1p(user_impressions_7d)


def position(position):
    """The slot, 1 is the most prominent."""
    return position


def hour(timestamp):
    """Hour of the day, UTC."""
    return timestamp % DAY // 3600.0
