"""The bench's own platform."""

from pathlib import Path

from bench.first_run import overlay
from data_contracts.settings import load


def test_the_bench_runs_on_ports_of_its_own(tmp_path: Path) -> None:
    services = load({"CLICKLAKE_CONF": str(overlay(tmp_path))}).services
    ports = {services.spark_port, services.airflow_port, services.mlflow_port, services.serving_port}
    assert len(ports) == 4
    assert not ports & {15002, 8080, 5000, 8000}
