"""Asks for the challenger's promotion: python -m ml.promote --as-of 2019-11-30T23:00:00Z

A refusal is a result, not a failure: it is printed and the exit status is 0. A verdict that waits for a person is
released by naming one: --approved-by NAME.
"""

import sys
from collections.abc import Sequence
from datetime import datetime

from data_contracts import registry
from data_contracts.registry import NotPromotableError
from data_contracts.settings import Settings
from ml.command import exit_code, parser
from ml.evaluate import challenger_of


def promote(settings: Settings, as_of: datetime, approved_by: str = "") -> str:
    """Make the challenger trained as of `as_of` the champion if its verdict lets it; gives what happened as text."""
    challenger = challenger_of(settings, as_of)
    before = registry.champion_version(settings)
    try:
        registry.promote(settings, challenger.version, approved_by)
    except NotPromotableError as refusal:
        waits = challenger.verdict and challenger.verdict.outcome == "wait_for_person"
        way = "\nwhoever has looked at it releases it with --approved-by NAME" if waits else ""
        serving = f"version {before} stays champion" if before else "there is still no champion"
        return f"NOT PROMOTED: {refusal}{way}\n{serving}"
    if before == challenger.version:
        return f"version {before} of {challenger.name} is the champion already"
    after = f"; version {before} is kept as previous" if before else ""
    return f"PROMOTED: version {challenger.version} of {challenger.name} is now the champion{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--approved-by", default="", help="who takes responsibility for a verdict of wait_for_person")
    chosen = options.parse_args(arguments)
    return exit_code(lambda settings: promote(settings, chosen.as_of, chosen.approved_by))


if __name__ == "__main__":
    sys.exit(main())
