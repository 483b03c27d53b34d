"""What must be counted: all that the models in use, and the next to be trained, look at."""

from data_contracts.features import DAY, Count
from data_contracts.known_features import all_known, current, known
from data_contracts.settings import Settings

GATE_COUNTS = tuple(Count((key,), "impressions", 28 * DAY) for key in ("ad_id", "user_id"))
"""By which the gate tells new ads and users from known ones."""


def live_counts(settings: Settings) -> tuple[Count, ...]:
    """The counts of conf's feature set, of every version under an alias and of the gate, each once. While MLflow does
    not answer, those of all feature sets a training set was ever built from."""
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
    counts = (count for feature_set in (current(settings), *live) for count in feature_set.counts)
    return tuple(dict.fromkeys((*counts, *GATE_COUNTS)))
