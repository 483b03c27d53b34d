"""What serving takes for the counts of an ad, and for sums, over HTTP, is what the raw events say one by one."""

import random
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from data_contracts.feature_set_files import load_feature_set
from data_contracts.features import DAY, HOUR, MILLION, Count, Sum
from data_contracts.landing import Event, instant_text
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import load
from data_contracts.snapshot import snapshot_time
from spark_jobs import count_events, publish_counts
from spark_jobs.refine_events import refine_batch
from tests.serving.conftest import NOON, environment, running, wait_for
from tests.serving.tiny_registry import Registry, fill

pytestmark = pytest.mark.spark
AS_OF = datetime.fromtimestamp(NOON, UTC)
FILE = Path("tests/parity/summed_features.py").resolve()
FEATURE_SET = load_feature_set(FILE)
ADS, USERS, DEVICES = ("a", "b|c"), ("ann", "bob"), ("phone", "tablet")


@dataclass(frozen=True)
class Shown:
    """An impression, minutes before AS_OF, and the clicks on it: (minutes after it, minutes until known, clicked)."""

    ad: str
    user: str
    device: str
    ago: int
    late: int
    is_denied: bool
    is_told_twice: bool
    clicks: list[tuple[int, int, bool]]

    @property
    def at(self) -> datetime:
        return AS_OF - timedelta(minutes=self.ago)

    @property
    def known_at(self) -> datetime:
        return self.at + timedelta(minutes=self.late)


def raw_events(number: int, shown: Shown, key: bytes) -> Iterator[Event]:
    row = {
        "impression_id": f"impression-{number}",
        "user_id": pseudonym(key, shown.user),
        "ad_id": shown.ad,
        "device_type": shown.device,
        "timestamp": instant_text(shown.at),
        "position": 1,
        **({"consent": "denied"} if shown.is_denied else {}),
    }
    yield Event("ad_impressions", shown.known_at, row)
    if shown.is_told_twice:
        yield Event("ad_impressions", shown.known_at + timedelta(hours=30), row)
    for place, (after, late, clicked) in enumerate(shown.clicks):
        at = shown.at + timedelta(minutes=after)
        click = {"click_id": f"click-{number}-{place}", "impression_id": row["impression_id"], "clicked": clicked}
        yield Event("clicks", at + timedelta(minutes=late), click | {"timestamp": instant_text(at)})


def brute_force(
    count: Count, events: list[Shown], ad: str, user: str | None, device: str, as_of: datetime = AS_OF
) -> int:
    """One impression after another, by the definitions in words."""
    wanted = {"ad_id": ad, "user_id": user, "device_type": device}
    total = 0
    for shown in events:
        own = {"ad_id": shown.ad, "user_id": None if shown.is_denied else shown.user, "device_type": shown.device}
        if any(own[key] is None or own[key] != wanted[key] for key in count.keys):
            continue
        known_at = [shown.known_at]
        if count.event == "clicks":
            known = [
                shown.at + timedelta(minutes=after + late)
                for after, late, clicked in shown.clicks
                if clicked and 0 <= after * 60 < DAY and (after + late) * 60 < DAY + HOUR
            ]
            if not known:
                continue
            known_at.append(min(known))
        total += as_of - timedelta(seconds=count.window) <= max(known_at) < as_of
    return total


def brute_force_sum(asked: Sum, events: list[Shown]) -> int:
    """Each impression once more, with the counts that it was scored with, in millionths."""
    total = 0
    for shown in events:
        if AS_OF - timedelta(seconds=asked.window) <= shown.known_at < AS_OF:
            seen = datetime.fromtimestamp(snapshot_time(min(shown.at, shown.known_at).timestamp()), UTC)
            user = None if shown.is_denied else shown.user
            row = {"position": 1.0, "timestamp": shown.at.timestamp()}
            row |= {c.name: brute_force(c, events, shown.ad, user, shown.device, seen) for c in FEATURE_SET.counts}
            by_name = dict(zip(FEATURE_SET.feature_names, FEATURE_SET.row(row), strict=True))
            total += round(float(np.float32(by_name[asked.feature])) * MILLION)
    return total


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A tiny model with sums takes the traffic."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'store.db'}")
        fill(folder, FILE, faults=("",))
        Registry(f"sqlite:///{folder / 'store.db'}").promote(1)
        yield


def served(lake_in: Any, landed: Any, folder: Path, events: list[Shown], user: str) -> dict[tuple[str, str], Any]:
    """The counts that serving logs for each ad and device, asked by `user`, after the events went through Spark."""
    environ = environment(folder)
    with Path(environ["CLICKLAKE_CONF"]).open("a") as conf:
        conf.write(f'[features]\nfeature_set = "{FILE}"\n')
    own = load(environ)
    lake = lake_in(own.home)
    lake = replace(
        lake, settings=replace(own, services=replace(own.services, spark_port=lake.settings.services.spark_port))
    )
    key = load_key(own.pseudonym_key)
    refine_batch(
        lake, landed(*[each for number, shown in enumerate(events) for each in raw_events(number, shown, key)])
    )
    count_events.main(lake, AS_OF, Namespace(anew=False))
    publish_counts.main(lake, AS_OF, Namespace())
    asked = [(ad, device) for ad in (*ADS, "never shown") for device in DEVICES]
    with running(own) as serving:
        wait_for(lambda: serving.application.models.current and serving.application.snapshots.current)
        ads = [{"ad_id": ad, "features": {"device_type": device}} for ad, device in asked]
        answer = serving.predict({"user_id": user, "ads": ads})
        assert answer["source"] == "model"
        logged = {row["prediction_id"]: row["features"] for row in serving.logged()}
    return {pair: logged[told["prediction_id"]] for pair, told in zip(asked, answer["predictions"], strict=True)}


def stream(seed: int) -> list[Shown]:
    """80 impressions; every third around the edge of the window, or of AS_OF."""
    drawn = random.Random(seed)
    edges = (0, 7 * 24 * 60)

    def ago(number: int) -> int:
        if number % 3:
            return drawn.randrange(1, 9 * 24 * 60)
        return max(1, drawn.choice(edges) + drawn.randrange(-200, 200))

    def clicks() -> list[tuple[int, int, bool]]:
        after = (lambda: drawn.randrange(-5, 60), lambda: drawn.randrange(22 * 60, 27 * 60))
        return [(drawn.choice(after)(), drawn.randrange(300), drawn.random() < 0.8) for _ in range(drawn.randrange(3))]

    return [
        Shown(
            ad=drawn.choice(ADS),
            user=drawn.choice(USERS),
            device=drawn.choice(DEVICES),
            ago=ago(number),
            late=drawn.choice((0, drawn.randrange(120))),
            is_denied=drawn.random() < 0.2,
            is_told_twice=drawn.random() < 0.2,
            clicks=clicks(),
        )
        for number in range(80)
    ]


@given(st.integers(0, 2**32).map(stream), st.sampled_from(USERS))
@settings(
    max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_served_counts_are_those_of_the_raw_events(
    champion: None, copied_lake: Any, landed: Any, tmp_path_factory: pytest.TempPathFactory, events: Any, user: str
) -> None:
    found = served(copied_lake, landed, tmp_path_factory.mktemp("served"), events, user)
    expected = {
        (ad, device): {count.name: brute_force(count, events, ad, user, device) for count in FEATURE_SET.counts}
        for ad, device in found
    }
    names = [count.name for count in FEATURE_SET.counts]
    assert {pair: {name: row[name] for name in names} for pair, row in found.items()} == expected
    assert all(sum(counts.values()) > 10 for (ad, _), counts in expected.items() if ad in ADS)
    sums = {each.name: brute_force_sum(each, events) for each in FEATURE_SET.sums}
    assert all({name: row[name] for name in sums} == sums for row in found.values())
    assert all(sums.values())
