"""Mappings that do not fit a member's columns: refused before a line is read, in one line that names the key."""

from pathlib import Path

import pytest

from cli.archive import Member
from cli.mapped_rows import MemberMapper
from cli.mapping import MappingError, load_mapping

HEAD = """[[ad_impressions]]
members = '(?P<place>[a-z]+)/views\\.csv'
"""
COLUMNS = {"impression_id": "id", "user_id": "visitor", "ad_id": "ad", "timestamp": "'2019-11-24T10:00:00Z'"}


def mapping_text(keys: str = "", features: str = "", **columns: str) -> str:
    lines = [f"{name} = '''{text}'''" for name, text in (COLUMNS | columns).items()]
    return "\n".join([HEAD + keys, "[ad_impressions.columns]", *lines, "[ad_impressions.features]", features])


def mapper(folder: Path, text: str, names: str) -> MemberMapper:
    (folder / "mine.toml").write_text(text)
    member = Member("north/views.csv", "log/north/views.csv", 0)
    return MemberMapper(
        load_mapping(folder / "mine.toml"), member, names.split(","), lambda user: f"pseudonym of {user}"
    )


@pytest.mark.parametrize(
    ("keys", "columns", "message"),
    [
        ("", {"ad_id": "banner"}, 'columns.ad_id: Binder Error: Referenced column "banner" not found'),
        ("", {"ad_id": "ad)"}, "columns.ad_id: Parser Error: syntax error"),
        ("", {"ad_id": "nosuch(ad)"}, "columns.ad_id: Catalog Error: Scalar Function with name nosuch does not exist"),
        ("", {"ad_id": "ad) AS VARCHAR)), TRY(CAST((ad"}, "columns.ad_id: not one SQL expression"),
        ("", {"ad_id": "count(*)"}, "columns.ad_id: Binder Error: aggregates are not allowed"),
        ("", {"ad_id": "row_number() OVER ()"}, "columns.ad_id: Not implemented Error"),
        ("", {"ad_id": "random()"}, "columns.ad_id: Binder Error: TRY can not be used in combination with a volatile"),
        ("", {"ad_id": "uuid()"}, "columns.ad_id: Binder Error: TRY can not be used in combination with a volatile"),
        ("", {"ad_id": "(SELECT 1)"}, "columns.ad_id: Binder Error: TRY can not be used in combination with a scalar"),
        ("", {"ad_id": "unnest([1, 2])"}, "columns.ad_id: Binder Error: UNNEST not supported here"),
        ("where = 'banner = 1'", {}, "where: Binder Error: Referenced column"),
        ("received_at = 'banner'", {}, "received_at: Binder Error: Referenced column"),
        ("keep_features = 'visitor'", {}, "keep_features: would store visitor, the raw id of columns.user_id"),
        ("", {"ad_id": "visitor"}, "columns.ad_id: would store visitor, the raw id of columns.user_id"),
        ("", {"ad_id": "upper(Visitor)"}, "columns.ad_id: would store visitor, the raw id of columns.user_id"),
        ("keep_features = '.*'", {"user_id": '"VISITOR"'}, "keep_features: would store visitor, the raw id"),
    ],
)
def test_sql_that_does_not_fit_is_refused_before_a_line_is_read(tmp_path, keys, columns, message):
    with pytest.raises(MappingError) as raised:
        mapper(tmp_path, mapping_text(keys=keys, **columns), "id,visitor,ad")
    assert str(raised.value).startswith(f"{tmp_path / 'mine.toml'}: ad_impressions.{message}")
    assert "\n" not in str(raised.value)


def test_a_feature_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(MappingError, match=r"ad_impressions\.features\.x: Binder Error"):
        mapper(tmp_path, mapping_text(features="x = 'banner'"), "id,visitor,ad")


def test_the_error_says_what_the_member_has(tmp_path):
    with pytest.raises(MappingError, match=r"north/views\.csv has: id, visitor, ad\)$"):
        mapper(tmp_path, mapping_text(ad_id="banner"), "id,visitor,ad")


@pytest.mark.parametrize("names", ["id,visitor,ad,line_number", "id,visitor,ad,PLACE"])
def test_a_source_column_may_not_be_called_like_a_group_or_the_line_number(tmp_path, names):
    with pytest.raises(MappingError, match=r"members: north/views\.csv has a column called (place|line_number)"):
        mapper(tmp_path, mapping_text(), names)


@pytest.mark.parametrize(
    "sql", ["(SELECT content FROM read_text('/etc/hostname'))", "getenv('HOME')", "read_text('/etc/hostname')"]
)
def test_an_expression_sees_nothing_but_the_lines(tmp_path, sql):
    with pytest.raises(MappingError):
        mapper(tmp_path, mapping_text(ad_id=sql), "id,visitor,ad")
