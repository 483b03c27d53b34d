"""Serving as it must not be, for the negative control: nothing is ever synced. `python -m tests.faults.without_sync`"""

import os

from serving.__main__ import main


def unsynced(_: int) -> None:
    """In the place of fsync and fdatasync."""


if __name__ == "__main__":
    os.fsync = os.fdatasync = unsynced  # type: ignore[assignment]
    main()
