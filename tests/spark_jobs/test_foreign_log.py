"""A log of other columns with a feature set of its own, just as docs/features.md walks through it."""

import io
import math
import re
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from cli.importing.import_log import import_log
from data_contracts.feature_set_files import load_feature_set
from data_contracts.tables import TRAINING_SETS
from spark_jobs import build_training_set, count_events, label_impressions, load_events, refine_events

pytestmark = pytest.mark.spark
PAGE = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
AS_OF = datetime(2024, 3, 4, tzinfo=UTC)


def block(language: str, place: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[place]


@pytest.fixture(scope="module")
def rows(copied_lake, tmp_path_factory):
    """The training set of the page's log, by line of the log."""
    folder = tmp_path_factory.mktemp("hotels")
    for name, content in (
        ("searches.csv", block("csv")), ("searches.toml", block("toml")), ("hotels.py", block("python")),
    ):  # fmt: skip
        (folder / name).write_text(content)
    lake = copied_lake(folder / "home")
    features = replace(lake.settings.features, feature_set=str(folder / "hotels.py"))
    lake = replace(lake, settings=replace(lake.settings, features=features))
    import_log(lake.settings, folder / "searches.toml", [folder / "searches.csv"], Console(file=io.StringIO()))
    load_events.main(lake, AS_OF, None)
    refine_events.main(lake, AS_OF, Namespace(let_bad_batch_through=False))
    count_events.main(lake, AS_OF, Namespace(anew=False))
    label_impressions.main(lake, AS_OF, None)
    build_training_set.main(lake, AS_OF, None)
    names = load_feature_set(folder / "hotels.py").feature_names
    found = lake.read(TRAINING_SETS).orderBy("timestamp").collect()
    return [(row["clicked"], dict(zip(names, row["features"], strict=True))) for row in found]


def test_the_line_of_conf_is_that_of_the_page():
    assert 'feature_set = "hotels"' in block("toml", 1)


def test_each_line_is_a_row_with_its_label(rows):
    assert [clicked for clicked, _ in rows] == [0, 1, 0, 1, 0]


def test_the_fourth_row_sees_what_the_page_says(rows):
    _, features = rows[3]
    chain = (1 + 0.02 * 50) / (2 + 50)
    hotel = (1 + chain * 20) / (2 + 20)
    expected = {"chain_ctr": chain, "hotel_ctr": hotel, "searches": 2, "log_price": math.log(99), "slot": 1}
    assert features == {name: np.float32(value) for name, value in expected.items()}


def test_a_price_that_is_not_there_is_nan_and_a_new_place_starts_from_its_chain(rows):
    _, features = rows[4]
    assert math.isnan(features["log_price"])
    chain = (2 + 0.02 * 50) / (3 + 50)
    assert features["chain_ctr"] == np.float32(chain)
    assert features["hotel_ctr"] == np.float32((0 + chain * 20) / (1 + 20))
