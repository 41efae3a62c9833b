"""Fixtures of all rooms: a real S3 server, one per test process (so one per xdist worker)."""

import signal
from collections.abc import Iterator

import hypothesis
import pytest

from scalingsweep.store import Store
from support import s3 as s3_support

# A shell that puts a job into the background lets it ignore Ctrl-C, and children inherit that:
# the tests that press Ctrl-C would wait for ever. A handler of our own is reset in children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The machines are shared: how long an example takes, or its making, says nothing about us.
hypothesis.settings.register_profile(
    "shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3_support.S3]:
    """The server; `s3.store()` opens a store on a fresh prefix."""
    with s3_support.serve(tmp_path_factory.mktemp("s3")) as served:
        yield served


@pytest.fixture
def store(s3: s3_support.S3) -> Store:
    """A store on a prefix of this test's own."""
    return s3.store()
