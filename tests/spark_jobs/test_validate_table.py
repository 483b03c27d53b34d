from argparse import Namespace
from datetime import timedelta

import pytest

from data_contracts.landing import Event
from data_contracts.tables import ADS, CLICKS, VALIDATION_RESULTS
from spark_jobs.refine_events import refine_batch
from spark_jobs.session import JobError
from spark_jobs.validate_table import main, without_values
from tests.spark_jobs.conftest import NOON, click

pytestmark = pytest.mark.spark

HOURS = [NOON + timedelta(hours=number) for number in range(4)]
DAY = 24 * 60


def validate(lake, as_of, *tables):
    return main(lake, as_of, Namespace(tables=list(tables) or ["clicks"])).partition(";")[0]


def refine(lake, landed, *rows):
    refine_batch(lake, landed(*(Event("clicks", NOON, row) for row in rows)))


def results(lake, where="true"):
    columns = ("as_of", "success", "table_version", "rows_checked")
    rows = lake.read(VALIDATION_RESULTS).where(where).select(*columns).distinct().orderBy("as_of").collect()
    return [tuple(row)[1:] for row in rows]


@pytest.fixture
def clicks(lake, landed):
    """Two clicks of two days, in version 1."""
    refine(lake, landed, click(1), click(1 + DAY))
    return lake


def test_only_the_partitions_touched_since_the_last_check_are_checked(clicks, landed):
    assert validate(clicks, HOURS[0]) == "11 expectations on 2 touched rows of 1 tables are met"
    refine(clicks, landed, click(2 + DAY), click(3 + DAY))
    assert validate(clicks, HOURS[1]) == "11 expectations on 3 touched rows of 1 tables are met"
    assert results(clicks) == [(True, 1, 2), (True, 2, 3)]


def test_a_table_that_nothing_touched_is_not_checked_again(clicks):
    validate(clicks, HOURS[0])
    assert validate(clicks, HOURS[1]) == "1 unchanged tables need no check"
    assert results(clicks) == [(True, 1, 2)]


def test_the_page_shows_the_latest_check_also_where_it_was_made_as_of_an_earlier_time(clicks, landed):
    validate(clicks, HOURS[1])
    refine(clicks, landed, click(2 + DAY))
    validate(clicks, HOURS[0])
    page = clicks.settings.validation_page.read_text()
    assert " as of 2026-01-10 12:00 UTC: 2 rows of version 2." in page


def test_a_broken_contract_fails_every_run_until_it_is_mended(clicks, landed):
    validate(clicks, HOURS[0])
    again = f"INSERT INTO delta.`{clicks.path(CLICKS)}` SELECT * FROM delta.`{clicks.path(CLICKS)}` WHERE click_id = "
    clicks.spark.sql(f"{again} 'click-1'")
    for hour in HOURS[1:3]:
        with pytest.raises(JobError, match=r"^1 of 11 expectations are broken: clicks\.click_id: expect_column_values"):
            validate(clicks, hour)
    clicks.spark.sql(f"DELETE FROM delta.`{clicks.path(CLICKS)}` WHERE click_id = 'click-1'")
    assert validate(clicks, HOURS[3]) == "11 expectations on 0 touched rows of 1 tables are met"
    (broken,) = clicks.read(VALIDATION_RESULTS).where(f"NOT success AND as_of = '{HOURS[1]}'").collect()
    assert (broken["expectation"], broken["column_name"]) == ("expect_column_values_to_be_unique", "click_id")
    assert (broken["table_version"], broken["rows_checked"]) == (2, 2)
    assert "click-1" not in "".join(map(str, broken))
    page = clicks.settings.validation_page.read_text()
    assert "All 11 expectations on 1 tables are met." in page
    assert "click-1" not in page


def test_a_contract_that_has_changed_checks_the_whole_table(clicks):
    validate(clicks, HOURS[0])
    stored = f"delta.`{clicks.path(VALIDATION_RESULTS)}`"
    clicks.spark.sql(f"DELETE FROM {stored} WHERE column_name = 'clicked'")
    assert validate(clicks, HOURS[1]) == "11 expectations on 2 touched rows of 1 tables are met"


def test_a_table_without_partitions_is_checked_whole(lake, landed):
    for number in (1, 2):
        ad = Event("ads", NOON, {"ad_id": f"ad-{number}"})
        refine_batch(lake, landed(ad))
        said = validate(lake, HOURS[number], ADS.name)
        assert said == f"11 expectations on {number} touched rows of 1 tables are met"


def test_tables_are_checked_in_one_pass(clicks):
    assert validate(clicks, HOURS[0], "clicks", "users") == "21 expectations on 2 touched rows of 2 tables are met"
    assert validate(clicks, HOURS[0], "clicks", "users") == "2 unchanged tables need no check"


def test_an_expectation_that_could_not_run_is_told_apart(clicks):
    clicks.spark.sql(
        f"ALTER TABLE delta.`{clicks.path(CLICKS)}` SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"
    )
    clicks.spark.sql(f"ALTER TABLE delta.`{clicks.path(CLICKS)}` DROP COLUMN origin")
    with pytest.raises(JobError, match=r"clicks\.origin: expect_column_values_to_not_be_null could not run: "):
        validate(clicks, HOURS[0])


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("[CAST_INVALID_INPUT] The value 'ann@example.org' of the type", "CAST_INVALID_INPUT"),
        (
            'Error: The column "origin" in BatchData does not exist.',
            "Error: The column ... in BatchData does not exist.",
        ),
        ("broken\nby 'ann'", "broken"),
    ],
)
def test_an_error_is_kept_without_what_it_quotes(message, kept):
    assert without_values(message) == kept
