"""Requests for scores: those of serving, and those of servers that look nothing up and are told every input."""

import json
from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np

from bench.http_load import post
from bench.scored_world import DEVICES, LOCATIONS, SECTIONS, SLOTS, World, drawn_counts, drawn_sums
from data_contracts.features import FeatureSet

DISTINCT = 100_000
USER_EXPONENT, AD_EXPONENT = 0.9, 0.8
"""Zipf's, as in conf/market.toml."""


def predict_requests(world: World, ads: int, distinct: int = DISTINCT, seed: int = 3) -> Iterator[bytes]:
    """POST /predict without end, `distinct` ones in turn, of one ad or of a slate of `ads`."""
    random = np.random.default_rng(seed)
    count = max(1, distinct // ads)
    users = _zipf(random, world.users, USER_EXPONENT, count)
    shown = _zipf(random, world.ads, AD_EXPONENT, count * ads).reshape(count, ads)
    contexts = np.stack([random.integers(0, most, count) for most in (len(DEVICES), LOCATIONS, SECTIONS)], axis=1)
    made = []
    for user, own, (device, location, section) in zip(users.tolist(), shown.tolist(), contexts.tolist(), strict=True):
        context = {
            "device_type": DEVICES[device], "location": f"location-{location}", "section": f"section-{section}",
            "site": "news", "referrer": "search", "is_new": False, "page": 17, "load_ms": 341.5,
        }  # fmt: skip
        body = {"user_id": world.user(user), "features": context}
        if ads == 1:
            context["position"] = 1 + own[0] % SLOTS
            body["ad_id"] = world.ad(own[0])
        else:
            body["ads"] = [{"ad_id": world.ad(each)} for each in own]
        made.append(post(b"/predict", json.dumps(body, separators=(",", ":")).encode()))
    return cycle(made)


def invocations(feature_set: FeatureSet, rows: int, path: bytes, distinct: int = 1000) -> Iterator[bytes]:
    """The same question to a server that is told all inputs, in the form that MLflow's documentation has."""
    random = np.random.default_rng(4)
    counts = drawn_counts(random, feature_set.counts, distinct * rows).astype(float)
    fields = np.stack([random.integers(1, SLOTS + 1, len(counts)), random.uniform(1e9, 2e9, len(counts))], axis=1)
    inputs = (
        np.concatenate([fields, counts, drawn_sums(random, feature_set, len(counts))], axis=1)
        .reshape(distinct, rows, -1)
        .tolist()
    )
    return cycle([post(path, _dataframe(feature_set.input_names, each)) for each in inputs])


def _dataframe(names: Sequence[str], rows: Sequence[Sequence[float]]) -> bytes:
    return json.dumps({"dataframe_split": {"columns": list(names), "data": rows}}, separators=(",", ":")).encode()


def _zipf(random: np.random.Generator, size: int, exponent: float, count: int) -> np.ndarray:
    weights = np.arange(1, size + 1) ** -exponent
    return random.permutation(size)[random.choice(size, count, p=weights / weights.sum())]
