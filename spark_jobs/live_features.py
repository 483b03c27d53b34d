"""What must be counted: all that the models in use, and the next to be trained, look at."""

from collections.abc import Iterable

from data_contracts.features import DAY, Count, FeatureSet
from data_contracts.known_features import all_known, current, known
from data_contracts.settings import Settings

GATE_COUNTS = tuple(Count((key,), "impressions", 28 * DAY) for key in ("ad_id", "user_id"))
"""By which the gate tells new ads and users from known ones."""


def feature_sets_in_use(settings: Settings) -> tuple[FeatureSet, ...]:
    """Conf's feature set and those of every version under an alias, each once. While MLflow does not answer, all that a
    training set was ever built from."""
    from data_contracts.registry import (
        RegistryError,
        live_feature_sets,
    )  # takes seconds, which other jobs need not wait

    try:
        hashes = live_feature_sets(settings)
    except RegistryError as error:
        print(f"{error}; counting for every feature set that is known", flush=True)
        live = all_known(settings)
    else:
        found = {each: known(settings, each) for each in sorted(hashes)}
        live = [feature_set for feature_set in found.values() if feature_set is not None]
        if lost := [each[:16] for each, feature_set in found.items() if feature_set is None]:
            print(f"feature sets {', '.join(lost)} of live models are not known here: not counted for", flush=True)
    return tuple({each.hash: each for each in (current(settings), *live)}.values())


def counts_of(feature_sets: Iterable[FeatureSet]) -> tuple[Count, ...]:
    """The counts of these feature sets and of the gate, each once."""
    counts = (count for feature_set in feature_sets for count in feature_set.counts)
    return tuple(dict.fromkeys((*counts, *GATE_COUNTS)))
