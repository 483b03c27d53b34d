"""Mappings that do not fit a member's columns: refused before a line is read, in one line that names the key."""

from pathlib import Path

import pyarrow as pa
import pytest

from cli.importing.line_sql import LineSql
from cli.importing.mapping import MappingError, load_mapping
from cli.importing.projection import Fitting, used_columns
from tests.cli.importing.views import mapping_text


def check(folder: Path, text: str, names: str) -> None:
    (folder / "mine.toml").write_text(text)
    mapping = load_mapping(folder / "mine.toml")
    schema = pa.schema([(name, pa.string()) for name in names.split(",")])
    Fitting(mapping.path, "north/views.csv", mapping.sections_of("north/views.csv"), schema, LineSql()).check()


@pytest.mark.parametrize(
    ("keys", "columns", "message"),
    [
        ("", {"ad_id": "banner"}, 'columns.ad_id: Binder Error: Referenced column "banner" not found'),
        ("", {"ad_id": "ad)"}, "columns.ad_id: Parser Error: syntax error"),
        ("", {"ad_id": "ad +"}, "columns.ad_id: Parser Error: syntax error at end of input"),
        ("", {"timestamp": "shown"}, 'columns.timestamp: Binder Error: Referenced column "shown" not'),
        ("", {"ad_id": "nosuch(ad)"}, "columns.ad_id: Catalog Error: Scalar Function with name nosuch does not exist"),
        ("", {"ad_id": "ad)), TRY((ad"}, "columns.ad_id: Parser Error: syntax error"),
        ("", {"ad_id": "ad AS name"}, "columns.ad_id: Parser Error: syntax error"),
        ("", {"ad_id": "COLUMNS('vis.*')"}, "columns.ad_id: not one SQL expression that names its columns"),
        ("", {"ad_id": "count(*)"}, "columns.ad_id: Binder Error: aggregates are not allowed"),
        ("", {"ad_id": "row_number() OVER ()"}, "columns.ad_id: Not implemented Error"),
        ("", {"ad_id": "random()"}, "columns.ad_id: Binder Error: TRY can not be used in combination with a volatile"),
        ("", {"ad_id": "uuid()"}, "columns.ad_id: Binder Error: TRY can not be used in combination with a volatile"),
        ("", {"ad_id": "(SELECT 1)"}, "columns.ad_id: Binder Error: TRY can not be used in combination with a scalar"),
        ("", {"ad_id": "unnest([1, 2])"}, "columns.ad_id: Binder Error: UNNEST not supported here"),
        ("where = 'banner = 1'", {}, "where: Binder Error: Referenced column"),
        ("received_at = 'banner'", {}, "received_at: Binder Error: Referenced column"),
    ],
)
def test_sql_that_does_not_fit_is_refused_before_a_line_is_read(tmp_path, keys, columns, message):
    with pytest.raises(MappingError) as raised:
        check(tmp_path, mapping_text(keys=keys, **columns), "id,visitor,ad")
    assert str(raised.value).startswith(f"{tmp_path / 'mine.toml'}: ad_impressions.{message}")
    assert "\n" not in str(raised.value)


def test_a_feature_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(MappingError, match=r"ad_impressions\.features\.x: Binder Error"):
        check(tmp_path, mapping_text(features="x = 'banner'"), "id,visitor,ad")


def test_the_error_says_what_the_member_has(tmp_path):
    with pytest.raises(MappingError, match=r"north/views\.csv has: id, visitor, ad\)$"):
        check(tmp_path, mapping_text(ad_id="banner"), "id,visitor,ad")


@pytest.mark.parametrize("names", ["id,visitor,ad,line_number", "id,visitor,ad,PLACE"])
def test_a_source_column_may_not_be_called_like_a_group_or_the_line_number(tmp_path, names):
    with pytest.raises(MappingError, match=r"members: north/views\.csv has a column called (place|line_number)"):
        check(tmp_path, mapping_text(), names)


@pytest.mark.parametrize(
    "sql", ["(SELECT content FROM read_text('/etc/hostname'))", "getenv('HOME')", "read_text('/etc/hostname')"]
)
def test_an_expression_sees_nothing_but_the_lines(tmp_path, sql):
    with pytest.raises(MappingError):
        check(tmp_path, mapping_text(ad_id=sql), "id,visitor,ad")


STORES = 'would store visitor, of which user_id is made; if it names no person, state allow_user_columns = ["visitor"]'
ADS = """
[[ads]]
members = '[a-z]+/views\\.csv'
received_at = 'visitor'
keep_features = 'visitor'
[ads.columns]
ad_id = "ad"
"""


@pytest.mark.parametrize(
    ("keys", "columns", "message"),
    [
        ("keep_features = 'visitor'", {}, f"keep_features: {STORES}"),
        ("keep_features = '.*'", {"user_id": '"VISITOR"'}, f"keep_features: {STORES}"),
        ("keep_features = '.*'", {"user_id": "'u' || lower(visitor)"}, f"keep_features: {STORES}"),
        ("", {"ad_id": "visitor"}, f"columns.ad_id: {STORES}"),
        ("", {"ad_id": "upper(Visitor)"}, f"columns.ad_id: {STORES}"),
        ("", {"user_id": "md5(id || visitor)"}, "columns.impression_id: would store id, of which user_id is made"),
        ("", {"user_id": "place"}, "members: would store place as part of each row's origin, of which user_id is made"),
    ],
)
def test_what_a_user_id_is_made_of_is_stored_nowhere_else(tmp_path, keys, columns, message):
    with pytest.raises(MappingError) as raised:
        check(tmp_path, mapping_text(keys=keys, **columns), "id,visitor,ad")
    assert str(raised.value).startswith(f"{tmp_path / 'mine.toml'}: ad_impressions.{message}")


def test_a_feature_of_the_users_column_is_refused(tmp_path):
    with pytest.raises(MappingError, match=r"ad_impressions\.features\.x: would store visitor"):
        check(tmp_path, mapping_text(features="x = 'left(visitor, 3)'"), "id,visitor,ad")


def test_another_section_that_reads_the_same_member_may_not_store_it_either(tmp_path):
    with pytest.raises(MappingError, match=r"ads\.keep_features: would store visitor"):
        check(tmp_path, mapping_text() + ADS, "id,visitor,ad")


@pytest.mark.parametrize(
    ("keys", "columns"),
    [
        ("where = 'visitor IS NOT NULL'", {}),
        ("", {"user_id": "visitor || line_number", "impression_id": "id || line_number"}),
        ("keep_features = 'visitor'\nallow_user_columns = ['Visitor']", {"location": "left(visitor, 2)"}),
        ("allow_user_columns = ['place']", {"user_id": "place"}),
    ],
)
def test_what_lands_nowhere_or_is_allowed_is_not_refused(tmp_path, keys, columns):
    check(tmp_path, mapping_text(keys=keys, **columns), "id,visitor,ad")


def test_only_columns_that_are_spelled_or_kept_are_used(tmp_path):
    (tmp_path / "mine.toml").write_text(mapping_text(keys="keep_features = 'f_.'"))
    sections = load_mapping(tmp_path / "mine.toml").sections
    assert used_columns(sections, ["f_1", "ID", "else", "visitor", "ad"]) == ["f_1", "ID", "visitor", "ad"]
