"""The cluster's control plane: observes a Kubernetes, decides with core's own function, acts on it.

It never imports torch or the trainer, reads no Secret and speaks to no S3: the work runs in the
user's namespace, and what must be known of it comes back in termination messages.
"""
