"""The worker's log: plain lines on stderr, without the chatter of libraries."""

import logging


def start() -> None:
    """Show our own progress; of libraries only warnings (botocore says where it found keys)."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("scalingsweep_trainer").setLevel(logging.INFO)
