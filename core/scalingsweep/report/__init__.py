"""The report: one HTML file that says what a study found, how sure that is and what is missing.

`render` is called by the command (`scalingsweep report`) and by the worker at the end of a fit.
From the ground up: `study` is what is told; `numbers`, `palette`, `axis`, `panel` and `svg` draw;
`cells`, `law` and `equal` ask the data; `figures`, `tables` and `words` answer; `page` sets it all.
"""

from scalingsweep.report.page import render
from scalingsweep.report.study import Arm, Study

__all__ = ["Arm", "Study", "render"]
