"""What a study on the test cluster needs around it: an S3 server, text in its bucket, Prometheus.

tests/e2e prepares a cluster with it (`stage`), and so does `python -m hack.e2e` for work by hand:
afterwards `kubectl apply -f examples/kubernetes/sweep.yaml` is all that is missing. Both servers
run as pods from one-layer images and answer this machine on ports of the node.

From the ground up: `places`, `objects` → `s3`, `prometheus`, `text` → `stage` → `__main__`; `blows`
are for tests alone.
"""
