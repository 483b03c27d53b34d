"""docs/tables.md is what the contracts say."""

from pathlib import Path

from cli.docs import is_fresh, write_tables_page


def test_a_page_is_fresh_until_somebody_edits_it(tmp_path: Path) -> None:
    page = tmp_path / "tables.md"
    assert not is_fresh(page)
    write_tables_page(page)
    assert is_fresh(page)
    page.write_text(page.read_text().replace("ad_impressions", "impressions", 1))
    assert not is_fresh(page)
