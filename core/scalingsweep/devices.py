"""Accelerators: what a vendor says that they can do at most.

The plan's GPU-hours and the trainer's MFU divide by these peaks. A device that is not here has no
MFU: a default would print a number that means nothing (other tools print 152–563 %).

Every peak is dense: datasheets that print rates "with sparsity" are halved. fp32 is the rate of the
ordinary cores, without TF32, for that is what torch computes in fp32 unless it is told otherwise.
Memory is the datasheet's, in 10⁹ bytes. Rates of bf16 are those that accumulate in fp32.
"""

import dataclasses
import re
from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["bf16", "fp32"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One accelerator."""

    name: str
    """The name that reports print."""
    bf16: float | None
    """Peak dense bf16 FLOP/s; None where the device has no bf16 units."""
    fp32: float
    """Peak fp32 FLOP/s without TF32."""
    memory: int
    """Bytes of device memory."""
    aliases: tuple[str, ...]
    """What torch, nvidia-smi, node labels and people call it; letters and digits count only."""

    def peak(self, precision: Precision) -> float | None:
        """FLOP/s at most in one precision; None where there is none."""
        return self.bf16 if precision == "bf16" else self.fp32


def find(name: str) -> Device | None:
    """The device of a name, from torch, a node's label or a manifest; None if it is not known.

    A bare `H100` is the SXM5 module and a bare `A100` the 80 GB one. MIG slices, laptop parts and
    other variants are not the device whose name they contain: they are unknown.
    """
    return _BY_NAME.get(_normal(name))


def _normal(name: str) -> str:
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "".join(word for word in words if word not in _VENDOR_WORDS)


_VENDOR_WORDS = frozenset({"nvidia", "tesla", "geforce", "amd", "instinct"})

DEVICES = (
    # NVIDIA Blackwell datasheet, HGX B200 (8 GPUs: bf16 36 PFLOP/s sparse, fp32 600, 1.4 TB)
    Device(name="B200", bf16=2250e12, fp32=75e12, memory=180 * 10**9, aliases=("B200",)),
    # NVIDIA H200 datasheet, SXM (bf16 1,979 sparse)
    Device(
        name="H200",
        bf16=989e12,
        fp32=67e12,
        memory=141 * 10**9,
        aliases=("H200", "H200 SXM", "H200 141GB HBM3e"),
    ),
    # NVIDIA H100 datasheet, SXM (bf16 1,979 sparse; 989.4 in the Hopper whitepaper)
    Device(
        name="H100 SXM",
        bf16=989e12,
        fp32=67e12,
        memory=80 * 10**9,
        aliases=("H100", "H100 SXM", "H100 SXM5", "H100 80GB HBM3", "H100 SXM5 80GB"),
    ),
    # NVIDIA H100 datasheet, NVL (bf16 1,671 sparse)
    Device(name="H100 NVL", bf16=835e12, fp32=60e12, memory=94 * 10**9, aliases=("H100 NVL",)),
    # NVIDIA H100 datasheet, PCIe (bf16 1,513 sparse)
    Device(
        name="H100 PCIe",
        bf16=756e12,
        fp32=51e12,
        memory=80 * 10**9,
        aliases=("H100 PCIe", "H100 PCIe 80GB", "H100 80GB PCIe"),
    ),
    # NVIDIA A100 datasheet (one rate for SXM4 and PCIe)
    Device(
        name="A100 80GB",
        bf16=312e12,
        fp32=19.5e12,
        memory=80 * 10**9,
        aliases=("A100", "A100 80GB", "A100 SXM4 80GB", "A100 80GB PCIe", "A100 PCIe 80GB"),
    ),
    Device(
        name="A100 40GB",
        bf16=312e12,
        fp32=19.5e12,
        memory=40 * 10**9,
        aliases=("A100 40GB", "A100 SXM4 40GB", "A100 PCIe 40GB"),
    ),
    # NVIDIA A30 datasheet
    Device(name="A30", bf16=165e12, fp32=10.3e12, memory=24 * 10**9, aliases=("A30",)),
    # NVIDIA A40 datasheet
    Device(name="A40", bf16=149.7e12, fp32=37.4e12, memory=48 * 10**9, aliases=("A40",)),
    # NVIDIA A10 datasheet
    Device(name="A10", bf16=125e12, fp32=31.2e12, memory=24 * 10**9, aliases=("A10",)),
    # NVIDIA L40S datasheet (bf16 362.05 dense)
    Device(name="L40S", bf16=362.05e12, fp32=91.6e12, memory=48 * 10**9, aliases=("L40S",)),
    # NVIDIA L40 datasheet (bf16 181.05 dense)
    Device(name="L40", bf16=181.05e12, fp32=90.5e12, memory=48 * 10**9, aliases=("L40",)),
    # NVIDIA L4 datasheet (bf16 242 sparse)
    Device(name="L4", bf16=121e12, fp32=30.3e12, memory=24 * 10**9, aliases=("L4",)),
    # NVIDIA Ada GPU architecture whitepaper (bf16 with fp32 accumulation, dense)
    Device(
        name="RTX 4090",
        bf16=165.2e12,
        fp32=82.6e12,
        memory=24 * 10**9,
        aliases=("RTX 4090", "4090"),
    ),
    # NVIDIA Ampere GA102 GPU architecture whitepaper (bf16 with fp32 accumulation, dense)
    Device(
        name="RTX 3090",
        bf16=71e12,
        fp32=35.6e12,
        memory=24 * 10**9,
        aliases=("RTX 3090", "3090"),
    ),
    # NVIDIA V100 datasheet: SXM2 15.7, PCIe 14; Volta has no bf16
    Device(
        name="V100 SXM2 32GB",
        bf16=None,
        fp32=15.7e12,
        memory=32 * 10**9,
        aliases=("V100 SXM2 32GB", "V100 SXM3 32GB", "V100 32GB"),
    ),
    Device(
        name="V100 SXM2 16GB",
        bf16=None,
        fp32=15.7e12,
        memory=16 * 10**9,
        aliases=("V100", "V100 SXM2 16GB", "V100 16GB"),
    ),
    Device(
        name="V100 PCIe",
        bf16=None,
        fp32=14e12,
        memory=16 * 10**9,
        aliases=("V100 PCIe", "V100 PCIe 16GB"),
    ),
    # NVIDIA T4 datasheet; Turing has no bf16
    Device(name="T4", bf16=None, fp32=8.1e12, memory=16 * 10**9, aliases=("T4",)),
    # AMD Instinct MI300X data sheet (peak bf16 matrix 1307.4, peak fp32 vector 163.4)
    Device(name="MI300X", bf16=1307.4e12, fp32=163.4e12, memory=192 * 10**9, aliases=("MI300X",)),
    # AMD Instinct MI250X data sheet, both dies; torch shows each die as a device of its own, so a
    # name alone cannot say how much of it a process holds: left out on purpose.
)

_BY_NAME = {_normal(alias): device for device in DEVICES for alias in device.aliases}
