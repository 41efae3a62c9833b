"""A study that looks as if `scalingsweep run` had run it here, for the commands that read one."""

from pathlib import Path
from typing import Any

import yaml

from scalingsweep import laws, manifest, plan, resolve
from scalingsweep.api import result
from scalingsweep.api.outcome import Class, Outcome
from scalingsweep_cli.local.folder import Folder
from support import manifests
from support.s3 import S3

LAW = laws.Surface(E=1.9, A=60.0, B=120.0, alpha=0.33, beta=0.31)


def make(folder: Path, s3: S3, *, skip: int = 0, **changes: Any) -> Path:
    """Write a manifest whose storage is a real bucket, prepare's answer, and results.

    Args:
        folder: where the manifest lies.
        s3: the server.
        skip: leave out the last so many observations.
        changes: of `manifests.small()`.
    """
    store = s3.store()
    storage = {"s3": store.location.to_wire()}
    whole = manifests.whole(manifests.small() | changes | {"storage": storage})
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(whole))
    sweep = manifest.parse(path.read_text())
    prepared = manifests.prepared()
    home = Folder.beside(path, sweep.metadata.name)
    home.make()
    answer = Outcome(klass=Class.DONE, prepared=prepared)
    home.outcome("prepare", 1).write_text(answer.to_json())
    planned = plan.make(sweep.spec)
    specs = resolve.trials(planned, prepared)
    count = len(planned.observations) - skip
    for trial, D in planned.observations[:count]:
        for corpus in prepared.corpora:
            found = result.Result(
                trial=specs[trial.key].id,
                tokens=D,
                validation=corpus.validation,
                loss=float(LAW.loss(trial.size.N, D)),
                bits_per_byte=1.0,
                evaluated_tokens=1000,
                evaluated_bytes=3000,
            )
            key = result.key(found.trial, D, corpus.validation)
            store.put_json_if_absent(key, found.to_wire())
    return path
