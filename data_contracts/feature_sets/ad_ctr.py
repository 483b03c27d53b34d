"""The default feature set: how much more, or less, than expected an ad, its parents, place and user are clicked.

A *lift* is ln of how many times the expected clicks came, drawn towards 0 by `strength` expected clicks. Each is
measured against what its parents lead to expect, so that lifts add up and a new ad starts from its parents. Their sum
is `log_odds`, from which the trees start, once the level is anchored: what was shown of late is why the CTR of late is
what it is, and lifts of the same ads must not say so again.
"""

from math import exp, log, log1p

from data_contracts.features import DAY, HOUR, MILLION, Count, Event, Sum

MONTH, SECTION, TOPIC, AGE_BAND = 28 * DAY, "features.section", "ad.topic", "user.features.age_band"
CLICKED: dict[tuple[str, ...], tuple[int, ...]] = {
    (): (HOUR, 3 * HOUR, 6 * HOUR, DAY, 3 * DAY, MONTH),
    (TOPIC,): (DAY, 3 * DAY, MONTH),
    ("ad_id",): (MONTH,),
    **{(key,): (MONTH,) for key in ("campaign_id", "advertiser_id", SECTION, "device_type", "location", AGE_BAND)},
    **{(key,): (MONTH,) for key in ("position", "user_id")},
    **{(key, TOPIC): (MONTH,) for key in (SECTION, "device_type", AGE_BAND, "user_id")},
    **dict.fromkeys((("location", "advertiser_id"), ("device_type", "location")), (MONTH,)),
}
SHOWN = {("campaign_id",): 3 * DAY, ("ad_id",): 3 * DAY, ("user_id",): 7 * DAY, ("user_id", "ad_id"): 7 * DAY}
BOTH: tuple[Event, ...] = ("impressions", "clicks")
COUNTS = tuple(Count(keys, event, window) for keys in CLICKED for window in CLICKED[keys] for event in BOTH)
COUNTS += tuple(Count(keys, "impressions", window) for keys, window in SHOWN.items())

SUMS = (Sum("ctr_now", 6 * HOUR), Sum("lifted_ctr", 6 * HOUR))

STEPS = (
    "ctr_28d", "ctr_before_3d", "ctr_3d", "ctr_1d", "ctr_now", "topic_ctr_28d", "lifted_context", "lifted_ctr",
    "anchor",
)  # fmt: skip
"""The trees do not see by itself how high the CTR of all is: they would learn the days of the training set by it."""
BASE = "log_odds"
ANCHOR_CLICKS = 10.0 * MILLION
"""Draws the anchor towards 0 as by so many expected clicks; sums are in millionths."""
RISING = (
    "topic_lift_28d", "topic_lift_1d", "advertiser_lift_28d", "campaign_lift_28d", "ad_lift_28d", "user_lift_28d",
    "section_topic_lift_28d", "device_topic_lift_28d", "age_band_topic_lift_28d", "user_topic_lift_28d",
    "location_advertiser_lift_28d", "context_log_odds", "log_odds",
)  # fmt: skip


def _ctr(clicks, impressions, prior, strength):
    """The CTR drawn towards `prior` as by `strength` expected clicks."""
    return prior * (clicks + strength) / (impressions * prior + strength)


def _lift(clicks, expected, strength):
    return log((clicks + strength) / (expected + strength))


def ctr_28d(all_clicks_28d, all_impressions_28d):
    """CTR of all over a month; without any history 3 %, which weighs 200 impressions."""
    return (all_clicks_28d + 6.0) / (all_impressions_28d + 200.0)


def ctr_before_3d(all_clicks_28d, all_clicks_3d, all_impressions_28d, all_impressions_3d, ctr_28d):
    """CTR of all over the month but its last three days."""
    return _ctr(all_clicks_28d - all_clicks_3d, all_impressions_28d - all_impressions_3d, ctr_28d, 100.0)


def ctr_3d(all_clicks_3d, all_impressions_3d, ctr_28d):
    """CTR of all over three days, drawn towards that of the month."""
    return _ctr(all_clicks_3d, all_impressions_3d, ctr_28d, 100.0)


def ctr_1d(all_clicks_1d, all_impressions_1d, ctr_3d):
    """CTR of all over a day, drawn towards that of three."""
    return _ctr(all_clicks_1d, all_impressions_1d, ctr_3d, 100.0)


def ctr_now(
    all_clicks_6h, all_impressions_6h, all_clicks_3h, all_impressions_3h, all_clicks_1h, all_impressions_1h, ctr_1d
):
    """CTR of all of late: that of the day, moved by 6 hours, by 3, by the last; late clicks make no certainty."""
    moved = _ctr(all_clicks_6h, all_impressions_6h, ctr_1d, 50.0)
    moved = _ctr(all_clicks_3h, all_impressions_3h, moved, 50.0)
    return min(_ctr(all_clicks_1h, all_impressions_1h, moved, 50.0), 0.5)


def topic_ctr_28d(topic_clicks_28d, topic_impressions_28d, ctr_28d):
    """CTR of the topic over a month."""
    return _ctr(topic_clicks_28d, topic_impressions_28d, ctr_28d, 20.0)


def _expected(impressions_3d, impressions_28d, ctr_3d, ctr_before_3d):
    """Clicks at the CTR that all had when the impressions were: an ad of yesterday is not praised for a better week."""
    return impressions_3d * ctr_3d + (impressions_28d - impressions_3d) * ctr_before_3d


def topic_lift_28d(topic_clicks_28d, topic_impressions_28d, topic_impressions_3d, ctr_3d, ctr_before_3d):
    """Lift of the topic over a month."""
    return _lift(topic_clicks_28d, _expected(topic_impressions_3d, topic_impressions_28d, ctr_3d, ctr_before_3d), 20.0)


def topic_lift_1d(
    topic_clicks_3d, topic_impressions_3d, topic_clicks_1d, topic_impressions_1d, ctr_3d, ctr_1d, topic_lift_28d
):
    """Lift of the topic of late: that of the month, moved by three days, moved by the last."""
    moved = topic_lift_28d + _lift(topic_clicks_3d, topic_impressions_3d * ctr_3d * exp(topic_lift_28d), 100.0)
    return moved + _lift(topic_clicks_1d, topic_impressions_1d * ctr_1d * exp(moved), 100.0)


def advertiser_lift_28d(advertiser_clicks_28d, advertiser_impressions_28d, ctr_28d):
    """Lift of the advertiser."""
    return _lift(advertiser_clicks_28d, advertiser_impressions_28d * ctr_28d, 50.0)


def campaign_lift_28d(
    campaign_clicks_28d, campaign_impressions_28d, campaign_impressions_3d, ctr_3d, ctr_before_3d, topic_lift_28d,
    advertiser_lift_28d,
):  # fmt: skip
    """Lift of the campaign above its topic and advertiser."""
    expected = _expected(campaign_impressions_3d, campaign_impressions_28d, ctr_3d, ctr_before_3d)
    return _lift(campaign_clicks_28d, expected * exp(topic_lift_28d + advertiser_lift_28d), 12.0)


def ad_lift_28d(
    ad_clicks_28d, ad_impressions_28d, ad_impressions_3d, ctr_3d, ctr_before_3d, topic_lift_28d, advertiser_lift_28d,
    campaign_lift_28d,
):  # fmt: skip
    """Lift of the ad above its campaign."""
    expected = _expected(ad_impressions_3d, ad_impressions_28d, ctr_3d, ctr_before_3d)
    return _lift(ad_clicks_28d, expected * exp(topic_lift_28d + advertiser_lift_28d + campaign_lift_28d), 12.0)


def section_lift_28d(section_clicks_28d, section_impressions_28d, ctr_28d):
    """Lift of the part of the site."""
    return _lift(section_clicks_28d, section_impressions_28d * ctr_28d, 10.0)


def device_lift_28d(device_type_clicks_28d, device_type_impressions_28d, ctr_28d):
    """Lift of the kind of device."""
    return _lift(device_type_clicks_28d, device_type_impressions_28d * ctr_28d, 20.0)


def location_lift_28d(location_clicks_28d, location_impressions_28d, ctr_28d):
    """Lift of the place."""
    return _lift(location_clicks_28d, location_impressions_28d * ctr_28d, 50.0)


def device_location_lift_28d(
    device_type_location_clicks_28d, device_type_location_impressions_28d, ctr_28d, device_lift_28d, location_lift_28d
):
    """Lift of the device in this place above both."""
    expected = device_type_location_impressions_28d * ctr_28d * exp(device_lift_28d + location_lift_28d)
    return _lift(device_type_location_clicks_28d, expected, 100.0)


def age_band_lift_28d(age_band_clicks_28d, age_band_impressions_28d, ctr_28d):
    """Lift of the age band that the user declared."""
    return _lift(age_band_clicks_28d, age_band_impressions_28d * ctr_28d, 50.0)


def position_lift_28d(position_clicks_28d, position_impressions_28d, ctr_28d):
    """Lift of the slot."""
    return _lift(position_clicks_28d, position_impressions_28d * ctr_28d, 10.0)


def section_topic_lift_28d(section_topic_clicks_28d, section_topic_impressions_28d, topic_ctr_28d, section_lift_28d):
    """Lift of the topic in this section above both."""
    return _lift(section_topic_clicks_28d, section_topic_impressions_28d * topic_ctr_28d * exp(section_lift_28d), 2.0)


def device_topic_lift_28d(
    device_type_topic_clicks_28d, device_type_topic_impressions_28d, topic_ctr_28d, device_lift_28d
):
    """Lift of the topic on this device above both."""
    expected = device_type_topic_impressions_28d * topic_ctr_28d * exp(device_lift_28d)
    return _lift(device_type_topic_clicks_28d, expected, 8.0)


def age_band_topic_lift_28d(
    age_band_topic_clicks_28d, age_band_topic_impressions_28d, topic_ctr_28d, age_band_lift_28d
):
    """Lift of the topic with this age band above both."""
    return _lift(
        age_band_topic_clicks_28d, age_band_topic_impressions_28d * topic_ctr_28d * exp(age_band_lift_28d), 5.0
    )


def location_advertiser_lift_28d(
    location_advertiser_clicks_28d, location_advertiser_impressions_28d, ctr_28d, location_lift_28d, advertiser_lift_28d
):
    """Lift of the advertiser in this place above both."""
    expected = location_advertiser_impressions_28d * ctr_28d * exp(location_lift_28d + advertiser_lift_28d)
    return _lift(location_advertiser_clicks_28d, expected, 8.0)


def user_lift_28d(
    user_clicks_28d, user_impressions_28d, ctr_28d, age_band_lift_28d, device_lift_28d, location_lift_28d
):
    """Lift of the user above people of this age, device and place."""
    expected = user_impressions_28d * ctr_28d * exp(age_band_lift_28d + device_lift_28d + location_lift_28d)
    return _lift(user_clicks_28d, expected, 10.0)


def user_prompt_lift_28d(user_clicks_28d, user_impressions_28d, ctr_28d):
    """Lift of the user believed at once: one who clicks on everything is found by it, and one who never does."""
    return _lift(user_clicks_28d, user_impressions_28d * ctr_28d, 1.0)


def user_topic_lift_28d(
    user_topic_clicks_28d, user_topic_impressions_28d, topic_ctr_28d, user_lift_28d, age_band_lift_28d, device_lift_28d,
    location_lift_28d, age_band_topic_lift_28d,
):  # fmt: skip
    """Lift of the topic with this user above what user and topic lead to expect."""
    known = user_lift_28d + age_band_lift_28d + device_lift_28d + location_lift_28d + age_band_topic_lift_28d
    return _lift(user_topic_clicks_28d, user_topic_impressions_28d * topic_ctr_28d * exp(known), 8.0)


def lifted_context(
    ctr_now, topic_lift_1d, advertiser_lift_28d, campaign_lift_28d, ad_lift_28d, section_lift_28d, device_lift_28d,
    location_lift_28d, device_location_lift_28d, age_band_lift_28d, position_lift_28d, section_topic_lift_28d,
    device_topic_lift_28d, age_band_topic_lift_28d, location_advertiser_lift_28d,
):  # fmt: skip
    """Log-odds of a click by the CTR of the last hours and all lifts but the user's, before the level is anchored."""
    of_ad = topic_lift_1d + advertiser_lift_28d + campaign_lift_28d + ad_lift_28d
    of_place = section_lift_28d + device_lift_28d + location_lift_28d + device_location_lift_28d + position_lift_28d
    of_both = section_topic_lift_28d + device_topic_lift_28d + location_advertiser_lift_28d
    return log(ctr_now / (1.0 - ctr_now)) + of_ad + of_place + of_both + age_band_lift_28d + age_band_topic_lift_28d


def lifted_ctr(lifted_context, user_lift_28d, user_topic_lift_28d):
    """Probability of a click by all lifts, before the level is anchored."""
    return 1.0 / (1.0 + exp(-lifted_context - user_lift_28d - user_topic_lift_28d))


def anchor(sum_lifted_ctr_6h, sum_ctr_now_6h):
    """ln of how many times the clicks that `ctr_now` led to expect of the last hours' impressions all lifts together
    led to expect: how good what was shown was, which `ctr_now` of now holds already."""
    return log((sum_lifted_ctr_6h + ANCHOR_CLICKS) / (sum_ctr_now_6h + ANCHOR_CLICKS))


def context_log_odds(lifted_context, anchor):
    """Log-odds of a click by the CTR of the last hours and all lifts but the user's."""
    return lifted_context - anchor


def log_odds(context_log_odds, user_lift_28d, user_topic_lift_28d):
    """Log-odds of a click by all lifts: the trees start from here."""
    return context_log_odds + user_lift_28d + user_topic_lift_28d


def user_ad_log_impressions_7d(user_ad_impressions_7d):
    """Frequency: ln(1 + how often this ad was shown to this user in a week)."""
    return log1p(user_ad_impressions_7d)


def user_log_impressions_7d(user_impressions_7d):
    """Activity: ln(1 + impressions seen by the user in a week)."""
    return log1p(user_impressions_7d)


def user_topic_log_impressions_28d(user_topic_impressions_28d):
    """ln(1 + impressions of the topic seen by the user in a month)."""
    return log1p(user_topic_impressions_28d)


def ad_log_impressions_28d(ad_impressions_28d):
    """How well the ad is known: ln(1 + impressions over a month)."""
    return log1p(ad_impressions_28d)


def position(position):
    """The slot, 1 is the most prominent."""
    return position


def hour(timestamp):
    """Hour of the day, UTC."""
    return timestamp % DAY // 3600.0
