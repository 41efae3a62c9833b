"""etcd, kube-apiserver and kube-controller-manager: what `api` runs on loopback, and `cluster`
inside its sandbox.

They are started as they are in production: TLS with verified certificates on every connection,
RBAC and the node authorizer, the controllers each under a service account of its own. What is left
out is what only durability needs: one etcd, no fsync.
"""

from dataclasses import dataclass
from pathlib import Path

from hack.cluster import binaries
from hack.cluster.certificates import Authority, Pair
from hack.cluster.kubectl import Kubectl
from hack.cluster.processes import Processes

SERVICE_RANGE = "10.96.0.0/16"
_FIRST_SERVICE = "10.96.0.1"  # of its range: the API server's own, as pods see it
_READY_SECONDS = 120.0  # 4 on an idle machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a control plane listens."""

    host: str
    """The address of kube-apiserver, for itself and for every client."""
    port: int
    etcd_port: int
    """On loopback always."""

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.host}:{self.port}"


def start(processes: Processes, authority: Authority, folder: Path, address: Address) -> Kubectl:
    """Start the three, and wait until the API server serves and the controllers work.

    Args:
        processes: takes them.
        authority: signs their certificates.
        folder: takes etcd's data, and `kubeconfig`, the administrator's.
        address: where they listen.

    Raises:
        ClusterError: one of them does not come up.
    """
    admin = authority.issue("admin", "admin", groups=["system:masters"])
    kubectl = Kubectl(authority.kubeconfig(folder / "kubeconfig", address.server, admin))
    tokens = authority.issue("service-accounts", "service-accounts")
    processes.start("etcd", _etcd(authority, folder / "etcd", address))
    processes.start("kube-apiserver", _api_server(authority, tokens, folder, address))
    processes.wait(
        "kube-apiserver",
        lambda: kubectl.succeeds("get", "--raw=/readyz"),
        seconds=_READY_SECONDS,
    )
    manager = _controller_manager(authority, tokens, folder, address)
    processes.start("kube-controller-manager", manager)
    # a controller's work; without this account the API server takes no pod
    processes.wait(
        "kube-controller-manager",
        lambda: kubectl.succeeds("get", "serviceaccount", "default", "--namespace=default"),
        seconds=_READY_SECONDS,
    )
    return kubectl


def _etcd(authority: Authority, data: Path, address: Address) -> list[str | Path]:
    pair = authority.issue("etcd", "etcd", addresses=["IP:127.0.0.1"])
    client = f"https://127.0.0.1:{address.etcd_port}"
    return [
        binaries.path("etcd"),
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        "--listen-peer-urls=http://127.0.0.1:0",  # it has no peers
        f"--cert-file={pair.certificate}",
        f"--key-file={pair.key}",
        f"--trusted-ca-file={authority.certificate}",
        "--client-cert-auth",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _api_server(
    authority: Authority, tokens: Pair, folder: Path, address: Address
) -> list[str | Path]:
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    pair = authority.issue(
        "kube-apiserver",
        "kube-apiserver",
        groups=["system:masters"],  # towards kubelets
        addresses=[
            f"IP:{address.host}",
            f"IP:{_FIRST_SERVICE}",
            *(f"DNS:{name}" for name in names),
        ],
    )
    loopback = address.host.startswith("127.")
    return [
        binaries.path("kube-apiserver"),
        f"--etcd-servers=https://127.0.0.1:{address.etcd_port}",
        f"--etcd-cafile={authority.certificate}",
        f"--etcd-certfile={pair.certificate}",
        f"--etcd-keyfile={pair.key}",
        f"--bind-address={address.host}",
        f"--advertise-address={address.host}",
        f"--secure-port={address.port}",
        # loopback is no endpoint that a Service may have
        f"--endpoint-reconciler-type={'none' if loopback else 'lease'}",
        f"--cert-dir={folder}",
        f"--tls-cert-file={pair.certificate}",
        f"--tls-private-key-file={pair.key}",
        f"--client-ca-file={authority.certificate}",
        f"--kubelet-certificate-authority={authority.certificate}",
        f"--kubelet-client-certificate={pair.certificate}",
        f"--kubelet-client-key={pair.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={tokens.certificate}",
        f"--service-account-signing-key-file={tokens.key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--anonymous-auth=false",
        "--profiling=false",
    ]


def _controller_manager(
    authority: Authority, tokens: Pair, folder: Path, address: Address
) -> list[str | Path]:
    name = "kube-controller-manager"
    pair = authority.issue(name, f"system:{name}")
    config = authority.kubeconfig(folder / f"{name}.kubeconfig", address.server, pair)
    return [
        binaries.path(name),
        f"--kubeconfig={config}",
        f"--root-ca-file={authority.certificate}",
        f"--service-account-private-key-file={tokens.key}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--secure-port=0",
    ]
