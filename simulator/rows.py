"""Rows of a market's events as landing holds them: canonical JSON, keys sorted, nulls and defaults left out."""

from collections.abc import Iterable, Sequence

import numpy as np

from simulator.population import CONSENTS, CRAWLER, DEVICES, Ads, Campaigns, Users, ad_name, campaign_name
from simulator.traffic import DAY_MICROSECONDS, Impressions

UUID_BYTES = 16
UUID_PLACES = [*range(8), *range(9, 13), *range(14, 18), *range(19, 23), *range(24, 36)]
HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
CLOCK = np.array([f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}." for s in range(86_400)], "S9")
THOUSAND = np.array([f"{number:03d}" for number in range(1_000)], "S3")
INSTANT = np.dtype([("date", "S11"), ("clock", "S9"), ("milli", "S3"), ("micro", "S3"), ("zone", "S1")])


def uuids(random: np.random.Generator, count: int) -> list[bytes]:
    """Random UUIDs (version 4) as text."""
    raw = np.frombuffer(random.bytes(UUID_BYTES * count), np.uint8).reshape(count, UUID_BYTES).copy()
    raw[:, 6] = raw[:, 6] & 0x0F | 0x40
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text = np.full((count, 36), ord("-"), np.uint8)
    text[:, UUID_PLACES[0::2]], text[:, UUID_PLACES[1::2]] = HEX[raw >> 4], HEX[raw & 15]
    listed: list[bytes] = text.view("S36").ravel().tolist()
    return listed


def instants(microseconds: np.ndarray) -> list[bytes]:
    """Microseconds of the epoch as landing writes instants, put together from tables of their parts: numpy's own text
    of an instant takes three times as long."""
    day, rest = np.divmod(microseconds, DAY_MICROSECONDS)
    first = int(day.min(initial=0))
    dates = np.arange(first, int(day.max(initial=0)) + 1).astype("M8[D]").astype("S10")
    second, fraction = np.divmod(rest, 1_000_000)
    text = np.empty(len(microseconds), INSTANT)
    text["date"] = np.char.add(dates, b"T")[day - first]
    text["clock"], text["zone"] = CLOCK[second], b"Z"
    text["milli"], text["micro"] = THOUSAND[fraction // 1_000], THOUSAND[fraction % 1_000]
    listed: list[bytes] = text.view("S27").tolist()
    return listed


class RowWriter:
    """Writes rows of one market, which starts at `start` (microseconds of the epoch); `pseudonyms` are its users'."""

    def __init__(self, users: Users, campaigns: Campaigns, ads: Ads, pseudonyms: Sequence[str], start: int) -> None:
        self._start, self._actor, self._variant = start, users.actor, users.variant
        self._users = objects(name.encode() for name in pseudonyms)
        # The beginning of each ad's rows, and of each user's declarations; keys that follow are greater.
        columns = (ads.campaign.tolist(), campaigns.advertiser[ads.campaign].tolist())
        self._ads = objects(
            b'{"ad_id":"%s","advertiser_id":"advertiser-%d","campaign_id":"%s"'
            % (ad_name(ad).encode(), advertiser, campaign_name(campaign).encode())
            for ad, (campaign, advertiser) in enumerate(zip(*columns, strict=True))
        )
        self._topics = campaigns.topic[ads.campaign].tolist()
        stated = [b'"consent":"%s",' % name.encode() if name != "unknown" else b"" for name in CONSENTS]
        self._consents = objects(stated)[users.consent]
        self._age_bands = users.age_band.tolist()
        agents = [b"app" if name == "phone" else b"browser" for name in DEVICES]
        self._devices = objects(b'"device_type":"%s",' % name.encode() for name in DEVICES)
        self._agents = objects(agents)

    def impressions(
        self, shown: Impressions, ids: Sequence[bytes], requests: Sequence[bytes], tested: np.ndarray, experiment: str
    ) -> list[bytes]:
        """A row each: `ids` by impression, `requests` by number; experiment and variant are told of users who are
        `tested`. What the slots of a page share is written once a page."""
        _, first = np.unique(shown.request, return_index=True)
        pages = shown.of(first)
        is_tested = tested[pages.user]
        test = np.where(is_tested, b'"experiment":"%s",' % experiment.encode(), b"")
        variants = objects([b',"variant":"a"}', b',"variant":"b"}', b"}"])
        agents = np.where(self._actor[pages.user] == CRAWLER, b"crawler", self._agents[pages.device])
        heads = zip(
            self._consents[pages.user].tolist(), self._devices[pages.device].tolist(), test.tolist(),
            pages.section.tolist(), strict=True,
        )  # fmt: skip
        tails = zip(
            requests, self._instants(pages.time), agents.tolist(), self._users[pages.user].tolist(),
            variants[np.where(is_tested, self._variant[pages.user], 2)].tolist(), strict=True,
        )  # fmt: skip
        head = objects(b'%s%s%s"features":{"section":"section-%d"},"impression_id":"' % page for page in heads)
        place = objects(b'","location":"location-%d","position":' % page for page in pages.location.tolist())
        tail = objects(
            b',"request_id":"%s","timestamp":"%s","user_agent_class":"%s","user_id":"%s"%s' % page for page in tails
        )
        propensities, number = np.unique(shown.propensity.round(9), return_inverse=True)
        columns = (
            self._ads[shown.ad].tolist(),
            head[shown.request].tolist(),
            ids,
            place[shown.request].tolist(),
            shown.position.tolist(),
            objects(b"%a" % each for each in propensities.tolist())[number].tolist(),
            tail[shown.request].tolist(),
        )
        return [b'%s,%s%s%s%d,"propensity":%s%s' % row for row in zip(*columns, strict=True)]

    def clicks(
        self, clicked: Impressions, time: np.ndarray, click_ids: Sequence[bytes], ids: Sequence[bytes]
    ) -> list[bytes]:
        """A row each: `time` of the click in microseconds from the market's start, `ids` of the impressions."""
        users = self._users[clicked.user].tolist()
        return [
            b'{"click_id":"%s","impression_id":"%s","timestamp":"%s","user_id":"%s"}' % row
            for row in zip(click_ids, ids, self._instants(time), users, strict=True)
        ]

    def ads(self, chosen: Sequence[int]) -> list[bytes]:
        """What is told of ads, by their number, when they are launched."""
        return [b'%s,"topic":"topic-%d"}' % (self._ads[ad], self._topics[ad]) for ad in chosen]

    def users(self, chosen: Sequence[int]) -> list[bytes]:
        """What users, by their number, have declared."""
        return [
            b'{%s"features":{"age_band":"band-%d"},"user_id":"%s"}'
            % (self._consents[user], self._age_bands[user], self._users[user])
            for user in chosen
        ]

    def _instants(self, time: np.ndarray) -> list[bytes]:
        return instants(time + self._start)


def objects(values: Iterable[bytes]) -> np.ndarray:
    """An array of these values as they are, which numpy would pad to one length."""
    listed = list(values)
    array = np.empty(len(listed), object)
    array[:] = listed
    return array
