from serving.requests import Features
from serving.stated import keys_by_feature, stated_by

KEYS = (
    "user_id",
    "ad.topic",
    "user.features.age",
    "device_type",
    "features.section",
    "features.n",
    "features.location",
)


def test_a_column_is_stated_by_its_name_and_context_by_its_own() -> None:
    """`location` is a column, so no context can have that name; what catalogs tell nobody can state."""
    assert keys_by_feature(KEYS) == {
        "device_type": "device_type", "section": "features.section", "n": "features.n",
        "consent": "consent",
    }  # fmt: skip


def test_what_nobody_asks_for_is_left_out_and_the_rest_is_text() -> None:
    features: Features = {"section": "news", "n": 2.0, "consent": "denied", "location": "fi", "is_new": True}
    assert stated_by(features, keys_by_feature(KEYS)) == {
        "features.section": "news", "features.n": "2.0", "consent": "denied",
    }  # fmt: skip
