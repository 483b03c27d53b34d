from argparse import Namespace

import pytest

from data_contracts.landing import Event
from data_contracts.tables import CLICKS, VALIDATION_RESULTS
from spark_jobs.refine_events import refine_batch
from spark_jobs.session import JobError
from spark_jobs.validate_table import main
from tests.spark_jobs.conftest import NOON, click

pytestmark = pytest.mark.spark


@pytest.fixture
def clicks(lake, landed):
    refine_batch(lake, landed(Event("clicks", NOON, click(1))))
    return lake


def test_a_table_that_keeps_its_contract_passes_and_running_again_adds_no_result(clicks):
    for _ in range(2):
        assert main(clicks, NOON, Namespace(tables=["clicks"])) == "10 expectations on 1 tables are met"
    assert clicks.read(VALIDATION_RESULTS).where("success").count() == 10


def test_a_broken_contract_fails_the_job_and_is_recorded_without_a_value(clicks):
    clicks.spark.sql(f"INSERT INTO delta.`{clicks.path(CLICKS)}` SELECT * FROM delta.`{clicks.path(CLICKS)}`")
    with pytest.raises(JobError, match=r"1 of 10 expectations are broken: clicks\.click_id: expect_column_values"):
        main(clicks, NOON, Namespace(tables=["clicks"]))
    (broken,) = clicks.read(VALIDATION_RESULTS).where("NOT success").collect()
    assert (broken["expectation"], broken["column_name"]) == ("expect_column_values_to_be_unique", "click_id")
    assert "click-1" not in broken["detail"]
