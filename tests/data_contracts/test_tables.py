"""The contract itself: what each table must hold for every rendering and stage to rely on it."""

import re

import pytest

from data_contracts.schema import ADDED_ON_THE_WAY, Table
from data_contracts.tables import LANDED, TABLES

SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
OWNERS_FIELDS = {
    "ad_impressions": ["impression_id", "user_id", "ad_id", "timestamp", "device_type", "location", "features"],
    "clicks": ["click_id", "impression_id", "clicked", "timestamp", "user_id"],
    "model_predictions": ["prediction_id", "impression_id", "model_version", "probability", "predicted_at"],
}

each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
each_landed_table = pytest.mark.parametrize("table", LANDED.values(), ids=LANDED.keys())


def test_these_are_the_tables():
    assert sorted(TABLES) == [
        "ad_impressions", "ads", "click_joins", "clicks", "count_tiles", "feature_sums", "holdouts", "labels",
        "model_comparisons", "model_metadata", "model_predictions", "raw_events", "rejected_events",
        "shadow_predictions", "table_sizes", "training_sets", "users", "validation_results",
    ]  # fmt: skip


def test_these_tables_are_filled_from_landing():
    assert sorted(LANDED) == ["ad_impressions", "ads", "clicks", "model_predictions", "shadow_predictions", "users"]


@pytest.mark.parametrize("name", OWNERS_FIELDS)
def test_the_owners_fields_are_there(name):
    assert [field for field in OWNERS_FIELDS[name] if field not in TABLES[name].column_names] == []


@each_table
def test_a_column_name_appears_once_in_snake_case(table: Table):
    assert len(set(table.column_names)) == len(table.column_names)
    assert [name for name in (table.name, *table.column_names) if not SNAKE_CASE.fullmatch(name)] == []


@each_table
def test_key_and_partition_are_columns(table: Table):
    assert table.key
    assert set(table.key) <= set(table.column_names)
    assert set(table.partition_by) <= set(table.column_names)


@each_table
def test_table_and_columns_say_what_they_are_about(table: Table):
    assert table.about
    assert [column.name for column in table.columns if not column.about] == []


@each_table
def test_a_default_is_a_legal_value_of_a_column_that_may_not_be_null(table: Table):
    for column in table.columns:
        if column.default is not None:
            assert not column.nullable, column
            assert not column.allowed or column.default in column.allowed, column
            assert column.type != "BOOLEAN" or column.default in ("true", "false"), column
            assert not column.type.startswith("MAP") or column.default == "{}", column


@each_table
def test_bounds_are_of_numbers_and_the_right_way_round(table: Table):
    for column in table.columns:
        bounds = [bound for bound in (column.minimum, column.maximum) if bound is not None]
        assert not bounds or column.type in ("INT", "BIGINT", "DOUBLE"), column
        assert bounds == sorted(bounds), column


@each_table
def test_allowed_values_fit_their_type(table: Table):
    for column in table.columns:
        assert not column.allowed or column.type in ("STRING", "INT"), column
        assert column.type != "INT" or all(value.isdigit() for value in column.allowed), column


@each_landed_table
def test_a_landed_table_can_be_traced_and_its_own_columns_come_from_the_event(table: Table):
    assert {"received_at", "content_hash", "origin"} <= set(table.column_names)
    assert [column.name for column in table.event_columns if column.name in ADDED_ON_THE_WAY] == []
    added = [name for name in table.column_names if name in ADDED_ON_THE_WAY]
    assert len(table.event_columns) + len(added) == len(table.columns)


@each_landed_table
def test_the_key_of_a_landed_table_is_never_null_and_never_filled_in(table: Table):
    columns = {column.name: column for column in table.columns}
    assert [name for name in table.key if columns[name].nullable or columns[name].default is not None] == []


def test_tables_of_events_are_partitioned_by_their_day():
    partitions = {name: table.partition_by for name, table in LANDED.items()}
    assert partitions == {
        "ad_impressions": ("date",),
        "clicks": ("date",),
        "model_predictions": ("date",),
        "ads": (),
        "shadow_predictions": ("date",),
        "users": (),
    }


def test_whoever_is_a_user_is_a_pseudonym_by_contract():
    abouts = {
        table.name: column.about for table in TABLES.values() for column in table.columns if column.name == "user_id"
    }
    assert sorted(abouts) == ["ad_impressions", "clicks", "holdouts", "model_predictions", "training_sets", "users"]
    assert [name for name, about in abouts.items() if "keyed pseudonym" not in about] == []
