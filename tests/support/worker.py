"""A worker for tests of the control plane alone: a real process that speaks the real contract.

It trains nothing. What an attempt does is read from the file that STANDIN names: a JSON object of
`prepare`, `fit` or `<arm>/<size>/<seed>` to a list of acts, one per attempt, the last one repeated:
`done`, `stored` (done, with results in S3), `sleep:SECONDS` (then done; leaves at SIGTERM), `hang`
(deaf to SIGTERM), `crash`, `garbage`, `oversized`, `link`, `liar` (done without its budgets), or a
class of outcome. Finished trials are remembered beside that file; prepare finds them there and
answers otherwise what `prepared.json` beside it says. Imports are late: starting must cost nothing.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STANDIN = Path(os.environ["STANDIN"])
OUTCOME = Path(os.environ["SCALINGSWEEP_OUTCOME"])
LOSS = 3.25


def main() -> None:
    print("working as", os.getpid(), flush=True)
    {"prepare": _prepare, "trial": _trial, "fit": _fit}[sys.argv[1]]()


def _prepare() -> None:
    _act("prepare")
    known = json.loads((STANDIN.parent / "prepared.json").read_text())
    flags = [_mark(trial, D).exists() for trial, D in known["cells"]]
    number = sum(1 << index for index, flag in enumerate(flags) if flag)
    bitmap = base64.b64encode(number.to_bytes((len(flags) + 7) // 8, "little")).decode()
    _leave("Done", prepared={**known["prepared"], "observed": bitmap})


def _trial() -> None:
    spec = _told("TRIAL")
    act = _act(f"{spec['arm']}/{spec['size']}/{spec.get('seed', 0)}")
    for D in spec["budgets"]:
        if act == "stored":
            _store().put_json(
                f"trials/{spec['id']}/results/{D}/{spec['heldOut']}.json",
                {
                    "trial": spec["id"],
                    "tokens": D,
                    "validation": spec["heldOut"],
                    "loss": LOSS,
                    "bitsPerByte": 1.5,
                    "evaluatedTokens": 1,
                    "evaluatedBytes": 1,
                },
            )
        _mark(spec["id"], D).touch()
    _leave("Done", budgets=spec["budgets"])


def _fit() -> None:
    _act("fit")
    attempt = _told("ATTEMPT")
    folder = f"sweeps/{attempt.get('namespace', 'local')}/{attempt['sweep']}"
    embedded = attempt["storage"]["prefix"] == "local"  # elsewhere nobody fetches them
    for name in ("observations.csv", "fit.json", "report.html") if embedded else ():
        _store().put(f"{folder}/{name}", b"from the stand-in")
    alpha = {"name": "alpha", "value": 0.33, "low": 0.3, "high": 0.36}
    law = {"name": "extended", "arms": ["scratch"], "parameters": [alpha]}
    report = f"{folder}/report.html"
    _leave("Done", fit={"observations": 1, "missing": 0, "laws": [law], "report": report})


def _act(work: str) -> str:
    attempt = _told("ATTEMPT")
    number = attempt.get("number", 1)
    acts = json.loads(STANDIN.read_text()).get(work, ["done"])
    with Path(f"{STANDIN}.did").open("a") as did:
        did.write(f"{work} {number} {attempt.get('halvings', 0)}\n")
    act: str = acts[min(number, len(acts)) - 1]
    match act.partition(":")[0]:
        case "done" | "stored":
            pass
        case "sleep":
            signal.signal(signal.SIGTERM, lambda *_: _leave("Preempted", message="saved"))
            time.sleep(float(act.partition(":")[2]))
        case "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            # in a session of its own, as torchrun's workers are
            subprocess.run(["sleep", "300"], start_new_session=True, check=False)
        case "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        case "garbage":
            OUTCOME.write_text('{"class": "Done", "message": ["')
            sys.exit(0)
        case "oversized":
            OUTCOME.write_text('{"class": "Done", "message": "' + "x" * 5_000_000 + '"}')
            sys.exit(0)
        case "link":
            OUTCOME.symlink_to("/dev/zero")
            sys.exit(0)
        case "liar":
            _leave("Done", message="\x1b[2Jall is well")
        case _:
            _leave(act, message=f"{act} of the stand-in", field="spec.corpora[0].uri")
    return act


def _mark(trial: str, D: int) -> Path:
    return STANDIN.parent / f"done-{trial}-{D}"


def _store() -> Any:
    from scalingsweep.api.attempt import Attempt
    from scalingsweep.store import Store

    return Store(Attempt.from_wire(_told("ATTEMPT")).storage)


def _leave(klass: str, **more: Any) -> None:
    OUTCOME.write_text(json.dumps({"class": klass, **more}))
    sys.exit(0 if klass == "Done" else 1)


def _told(name: str) -> Any:
    return json.loads(os.environ[f"SCALINGSWEEP_{name}"])


if __name__ == "__main__":
    main()
