"""The whole platform on real data, as a newcomer meets it: `clicklake run`, then everything the README says."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from cli.airflow import Airflow
from dags.pools import WRITERS
from data_contracts import lake, registry
from spark_jobs.session import connect
from tests.conftest import free_port
from tests.end_to_end.conftest import Platform, ran

pytestmark = pytest.mark.end_to_end


def test_a_run_leaves_no_files_in_the_temporary_folder(platform):
    assert list(Path(platform.environ["TMPDIR"]).iterdir()) == []


def counted(platform: Platform, query: str) -> int:
    ((count,),) = lake.open_lake(platform.settings).sql(query).fetchall()
    return int(count)


def test_the_first_run_ends_with_a_prediction_the_champions_numbers_a_query_and_the_login(platform):
    said = platform.first_run
    assert re.search(r'200 \{.*"probability":', said)
    assert re.search(r"champion ad_ctr version 1: holdout log loss 0\.\d+", said)
    assert "nothing better stands" in " ".join(said.split())
    assert re.search(r"random\W+30000\W+130", said)
    for url in (platform.settings.airflow_url, platform.settings.mlflow_url, platform.settings.serving_url):
        assert url in said


def test_each_writer_has_a_pool_of_one_slot_and_maintenance_has_not_started_by_itself(platform):
    with Airflow(platform.settings) as airflow:
        pools = airflow._call("GET", "/api/v2/pools")["pools"]
        maintained = airflow._call("GET", "/api/v2/dags/maintain_tables/dagRuns")["dag_runs"]
    slots = {pool["name"]: pool["slots"] for pool in pools}
    assert {name: slots.get(name) for name in WRITERS} == dict.fromkeys(WRITERS, 1)
    assert maintained == []


def test_duckdb_and_spark_sql_count_the_same_60000_impressions_and_287_clicks(platform):
    spark = connect(platform.settings)
    for table, rows in (("ad_impressions", 60_000), ("clicks", 287), ("ads", 160)):
        path = platform.settings.lake / table
        assert counted(platform, f"SELECT count(*) FROM {table}") == rows
        assert spark.sql(f"SELECT count(*) FROM delta.`{path}`").collect()[0][0] == rows
    spark.stop()
    assert counted(platform, "SELECT count(*) FROM rejected_events") == 0


def test_a_second_run_and_a_forced_second_import_change_no_row(platform):
    hashes = "SELECT sum(hash(impression_id, content_hash, origin)) FROM ad_impressions"
    before = counted(platform, hashes)
    assert "nothing to do" in platform.clicklake("run")
    platform.clicklake("import", "--again", "conf/imports/obd.toml", "data/obd_small.tar.gz")
    ingest(platform)
    assert counted(platform, "SELECT count(*) FROM raw_events") > 120_000
    assert counted(platform, "SELECT count(*) FROM clicks") == 287
    assert counted(platform, hashes) == before
    assert counted(platform, "SELECT count(*) FROM rejected_events") == 0


def ingest(platform: Platform) -> None:
    as_of = "2019-11-30T23:00:00Z"
    for job in ("load_events", "refine_events"):
        ran([sys.executable, "-m", f"spark_jobs.{job}", "--as-of", as_of], platform.environ)


def predicted(platform: Platform, body: dict) -> dict:
    answer = httpx.post(f"{platform.settings.serving_url}/predict", json=body, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_predictions_reach_the_table_and_mlflow_models_serve_gives_them_bit_for_bit(platform):
    ads = [{"ad_id": f"{campaign}-{item}"} for campaign in ("all", "men", "women") for item in range(5)]
    answered = predicted(platform, {"user_id": "someone", "ads": ads, "features": {"position": 2}})
    assert answered["source"] == "model"
    given = {row["prediction_id"]: row["probability"] for row in answered["predictions"]}
    query = "SELECT prediction_id, probability, features FROM model_predictions WHERE request_id = ?"
    logged: list[tuple] = []
    deadline = time.monotonic() + 120
    while not logged and time.monotonic() < deadline:  # the segment that holds them is sealed after a while
        time.sleep(platform.settings.serving.segment_limit_seconds)
        ingest(platform)
        logged = lake.open_lake(platform.settings).execute(query, [answered["request_id"]]).fetchall()
    assert {prediction: probability for prediction, probability, _ in logged} == given
    inputs = [dict(features) for _, _, features in logged]
    assert served_by_mlflow(platform, answered["model_version"], inputs) == [p for _, p, _ in logged]


def served_by_mlflow(platform: Platform, version: str, inputs: list[dict]) -> list[float]:
    port = free_port()
    model = f"models:/{platform.settings.model_name}/{version}"
    command = [str(Path(sys.prefix) / "bin" / "mlflow"), "models", "serve", "-m", model, "-p", str(port)]
    environ = platform.environ | {"MLFLOW_TRACKING_URI": platform.settings.mlflow_url}
    environ |= {"PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"}
    server = subprocess.Popen([*command, "--env-manager", "local"], env=environ, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/ping")
        body = {"dataframe_records": inputs}
        answer = httpx.post(f"http://127.0.0.1:{port}/invocations", json=body, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text
        return [row["probability"] for row in answer.json()["predictions"]]
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=20)


def wait_for(url: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    pytest.fail(f"{url} did not answer")


def test_a_malformed_line_is_rejected_with_its_origin_and_the_good_lines_go_on(platform, tmp_path):
    mapping, log = tmp_path / "log.toml", tmp_path / "log.csv"
    log.write_text("id,at,ad\ni-1,2019-11-30T10:00:00Z,men-1\ni-2,2019-11-30\ni-3,noon,men-1\n")
    mapping.write_text(LOG_MAPPING)
    platform.clicklake("import", str(mapping), str(log))
    ingest(platform)
    connection = lake.open_lake(platform.settings)
    rejected = connection.sql("SELECT origin, reason FROM rejected_events ORDER BY origin").fetchall()
    assert rejected == [("log.csv:3", "expected 3 fields, found 2"), ("log.csv:4", "timestamp: not a TIMESTAMP")]
    assert counted(platform, "SELECT count(*) FROM ad_impressions WHERE impression_id LIKE 'i-%'") == 1


LOG_MAPPING = r"""
[[ad_impressions]]
members = 'log\.csv'
[ad_impressions.columns]
impression_id = "id"
user_id = "'someone'"
ad_id = "ad"
timestamp = "at"
"""


def test_the_champion_was_promoted_by_a_verdict_that_is_honest_about_these_clicks(platform):
    champion = registry.champion(platform.settings)
    assert champion.verdict.outcome == "promote"
    assert 0.98 < champion.metrics["holdout_normalized_entropy"] < 1.05
    assert champion.metrics["holdout_auc"] < 0.68  # more would be a leak: these clicks cannot be learnt
