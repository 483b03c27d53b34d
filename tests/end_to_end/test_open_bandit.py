"""The platform on the Open Bandit Dataset: `clicklake run --data obd`, and what cannot be told of a drawn market."""

import re
import sys
from collections.abc import Iterator

import pytest

from cli.errors import CommandError
from cli.samples import claimed
from data_contracts import lake, registry
from spark_jobs.session import connect
from tests.end_to_end.conftest import Platform, ran, running

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def bandit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("bandit"), "", (), "--data", "obd") as platform:
        yield platform


def counted(platform: Platform, query: str) -> int:
    ((count,),) = lake.open_lake(platform.settings).sql(query).fetchall()
    return int(count)


def ingest(platform: Platform) -> None:
    for job in ("load_events", "refine_events"):
        ran([sys.executable, "-m", f"spark_jobs.{job}", "--as-of", "2019-11-30T23:00:00Z"], platform.environ)


def test_the_run_says_honestly_what_287_clicks_are_worth(bandit):
    assert re.search(r"champion ad_ctr version 1: holdout log loss 0\.\d+", bandit.first_run)
    assert re.search(r"random\W+30000\W+130", bandit.first_run)
    champion = registry.champion(bandit.settings)
    assert champion.verdict.outcome == "promote"
    assert 0.98 < champion.metrics["holdout_normalized_entropy"] < 1.05
    assert champion.metrics["holdout_auc"] < 0.68  # more would be a leak: these clicks cannot be learnt


def test_duckdb_and_spark_sql_count_the_same_60000_impressions_and_287_clicks(bandit):
    spark = connect(bandit.settings)
    for table, rows in (("ad_impressions", 60_000), ("clicks", 287), ("ads", 160)):
        assert counted(bandit, f"SELECT count(*) FROM {table}") == rows
        found = spark.sql(f"SELECT count(*) FROM delta.`{bandit.settings.lake / table}`").collect()
        assert found[0][0] == rows
    spark.stop()
    assert counted(bandit, "SELECT count(*) FROM rejected_events") == 0


def test_a_second_run_and_a_forced_second_import_change_no_row(bandit):
    hashes = "SELECT sum(hash(impression_id, content_hash, origin)) FROM ad_impressions"
    before = counted(bandit, hashes)
    assert "nothing to do" in bandit.clicklake("run")
    bandit.clicklake("import", "--again", "conf/imports/obd.toml", "data/obd_small.tar.gz")
    ingest(bandit)
    assert counted(bandit, "SELECT count(*) FROM raw_events") > 120_000
    assert counted(bandit, "SELECT count(*) FROM clicks") == 287
    assert counted(bandit, hashes) == before
    assert counted(bandit, "SELECT count(*) FROM rejected_events") == 0


def test_no_market_is_added_to_it(bandit):
    with pytest.raises(CommandError, match="holds the Open Bandit Dataset"):
        claimed(bandit.settings.home, "market")


def test_a_malformed_line_is_rejected_with_its_origin_and_the_good_lines_go_on(bandit, tmp_path):
    mapping, log = tmp_path / "log.toml", tmp_path / "log.csv"
    log.write_text("id,at,ad\ni-1,2019-11-30T10:00:00Z,men-1\ni-2,2019-11-30\ni-3,noon,men-1\n")
    mapping.write_text(LOG_MAPPING)
    bandit.clicklake("import", str(mapping), str(log))
    ingest(bandit)
    connection = lake.open_lake(bandit.settings)
    ours = "SELECT origin, reason FROM rejected_events WHERE origin LIKE 'log.csv%' ORDER BY origin"
    rejected = connection.sql(ours).fetchall()
    assert rejected == [("log.csv:3", "expected 3 fields, found 2"), ("log.csv:4", "timestamp: not a TIMESTAMP")]
    assert counted(bandit, "SELECT count(*) FROM ad_impressions WHERE impression_id LIKE 'i-%'") == 1


LOG_MAPPING = r"""
[[ad_impressions]]
members = 'log\.csv'
[ad_impressions.columns]
impression_id = "id"
user_id = "'someone'"
ad_id = "ad"
timestamp = "at"
"""
