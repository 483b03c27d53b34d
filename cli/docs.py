"""docs/tables.md, written from the contracts so that it cannot say anything else."""

from pathlib import Path

from cli.jars import ROOT
from data_contracts.render import docs_markdown

PAGE = ROOT / "docs" / "tables.md"


def write_tables_page(page: Path = PAGE) -> None:
    page.write_text(docs_markdown())


def is_fresh(page: Path = PAGE) -> bool:
    """Whether the page is what the contracts say."""
    return page.exists() and page.read_text() == docs_markdown()
