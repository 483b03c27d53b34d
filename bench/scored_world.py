"""A home that serving scores from, made without Spark: a snapshot of many users and ads, and a champion in a store.

Counts are drawn, not counted: what is measured is how quickly they are found, not what they say.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xgboost

from bench.market import own_registry
from data_contracts.calibration import Platt
from data_contracts.compiled import compiled
from data_contracts.feature_set_files import feature_set_path, load_feature_set
from data_contracts.features import HOUR, MILLION, Count, FeatureSet
from data_contracts.keys import ALL, entity_name, key_columns, key_name
from data_contracts.known_users import is_of_user, user_entries
from data_contracts.pseudonym import load_key, pseudonym
from data_contracts.settings import Settings
from data_contracts.snapshot import AD, SnapshotMeta, packed_attributes, stored_key
from ml.model_run import FittedModel, log_model, model_run, register
from ml.trees import tree_parameters
from spark_jobs.publish_counts import publish

TOPICS, SECTIONS, LOCATIONS, BANDS, CAMPAIGNS, ADVERTISERS, SLOTS = 12, 10, 14, 6, 160, 40, 4
DEVICES = ("phone", "desktop", "tablet", "tv")
ADS_A_USER, TOPICS_A_USER = 4, 4
ROWS, TREES = 20_000, 100


@dataclass(frozen=True)
class World:
    """The users and ads that can be asked about."""

    users: int
    ads: int
    settings: Settings

    def user(self, number: int) -> str:
        return f"user-{number:06d}"

    def ad(self, number: int) -> str:
        return f"ad-{number:05d}"


def made(settings: Settings, users: int, ads: int) -> World:
    """Publishes the snapshot and registers the champion, in an MLflow store that MLFLOW_TRACKING_URI then names."""
    world = World(users, ads, settings)
    feature_set = load_feature_set(feature_set_path(settings.features.feature_set))
    layout = {
        key_columns(keys): [count.name for count in feature_set.counts if count.keys == keys]
        for keys in feature_set.key_tuples
    }
    layout[ALL] += [feature_set.looked_up[each.name] for each in feature_set.sums]
    prior = ("ad_impressions_28d", "ad_clicks_28d")
    meta = SnapshotMeta(int(time.time()) // HOUR * HOUR, layout, 10_000_000, 400_000, prior)
    publish(settings.snapshots, meta, _entries(world, feature_set))
    version = registered(settings, Platt(0.95, -0.05))
    own_registry(settings).set_registered_model_alias(settings.model_name, "champion", version)
    return world


def drawn_counts(random: np.random.Generator, counts: Sequence[Count], rows: int) -> np.ndarray:
    """(rows, counts) of impressions and clicks that fit each other, the longer the window the more."""
    shown = random.geometric(0.002, rows)
    found = np.empty((rows, len(counts)), "<i8")
    for place, count in enumerate(counts):
        mean = shown * (count.window / (28 * 24 * HOUR)) * (0.04 if count.event == "clicks" else 1.0)
        found[:, place] = random.poisson(mean)
    return found


def drawn_sums(random: np.random.Generator, feature_set: FeatureSet, rows: int) -> np.ndarray:
    """(rows, sums) of some 600 expected clicks."""
    return (random.uniform(550, 650, (rows, len(feature_set.sums))) * MILLION).astype("<i8")


def _entries(world: World, feature_set: FeatureSet) -> Iterator[list[tuple[bytes, bytes]]]:
    random = np.random.default_rng(1)
    of_users = []
    for keys in feature_set.key_tuples:
        counts = [count for count in feature_set.counts if count.keys == keys]
        names, text = list(dict.fromkeys(_entities(world, keys))), key_columns(keys)
        values = drawn_counts(random, counts, len(names))
        if not keys:
            values = np.concatenate([values, drawn_sums(random, feature_set, len(names))], axis=1)
        entities = zip(names, map(np.ndarray.tobytes, values), strict=True)
        if is_of_user(text):
            of_users.append(entities)
        else:
            yield [(stored_key(text, name), packed) for name, packed in entities]
    yield [
        (stored_key(AD, world.ad(number)), packed_attributes({f"ad.{key}": _of_ad(number)[key] for key in AD_KEYS}))
        for number in range(world.ads)
    ]
    known = load_key(world.settings.pseudonym_key)
    users = (
        (pseudonym(known, world.user(number)), {"user.features.age_band": f"band-{number % BANDS}"})
        for number in range(world.users)
    )
    yield list(user_entries(users, of_users))


AD_KEYS = ("campaign_id", "advertiser_id", "topic")


def _of_ad(number: int) -> dict[str, str]:
    campaign = number % CAMPAIGNS
    return {
        "campaign_id": f"campaign-{campaign}",
        "advertiser_id": f"advertiser-{campaign % ADVERTISERS}",
        "topic": f"topic-{campaign % TOPICS}",
    }


def _entities(world: World, keys: tuple[str, ...]) -> Iterator[str]:
    """The entities of a key tuple, by name: all of few values, some a user of those of users."""
    if keys[:1] == ("user_id",):
        known = load_key(world.settings.pseudonym_key)
        for number in range(world.users):
            own = pseudonym(known, world.user(number))
            for other in _of_user(world, number, keys[1:]):
                yield entity_name((own, *other)) or ""
        return
    for values in _products([_values(world, key) for key in keys]):
        yield entity_name(values) or ""


def _of_user(world: World, number: int, keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not keys:
        yield ()
    elif keys == ("ad_id",):
        yield from ((world.ad((number * 7 + 31 * place) % world.ads),) for place in range(ADS_A_USER))
    else:
        yield from ((f"topic-{(number + place) % TOPICS}",) for place in range(TOPICS_A_USER))


def _values(world: World, key: str) -> list[str]:
    sizes = {"section": SECTIONS, "location": LOCATIONS, "topic": TOPICS, "campaign": CAMPAIGNS}
    sizes |= {"advertiser": ADVERTISERS}
    name = key_name(key)
    if name == "ad":
        return [world.ad(number) for number in range(world.ads)]
    if name == "device_type":
        return list(DEVICES)
    if name == "position":
        return [str(slot) for slot in range(1, SLOTS + 1)]
    if name == "age_band":
        return [f"band-{number}" for number in range(BANDS)]
    return [f"{name}-{number}" for number in range(sizes[name])]


def _products(values: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    if not values:
        yield ()
        return
    for first in values[0]:
        for rest in _products(values[1:]):
            yield (first, *rest)


def registered(settings: Settings, calibration: Platt) -> str:
    """A version of the bench's trees with this calibration; gives its number."""
    feature_set = load_feature_set(feature_set_path(settings.features.feature_set))
    own_registry(settings)
    with model_run(settings.model_name, "bench"):
        logged = log_model(FittedModel(feature_set, _trees(settings, feature_set), calibration))
    return register(settings.model_name, logged, {"feature_set_hash": feature_set.hash})


def _trees(settings: Settings, feature_set: FeatureSet) -> xgboost.Booster:
    """As many trees as conf's parameters lead to on a market, grown on drawn rows."""
    random = np.random.default_rng(2)
    counts = drawn_counts(random, feature_set.counts, ROWS)
    fields = np.stack([random.integers(1, SLOTS + 1, ROWS), random.uniform(1e9, 2e9, ROWS)], axis=1)
    inputs = np.concatenate([fields, counts, drawn_sums(random, feature_set, ROWS)], axis=1)
    features = compiled(feature_set)(inputs.astype(np.float64))
    base = features[:, feature_set.base_place]
    labels = random.random(ROWS) < 1 / (1 + np.exp(-base.clip(-6, 0)))
    rows = xgboost.QuantileDMatrix(features, label=labels, base_margin=base)
    parameters = tree_parameters(settings.training, feature_set.directions) | {"min_child_weight": 1.0}
    return xgboost.train(parameters, rows, TREES)
