"""What is looked up as seldom as can be is what is looked up ad by ad."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from data_contracts.keys import key_tuple, key_values
from serving import lookup as lookup_module
from serving.counts import Snapshot
from serving.inputs import numbers_of
from serving.lookup import LookUp
from serving.requests import Candidate, PredictRequest
from serving.scoring import counted_ads

KEYS = (
    "all", "user_id", "ad_id", "position", "campaign_id", "ad.topic", "device_type", "consent", "user.features.age",
    "features.site", "features.site|ad.topic", "device_type|position", "ad_id|position", "user_id|ad_id",
    "user_id|ad.topic", "user.features.age|ad.topic", "location|advertiser_id", "ad_id|campaign_id",
    "user_id|device_type|ad.topic|position",
)  # fmt: skip
LAYOUT = {text: [f"{text}/{place}" for place in range(1 + number % 2)] for number, text in enumerate(KEYS)}
DOMAINS: Mapping[str, tuple[str, ...]] = {
    "user_id": ("u", "v"), "ad_id": ("a", "b", "c"), "position": ("1", "2"), "campaign_id": ("c1", "unknown"),
    "advertiser_id": ("x|y", "unknown"), "ad.topic": ("cars", "unknown"), "device_type": ("phone", "a\\|b", "unknown"),
    "location": ("fi", "unknown"), "consent": ("granted", "denied", "unknown"), "user.features.age": ("40", ""),
    "features.site": ("news", ""),
}  # fmt: skip
KNOWN = {
    ("ad", "a"): {"ad.topic": "cars", "ad.campaign_id": "c1", "ad.advertiser_id": "x|y", "ad.features.price": "2.5"},
    ("user", "u"): {"user.features.age": "40"},
    ("user", "v"): {"user.features.age": "40", "user.consent": "denied"},
}


def entities() -> dict[tuple[str, ...], tuple[int, ...]]:
    """Counts of every entity that can be, all different."""
    found: dict[tuple[str, ...], tuple[int, ...]] = {}
    for text, names in LAYOUT.items():
        values: list[tuple[str, ...]] = [()]
        for key in key_tuple(text):
            values = [(*before, value) for before in values for value in DOMAINS[key]]
        for own in values:
            found[(text, *own)] = tuple(len(found) * 10 + place for place in range(1, len(names) + 1))
    return found


COUNTED = entities()


def one_by_one(request: PredictRequest, user_id: str) -> list[dict[str, int]]:
    """Each ad's counts by name, each key tuple looked up for itself."""
    rows = []
    for candidate in request.candidates:
        features = {**request.features, **candidate.features}
        columns = ("device_type", "location", "consent", "campaign_id", "advertiser_id")
        stated = {name if name in columns else f"features.{name}": str(value) for name, value in features.items()}
        stated |= {"user_id": user_id, "ad_id": candidate.ad_id, "position": str(candidate.position)}
        ad, user = KNOWN.get(("ad", candidate.ad_id), {}), KNOWN.get(("user", user_id), {})
        row: dict[str, int] = {}
        for text, names in LAYOUT.items():
            values = tuple(key_values(key_tuple(text), stated, ad, user).values())
            row |= dict(zip(names, COUNTED.get((text, *values), (0, 0)), strict=False))  # type: ignore[arg-type]
        rows.append(row)
    return rows


FEATURES = st.fixed_dictionaries(
    {},
    optional={
        "device_type": st.sampled_from(["phone", "a\\|b", "tv"]),
        "location": st.just("fi"),
        "consent": st.sampled_from(["granted", "denied"]),
        "campaign_id": st.sampled_from(["c1", "c9"]),
        "site": st.sampled_from(["news", "x" * 600]),
    },
)
MOST = 40
"""To be remembered, and more than one request asks about."""
REQUESTS = st.builds(
    PredictRequest,
    user_id=st.sampled_from(["u", "v", "never seen"]),
    features=FEATURES,
    candidates=st.lists(
        st.builds(
            Candidate,
            ad_id=st.sampled_from(["a", "b", "c", "never seen", "y" * 600]),
            position=st.integers(1, 3),
            features=st.just({}) | FEATURES,
        ),
        min_size=1,
        max_size=6,
    ),
    is_slate=st.just(True),
)


@pytest.fixture
def snapshot(publish: Callable[..., Path]) -> Snapshot:
    return Snapshot(publish(layout=LAYOUT, entities=COUNTED, attributes=KNOWN, prior=()))


@given(requests=st.lists(REQUESTS, min_size=1, max_size=4))
@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_of_a_slate_are_those_of_each_ad_by_itself(snapshot: Snapshot, requests: list[PredictRequest]) -> None:
    lookup = snapshot.lookup
    for request in requests:
        counts = counted_ads(lookup, request, request.user_id).counts.tolist()
        found = [dict(zip(lookup.names, row, strict=True)) for row in counts]
        assert found == one_by_one(request, request.user_id)


def test_what_is_remembered_is_bounded(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup_module, "REMEMBERED", MOST)
    lookup = snapshot.lookup
    for number in range(50):
        ads = [Candidate(f"ad-{number}-{place}", 1) for place in range(2)]
        counted_ads(lookup, PredictRequest("u", {"site": f"site-{number}"}, ads, is_slate=True), "u")
    assert 1 < len(lookup._ads) <= MOST
    assert 1 < held(lookup) <= 2 * MOST


def test_what_is_remembered_under_one_context_is_bounded_too(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_module, "REMEMBERED", MOST)
    for number in range(50):
        request = PredictRequest("u", {"campaign_id": f"campaign-{number}"}, [Candidate("a", 1)], is_slate=False)
        counted_ads(snapshot.lookup, request, "u")
    assert 1 < held(snapshot.lookup) <= 2 * MOST


def test_the_users_that_are_remembered_are_bounded_by_what_is_known_of_them(
    publish: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    entities = {("user_id|ad_id", f"u-{user}", f"ad-{ad}"): (1,) for user in range(20) for ad in range(10 * user)}
    lookup = Snapshot(publish(layout={"user_id|ad_id": ["n"]}, entities=entities, prior=())).lookup
    monkeypatch.setattr(lookup_module, "REMEMBERED_USER_BYTES", 10_000)
    most = 0
    for user in (*range(20), *range(20)):
        assert len(lookup.user(f"u-{user}").counts[0]) == 10 * user
        most = max(most, sum(len(known.counts[0]) for known in lookup._users.values()))
    assert 190 < most < 1_000


def held(lookup: LookUp) -> int:
    return max(len(lookup._contexts), sum(map(len, lookup._known.values())))


def numbers(snapshot: Snapshot, request: PredictRequest, *keys: str) -> Any:
    return list(numbers_of(request, counted_ads(snapshot.lookup, request, request.user_id), keys))


def test_numbers_come_from_the_request_the_ad_and_the_user(snapshot: Snapshot) -> None:
    own = Candidate("a", 1, {"bid": 8})
    request = PredictRequest("u", {"bid": 7}, [Candidate("a", 2), own, Candidate("b", 1)], is_slate=True)
    keys = ("features.bid", "ad.features.price", "user.features.age", "features.no_such")
    (first, second, third) = numbers(snapshot, request, *keys)
    assert first[:3] == [7.0, 2.5, 40.0]
    assert second[:3] == [8.0, 2.5, 40.0]
    assert (third[0], math.isnan(third[1]), third[2]) == (7.0, True, 40.0)
    assert math.isnan(first[3])


def test_what_a_user_declared_who_denies_consent_is_no_number(snapshot: Snapshot) -> None:
    request = PredictRequest("v", {}, [Candidate("a", 1)], is_slate=False)
    ((age,),) = numbers(snapshot, request, "user.features.age")
    assert math.isnan(age)
