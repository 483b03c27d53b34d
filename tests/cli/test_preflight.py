"""What a machine may lack, and the words in which it is told."""

from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.preflight import java_version, require_disk, require_java, require_plain_path, require_python


def java_that_says(folder: Path, words: str) -> Path:
    """A program called java that prints `words` to stderr, as a real one does."""
    folder.mkdir(parents=True, exist_ok=True)
    java = folder / "java"
    java.write_text(f"#!/bin/sh\nprintf '%s\\n' '{words}' >&2\n")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize(
    ("spoken", "version"),
    [
        ('openjdk version "17.0.16" 2025-07-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_392"', 8),
        ("no such thing", 0),
    ],
)
def test_the_version_of_java_is_read_from_what_it_says(spoken: str, version: int) -> None:
    assert java_version(spoken) == version


def test_another_python_is_told_which_is_needed_and_how_to_get_it() -> None:
    with pytest.raises(CommandError, match=r"Python 3\.11 is needed, this is 3\.12 .* apt-get install python3\.11"):
        require_python((3, 12))


def test_the_python_of_the_lock_will_do() -> None:
    require_python((3, 11))


def test_no_java_on_the_path_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no java is on PATH: install one") as raised:
        require_java({"PATH": str(tmp_path)})
    assert "\n" not in str(raised.value)


def test_an_old_java_is_refused_with_its_version(tmp_path: Path) -> None:
    java = java_that_says(tmp_path, 'openjdk version "11.0.2"')
    with pytest.raises(CommandError, match=f"{java} is 11: install"):
        require_java({"PATH": str(tmp_path)})


def test_java_home_goes_before_the_path_as_it_does_for_spark(tmp_path: Path) -> None:
    java_that_says(tmp_path / "old", 'openjdk version "11.0.2"')
    java_that_says(tmp_path / "home" / "bin", 'openjdk version "17.0.1"')
    require_java({"PATH": str(tmp_path / "old"), "JAVA_HOME": str(tmp_path / "home")})


def test_a_java_home_without_java_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"{tmp_path}/bin/java does not run"):
        require_java({"PATH": "/usr/bin", "JAVA_HOME": str(tmp_path)})


def test_too_little_disk_names_the_folder_that_exists_and_the_conf_key(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"^{tmp_path} has .* 1000000 are needed: .*services.least_free_disk_gib"):
        require_disk(tmp_path / "not" / "yet", 1_000_000)


def test_enough_disk_is_enough(tmp_path: Path) -> None:
    require_disk(tmp_path / "not" / "yet", 0)


def test_a_path_that_the_services_files_cannot_hold_is_refused() -> None:
    with pytest.raises(CommandError, match="holds '%' ';'"):
        require_plain_path(Path("/srv/a;b/50%"))
    require_plain_path(Path("/srv/jürgen's lake".replace("'", "")))
