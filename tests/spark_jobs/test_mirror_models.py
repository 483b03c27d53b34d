"""model_metadata says what the registry says."""

import argparse
from datetime import UTC, datetime

import pytest

from data_contracts import registry
from data_contracts.lake import open_lake
from data_contracts.tables import MODEL_METADATA
from spark_jobs.delta_log import versions
from spark_jobs.mirror_models import main
from spark_jobs.session import JobError
from tests.conftest import free_port
from tests.data_contracts.conftest import verdict

pytestmark = pytest.mark.spark
AS_OF = datetime(2026, 1, 10, tzinfo=UTC)
TAGS = {
    "as_of": "2026-01-09T10:00:00+00:00",
    "trained_through": "2026-01-07T09:00:00+00:00",
    "training_set_id": "abc-1",
    "feature_set_hash": "abc",
}


def mirrored(lake):
    said = main(lake, AS_OF, argparse.Namespace())
    found = open_lake(lake.settings).sql("SELECT * FROM model_metadata ORDER BY version").to_arrow_table().to_pylist()
    return said, [{name: dict(v) if isinstance(v, list) else v for name, v in row.items()} for row in found]


def test_each_version_is_a_row_with_its_data_verdict_and_aliases(lake, store, add_version):
    version = add_version(**TAGS)
    run_id = registry.version(lake.settings, version).run_id
    store.log_param(run_id, "data_version.clicks", "4")
    store.log_param(run_id, "max_depth", "4")
    registry.record_verdict(lake.settings, version, verdict(version, None))
    registry.promote(lake.settings, version)
    add_version(as_of="written over by hand")
    said, (first, second) = mirrored(lake)
    assert said == "model_metadata: 2 versions"
    assert (first["model_id"], first["version"], first["aliases"]) == ("ad_ctr", "1", "champion")
    assert first["as_of"] == datetime(2026, 1, 9, 10, tzinfo=UTC)
    assert first["trained_through"] == datetime(2026, 1, 7, 9, tzinfo=UTC)
    assert (first["training_set_id"], first["feature_set_hash"]) == ("abc-1", "abc")
    assert (first["data_versions"], first["metrics"]) == ({"clicks": "4"}, {"holdout_log_loss": 0.03})
    assert (first["verdict"], first["verdict_summary"]) == ("promote", "promote: no worse; calibrated")
    assert list(first["alias_moves"].values()) == ["champion: by its verdict"]
    assert abs((first["trained_at"] - datetime.now(UTC)).total_seconds()) < 600
    assert (second["version"], second["as_of"], second["verdict"], second["aliases"]) == ("2", None, None, "")


def test_nothing_is_written_until_something_changes(lake, store, add_version):
    add_version(**TAGS)
    mirrored(lake)
    before = versions(lake.settings.lake / MODEL_METADATA.name)
    assert mirrored(lake)[0] == "model_metadata: nothing new of 1 versions"
    assert versions(lake.settings.lake / MODEL_METADATA.name) == before
    registry.set_challenger(lake.settings, "1")
    said, (row,) = mirrored(lake)
    assert (said, row["aliases"]) == ("model_metadata: 1 versions", "challenger")


def test_without_mlflow_the_table_stays_and_the_job_says_so(lake, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(JobError, match="MLflow does not answer"):
        main(lake, AS_OF, argparse.Namespace())


def test_before_the_first_training_there_is_nothing_to_say(lake, store):
    assert mirrored(lake) == ("model_metadata: no version is registered yet", [])
