"""The Spark Connect server's properties."""

import shlex
from pathlib import Path

from cli.spark_server import spark_properties
from data_contracts.settings import Settings, load


def test_spark_listens_on_the_platforms_host_only_and_keeps_its_files_under_home(settings: Settings) -> None:
    properties = spark_properties(settings, [Path("/j/a.jar"), Path("/j/b.jar")])
    assert properties["spark.jars"] == "/j/a.jar,/j/b.jar"
    assert properties["spark.connect.grpc.binding.port"] == "25002"
    for name in ("spark.connect.grpc.binding.address", "spark.driver.host", "spark.driver.bindAddress"):
        assert properties[name] == "127.0.0.1"
    for name in ("spark.sql.warehouse.dir", "spark.local.dir"):
        assert Path(properties[name]).is_relative_to(settings.home)
    assert properties["spark.ui.enabled"] == "false"


def test_the_servers_temporary_files_are_under_home_also_where_that_holds_a_blank(tmp_path: Path) -> None:
    settings = load({"CLICKLAKE_HOME": str(tmp_path / "my home")})
    options = shlex.split(spark_properties(settings, [])["spark.driver.extraJavaOptions"])
    assert f"-Djava.io.tmpdir={tmp_path / 'my home' / 'spark' / 'scratch'}" in options
