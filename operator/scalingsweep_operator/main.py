"""`scalingsweep-operator`: reads the settings, and runs one operator until a signal."""

import asyncio
import logging
import signal
import sys

from scalingsweep.errors import ScalingSweepError
from scalingsweep_operator import faults, logs, settings
from scalingsweep_operator.api import Api
from scalingsweep_operator.look import Reconcile
from scalingsweep_operator.metrics import Metrics
from scalingsweep_operator.reconcile import Reconciler
from scalingsweep_operator.service import Service
from scalingsweep_operator.settings import Settings

_log = logging.getLogger(__name__)


def main() -> None:
    """The console script: 0 after a signal, 1 where it cannot go on, 2 for wrong settings."""
    given = settings.read(sys.argv[1:])
    logs.configure(given)
    sys.exit(asyncio.run(_run(given)))


async def _run(given: Settings) -> int:
    service = Service(given, _reconcile)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stopping.set)
    try:
        await service.run()
    except faults.Lost as error:
        _log.error("ends: %s", error)
    except (ScalingSweepError, OSError) as error:
        _log.error("cannot run: %s", error)
    else:
        return 0
    return 1


def _reconcile(api: Api, given: Settings, metrics: Metrics) -> Reconcile:
    return Reconciler(api=api, settings=given, metrics=metrics).reconcile
