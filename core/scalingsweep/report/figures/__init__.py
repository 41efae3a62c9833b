"""The figures of the report, one module each: `draw(study) -> Figure`."""
