"""The commands of the README, the last of which stops the platform."""

import json
import re

import pytest

from cli.orphans import marked
from tests.end_to_end.conftest import ROOT, ran

pytestmark = pytest.mark.end_to_end


def test_every_command_of_the_readme_works(platform):
    """In the order of the page, on this platform's port; `make stop`, the last, leaves nothing."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.S | re.M)
    assert [block.strip() for block in blocks][:1] == ["make run"]
    assert blocks[-1].strip() == "make stop"
    for block in blocks:
        script = block.replace("127.0.0.1:8000", f"127.0.0.1:{platform.settings.services.serving_port}")
        said = ran(["bash", "-euo", "pipefail", "-c", script], platform.environ)
        if "/predict" in block:
            assert json.loads(said)["source"] == "model"
    assert marked(platform.settings.home) == []
