"""Keys: what impressions are counted by, and how a value of each is found for one impression or request.

A key is a column of ad_impressions (`ad_id`, `device_type`), context that the request carries (`features.section`),
what is known of the ad (`ad.topic`, `ad.features.brand`: table ads) or what the user declared
(`user.features.age_band`: table users). What is known of ads and users is taken as of the snapshot that serving could
have held.
"""

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from data_contracts.landed_tables import AD_IMPRESSIONS, ADS, USERS
from data_contracts.schema import Table

CONTEXT = "features."
CATALOGS: Mapping[str, Table] = {"ad.": ADS, "user.": USERS}
COLUMNS = (
    "user_id", "ad_id", "campaign_id", "advertiser_id", "device_type", "location", "position", "experiment", "variant",
    "consent", "user_agent_class",
)  # fmt: skip
"""The columns of ad_impressions that may be keys."""
TOLD_ELSEWHERE = {"campaign_id": "ad.campaign_id", "advertiser_id": "ad.advertiser_id", "consent": "user.consent"}
"""Where a column is looked for that an impression or request does not state."""
ALL = "all"
STATED = ""
USER = "user_id"
CONSENT, DENIED = "consent", "denied"

NUMBER = r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
"""The texts that are numbers, whole."""

DEFAULTS = {
    prefix + column.name: column.default
    for prefix, table in {"": AD_IMPRESSIONS, **CATALOGS}.items()
    for column in table.columns
    if column.default is not None
}


UNSTATED = DEFAULTS[CONSENT]
"""The consent of who says nothing."""
CONSENTS = next(column.allowed for column in AD_IMPRESSIONS.columns if column.name == CONSENT)


def check_key(key: str) -> None:
    """Raises ValueError when `key` is none."""
    if not key_name(key).isidentifier():
        raise ValueError(f"{key} is no key: the end of its name must do as the name of a parameter")
    for prefix, table in CATALOGS.items():
        if key.startswith(prefix):
            name = key.removeprefix(prefix)
            known = [column.name for column in table.event_columns if column.type == "STRING"]
            if name in known or (name.startswith(CONTEXT) and name != CONTEXT):
                return
            raise ValueError(f"{key} is no key: {table.name} has {', '.join(known)} and {CONTEXT}NAME")
    if key not in COLUMNS and not (key.startswith(CONTEXT) and key != CONTEXT):
        raise ValueError(f"{key} is no key: it is one of {', '.join(COLUMNS)}, or features.NAME, ad.NAME, user.NAME")


def default_value(key: str) -> str:
    """What an impression that states no value of `key` is counted under."""
    return DEFAULTS.get(key) or ""


def key_name(key: str) -> str:
    """A key in the name of a count: ad_id is `ad`, user.features.age_band is `age_band`."""
    return key.rpartition(".")[2].removesuffix("_id")


def key_values(
    keys: Iterable[str], stated: Mapping[str, str], ad: Mapping[str, str], user: Mapping[str, str]
) -> dict[str, str | None]:
    """The value of each of `keys`, given what was stated and what is known of the ad and of the user, each by key; None
    for the id of a user who denies consent: such a user has no history. What such a user declared is not known either.
    """
    consent = stated.get(CONSENT, UNSTATED)
    denies = (user.get("user.consent", consent) if consent == UNSTATED else consent) == DENIED
    found: dict[str, str | None] = {}
    for key, default, source in _sources(tuple(keys)):
        if source == STATED:
            found[key] = stated.get(key, default)
        elif source == "ad.":
            found[key] = ad.get(key, default)
        elif source == "user.":
            found[key] = default if denies and key != "user.consent" else user.get(key, default)
        elif source == USER:
            found[key] = None if denies else stated.get(key, default)
        else:
            value = stated.get(key, default)
            found[key] = (user if key == CONSENT else ad).get(source, value) if value == default else value
    return found


@lru_cache(maxsize=4096)
def _sources(keys: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    """Of each key its default and where its value is looked for: STATED, the catalog of this prefix, USER; or, of a
    column of TOLD_ELSEWHERE, the key of a catalog that is asked where nothing is stated."""
    found = []
    for key in keys:
        catalog = next((prefix for prefix in CATALOGS if key.startswith(prefix)), STATED)
        found.append((key, DEFAULTS.get(key, ""), USER if key == USER else catalog or TOLD_ELSEWHERE.get(key, STATED)))
    return tuple(found)


def key_value(key: str, stated: Mapping[str, str], ad: Mapping[str, str], user: Mapping[str, str]) -> str | None:
    """The value of one key, as key_values gives it."""
    return key_values((key,), stated, ad, user)[key]


def number(text: str) -> float:
    """The number that a value states; true is 1 and false is 0, and what is none, or not finite, is NaN."""
    if text in ("true", "false"):
        return float(text == "true")
    value = float(text) if re.fullmatch(NUMBER, text) else math.nan
    return value if math.isfinite(value) else math.nan


def entity_name(values: Iterable[str | None]) -> str | None:
    """The values of an entity's keys as one text, unambiguous whatever they hold; None when one of them is None."""
    told = [None if value is None else escaped(value) for value in values]
    return None if None in told else "|".join(value for value in told if value is not None)


def escaped(value: str) -> str:
    """A value as it stands in the name of an entity."""
    if "|" in value or "\\" in value:
        return value.replace("\\", "\\\\").replace("|", "\\|")
    return value


def key_columns(keys: Iterable[str]) -> str:
    """Keys as one text, as in count_tiles.keys; `all` without any."""
    return "|".join(keys) or ALL


def key_tuple(text: str) -> tuple[str, ...]:
    """The keys of such a text."""
    return () if text == ALL else tuple(text.split("|"))
