"""A real Kubernetes to prove ScalingSweep on, from pinned Go modules and a few Debian packages.

Two sizes of the same thing:

- **The API layer**: etcd, kube-apiserver and kube-controller-manager as three processes on free
  loopback ports, up in about 4 seconds, without root. Whatever the API server itself does is real
  (validation, CEL, RBAC, watches, conflicts, garbage collection); nothing runs pods, so a test
  plays the kubelet. `with hack.cluster.api.Api(folder) as api` in tests; by hand
  `python -m hack.cluster api-up` and `api-down`.
- **The cluster**: the same control plane, kube-scheduler, and one node (containerd, kubelet,
  kube-proxy, CoreDNS, training-operator) that advertises eight GPUs and has none. `make
  cluster-up` and `make cluster-down`; root on Linux, no Docker, nothing pulled from a registry.

The cluster lives in a mount, process and network namespace of its own (`sandbox`): nothing in it
can open a connection to the outside, and ending one process ends all of it, mounts included.
Every connection is TLS, verified against a CA that is made for this cluster and goes with it
(`certificates`). `up` prints the line that sets KUBECONFIG.

The binaries (`binaries`) are built once, from the modules under `hack/tools`, into
`$XDG_CACHE_HOME/scalingsweep/tools`; all of them take about 10 minutes on two cores, and `make
tools` does it ahead of time. Debian's packages are installed where they are missing, and stay.

Another disposable cluster can be used instead: with KUBECONFIG set to one that `up` did not make,
`up` only checks it (reachable, a node with GPUs, PyTorchJob known) and `down` leaves it alone.

From the ground up: `errors`; `toolchain` (Go) → `binaries`; `processes`, `certificates`,
`kubectl`, `ports` → `control_plane` → `api`; `kernel`, `cgroups`, `sandbox`, `debian`, `network`,
`images` → `node`, `dns`, `training_operator` → `cluster`, `foreign`; `kueue`, on request; `helm` →
`__main__`.

An image that was built elsewhere gets in with `images.load(Cluster(folder).inside, archive)`.
"""
