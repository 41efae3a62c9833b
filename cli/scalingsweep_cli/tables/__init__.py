"""The tables of `scalingsweep results`: what is compared, how it is matched, how it is written.

From the ground up: `sheet` is a table and `writing` its formats; `source` reads studies; `cells`
and `parameters` make sheets of them.
"""
