import pytest

from scalingsweep import devices


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("H100", "H100 SXM"),
        ("h100", "H100 SXM"),
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),  # torch
        ("NVIDIA-H100-80GB-HBM3", "H100 SXM"),  # the node label nvidia.com/gpu.product
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H100 NVL", "H100 NVL"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA A100-SXM4-80GB", "A100 80GB"),
        ("NVIDIA A100 80GB PCIe", "A100 80GB"),
        ("NVIDIA A100-PCIE-40GB", "A100 40GB"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("Tesla V100-SXM2-16GB", "V100 SXM2 16GB"),
        ("Tesla T4", "T4"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
    ],
)
def test_devices_are_found_by_the_names_that_they_go_by(name: str, device: str) -> None:
    found = devices.find(name)
    assert found is not None
    assert found.name == device


@pytest.mark.parametrize(
    "name",
    [
        "",
        "NVIDIA",
        "cpu",
        "Z9000",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA A100-SXM4-80GB MIG 1g.10gb",
        "NVIDIA H100 80GB HBM3 MIG 3g.40gb",
        "GTX 1080",
        "L400",
    ],
)
def test_an_unknown_device_has_no_peak(name: str) -> None:
    assert devices.find(name) is None


def test_the_table_is_consistent() -> None:
    normal = [devices._normal(alias) for device in devices.DEVICES for alias in device.aliases]
    assert len(set(normal)) == len(normal), "an alias names two devices"
    for device in devices.DEVICES:
        assert devices.find(device.name) is device
        assert device.fp32 < (device.bf16 or float("inf"))
        assert device.peak("fp32") == device.fp32
        assert device.peak("bf16") == device.bf16
        assert 16e9 <= device.memory <= 192e9
