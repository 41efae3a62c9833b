import gc

import pytest

from scalingsweep_trainer import imports


def test_the_collector_rests_and_is_back_whatever_happens() -> None:
    with pytest.raises(ImportError):
        _fail_while_heavy()
    assert gc.isenabled()


def _fail_while_heavy() -> None:
    with imports.heavy():
        assert not gc.isenabled()
        raise ImportError
