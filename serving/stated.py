"""What a request states, by key: a feature with the name of a column is that column, any other one is context."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from data_contracts.keys import COLUMNS, CONSENT, CONTEXT, USER
from serving.requests import Features, feature_text


@lru_cache(maxsize=64)
def keys_by_feature(keys: tuple[str, ...]) -> Mapping[str, str]:
    """Which features a request may state some of `keys` by, with the keys; consent is always among them, since the
    history of who denies it is not known. Who the user is no feature states."""
    return dict(_named((*keys, CONSENT)))


def _named(keys: Iterable[str]) -> Iterable[tuple[str, str]]:
    for key in keys:
        if key in COLUMNS and key != USER:
            yield key, key
        elif key.startswith(CONTEXT) and key.removeprefix(CONTEXT) not in COLUMNS:
            yield key.removeprefix(CONTEXT), key


def stated_by(features: Features, keys: Mapping[str, str]) -> dict[str, str]:
    """By key, what the features that are among `keys` (keys_by_feature) state: of the others nobody asks."""
    return {
        keys[name]: value if type(value) is str else feature_text(value)
        for name, value in features.items()
        if name in keys
    }
