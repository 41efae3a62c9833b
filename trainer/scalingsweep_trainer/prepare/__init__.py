"""From text to token shards in S3: what `scalingsweep-worker prepare` does once per corpus.

`sources` finds files, `documents` reads them, `staging` removes duplicates and holds out validation
documents, `tokenizer` makes or takes the tokenizer, `writing` makes shards, `corpora` does it all.
"""
