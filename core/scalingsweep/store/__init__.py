"""The one module of core that does I/O: objects under the manifest's prefix in S3.

The worker and the command read and write through `Store`; what lies under which key is settled in
ARCHITECTURE.md, not here. Keys are relative to the manifest's prefix.
boto3 is imported when the first store is opened, so that `plan` and `--help` do not wait for it.
"""

from scalingsweep.store.bucket import Store
from scalingsweep.store.faults import Missing
from scalingsweep.store.patience import PATIENCE_SECONDS, Patience

__all__ = ["PATIENCE_SECONDS", "Missing", "Patience", "Store"]
