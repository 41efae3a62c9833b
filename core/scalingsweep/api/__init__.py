"""The wire types: what a researcher writes, what the worker is told and what it answers.

camelCase on the wire, snake_case in Python, unknown fields refused. A field is described once, in
the string under it: that string becomes the CRD's description, the API reference and error texts.
"""
