"""What a machine has, and what of it each trial gets."""

from scalingsweep_cli.local import machine
from support import manifests

LISTING = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-3b0a1c9e-1111-2222-3333-444455556666)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-3b0a1c9e-1111-2222-3333-444455556667)
"""


def _tokens(listing: str, mask: str | None) -> list[str]:
    return [gpu.token for gpu in machine.visible(listing, mask)]


def test_the_mask_of_the_environment_counts() -> None:
    assert _tokens(LISTING, None) == ["0", "1"]
    assert _tokens(LISTING, "1") == ["1"]
    assert _tokens(LISTING, "") == _tokens(LISTING, "-1") == _tokens("", None) == []
    assert machine.visible(LISTING, None)[0].model == "NVIDIA H100 80GB HBM3"
    (hidden,) = machine.visible(LISTING, "GPU-3b0a")
    assert (hidden.token, hidden.model) == ("GPU-3b0a", None)


def test_resources_of_the_cluster_become_this_machines() -> None:
    spec = manifests.spec(
        resources=[
            {"upTo": "30k", "cpu": 2},
            {"nodes": 4, "gpusPerNode": 8, "accelerator": "A100", "cpu": 8},
        ]
    )
    small, large = machine.localised(spec, machine.visible(LISTING, None)).resources
    assert (small.nodes, small.gpus_per_node, small.accelerator, small.cpu) == (1, 0, None, 2)
    assert (large.nodes, large.gpus_per_node) == (1, 2)
    assert large.accelerator == "NVIDIA H100 80GB HBM3"
    assert [rule.gpus_per_node for rule in machine.localised(spec, ()).resources] == [0, 0]


def test_no_gpu_is_given_twice() -> None:
    room = machine.Room(machine.visible(LISTING, None))
    one = room.take(1)
    assert one is not None
    assert room.take(2) is None
    two = room.take(1)
    assert two is not None
    assert one != two
    assert room.take(1) is None
    assert room.take(0) == ()
    room.give_back(one)
    assert room.take(1) == one
