"""conf/*.toml read into settings: overlays, and errors that name file and key."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from data_contracts import settings
from data_contracts.sections import Clock, parsed_instant
from data_contracts.settings import CONF, ConfigurationError, Settings, load


def overlay(folder: Path, text: str) -> dict[str, str]:
    file = folder / "overlay.toml"
    file.write_text(text)
    return {"CLICKLAKE_CONF": str(file), "CLICKLAKE_HOME": str(folder)}


def changed_base(folder: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> Path:
    """A conf folder whose base.toml has `new` instead of `old`."""
    text = (CONF / "base.toml").read_text()
    assert old in text
    (folder / "base.toml").write_text(text.replace(old, new))
    monkeypatch.setattr(settings, "CONF", folder)
    return folder / "base.toml"


def test_the_base_is_whole_and_holds_the_laptop_values():
    loaded = load({})
    assert loaded.model_name == "ad_ctr"
    assert loaded.services.host == "127.0.0.1"
    assert loaded.services.serving_port == 8000
    assert loaded.features.feature_set == "ad_ctr"
    assert loaded.gate.slice_columns == ("advertiser_id", "device_type", "position")
    assert loaded.serving.segment_limit_seconds == 10.0


def test_the_test_overlay_moves_every_port_away_from_the_base():
    base, test = load({}), load({"CLICKLAKE_CONF": str(CONF / "test.toml")})
    ports = [field.name for field in fields(base.services) if field.name.endswith("_port")]
    assert ports == ["spark_port", "airflow_port", "mlflow_port", "serving_port"]
    used = [getattr(loaded.services, port) for loaded in (base, test) for port in ports]
    assert len(set(used)) == len(used)


def test_an_overlay_changes_its_keys_and_leaves_the_rest(tmp_path):
    loaded = load(overlay(tmp_path, 'model_name = "other"\n[services]\nserving_port = 9000\n'))
    assert (loaded.model_name, loaded.services.serving_port, loaded.services.mlflow_port) == ("other", 9000, 5000)


def test_without_a_home_state_lies_in_var_of_the_repository():
    assert load({}).home == CONF.parent / "var"
    assert load({"CLICKLAKE_HOME": ""}).home == CONF.parent / "var"


def test_a_relative_home_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load({"CLICKLAKE_HOME": "here"}).home == tmp_path / "here"


def test_every_path_lies_under_home_and_the_secret_outside_the_lake(settings: Settings):
    home = settings.home
    assert settings.landing == home / "landing"
    assert settings.lake == home / "lake"
    assert settings.checkpoints == home / "checkpoints"
    assert settings.snapshots == home / "snapshots"
    assert settings.pseudonym_key == home / "secrets" / "pseudonym.key"
    assert settings.api_keys == home / "secrets" / "api_keys.json"


def test_addresses_are_made_of_host_and_port():
    settings = load({})
    assert settings.spark_remote == "sc://127.0.0.1:15002"
    assert settings.mlflow_url == "http://127.0.0.1:5000"
    assert settings.airflow_url == "http://127.0.0.1:8080"
    assert settings.serving_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 1", "unknown key colour; known here: home, model_name, clock"),
        ("[services]\nserving_prot = 1", "unknown key services.serving_prot; known here: host, spark_port"),
        ("[servces]\nserving_port = 1", "unknown key servces"),
        ("services = 3", "services is 3, not a section"),
        ('[services]\nserving_port = "8000"', "services.serving_port is '8000', not int"),
        ("[services]\nserving_port = true", "services.serving_port is True, not int"),
        ("[services]\nserving_port = 8000.5", "services.serving_port is 8000.5, not int"),
        ("[services]\nhost = 1", "services.host is 1, not text"),
        ("[training]\nlearning_rate = true", "training.learning_rate is True, not float"),
        ('[gate]\nslice_columns = "position"', "gate.slice_columns is 'position', not a list of strings"),
        ("[gate]\nslice_columns = [1]", "gate.slice_columns is [1], not a list of strings"),
        ("[services]\nspark_port = 99999", "services.*_port: the four ports must differ and lie within 1 and 65535"),
        ("[services]\nserving_port = 5000", "services.*_port: the four ports must differ and lie within 1 and 65535"),
        ('[clock]\nstated = "yesterday"', "clock.stated: Invalid isoformat string: 'yesterday'"),
        ('[clock]\nstated = "2019-11-30T23:00:00"', "clock.stated: '2019-11-30T23:00:00' has no time zone"),
        ('[serving]\naccess = "closed"', "serving.access is 'closed', not 'open' or 'keys'"),
        ("[services\n", "not valid TOML: "),
    ],
)
def test_a_mistake_in_an_overlay_names_the_overlay_and_the_key(tmp_path, text, message):
    with pytest.raises(ConfigurationError) as raised:
        load(overlay(tmp_path, text))
    assert str(raised.value).startswith(f"{tmp_path / 'overlay.toml'}: ")
    assert message in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_on_loopback_access_may_be_open(tmp_path, host):
    loaded = load(overlay(tmp_path, f'[services]\nhost = "{host}"\n'))
    assert (loaded.services.host, loaded.serving.access) == (host, "open")


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "10.0.0.7", "128.0.0.1", "localhost.example.org", "serving"])
def test_beyond_loopback_access_takes_keys(tmp_path, host):
    beyond = f'[services]\nhost = "{host}"\n[serving]\naccess = '
    with pytest.raises(ConfigurationError) as raised:
        load(overlay(tmp_path, f'{beyond}"open"\n'))
    assert str(raised.value) == (
        f"services.host is '{host}', not loopback, and serving.access is "
        '"open": set access to "keys" and make some by `clicklake key add`, or listen on 127.0.0.1'
    )
    assert load(overlay(tmp_path, f'{beyond}"keys"\n')).services.host == host


def test_a_missing_overlay_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: no such file"):
        load({"CLICKLAKE_CONF": str(tmp_path / "nowhere.toml")})


def test_an_overlay_that_is_a_folder_or_no_text_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load({"CLICKLAKE_CONF": str(tmp_path)})
    (tmp_path / "latin.toml").write_bytes(b'model_name = "\xe9"')
    with pytest.raises(ConfigurationError, match=r"latin\.toml: not valid TOML"):
        load({"CLICKLAKE_CONF": str(tmp_path / "latin.toml")})


def test_home_is_not_a_key_of_a_file(tmp_path):
    with pytest.raises(ConfigurationError, match="home"):
        load(overlay(tmp_path, 'home = "/elsewhere"'))


def test_an_unknown_key_of_the_base_names_the_base_though_an_overlay_is_used(tmp_path, monkeypatch):
    base = changed_base(tmp_path, monkeypatch, "[clock]", "[clock]\ncolour = 1")
    with pytest.raises(ConfigurationError) as raised:
        load(overlay(tmp_path, "[services]\nserving_port = 9000"))
    assert str(raised.value) == f"{base}: unknown key clock.colour; known here: stated"


def test_a_missing_key_is_named(tmp_path, monkeypatch):
    base = changed_base(tmp_path, monkeypatch, 'airflow_user = "admin"\n', "")
    with pytest.raises(ConfigurationError) as raised:
        load({})
    assert str(raised.value) == f"{base}: missing key services.airflow_user"


def test_a_whole_number_is_taken_for_a_float(tmp_path):
    rate = load(overlay(tmp_path, "[training]\nlearning_rate = 1")).training.learning_rate
    assert (rate, type(rate)) == (1.0, float)


def test_a_stated_clock_stands_still():
    assert Clock("2019-11-30T23:59:59Z").now() == datetime(2019, 11, 30, 23, 59, 59, tzinfo=UTC)


def test_an_empty_clock_is_the_real_time():
    before = datetime.now(UTC)
    assert before <= Clock("").now() <= datetime.now(UTC)


def test_an_instant_is_turned_into_utc():
    instant = parsed_instant("2019-12-01T01:00:00+02:00")
    assert instant == datetime(2019, 11, 30, 23, tzinfo=UTC)
    assert instant.tzinfo is UTC
    assert instant == datetime(2019, 12, 1, 1, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("[retention]\nvacuum_hours = 167\n", "retention.vacuum_hours is 167; at least 168"),
        ("[retention]\nlog_days = 6\n", "retention.log_days is 6; .* at least as long as files: 168 hours"),
        ("[retention]\nraw_days = -1\n", "may not be negative"),
        ("[ingest]\nworst_rejected_share = 1.5\n", "ingest.worst_rejected_share is 1.5, not within 0 and 1"),
        ("[ingest]\nleast_batch_events = 0\n", "must be at least 1"),
        ("[serving]\nlog_queue_bytes = 0\n", "log_queue_bytes must be greater than 0"),
    ],
)
def test_a_number_that_would_lose_rows_is_refused(tmp_path, change, complaint):
    overlay = tmp_path / "overlay.toml"
    overlay.write_text(change)
    with pytest.raises(ConfigurationError, match=complaint):
        load({"CLICKLAKE_CONF": str(overlay)})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("keep_rate = 0.0", r"training.keep_rate is 0.0, not above 0 and at most 1"),
        ("keep_rate = 1.01", r"training.keep_rate is 1.01, not above 0 and at most 1"),
        ("keep_rate = nan", r"training.keep_rate is nan, not above 0 and at most 1"),
        ("colsample_bytree = 0", r"training.colsample_bytree is 0.0, not above 0"),
        ("subsample = 2", r"training.subsample is 2.0, not above 0"),
        ("learning_rate = -0.1", r"training.learning_rate is -0.1, not above 0"),
        ("max_depth = 0", r"training.max_depth is 0, not at least 1"),
        ("calibration_hours = 0", r"training.calibration_hours is 0, not at least 1"),
        ("reg_lambda = inf", r"training.reg_lambda is inf, not a finite number of at least 0"),
        ("min_child_weight = -1", r"training.min_child_weight is -1.0, not a finite number"),
        ("least_click_ratio = 2.5", r"training.least_click_ratio and most_click_ratio are 2.5 and 2.0, not"),
    ],
)
def test_a_training_that_makes_no_sense_is_refused(tmp_path, change, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        load(overlay(tmp_path, f"[training]\n{change}\n"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("calibration_ratio_low = 1.2", r"gate.calibration_ratio_low and _high must lie on both sides of 1, not 1.2"),
        ("calibration_ratio_high = 0.95", r"gate.calibration_ratio_low and _high must lie on both sides of 1"),
        ("bootstrap_rounds = 0", r"bootstrap_rounds and slice_least_clicks must be at least 1"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(tmp_path, change, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        load(overlay(tmp_path, f"[gate]\n{change}\n"))


def test_nothing_is_sampled_unless_asked_for():
    assert load({}).training.keep_rate == 1.0
