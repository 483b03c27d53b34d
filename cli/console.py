"""The console that commands print to."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDTH_ELSEWHERE = 160


def console() -> "Console":
    """Where nothing says how wide a line may be (a pipe, a log), 80 columns would cut tables short."""
    from rich.console import Console  # when a command runs, so that --help stays quick

    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_ELSEWHERE)
