"""Named steps of a job, where a fault test can hold it: what must survive a kill is tested at each of them."""

import time
from pathlib import Path

HOLD, HELD = "hold_at", "held_at"


def reached(home: Path, step: str) -> None:
    """Goes on at once, unless <home>/hold_at names this step: then it says so in <home>/held_at and waits until the
    first file is gone."""
    hold = home / HOLD
    try:
        is_held = hold.read_text().strip() == step
    except FileNotFoundError:
        return
    if is_held:
        (home / HELD).write_text(step)
        while hold.exists():
            time.sleep(0.02)
