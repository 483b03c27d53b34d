"""Which keys there are, and what value an impression or a request has of each."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.keys import check_key, entity_name, key_columns, key_name, key_tuple, key_value, number


@pytest.mark.parametrize(
    "key", ["ad_id", "position", "consent", "features.section", "ad.topic", "ad.features.brand", "user.consent"]
)
def test_columns_context_and_catalogues_give_keys(key):
    check_key(key)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("impression_id", "impression_id is no key: it is one of user_id, ad_id"),
        ("features.", "features. is no key"),
        ("features.a-b", "must do as the name of a parameter"),
        ("features.a|b", "must do as the name of a parameter"),
        ("ad.price", "ad.price is no key: ads has ad_id, campaign_id, advertiser_id, topic and features.NAME"),
        ("user.received_at", "user.received_at is no key: users has user_id, consent and features.NAME"),
        ("", "is no key"),
    ],
)
def test_anything_else_is_refused(key, words):
    with pytest.raises(ValueError, match=words):
        check_key(key)


def test_a_key_is_named_by_its_end():
    assert [key_name(key) for key in ("ad_id", "features.section", "ad.features.brand_id")] == [
        "ad",
        "section",
        "brand",
    ]


def test_keys_as_text_are_read_back():
    for keys in ((), ("ad_id",), ("user_id", "ad.topic")):
        assert key_tuple(key_columns(keys)) == keys
    assert key_columns(()) == "all"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ad_id", "ad-1"),
        ("device_type", "unknown"),
        ("features.section", "news"),
        ("features.weather", ""),
        ("ad.topic", "cars"),
        ("ad.features.brand", ""),
        ("campaign_id", "campaign-of-the-catalogue"),
        ("advertiser_id", "stated"),
        ("user.features.band", "old"),
        ("consent", "granted"),
    ],
)
def test_what_is_stated_counts_then_what_is_known_then_the_default(key, value):
    stated = {"ad_id": "ad-1", "features.section": "news", "advertiser_id": "stated"}
    ad = {"ad.topic": "cars", "ad.campaign_id": "campaign-of-the-catalogue", "ad.advertiser_id": "of the catalogue"}
    assert key_value(key, stated, ad, {"user.features.band": "old", "user.consent": "granted"}) == value


@pytest.mark.parametrize(("stated", "declared"), [("denied", ""), ("denied", "granted"), ("", "denied")])
def test_of_a_user_who_denies_consent_nothing_is_known(stated, declared):
    told = {"user_id": "u", **({"consent": stated} if stated else {})}
    user = {"user.features.band": "old", **({"user.consent": declared} if declared else {})}
    assert key_value("user_id", told, {}, user) is None
    assert key_value("user.features.band", told, {}, user) == ""
    assert key_value("consent", told, {}, user) == "denied"


def test_consent_that_is_stated_outweighs_what_was_declared():
    told, user = {"user_id": "u", "consent": "granted"}, {"user.consent": "denied"}
    assert key_value("user_id", told, {}, user) == "u"


def test_an_entity_is_its_values_joined():
    assert entity_name(["men-14", "3"]) == "men-14|3"
    assert entity_name(["a|b", "c\\"]) == "a\\|b|c\\\\"
    assert entity_name(["men-14", None]) is None
    assert entity_name([]) == ""


values = st.lists(st.text(alphabet="a|\\ b"), min_size=1, max_size=4)


@given(values, values)
def test_two_entities_never_share_a_name(one, other):
    assert (entity_name(one) == entity_name(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), ("-2.5", -2.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("true", 1.0), ("false", 0.0)],
)
def test_texts_that_are_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_000", "1d", "0x1p3", "1e999", " 1", "1\n", "\u0661", "yes"])
def test_other_texts_are_no_numbers(text):
    assert math.isnan(number(text))
