"""Asks for the challenger's promotion: python -m ml.promote --as-of 2019-11-30T23:00:00Z

A refusal is a result, not a failure: it is printed and the exit status is 0. A verdict of wait_for_person or
not_comparable is released by naming who takes responsibility: --approved-by NAME. A verdict of refuse never is.
"""

import sys
from collections.abc import Sequence
from datetime import datetime

from data_contracts import registry
from data_contracts.registry import ApprovalNeededError, NotPromotableError
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
        command = f"python -m ml.promote --as-of {as_of.isoformat()} --approved-by NAME"
        way = f"\nwhoever has looked at it releases it: {command}" if isinstance(refusal, ApprovalNeededError) else ""
        serving = f"version {before} stays champion" if before else "there is still no champion"
        return f"NOT PROMOTED: {refusal}{way}\n{serving}"
    if before == challenger.version:
        return f"version {before} of {challenger.name} is the champion already"
    after = f"; version {before} is kept as previous" if before else ""
    return f"PROMOTED: version {challenger.version} of {challenger.name} is now the champion{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument(
        "--approved-by", default="", help="who releases a verdict of wait_for_person or not_comparable"
    )
    chosen = options.parse_args(arguments)
    return exit_code(lambda settings: promote(settings, chosen.as_of, chosen.approved_by))


if __name__ == "__main__":
    sys.exit(main())
