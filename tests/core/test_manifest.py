import textwrap
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scalingsweep import manifest
from scalingsweep.errors import SpecError
from support import manifests


def read(spec_text: str) -> Any:
    head = "apiVersion: scalingsweep.dev/v1alpha1\nkind: ScalingSweep\nmetadata: {name: s}\n"
    return manifest.parse(head + textwrap.dedent(spec_text))


def text(**changes: Any) -> str:
    return yaml.safe_dump(manifests.whole(manifests.small() | changes))


def test_numbers_are_read_as_kubectl_reads_them() -> None:
    sweep = manifest.parse(text() + "\n")
    assert sweep.spec.budgets.tokens == (250_000, 700_000, 2_000_000)
    written = text(fit={"predict": [{"flops": 1}]}).replace("flops: 1", "flops: 1e24")
    assert manifest.parse(written).spec.fit.predict[0].flops == 10**24


def test_a_written_number_and_a_text_number_are_the_same_study() -> None:
    number = manifest.parse(text(budgets={"tokens": [250_000]}))
    label = manifest.parse(text(budgets={"tokens": ["250k"]}))
    assert number == label


@pytest.mark.parametrize(("written", "reads"), [("1:30", "1:30"), ("2020-01-01", "2020-01-01")])
def test_times_and_dates_are_text(written: Any, reads: Any) -> None:
    value = manifest.parse(text(queueName="q").replace("queueName: q", f"queueName: {written}"))
    assert value.spec.queue_name == reads


@pytest.mark.parametrize("word", ["no", "y", "off", "NO"])
def test_a_bare_no_is_false_and_the_error_says_to_quote_it(word: Any) -> None:
    bad = text().replace("name: fr", f"name: {word}", 1)
    with pytest.raises(SpecError, match=r"spec\.corpora\[1\]\.name: .*quote"):
        manifest.parse(bad)


def test_a_key_given_twice_is_refused_with_its_line() -> None:
    with pytest.raises(SpecError, match=r"'suspend' is given twice \(line"):
        manifest.parse(text() + "  suspend: true\n  suspend: false\n")


def test_the_reader_survives_anything() -> None:
    @given(st.text(max_size=200))
    def survives(anything: str) -> None:
        with pytest.raises(SpecError):
            manifest.parse(anything)

    survives()


def test_what_is_written_out_reads_back_as_the_same_study() -> None:
    sweep = manifest.parse(text())
    again = manifest.parse(yaml.safe_dump(manifests.whole(sweep.spec.to_wire())))
    assert again.spec == sweep.spec
