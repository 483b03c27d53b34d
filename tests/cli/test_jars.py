"""A jar that is not the committed one is never loaded."""

from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.jars import CHECKSUMS, install_jars, verified_jars

SHA256_OF_GOOD = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "delta.jar").write_bytes(b"good")
    return folder


@pytest.fixture
def checksums(tmp_path: Path) -> Path:
    path = tmp_path / "jars.sha256"
    path.write_text(f"{SHA256_OF_GOOD}  delta.jar\n")
    return path


def test_the_committed_jar_is_used(folder: Path, checksums: Path) -> None:
    assert verified_jars(folder, checksums) == [folder / "delta.jar"]


def test_a_changed_jar_is_refused_with_both_checksums(folder: Path, checksums: Path) -> None:
    (folder / "delta.jar").write_bytes(b"evil")
    with pytest.raises(CommandError, match=rf"delta\.jar has sha256 b5c1\w+, jars\.sha256 says {SHA256_OF_GOOD}"):
        verified_jars(folder, checksums)


def test_a_missing_jar_says_what_to_run(tmp_path: Path, checksums: Path) -> None:
    with pytest.raises(CommandError, match=r"nowhere/delta\.jar is missing: run `make install`"):
        verified_jars(tmp_path / "nowhere", checksums)


def test_jars_that_are_there_are_not_fetched_again(folder: Path, checksums: Path, tmp_path: Path) -> None:
    install_jars(tmp_path / "no-spark-here", folder, checksums)


def test_the_committed_list_names_delta_and_nothing_that_spark_ships() -> None:
    names = sorted(line.split()[1] for line in CHECKSUMS.read_text().splitlines())
    assert names == [
        "delta-kernel-api-4.4.0.jar",
        "delta-kernel-defaults-4.4.0.jar",
        "delta-spark_4.1_2.13-4.4.0.jar",
        "delta-storage-4.4.0.jar",
    ]
