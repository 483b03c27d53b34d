"""Events of two days around noon as they may arrive: minutes after NOON, and how late each became known."""

import random
from dataclasses import replace
from datetime import timedelta

from data_contracts.landing import Event, instant_text
from tests.spark_jobs.conftest import NOON, click, impression


def ad(minutes, **columns):
    row = {"ad_id": "ad-1", "campaign_id": "campaign-1", "topic": "cars", **columns}
    return Event("ads", NOON + timedelta(minutes=minutes), row)


def user(minutes, **columns):
    return Event("users", NOON + timedelta(minutes=minutes), {"user_id": "user-1", **columns})


def shown(number, late=0, **columns):
    return Event("ad_impressions", NOON + timedelta(minutes=number + late), impression(number, **columns))


def clicked(number, after=1, late=0, **columns):
    row = click(number, timestamp=instant_text(NOON + timedelta(minutes=number + after)), **columns)
    return Event("clicks", NOON + timedelta(minutes=number + after + late), row)


def drawn_events(seed):
    """Impressions, clicks and words of the catalogues at random times over two days, many of them late."""
    random_ = random.Random(seed)
    events = []
    for number in range(24):
        minute = random_.randrange(0, 2000)
        events.append(shown(
            minute * 100 + number, impression_id=f"impression-{number}", ad_id=f"ad-{random_.randrange(2)}",
            user_id=f"user-{random_.randrange(3)}", timestamp=instant_text(NOON + timedelta(minutes=minute)),
        ))  # fmt: skip
        events[-1] = replace(events[-1], received_at=NOON + timedelta(minutes=minute + random_.randrange(90)))
        for _ in range(random_.randrange(3)):
            after, identity = random_.randrange(1600), f"click-{random_.randrange(40)}"
            row = {
                "click_id": identity,
                "impression_id": f"impression-{number}",
                "clicked": True,
                "timestamp": instant_text(NOON + timedelta(minutes=minute + after)),
            }
            events.append(Event("clicks", NOON + timedelta(minutes=minute + after + random_.randrange(90)), row))
    events += [ad(random_.randrange(2000), ad_id=f"ad-{n % 2}", topic=f"topic-{n}") for n in range(4)]
    events += [
        user(random_.randrange(2000), user_id=f"user-{n}", consent=c, features={"band": str(n)})
        for n, c in enumerate(("denied", "granted", "unknown"))
    ]
    random_.shuffle(events)
    return events
