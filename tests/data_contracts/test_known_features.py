"""Feature sets are found again by their hash."""

from data_contracts.features import feature_set_path, load_feature_set
from data_contracts.known_features import all_known, current, keep, known


def test_a_feature_set_that_was_kept_is_found_by_its_hash(settings):
    feature_set = load_feature_set(feature_set_path("ad_ctr"))
    assert known(settings, feature_set.hash) is None
    keep(settings, feature_set)
    keep(settings, feature_set)
    found = known(settings, feature_set.hash)
    assert (found.name, found.hash, found.counts) == ("ad_ctr", feature_set.hash, feature_set.counts)
    assert [each.hash for each in all_known(settings)] == [feature_set.hash]


def test_the_current_one_is_that_of_conf(settings):
    assert current(settings).name == "ad_ctr"
