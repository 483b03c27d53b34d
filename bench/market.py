"""Simulated markets brought into the tables of a home of their own, on a Spark server apart from any platform."""

import io
import os
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from rich.console import Console

from bench import spark_server
from bench.first_run import overlay
from cli.simulate import simulate
from data_contracts.settings import Settings, load
from spark_jobs import label_impressions, load_events, refine_events
from spark_jobs.session import Lake, connect

DAYS, START = 14, "2026-01-05"
END = datetime.fromisoformat(START).replace(tzinfo=UTC) + timedelta(days=DAYS)


@contextmanager
def spark_home() -> Iterator[Settings]:
    """Settings of a new home with a Spark server that listens; both are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="clicklake-bench-"))
    settings = load({"CLICKLAKE_HOME": str(folder / "home"), "CLICKLAKE_CONF": str(overlay(folder))})
    settings.home.mkdir(parents=True)
    server = spark_server.started(settings)
    try:
        yield settings
    finally:
        spark_server.ended(server)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def market(settings: Settings, seed: int, impressions: int, knobs: str = "") -> Iterator[Lake]:
    """The lake of a market of `impressions` a day until END, refined and labelled, in a home within `settings.home`.

    This process's MLflow is a new store in that home, without a server. `knobs` replace those of conf/market.toml.
    """
    own = replace(settings, home=settings.home / f"{seed}-{impressions}")
    own.home.mkdir()
    own_registry(own)
    changes = own.home / "knobs.toml"
    changes.write_text(knobs)
    simulate(own, Console(file=io.StringIO()), DAYS, impressions, seed, START, changes)
    spark = connect(own)
    try:
        lake = Lake(spark, own)
        load_events.main(lake, END, Namespace())
        refine_events.main(lake, END, Namespace(let_bad_batch_through=False))
        label_impressions.main(lake, END, Namespace())
        yield lake
    finally:
        spark.stop()
        shutil.rmtree(own.home, ignore_errors=True)


def own_registry(settings: Settings) -> MlflowClient:
    """An MLflow store of its own in `settings.home`, without a server; MLFLOW_TRACKING_URI and MLflow itself name it
    from here on."""
    uri = f"sqlite:///{settings.home / 'mlflow.db'}"
    os.environ["MLFLOW_TRACKING_URI"] = uri
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(tracking_uri=uri)
    if client.get_experiment_by_name(settings.model_name) is None:
        client.create_experiment(settings.model_name, artifact_location=str(settings.home / "artifacts"))
    return client
