"""One trial: the run of one model from its first step, or its newest checkpoint, to its results.

`run` tells the story from top to bottom; every other module is one idea that it uses. `itinerary`
is pure (which branches, which checkpoint, which rate), the rest holds state, torch or S3.
"""
