"""Model shapes: what they count to, the published ladder, and a shape for any size.

The plan turns `model.sizes` of a manifest into shapes with this package; nothing in it trains.
"""

from scalingsweep.shapes.counting import Counts, counts
from scalingsweep.shapes.generator import generate
from scalingsweep.shapes.presets import preset, select

__all__ = ["Counts", "counts", "generate", "preset", "select"]
