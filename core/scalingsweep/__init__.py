"""The pure vocabulary and mathematics of a scaling-law study.

Everything else rests on this package: the command, the operator and the trainer. It reads no clock,
opens no socket and starts no process; one module, `store`, speaks S3.
"""
