"""A market as a whole: the same seed gives the same bytes, and what lands is what the truth says."""

import hashlib
from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_contracts.labels import label_state
from data_contracts.tables import LANDED
from tests.simulator.conftest import QUIET, SEED, START, knobs_with, landed, market, written


@pytest.fixture(scope="module")
def folder(knobs, tmp_path_factory):
    return written(market(knobs), tmp_path_factory.mktemp("market"))


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_gives_the_same_bytes_and_another_others(knobs, folder, tmp_path):
    assert digests(written(market(knobs), tmp_path / "again")) == digests(folder)
    other = digests(written(market(knobs, seed=SEED + 1), tmp_path / "other"))
    assert not set(other.values()) & (set(digests(folder).values()) - {hashlib.sha256(b"").hexdigest()})


def test_a_longer_market_has_the_same_first_days(knobs, folder, tmp_path):
    longer = written(market(knobs, days=3), tmp_path)
    for path in folder.glob("truth/*.parquet"):
        assert pq.read_table(longer / "truth" / path.name).to_pylist() == pq.read_table(path).to_pylist()


def rows(folder, table):
    return [line for line in landed(folder) if line["table"] == table]


def test_events_come_twice_late_and_broken_as_often_as_the_knobs_say(knobs, tmp_path):
    loud = knobs_with(
        arrival={"duplicate_share": 0.1, "malformed_share": 0.05, "late_share": 0.2}, size={"users": 3_000}
    )
    shown = rows(written(market(loud), tmp_path), "ad_impressions")
    ids = Counter(line["row"]["impression_id"] for line in shown)
    broken = sum(each.startswith("broken-") for each in ids)
    assert broken / len(shown) == pytest.approx(0.05, abs=0.01)
    assert sum(number > 1 for number in ids.values()) / len(ids) == pytest.approx(0.1, abs=0.02)
    late = [line for line in shown if not line["row"]["impression_id"].startswith("broken-")]
    waited = [
        datetime.fromisoformat(line["received_at"]) - datetime.fromisoformat(line["row"]["timestamp"]) for line in late
    ]
    assert np.mean([each > timedelta(minutes=10) for each in waited]) == pytest.approx(0.18, abs=0.03)
    times = [line["row"]["timestamp"] for line in late]
    assert times != sorted(times)


def test_what_arrives_twice_is_the_same_row(folder):
    for table in ("ad_impressions", "clicks"):
        first: dict[str, dict] = {}
        for line in rows(folder, table):
            assert first.setdefault(line["row"][LANDED[table].key[0]], line["row"]) == line["row"]


def test_lines_land_in_the_order_in_which_they_arrive_and_none_after_the_end(folder):
    received = [line["received_at"] for line in rows(folder, "ad_impressions")]
    assert received == sorted(received)
    assert received[-1] < "2026-01-03"


def test_the_truth_is_what_the_labels_of_the_lines_come_to(tmp_path):
    """Clicks that count by data_contracts.labels, against the sum of the true probabilities: within 4 sigma."""
    eager = knobs_with(
        size={"users": 3_000}, response={"click_rate": 0.3}, arrival={**QUIET, "late_share": 0.2},
        delay={"days_share": 0.5},
    )  # fmt: skip
    folder = written(market(eager, days=4, impressions=5_000), tmp_path)
    clicks: dict[str, list[tuple[float, float]]] = {}
    for line in rows(folder, "clicks"):
        moments = (datetime.fromisoformat(at).timestamp() for at in (line["row"]["timestamp"], line["received_at"]))
        clicks.setdefault(line["row"]["impression_id"], []).append(tuple(moments))
    end = (START + timedelta(days=4)).timestamp()
    shown = {line["row"]["impression_id"]: line["row"]["timestamp"] for line in rows(folder, "ad_impressions")}
    expected = variance = observed = ever = 0.0
    for day in ("2026-01-01", "2026-01-02"):
        truth = pq.read_table(folder / "truth" / f"{day}.parquet")
        for impression, probability in (
            truth.select(["impression_id", "probability"]).to_pandas().itertuples(index=False)
        ):
            at = datetime.fromisoformat(shown[impression]).timestamp()
            observed += label_state(at, clicks.get(impression, []), end) == "clicked"
            ever += impression in clicks
            expected += probability
            variance += probability * (1 - probability)
    assert observed == pytest.approx(expected, abs=4 * np.sqrt(variance))
    assert ever > expected + 4 * np.sqrt(variance)  # clicks that came too late: a truth without maturity would be wrong


def test_the_truth_knows_who_is_a_bot_and_when_an_ad_was_launched(knobs, folder):
    truth = pq.read_table(folder / "truth" / "2026-01-02.parquet").to_pydict()
    count = len(truth["actor"])
    assert Counter(truth["actor"])["crawler"] == int(count * knobs.bots.crawler_share)
    assert {day for day in truth["launch_day"] if day >= 0} == {0, 1}
    shown = {line["row"]["impression_id"]: line["row"] for line in rows(folder, "ad_impressions")}
    columns = (truth[name] for name in ("impression_id", "ad_id", "campaign_id"))
    for impression, ad, campaign in zip(*columns, strict=True):
        if impression in shown:
            assert (shown[impression]["ad_id"], shown[impression]["campaign_id"]) == (ad, campaign)
