"""The API server's fixture, for this room."""

from support.cluster import api_server as api_server  # noqa: PLC0414  pytest finds it by its name
from support.resources import server as server  # noqa: PLC0414  as above
