"""Asks for the challenger's promotion: python -m ml.promote --as-of 2019-11-30T23:00:00Z

A refusal is a result, not a failure: it is printed and the exit status is 0. A verdict of wait_for_person or
not_comparable is released by `clicklake model promote VERSION --approved-by NAME`. A verdict of refuse never is.
"""

import sys
from collections.abc import Sequence
from datetime import datetime

from data_contracts import registry
from data_contracts.registry import ApprovalNeededError, NotPromotableError
from data_contracts.settings import Settings
from ml.command import exit_code, parser
from ml.evaluate import challenger_of


def promote(settings: Settings, as_of: datetime) -> str:
    """Make the challenger trained as of `as_of` the champion if its verdict lets it; gives what happened as text."""
    challenger = challenger_of(settings, as_of)
    aliases = registry.aliases(settings)
    before, canary = aliases.get("champion"), aliases.get("canary")
    if canary not in (None, challenger.version):
        return (
            f"NOT PROMOTED: version {canary} is the canary, and a new champion would end it; once it has ended, "
            f"`clicklake model promote {challenger.version}` promotes\nversion {before} stays champion"
        )
    try:
        registry.promote(settings, challenger.version)
    except NotPromotableError as refusal:
        command = f"clicklake model promote {challenger.version} --approved-by NAME"
        way = f"\nwhoever has looked at it releases it: {command}" if isinstance(refusal, ApprovalNeededError) else ""
        serving = f"version {before} stays champion" if before else "there is still no champion"
        return f"NOT PROMOTED: {refusal}{way}\n{serving}"
    if before == challenger.version:
        return f"version {before} of {challenger.name} is the champion already"
    after = f"; version {before} is kept as previous" if before else ""
    return f"PROMOTED: version {challenger.version} of {challenger.name} is now the champion{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser(__doc__).parse_args(arguments)
    return exit_code(lambda settings: promote(settings, chosen.as_of))


if __name__ == "__main__":
    sys.exit(main())
