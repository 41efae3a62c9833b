from collections.abc import Collection, Sequence

import pytest

from scalingsweep import analysis, laws, observations, resolve
from scalingsweep.api.result import Result
from scalingsweep.errors import DataError
from scalingsweep.plan import Plan
from support import manifests

SURFACES = {
    "source": laws.Surface(E=1.5, A=30.0, B=90.0, alpha=0.35, beta=0.3),
    "scratch": laws.Surface(E=1.6, A=40.0, B=120.0, alpha=0.35, beta=0.3),
    "cpt": laws.Surface(E=1.6, A=40.0, B=60.0, alpha=0.35, beta=0.27),
    "replay": laws.Surface(E=1.6, A=40.0, B=60.0, alpha=0.35, beta=0.27),
}


def study(
    sizes: Sequence[str] = ("27k", "55k", "110k", "220k"),
    missing: Collection[tuple[str, int]] = (),
) -> tuple[Plan, list[observations.Row], list[str]]:
    """Plan and rows of a study whose losses lie on known surfaces."""
    planned = manifests.planned(model={"contextLength": 128, "sizes": list(sizes)})
    prepared = manifests.prepared()
    specs = resolve.trials(planned, prepared)
    keys = {spec.id: key for key, spec in specs.items()}
    by_key = {trial.key: trial for trial in planned.trials}

    def find(trial: str, D: int, validation: str) -> Result | None:
        key = keys[trial]
        if (str(key), D) in missing:
            return None
        planned_trial = by_key[key]
        target = resolve.data(planned_trial, D, planned, prepared).target
        loss = float(SURFACES[key.arm].loss(float(planned_trial.size.N), float(target)))
        return Result(
            trial=trial,
            tokens=D,
            validation=validation,
            loss=loss,
            bits_per_byte=loss / 2,
            evaluated_tokens=1000,
            evaluated_bytes=3000,
        )

    rows, absent = observations.collect(planned, prepared, specs, find)
    return planned, rows, absent


def test_the_table_reads_back_as_it_was_written() -> None:
    _, rows, _ = study()
    text = observations.to_csv(rows, ("en", "fr"))
    again, corpora = observations.from_csv(text, "observations.csv")
    assert again == rows
    assert corpora == ("en", "fr")
    assert observations.to_csv(again, corpora) == text


def test_the_header_is_the_documented_one() -> None:
    assert ",".join(observations.columns(("en", "fr"))) == (
        "arm,size,seed,N,N_total,N_nonembedding,D,D_target,D_replayed,D_source,epochs,C,C_source,"
        "flops,trial,loss_en,loss_fr,bpb_en,bpb_fr"
    )


def test_rows_are_sorted_and_an_added_size_leaves_the_others_as_they_are() -> None:
    _, few, _ = study(sizes=("27k", "110k"))
    _, many, _ = study(sizes=("27k", "55k", "110k"))
    before = observations.to_csv(few, ("en", "fr")).splitlines()
    after = observations.to_csv(many, ("en", "fr")).splitlines()
    assert [line for line in after if ",55k," not in line] == before


def test_replayed_tokens_are_counted_apart() -> None:
    _, rows, _ = study()
    replayed = [row for row in rows if row["arm"] == "replay"]
    for row in replayed:
        assert row["D_target"] + row["D_replayed"] == row["D"]
        assert row["D_replayed"] == pytest.approx(row["D"] / 4, abs=128)
        assert row["D_source"] == 3906 * 512


def test_a_missing_cell_is_named_and_the_rest_is_kept() -> None:
    _, rows, absent = study(missing={("cpt/55k/0", 699_904)})
    assert absent == ["cpt/55k/0 at D = 699,904"]
    assert len(rows) == 4 + 3 * 12 - 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "no column"), ("N,D,loss\n1,2,3\n", "no column"), ("x", "no column")],
)
def test_another_table_is_refused(text: str, problem: str) -> None:
    with pytest.raises(DataError, match=rf"table\.csv: .*{problem}"):
        observations.from_csv(text, "table.csv")


def test_the_fit_of_a_study_finds_the_surfaces_it_was_made_from() -> None:
    planned, rows, _ = study()
    spec = planned.spec.model_copy(
        update={"fit": planned.spec.fit.model_copy(update={"bootstrap": 100})}
    )
    found = analysis.run(rows, spec)
    (chinchilla, extended) = found.fits
    assert chinchilla.arms == extended.arms == ("scratch", "cpt", "replay")
    assert chinchilla.corpus == "fr"
    for arm in extended.arms:
        truth, fitted = SURFACES[arm], extended.surface(arm)
        assert fitted.alpha == pytest.approx(truth.alpha, rel=1e-2)
        assert fitted.beta == pytest.approx(truth.beta, rel=1e-2)
        assert fitted.gamma == pytest.approx(0, abs=1e-3)
    assert any(note.startswith("source: no law is fitted") for note in found.notes)


def test_an_excluded_trial_is_left_out_with_its_reason() -> None:
    planned, rows, _ = study()
    fit = planned.spec.fit.model_validate(
        {"exclude": [{"trial": "cpt/27k", "reason": "broken node"}], "bootstrap": 100}
    )
    found = analysis.run(rows, planned.spec.model_copy(update={"fit": fit}))
    assert [dropped.reason for dropped in found.fits[0].dropped] == ["broken node"] * 3
    assert found.fits[0].rows == 36 - 3
