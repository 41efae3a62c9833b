"""Free ports on loopback, for the API layer of `api`."""

import random
import socket

# Below Linux's range of ephemeral ports (32768 up), where another program's outgoing connection
# could take a port between our look at it and the server's.
_RANGE = range(10_240, 32_000)


def free(count: int) -> list[int]:
    """So many ports that nobody listens on just now."""
    found = (port for port in random.sample(_RANGE, len(_RANGE)) if _is_free(port))
    return [next(found) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
