"""What a table accepts, and the one line that it refuses the rest with."""

import pytest

from scalingsweep import fit
from scalingsweep.errors import DataError
from scalingsweep.fit import Table
from support import studies

GOOD = "N,D,loss\n1e6,1e7,4\n1e6,2e7,3.8\n2e6,2e7,3.7\n2e6,4e7,3.5\n4e6,4e7,3.4\n4e6,8e7,3.2\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["x.csv", "N, D, loss"]),
        ("N,tokens,loss\n1,2,3\n", ["x.csv", "D", "N, tokens, loss"]),
        (GOOD.replace("3.8", "-3.8"), ["x.csv", "row 2", "column loss"]),
        (GOOD.replace("3.8", "three"), ["row 2", "column loss", "'three'"]),
        (GOOD.replace("3.8", ""), ["row 2", "column loss"]),
        (GOOD.replace("3.8", "nan"), ["row 2", "column loss"]),
        (GOOD.replace("2e6,4e7", "0,4e7"), ["row 4", "column N"]),
        ("\n".join(GOOD.splitlines()[:4]), ["x.csv", "3 rows"]),
        ("N,D,loss\n" + "1e6,1e7,4\n" * 6, ["column N", "one value"]),
    ],
)  # fmt: skip
def test_bad_input_is_named(text: str, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        fit.parse_csv(text, source="x.csv")
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_too_few_rows_for_the_law() -> None:
    table = fit.parse_csv(GOOD)
    assert fit.fit(table, law="extended", bootstrap=0).rows == 6
    five = fit.parse_csv(GOOD, exclude={1: "a spike"})
    with pytest.raises(DataError, match="5 rows and the extended law 6"):
        fit.fit(five, law="extended", bootstrap=0)


def test_excluded_rows_are_listed() -> None:
    table = fit.parse_csv(GOOD, exclude={2: "diverged"})
    assert table.rows == 5
    assert fit.fit(table, law="chinchilla", bootstrap=0).to_json()["dropped"] == [
        {"row": 2, "reason": "diverged"}
    ]
    with pytest.raises(DataError, match="no row 9"):
        fit.parse_csv(GOOD, exclude={9: "?"})


def test_clusters_come_from_the_columns_or_from_N() -> None:
    assert fit.parse_csv(GOOD).clusters == 3
    assert fit.parse_csv(GOOD).guessed_clusters
    lines = GOOD.splitlines()
    seeded = [f"{lines[0]},size,seed"] + [f"{x},S,{i % 2}" for i, x in enumerate(lines[1:])]
    table = fit.parse_csv("\n".join(seeded))
    assert table.clusters == 2
    assert not table.guessed_clusters
    assert not studies.kyotakano().clustered


def test_digest_follows_the_rows_alone() -> None:
    one, two = fit.parse_csv(GOOD), fit.parse_csv(GOOD.replace("3.8", "3.80"), source="y")
    assert one.sha256 == two.sha256
    assert one.sha256 != fit.parse_csv(GOOD.replace("3.8", "3.81")).sha256


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="column D"):
        Table.of(N=[1, 2, 3, 4], D=[1, 2, 3], loss=[1, 1, 1, 1])
