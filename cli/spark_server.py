"""The Spark Connect server's properties: the only JVM of the platform, with Delta, bound to the platform's host."""

import shutil
from pathlib import Path

from cli.jars import verified_jars
from cli.preflight import NO_COUNTERS
from data_contracts.settings import Settings


def clear_scratch(settings: Settings) -> None:
    """Empties the folder of the server's temporary files, which one that was killed leaves; it must not be running."""
    shutil.rmtree(settings.home / "spark" / "scratch", ignore_errors=True)


def write_spark_properties(settings: Settings) -> None:
    """Writes <home>/spark/spark.properties; CommandError when a jar is missing or is not the committed one."""
    folder = settings.home / "spark"
    (folder / "scratch").mkdir(parents=True, exist_ok=True)
    properties = spark_properties(settings, verified_jars())
    lines = (f"{name} {value}\n" for name, value in properties.items())
    (folder / "spark.properties").write_text("".join(lines))


def spark_properties(settings: Settings, jars: list[Path]) -> dict[str, str]:
    """For many small jobs on one machine; a cluster has its own, and `SPARK_REMOTE` points there."""
    services, folder = settings.services, settings.home / "spark"
    return {
        "spark.app.name": "clicklake",
        "spark.master": f"local[{services.spark_cores}]",
        "spark.driver.memory": services.spark_driver_memory,
        "spark.driver.host": services.host,
        "spark.driver.bindAddress": services.host,
        "spark.connect.grpc.binding.address": services.host,
        "spark.connect.grpc.binding.port": str(services.spark_port),
        "spark.jars": ",".join(map(str, jars)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "scratch"),
        "spark.sql.session.timeZone": "UTC",
        # Nothing is left in /tmp, not even the counters for jps. The JVM's default collector would take a third of a
        # refinement for itself on two cores; pauses hurt nobody here.
        "spark.driver.extraJavaOptions": (
            f'-XX:+UseParallelGC -Duser.timezone=UTC {NO_COUNTERS} "-Djava.io.tmpdir={folder / "scratch"}"'
        ),
        "spark.sql.shuffle.partitions": "4",
        # Their defaults (50 tasks a commit, 10,000 tasks a VACUUM) are made for clusters.
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
        # Half the bytes of snappy at the same speed; level 3, the default, makes these files no smaller.
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.hadoop.parquet.compression.codec.zstd.level": "1",
        "spark.serializer": "org.apache.spark.serializer.KryoSerializer",  # of rows that are kept: less to read back
        # To look for the best encoding of each column takes longer than all that is done with what is kept.
        "spark.sql.inMemoryColumnarStorage.compressed": "false",
        # The jobs take turns at some hundreds of plans: what the JVM has compiled for one is there for its next run.
        "spark.sql.codegen.cache.maxEntries": "3000",
        # A second platform on this machine would race for its port.
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "WARN",
    }
