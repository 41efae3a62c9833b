from pathlib import Path

import pytest

from scalingsweep.errors import DataError
from scalingsweep_cli import measurements

DATA = Path(__file__).parents[1] / "data"


def test_names_of_other_groups_are_read() -> None:
    text = "Params,Tokens,Val_Loss\n1e7,2e8,3.5\n"
    rows = measurements.read(text, "t.csv")
    assert (rows.N, rows.D, rows.loss) == ([1e7], [2e8], [3.5])
    assert rows.arms == ("all",)
    assert rows.cluster is None


def test_the_exact_name_wins() -> None:
    rows = measurements.read("params,N,D,loss\n1,2,3,4\n", "t.csv")
    assert rows.N == [2.0]


def test_spreadsheet_marks_blank_lines_and_quotes_do_not_matter() -> None:
    rows = measurements.read('N,D,loss\r\n"1e7", 2e8 ,3.5\r\n\r\n,,\r\n', "t.csv")
    assert (rows.N, rows.D, rows.loss) == ([1e7], [2e8], [3.5])


def test_observations_are_fitted_on_the_tokens_of_their_own_corpus() -> None:
    text = (
        "arm,size,seed,N,D,D_target,D_replayed,loss_en,loss_fr\n"
        "cpt,1M,0,1000000,4000,3000,1000,3.5,2.5\n"
        "cpt,1M,1,1000000,4000,3000,1000,3.6,2.6\n"
        "scratch,1M,0,1000000,4000,4000,0,9.5,2.9\n"
    )
    rows = measurements.read(text, "observations.csv", corpus="fr")
    assert rows.D == [3000.0, 3000.0, 4000.0]
    assert rows.loss == [2.5, 2.6, 2.9]
    assert rows.corpus == "fr"
    assert rows.arms == ("cpt", "scratch")
    assert rows.cluster == [("1M", "0"), ("1M", "1"), ("1M", "0")]
    assert rows.of(["scratch"]).loss == [2.9]


def test_another_column_can_name_the_arm() -> None:
    text = (DATA / "gadre_104.csv").read_text()
    rows = measurements.read(text, "gadre_104.csv", by="dataset", corpus="c4_val")
    assert rows.arms == ("c4_original", "rpj", "rw_original")
    assert len(rows.loss) == 104


@pytest.mark.parametrize("cell", ["1_000", "inf", "0x10", "１", "1e999", "1,5", "--1"])
def test_what_python_calls_a_number_is_not_enough(cell: str) -> None:
    with pytest.raises(DataError, match="line 2, column N"):
        measurements.read(f'N,D,loss\n"{cell}",2e8,3.5\n', "t.csv")
