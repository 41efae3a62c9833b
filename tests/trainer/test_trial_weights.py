"""Weights as a trial begins with them, and the loss that they give."""

import numpy as np
import pytest
import torch

from scalingsweep.store import Store
from scalingsweep_trainer.trial import weights
from scalingsweep_trainer.trial.ranks import alone
from scalingsweep_trainer.trial.state import State
from support import trials


def test_initial_weights_are_keyed_by_seed_and_name() -> None:
    shape = trials.SHAPE
    one = weights.initial("model.layers.0.mlp.up_proj.weight", (64, 32), shape, seed=0)
    assert torch.equal(
        one, weights.initial("model.layers.0.mlp.up_proj.weight", (64, 32), shape, seed=0)
    )
    up = "model.layers.{}.mlp.up_proj.weight"
    for name, seed in ((up.format(1), 0), (up.format(0), 1)):
        assert not torch.equal(one, weights.initial(name, (64, 32), shape, seed=seed))
    assert one.std().item() == pytest.approx(0.02, rel=0.05)
    down = weights.initial("model.layers.0.mlp.down_proj.weight", (64, 32), shape, seed=0)
    assert down.std().item() == pytest.approx(0.02 / 2, rel=0.05), "two layers write 4 times"
    assert torch.equal(weights.initial("model.norm.weight", (16,), shape, 0), torch.ones(16))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("hidden", [16, 64, 256])
def test_the_bounds_of_the_initial_loss_hold(store: Store, hidden: int, tied: bool) -> None:
    shape = trials.SHAPE.model_copy(update={"hidden_size": hidden, "tied_embeddings": tied})
    state = State.build(trials.spec(trials.corpus(store), (8,), shape=shape), alone("cpu"))
    for seed in range(5):
        weights.draw(state.parameters, shape, seed)
        rows = torch.randint(0, 32, (32, 17))
        with torch.no_grad():
            loss = state.model(rows[:, :-1], rows[:, 1:]).mean().item()
        repeats = (rows[:, :-1] == rows[:, 1:]).float().mean().item()
        low, high = weights.expected_loss(shape, repeats)
        assert low < loss < high
        if hidden <= 64:
            assert high - low < np.log(32), "loose bounds would notice nothing"
