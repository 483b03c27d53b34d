"""The mappings that are shown to people: conf/imports/obd.toml on its data set, and the example of docs/import.md."""

import io
import re
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from cli.import_log import Imported, import_log
from data_contracts.landing import read_segment
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import Settings, load

ROOT = Path(__file__).parents[2]
OBD = (ROOT / "conf" / "imports" / "obd.toml", ROOT / "data" / "obd_small.tar.gz")


def landed(settings: Settings) -> list[dict]:
    return [line for path in sorted(settings.landing.glob("*/*.jsonl")) for line in read_segment(path)]


@pytest.fixture(scope="module")
def obd_home(tmp_path_factory) -> Settings:
    return load({"CLICKLAKE_HOME": str(tmp_path_factory.mktemp("obd"))})


@pytest.fixture(scope="module")
def obd(obd_home) -> tuple[Imported, list[dict]]:
    return import_log(obd_home, *OBD, Console(file=io.StringIO())), landed(obd_home)


def test_the_open_bandit_dataset_gives_60000_impressions_287_clicks_and_160_ads(obd):
    imported, lines = obd
    assert imported == Imported({"ad_impressions": 60_000, "clicks": 287, "ads": 160}, {})
    assert Counter(line["table"] for line in lines) == imported.rows
    clicks = Counter(
        line["origin"].split("/")[2] + "/" + line["origin"].split("/")[3] for line in lines if line["table"] == "clicks"
    )
    assert clicks == {
        "random/all": 38, "random/men": 46, "random/women": 46, "bts/all": 42, "bts/men": 69, "bts/women": 46,
    }  # fmt: skip


def test_ids_of_the_open_bandit_dataset_are_unique_and_fit_each_other(obd):
    _, lines = obd
    rows = {
        table: [line["row"] for line in lines if line["table"] == table]
        for table in ("ad_impressions", "clicks", "ads")
    }
    impressions = {row["impression_id"]: row for row in rows["ad_impressions"]}
    assert len(impressions) == 60_000
    assert len({row["click_id"] for row in rows["clicks"]}) == 287
    assert {row["ad_id"] for row in rows["ads"]} == {row["ad_id"] for row in rows["ad_impressions"]}
    assert {impressions[row["impression_id"]]["user_id"] == row["user_id"] for row in rows["clicks"]} == {True}
    assert len({row["user_id"] for row in rows["ad_impressions"]}) == 337


def test_a_line_of_the_open_bandit_dataset_by_hand(obd):
    _, lines = obd
    origin = "obd_small.tar.gz/obd/random/men/men.csv:2"
    (line,) = (line for line in lines if line["origin"] == origin)
    assert (line["table"], line["received_at"]) == ("ad_impressions", "2019-11-24T00:03:13.442536Z")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", line["row"]["user_id"])
    row = {name: value for name, value in line["row"].items() if name != "user_id"}
    assert row == {
        "ad_id": "men-14",
        "advertiser_id": "zozo",
        "campaign_id": "men",
        "experiment": "obd_policy",
        "features": {
            "user_feature_0": "cef3390ed299c09874189c387777674a",
            "user_feature_1": "03a5648a76832f83c859d46bc06cb64a",
            "user_feature_2": "7bc94a2da491829b777c49c4b5e480f2",
            "user_feature_3": "9bde591ffaab8d54c457448e4dca6f53",
        },
        "impression_id": "39b9722a-dc5b-6b86-655a-aa717feae22f",
        "position": 3,
        "propensity": 0.029411764705882353,
        "timestamp": "2019-11-24T00:03:13.442536Z",
        "variant": "random",
    }


def test_a_cohort_can_be_named_by_a_person(obd_home, obd):
    _, lines = obd
    known = {line["row"]["user_id"] for line in lines if line["table"] == "ad_impressions"}
    assert pseudonym(load_key(obd_home.pseudonym_key), "cohort-6d26bfd8") in known


def test_a_click_of_the_open_bandit_dataset_is_a_second_after_its_impression_and_known_at_once(obd):
    _, lines = obd
    click = next(line for line in lines if line["table"] == "clicks")
    assert (click["origin"], click["received_at"]) == (
        "obd_small.tar.gz/obd/random/men/men.csv:468",
        "2019-11-24T06:22:49.087590Z",
    )
    assert (click["row"]["clicked"], click["row"]["timestamp"]) == (True, "2019-11-24T06:22:49.087590Z")
    impression = next(line for line in lines if line["table"] == "ad_impressions" and line["origin"] == click["origin"])
    assert impression["row"]["timestamp"] == "2019-11-24T06:22:48.087590Z"


def test_the_example_of_the_docs_gives_what_they_say(settings, tmp_path):
    page = (ROOT / "docs" / "import.md").read_text()
    (log,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    (mapping,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "views-2024-03-01.csv").write_text(log)
    (tmp_path / "shop.toml").write_text(mapping)
    imported = import_log(settings, tmp_path / "shop.toml", tmp_path / "shop", Console(file=io.StringIO()))
    assert imported == Imported({"ad_impressions": 2, "clicks": 1}, {"ad_impressions": 1})
    red, blue, click, bad = sorted(
        landed(settings), key=lambda line: (line["row"] is None, line["table"], line["origin"])
    )
    assert (bad["origin"], bad["error"]) == ("shop/views-2024-03-01.csv:4", "expected 6 fields, found 2")
    assert red["row"]["features"] == {"price": "9.90", "is_cheap": "false"}
    assert (red["row"]["timestamp"], red["row"]["position"]) == ("2024-03-01T09:00:00.000000Z", 1)
    assert blue["row"]["features"] == {"price": "5.00", "is_cheap": "true"}
    assert click["row"]["timestamp"] == "2024-03-01T09:00:09.000000Z"
    assert click["row"]["impression_id"] == blue["row"]["impression_id"]
