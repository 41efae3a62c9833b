"""All that a step changes, and nothing else: what is saved, restored and branched off.

A snapshot is a flat dict of tensors on the CPU, named by parameter: `model.<name>`,
`exp_avg.<name>`, `exp_avg_sq.<name>`, `step`, `random`, `ledger`. The data position is the step;
the optimizer's own counter too, for both start at 0 in every trial. The ledger is the digest of all
samples consumed so far (`data.stream`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from scalingsweep.api.trial import TrialSpec
from scalingsweep_trainer.trial import model as models
from scalingsweep_trainer.trial import optimizer as optimizers
from scalingsweep_trainer.trial.model import LanguageModel
from scalingsweep_trainer.trial.ranks import Ranks

Snapshot = dict[str, Tensor]

_MOMENTS = ("exp_avg", "exp_avg_sq")
_LEDGER = 64  # hex digits of a sha256


@dataclass(slots=True, kw_only=True)
class State:
    """The model, its optimizer and the step; mutable, one per process."""

    model: LanguageModel
    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.AdamW
    ranks: Ranks
    step: int = 0
    ledger: str = ""

    @classmethod
    def build(cls, spec: TrialSpec, ranks: Ranks) -> "State":
        """Everything allocated, no weight set yet."""
        torch.manual_seed(spec.seed)  # nothing draws from it today; a checkpoint carries it anyway
        model = models.build(spec, ranks)
        parameters = model.parameters_by_name()
        return cls(
            model=model,
            parameters=parameters,
            optimizer=optimizers.adamw(parameters, spec.optimizer),
            ranks=ranks,
        )

    def capture(self) -> Snapshot:
        """A copy on the CPU that later steps do not touch."""
        snapshot = {name: self._copy(tensor) for name, tensor in self._tensors().items()}
        snapshot["step"] = torch.tensor(self.step)
        snapshot["random"] = torch.get_rng_state()
        letters = self.ledger.encode().ljust(_LEDGER, b" ")
        snapshot["ledger"] = torch.frombuffer(bytearray(letters), dtype=torch.uint8)
        return snapshot

    def empty(self, *, weights_only: bool = False) -> Snapshot:
        """A snapshot's form, for a checkpoint to be read into."""
        tensors = self._tensors()
        if weights_only:
            return {
                name: self._copy(tensor)
                for name, tensor in tensors.items()
                if name.startswith("model.")
            }
        return self.capture()

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a snapshot bit for bit; one of weights alone leaves all else as it is."""
        for module in self.model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()  # after an evaluation the root's weights are still gathered
        tensors = self._tensors()
        with torch.no_grad():
            for name, value in snapshot.items():
                if name in tensors:
                    _local(tensors[name]).copy_(_local(value))
        if "step" in snapshot:
            self.step = int(snapshot["step"].item())
            self.ledger = bytes(snapshot["ledger"].tolist()).decode().strip()
            torch.set_rng_state(snapshot["random"])
            for moments in self.optimizer.state.values():
                moments["step"].fill_(self.step)

    def _tensors(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            found[f"model.{name}"] = parameter.detach()
            for moment in _MOMENTS:
                found[f"{moment}.{name}"] = self.optimizer.state[parameter][moment]
        return found

    def _copy(self, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, DTensor):
            return tensor.to("cpu", copy=True)
        assert self.ranks.host_mesh is not None
        return DTensor.from_local(
            tensor.to_local().to("cpu", copy=True),
            self.ranks.host_mesh,
            tensor.placements,
            run_check=False,
            shape=tensor.shape,
            stride=tensor.stride(),
        )


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
