"""Spark's tables and a serving over HTTP together: the parts that the tests of each have."""

from tests.serving.conftest import filled_store
from tests.spark_jobs.conftest import copied_lake, empty_lake, landed, spark

__all__ = ["copied_lake", "empty_lake", "filled_store", "landed", "spark"]
