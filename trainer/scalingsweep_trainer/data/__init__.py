"""From token shards to batches: what a trial reads, in an order that no world size changes.

`shards` reads one split of a corpus, `stream` says which sequence stands at which global index,
`batches` brings the rows of a step ahead of time, `windows` cuts a held-out split for evaluation.
"""
