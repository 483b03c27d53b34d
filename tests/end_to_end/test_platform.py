"""The whole platform on a market, as a newcomer meets it: `clicklake run`, then what the README says of it."""

import csv
import io
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from cli.airflow import Airflow
from cli.samples import as_of
from dags.pools import WRITERS
from data_contracts import lake, registry
from data_contracts.tables import TABLES
from spark_jobs.session import connect
from tests.conftest import free_port
from tests.end_to_end.conftest import ROOT, Platform, ran

pytestmark = pytest.mark.end_to_end


def test_a_run_leaves_no_files_in_the_temporary_folder(platform):
    assert list(Path(platform.environ["TMPDIR"]).iterdir()) == []


def counted(platform: Platform, query: str) -> int:
    ((count,),) = lake.open_lake(platform.settings).sql(query).fetchall()
    return int(count)


def test_the_first_run_ends_with_the_champions_numbers_the_truth_a_prediction_a_query_and_the_login(platform):
    said = platform.first_run
    assert re.search(r"champion ad_ctr version 1: holdout log loss 0\.\d+", said)
    assert "nothing better stands" in " ".join(said.split())
    run = registry.champion(platform.settings).run_id
    assert re.search(rf"{platform.settings.mlflow_url}/#/experiments/\d+/runs/{run}\n", said)
    rows, calibration, entropy, least, explained = re.search(
        r"^all +([\d,]+) +(\S+) +(\S+) +(\S+) +(\S+)%", said, re.M
    ).groups()
    assert 7_000 < int(rows.replace(",", "")) < 8_500
    assert 0.8 < float(calibration) < 1.25
    assert float(least) < float(entropy) < 1
    assert 10 < float(explained) < 100
    assert re.search(r'200 \{.*"source":"model".*"probability":', said)
    assert re.search(r"none\W+\d+\W+\d+", said)
    for url in (platform.settings.airflow_url, platform.settings.mlflow_url, platform.settings.serving_url):
        assert url in said


def test_each_writer_has_a_pool_of_one_slot_and_maintenance_has_not_started_by_itself(platform):
    with Airflow(platform.settings) as airflow:
        pools = airflow._call("GET", "/api/v2/pools")["pools"]
        maintained = airflow._call("GET", "/api/v2/dags/maintain_tables/dagRuns")["dag_runs"]
    slots = {pool["name"]: pool["slots"] for pool in pools}
    assert {name: slots.get(name) for name in WRITERS} == dict.fromkeys(WRITERS, 1)
    assert maintained == []


def test_duckdb_and_spark_sql_count_the_same(platform):
    spark = connect(platform.settings)
    for table in ("ad_impressions", "clicks", "ads", "users", "rejected_events"):
        found = spark.sql(f"SELECT count(*) FROM delta.`{platform.settings.lake / table}`").collect()[0][0]
        assert counted(platform, f"SELECT count(*) FROM {table}") == found > 0
    spark.stop()
    assert 71_000 < counted(platform, "SELECT count(*) FROM ad_impressions") <= 72_000


def test_the_question_to_the_truth_works_as_its_page_has_it(platform):
    page = (ROOT / "docs" / "market.md").read_text()
    (command,) = re.findall(r"^```sh\n(\.venv/bin/clicklake sql .*?)^```", page, flags=re.S | re.M)
    command = command.replace("'var/", f"'{platform.settings.home}/").replace("sql -c", "sql --format csv -c")
    (row,) = csv.DictReader(io.StringIO(ran(["bash", "-c", command], platform.environ)))
    mature = counted(platform, "SELECT count(*) FROM labels WHERE matures_at <= as_of")
    assert int(row["impressions"]) == mature > 0
    ctr = float(row["ctr"])
    of_constant = -ctr * math.log(ctr) - (1 - ctr) * math.log(1 - ctr)
    assert 0.75 < float(row["oracle"]) / of_constant < 0.95


def test_a_second_run_changes_no_row(platform):
    def state() -> list[int]:
        hashes = "SELECT coalesce(sum(hash({0})) % 1000000007, 0) FROM {0}"
        return [counted(platform, hashes.format(each)) for each in sorted(TABLES)]

    before = state()
    said = platform.clicklake("run")
    assert "was simulated before: nothing to do" in said
    assert "done before" in said
    assert state() == before


def ingest(platform: Platform) -> None:
    instant = as_of(platform.settings, "market")
    for job in ("load_events", "refine_events"):
        ran([sys.executable, "-m", f"spark_jobs.{job}", "--as-of", instant], platform.environ)


def predicted(platform: Platform, body: dict) -> dict:
    answer = httpx.post(f"{platform.settings.serving_url}/predict", json=body, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_predictions_reach_the_table_and_mlflow_models_serve_gives_them_bit_for_bit(platform):
    ads = [{"ad_id": f"ad-{number:05}"} for number in range(0, 450, 30)]
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


def test_the_champion_was_promoted_by_its_verdict_and_knows_something(platform):
    champion = registry.champion(platform.settings)
    assert champion.verdict.outcome == "promote"
    assert champion.metrics["holdout_normalized_entropy"] < 0.98
    assert champion.metrics["holdout_auc"] > 0.6
