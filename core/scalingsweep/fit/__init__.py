"""Laws from observations, with what is known and what is not.

    table → starts → solve (newton over objective) → bootstrap or profile → diagnosis → result

Callers need `fit.Table.of` or `fit.parse_csv`, `fit.fit`, and `Fit.to_json`.
"""

from scalingsweep.fit.estimate import fit
from scalingsweep.fit.objective import Objective
from scalingsweep.fit.predict import Target
from scalingsweep.fit.result import Fit
from scalingsweep.fit.table import Table, parse_csv

__all__ = ["Fit", "Objective", "Table", "Target", "fit", "parse_csv"]
