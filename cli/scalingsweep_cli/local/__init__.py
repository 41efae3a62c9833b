"""The control plane of one machine: an embedded S3 server, processes, and the loop over them."""
