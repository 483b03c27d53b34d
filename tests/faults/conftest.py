"""A lake wherever a fault is to strike, on the one Spark server of the run."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from data_contracts.settings import Settings
from spark_jobs.session import Lake


@pytest.fixture
def lake_at(spark_settings: Settings) -> Iterator[Callable[[Path], Lake]]:
    session = SparkSession.builder.remote(spark_settings.spark_remote).create()
    yield lambda home: Lake(session, replace(spark_settings, home=home))
    session.stop()
