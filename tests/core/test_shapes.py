import csv
import pathlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalingsweep import shapes
from scalingsweep.api.shape import Shape
from scalingsweep.errors import SpecError
from scalingsweep.shapes import generator

TABLE = pathlib.Path(__file__).parents[1] / "data" / "zheng2024_sizes.csv"

ZHENG2024 = shapes.preset("zheng2024", None, 2048)


def published() -> list[dict[str, str]]:
    with TABLE.open() as lines:
        return list(csv.DictReader(lines))


def test_the_preset_is_the_published_table() -> None:
    shape_of = dict(ZHENG2024)
    assert len(ZHENG2024) == len(shape_of) == len(published()) == 42
    for row in published():
        shape = shape_of[f"{row['params_M_reported']}M"]
        assert (shape.hidden_size, shape.layers) == (int(row["hidden"]), int(row["layers"]))
        if row["params_M_reported"] != "4016":  # printed with heads that do not divide its width
            assert shape.heads == int(row["heads"])
        assert shape.intermediate_size == 4 * shape.hidden_size
        assert shape.tied_embeddings
        assert shape.vocab_size == 32_000


def test_the_preset_counts_to_the_published_sizes() -> None:
    shape_of = dict(ZHENG2024)
    for row in published():
        millions = shapes.counts(shape_of[f"{row['params_M_reported']}M"]).N / 1e6
        assert millions == pytest.approx(float(row["formula16h2L_plus32000h_M"]), rel=4e-4)
        assert abs(millions - float(row["params_M_reported"])) < 1.1  # printed truncated or rounded
    assert shape_of["4016M"].heads == 21


def test_the_preset_ascends_with_any_vocabulary() -> None:
    for vocab_size in (1024, 32_000, 250_000):
        rows = shapes.preset("zheng2024", vocab_size, 2048)
        sizes = [shapes.counts(shape).N for _, shape in rows]
        assert sizes == sorted(sizes)
        assert {shape.vocab_size for _, shape in rows} == {vocab_size}


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"spec.model.sizes.preset: unknown preset gpt: use zheng"):
        shapes.preset("gpt", None, 2048)


@pytest.mark.parametrize(
    ("low", "high", "first", "last", "rows"),
    [
        ("50M", "1B", "66M", "992M", 22),
        ("49M", "66M", "49M", "66M", 2),
        (None, "86M", "49M", "86M", 3),
        (4_657_000_000, None, "4657M", "5534M", 2),
        (None, None, "49M", "5534M", 42),
        ("1.085B", 1.085e9, "1085M", "1085M", 1),
    ],
)
def test_selection_is_inclusive_by_label(
    low: float | str | None, high: float | str | None, first: str, last: str, rows: int
) -> None:
    chosen = shapes.select(ZHENG2024, low, high)
    assert (chosen[0][0], chosen[-1][0], len(chosen)) == (first, last, rows)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ("50M", "60M", "spec.model.sizes: no size lies from 50M to 60M: .* are 49M and 66M"),
        (50_000_000, 60e6, "no size lies from 50M to 60M: the nearest labels are 49M and 66M"),
        ("9B", None, "from 9B to the largest: the nearest labels are 4657M and 5534M"),
        (None, "1M", "from the smallest to 1M: the nearest labels are 49M and 66M"),
        ("1B", "50M", "spec.model.sizes.from: 1B is above to: 50M; swap them"),
        ("50X", None, "spec.model.sizes.from: '50X' is not a count"),
    ],
)
def test_a_selection_of_nothing_says_what_is_near(
    low: float | str | None, high: float | str | None, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        shapes.select(ZHENG2024, low, high)


def test_untied_embeddings_leave_the_look_up_out_of_N() -> None:
    tied = ZHENG2024[0][1]
    untied = tied.model_copy(update={"tied_embeddings": False})
    one, two = shapes.counts(tied), shapes.counts(untied)
    assert one.N == one.total == two.N
    assert two.total == two.N + 512 * 32_000
    assert (one.embedding, two.embedding) == (512 * 32_000, 2 * 512 * 32_000)
    assert one.non_embedding == two.non_embedding == one.N - one.embedding


def generate(target_N: int, vocab_size: int) -> Shape:
    return shapes.generate(target_N, vocab_size=vocab_size, context_length=128)


def generated(target_N: int, vocab_size: int) -> tuple[int, ...]:
    shape = generate(target_N, vocab_size)
    return (shape.hidden_size, shape.layers, shape.heads, shape.intermediate_size)


@pytest.mark.parametrize(
    ("target_N", "vocab_size", "golden"),
    [
        (27_000, 1024, (16, 2, 2, 88)),
        (804_000, 1024, (104, 4, 4, 416)),
        (60_000_000, 32_000, (512, 10, 8, 2048)),
        (125_000_000, 32_000, (704, 13, 11, 2816)),
        (1_300_000_000, 32_000, (1792, 24, 14, 7168)),
        (100_000_000_000, 32_000, (9216, 73, 72, 36_864)),
    ],
)
def test_generated_shapes_are_golden(
    target_N: int, vocab_size: int, golden: tuple[int, ...]
) -> None:
    # a shape is part of a trial's id: changing these makes users' finished trials unfindable
    assert generated(target_N, vocab_size) == golden


sizes = st.floats(min_value=4.302, max_value=11).map(lambda power: int(10**power))
vocabularies = st.integers(min_value=256, max_value=128_000)


@settings(max_examples=300)
@given(sizes, vocabularies)
def test_any_size_is_met_within_three_percent_by_a_sensible_shape(
    target_N: int, vocab_size: int
) -> None:
    try:
        shape = generate(target_N, vocab_size)
    except SpecError:
        # only where embeddings would leave a width of less than 24 for the rest
        assert target_N / vocab_size < 24
        return
    assert abs(shapes.counts(shape).N / target_N - 1) <= generator.TOLERANCE
    assert 2 <= shape.intermediate_size / shape.hidden_size <= 8.2
    assert 0.5 <= shape.layers / generator.usual_layers(shape.hidden_size) <= 2
    if shape.hidden_size >= 512:
        assert shape.hidden_size // shape.heads in {64, 128}
    assert shape.tied_embeddings


@settings(max_examples=100)
@given(st.floats(min_value=7.7, max_value=11).map(lambda power: int(10**power)))
def test_sizes_of_published_ladders_get_their_proportions(target_N: int) -> None:
    shape = generate(target_N, 32_000)
    assert 3.5 <= shape.intermediate_size / shape.hidden_size <= 4.5
    assert 0.66 <= shape.layers / generator.usual_layers(shape.hidden_size) <= 1.5


def test_usual_depths_are_the_presets() -> None:
    ratios = sorted(
        shape.layers / generator.usual_layers(shape.hidden_size) for _, shape in ZHENG2024
    )
    assert ratios[len(ratios) // 2] == pytest.approx(1, abs=0.1)
    assert 0.65 < ratios[0] < ratios[-1] < 1.4


@pytest.mark.parametrize(
    ("target_N", "vocab_size"), [(20_000, 32_000), (1_100_000, 128_000), (1, 256), (10**14, 256)]
)
def test_a_size_that_cannot_be_names_the_nearest(target_N: int, vocab_size: int) -> None:
    with pytest.raises(SpecError, match="the nearest size is") as caught:
        generate(target_N, vocab_size)
    assert caught.value.field == "spec.model.sizes"


def test_a_vocabulary_that_fills_the_size_says_so() -> None:
    with pytest.raises(SpecError, match=r"20k .* 8192 words .* takes 65.54k.* smaller vocabulary"):
        generate(20_000, 8192)


def test_a_large_ladder_takes_a_fraction_of_a_second() -> None:
    started = time.process_time()
    for step in range(40):
        generate(int(2e4 * 1.45**step), 256)
    assert time.process_time() - started < 1


def test_the_wire_type_takes_what_is_generated() -> None:
    shape = generate(60_000_000, 32_000)
    assert Shape.from_wire(shape.to_wire()) == shape
