"""A study as the operator reads it, for the pure tests."""

import pytest

from scalingsweep_operator import studies
from support import gathered


@pytest.fixture(scope="session")
def study() -> studies.Study:
    return gathered.study()
