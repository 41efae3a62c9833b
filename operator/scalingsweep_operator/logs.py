"""How log lines look. `main` sets it up once.

Nothing that is logged holds a credential: libraries that print requests stay at warnings.
"""

import json
import logging
import time

from scalingsweep_operator.settings import Settings

_CHATTY = ("kopf", "aiohttp", "asyncio", "kubernetes", "urllib3")


class _Json(logging.Formatter):
    """One object a line, for whatever gathers logs."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        line = {
            "time": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(settings: Settings) -> None:
    """Log to stderr, from now on."""
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")
    handler.setFormatter(_Json() if settings.log_format == "json" else plain)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
