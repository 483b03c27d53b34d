"""Feature sets are found again by their hash."""

import pytest

from data_contracts.feature_set_files import FeatureSetError, feature_set_path, load_feature_set
from data_contracts.known_features import all_known, current, keep, known

HEAD = "from data_contracts.features import DAY, Count\nCOUNTS = (Count((), 'clicks', DAY),)\n"


def test_a_feature_set_that_was_kept_is_found_by_its_hash(settings):
    feature_set = load_feature_set(feature_set_path("ad_ctr"))
    assert known(settings, feature_set.hash) is None
    keep(settings, feature_set)
    keep(settings, feature_set)
    found = known(settings, feature_set.hash)
    assert (found.name, found.hash, found.counts) == ("ad_ctr", feature_set.hash, feature_set.counts)
    assert [each.hash for each in all_known(settings)] == [feature_set.hash]


def test_a_file_that_changed_since_it_was_loaded_is_not_kept_under_its_hash(settings, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(HEAD + "def slot(position):\n    return position\n")
    loaded = load_feature_set(path)
    assert keep(settings, loaded).path != path
    path.write_text(HEAD + "def slot(position):\n    return -position\n")
    with pytest.raises(FeatureSetError, match=r"mine.py has changed meanwhile"):
        keep(settings, loaded)
    assert known(settings, loaded.hash) is None


def test_the_current_one_is_that_of_conf(settings):
    assert current(settings).name == "ad_ctr"
