"""The one exception of this package: its message says what to do next."""


class ClusterError(Exception):
    """The cluster cannot be had like this; `python -m hack.cluster` prints it and exits 1."""
