"""The mappings that are shown to people: conf/imports/obd.toml on its data set, and the examples of docs/import.md."""

import io
import re
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from cli.importing.check import check_import
from cli.importing.import_log import import_log
from cli.importing.tally import Tally
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import Settings, load
from tests.cli.importing.conftest import landed, outcome

ROOT = Path(__file__).parents[3]
OBD = (ROOT / "conf" / "imports" / "obd.toml", ROOT / "data" / "obd_small.tar.gz")


@pytest.fixture(scope="module")
def obd_home(tmp_path_factory) -> Settings:
    return load({"CLICKLAKE_HOME": str(tmp_path_factory.mktemp("obd"))})


@pytest.fixture(scope="module")
def obd(obd_home) -> tuple[Tally, list[dict]]:
    return import_log(obd_home, OBD[0], [OBD[1]], Console(file=io.StringIO())), landed(obd_home)


def test_the_open_bandit_dataset_gives_60000_impressions_287_clicks_and_160_ads(obd):
    tally, lines = obd
    assert outcome(tally) == ({"ad_impressions": 60_000, "clicks": 287, "ads": 160}, {})
    assert Counter(line["table"] for line in lines) == tally.rows
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


def blocks(example: int) -> list[str]:
    """The code blocks of an example of docs/import.md, in their order."""
    page = (ROOT / "docs" / "import.md").read_text()
    (part,) = re.findall(rf"## Example {example}:.*?(?=\n## )", page, re.DOTALL)
    return re.findall(r"```[a-z]+\n(.*?)```", part, re.DOTALL)


@pytest.fixture
def shop(tmp_path, monkeypatch) -> tuple[Path, list[Path]]:
    log, mapping, _ = blocks(1)
    monkeypatch.chdir(tmp_path)
    Path("shop").mkdir()
    Path("shop/views-2024-03-01.csv").write_text(log)
    Path("shop.toml").write_text(mapping)
    return Path("shop.toml"), [Path("shop")]


def test_the_example_with_times_gives_what_the_page_says(settings, shop):
    tally = import_log(settings, *shop, Console(file=io.StringIO()))
    assert outcome(tally) == (
        {"ad_impressions": 2, "clicks": 1},
        {"ad_impressions": {"expected 6 fields, found 2": 1, "position: not a INT": 1}},
    )
    rows = {line["origin"][-1] + line["table"]: line for line in landed(settings)}
    red, blue, click = rows["2ad_impressions"], rows["3ad_impressions"], rows["3clicks"]
    assert rows["4ad_impressions"]["error"] == "expected 6 fields, found 2"
    assert rows["5ad_impressions"]["error"] == "position: not a INT"
    assert red["row"]["features"] == {"price": "9.90", "is_cheap": "false"}
    assert (red["row"]["timestamp"], red["row"]["position"]) == ("2024-03-01T09:00:00.000000Z", 1)
    assert blue["row"]["features"] == {"price": "5.00", "is_cheap": "true"}
    assert click["row"]["timestamp"] == "2024-03-01T09:00:09.000000Z"
    assert click["row"]["impression_id"] == blue["row"]["impression_id"]


def test_a_check_of_the_example_shows_what_the_page_shows_and_writes_nothing(settings, shop):
    shown = io.StringIO()
    check_import(settings, *shop, Console(file=shown, width=160))

    def masked(text: str) -> list[str]:
        return [re.sub(r"^(user_id +).*", r"\1", line).rstrip() for line in text.strip().splitlines()]

    assert masked(shown.getvalue()) == masked(blocks(1)[2])
    assert not settings.home.exists()


def test_the_example_with_only_an_order_gives_what_the_page_says(settings, tmp_path):
    log, mapping = blocks(2)
    (tmp_path / "display.tsv").write_text(log)
    (tmp_path / "display.toml").write_text(mapping)
    tally = import_log(settings, tmp_path / "display.toml", [tmp_path / "display.tsv"], Console(file=io.StringIO()))
    assert outcome(tally) == ({"ad_impressions": 3, "clicks": 1}, {})
    first, second, third, click = landed(settings)
    assert [line["received_at"] for line in (first, second, third)] == [
        "2024-03-01T00:00:00.013000Z", "2024-03-01T00:00:00.026000Z", "2024-03-01T00:00:00.039000Z",
    ]  # fmt: skip
    assert [line["row"]["features"] for line in (first, second, third)] == [
        {"visits": "1", "segment": "68fd1e64"}, {"visits": "2", "segment": "80e26c9b"}, {"segment": "f0cf0024"},
    ]  # fmt: skip
    assert third["row"]["device_type"] == "mobile"
    assert len({line["row"]["user_id"] for line in (first, second, third)}) == 3
    assert click["row"]["timestamp"] == "2024-03-01T00:00:05.013000Z"
    assert click["row"]["impression_id"] == first["row"]["impression_id"]


def test_the_example_with_separate_files_gives_what_the_page_says(settings, tmp_path, monkeypatch):
    log, program, mapping = blocks(3)
    monkeypatch.chdir(tmp_path)
    Path("auctions").mkdir()
    Path("auctions/served-0.jsonl").write_text(log)
    exec(compile(program, "docs/import.md", "exec"), {})
    Path("auctions.toml").write_text(mapping)
    tally = import_log(settings, Path("auctions.toml"), [Path("auctions")], Console(file=io.StringIO()))
    assert outcome(tally) == (
        {"ad_impressions": 2, "clicks": 1},
        {"ad_impressions": {"not valid JSON: Input data was truncated": 1}},
    )
    rows = {line["origin"].split("/")[1] + line["table"]: line for line in landed(settings)}
    red, blue = rows["served-0.jsonl:1ad_impressions"], rows["served-0.jsonl:2ad_impressions"]
    click = rows["clicks.parquet:1clicks"]
    assert (red["row"]["timestamp"], red["row"]["consent"]) == ("2024-03-01T10:00:00.123000Z", "granted")
    assert red["row"]["features"] == {"tags": '["new"]'}
    assert red["row"]["user_id"] == pseudonym(load_key(settings.pseudonym_key), "ann")
    assert (blue["row"]["ad_id"], blue["row"]["campaign_id"], blue["row"]["position"]) == ("blue", "spring", 2)
    assert "consent" not in blue["row"]
    assert click["row"]["impression_id"] == blue["row"]["impression_id"]
    assert (click["row"]["timestamp"], click["received_at"]) == (
        "2024-03-01T10:00:09.000000Z",
        "2024-03-02T00:00:00.000000Z",
    )
