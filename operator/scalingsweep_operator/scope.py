"""The sweeps that we serve, by namespace. `service` lists them, `watch` watches where it may.

A namespace that is deleted takes our Role with it, and is no reason to leave the others alone.
"""

import logging

from scalingsweep_operator import faults, resources
from scalingsweep_operator.api import Api, Objects
from scalingsweep_operator.settings import Settings

_log = logging.getLogger(__name__)


async def sweeps(api: Api, settings: Settings) -> dict[str | None, Objects]:
    """All sweeps by the namespace that was asked for; None: by all of them at once.

    Raises:
        Refused: none of them may be listed.
        TransientError: the API server did not say.
    """
    found: dict[str | None, Objects] = {}
    refused: faults.Refused | None = None
    for namespace in settings.namespaces or (None,):
        try:
            found[namespace] = await api.list(resources.SWEEPS, namespace)
        except faults.Refused as error:
            refused = error
            if namespace is not None:
                _log.warning("namespace %s is left alone: %s", namespace, error)
    if refused is not None and not found:
        raise refused
    return found


async def readable(api: Api, settings: Settings) -> tuple[str, ...]:
    """The namespaces to watch; none: all.

    Raises:
        ScalingSweepError: see `sweeps`.
    """
    return tuple(each for each in await sweeps(api, settings) if each is not None)
