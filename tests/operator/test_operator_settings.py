import pytest

from scalingsweep_operator import settings


def test_flags_win_over_the_environment_and_empty_ones_are_left_out() -> None:
    environment = {
        "SCALINGSWEEP_WORKER_IMAGE": "from-environment",
        "SCALINGSWEEP_NAMESPACES": "",
        "SCALINGSWEEP_WORKERS": "7",
        "POD_NAMESPACE": "own",
        "POD_NAME": "pod-1",
    }
    found = settings.read(["--worker-image", "from-flag"], environment)
    assert found.worker_image == "from-flag"
    assert (found.namespaces, found.workers) == ((), 7)
    assert (found.namespace, found.identity) == ("own", "pod-1")
    assert settings.read(["--namespaces", "a, b"], environment).namespaces == ("a", "b")


def test_two_processes_without_a_pod_are_two() -> None:
    one, two = (settings.read(["--worker-image=x"], {}) for _ in range(2))
    assert one.identity != two.identity


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--worker-image"),
        (["--worker-image=x", "--workers=0"], "--workers"),
        (["--worker-image=x", "--namespaces=A_b"], "--namespaces"),
        (["--worker-image=x", "--renew-seconds=9"], "--renew-seconds"),
        (["--worker-image=x", "--log-level=loud"], "--log-level"),
        (["--worker-image=x", "--unknown=1"], "--unknown"),
    ],
)
def test_a_wrong_setting_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        settings.read(arguments, {})
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_help_tells_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings.read(["--help"], {})
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')} " in said for name in settings.Settings.model_fields)
