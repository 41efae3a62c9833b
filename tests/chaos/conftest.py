"""What the tests of survival share: a little real text."""

from pathlib import Path

import pytest

from support import chaos


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chaos.some_text(tmp_path_factory.mktemp("text"))
