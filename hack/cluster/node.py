"""The one node: containerd, kubelet, kube-proxy, and the scheduler that fills it.

`cluster` starts them inside the sandbox, beside a control plane that is up. Each component has a
certificate under the name that Kubernetes' own roles know. The node says that it has eight GPUs,
as a device plugin would; there are none behind them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.cluster import binaries, cgroups, debian, dns, images, network
from hack.cluster.certificates import Authority
from hack.cluster.kubectl import Kubectl
from hack.cluster.processes import Processes
from hack.cluster.sandbox import Sandbox

NAME = "gpu-node"
GPUS = "8"
_PAUSE = "localhost/pause:1"
_READY_SECONDS = 120.0  # 3 on an idle machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What starting the node needs."""

    inside: Sandbox
    processes: Processes
    authority: Authority
    kubectl: Kubectl
    folder: Path
    """Takes settings; what the components write lies in the folders that the sandbox covers."""
    server: str
    """The API server's URL."""

    def start(self) -> None:
        """Start everything, and wait until the node is ready and has its GPUs.

        Raises:
            ClusterError: a component does not come up.
        """
        self._start_containerd()
        self._start_scheduler()
        self._start_kubelet()
        self._start_proxy()
        self.processes.wait("kubelet", self._is_ready, seconds=_READY_SECONDS)
        has = {"nvidia.com/gpu": GPUS}
        patch = json.dumps({"status": {"capacity": has, "allocatable": has}})
        self.kubectl("patch", "node", NAME, "--subresource=status", "--type=merge", "-p", patch)

    def _is_ready(self) -> bool:
        return self.kubectl.succeeds(
            "wait", f"node/{NAME}", "--for=condition=Ready", "--timeout=1s"
        )

    def _start_containerd(self) -> None:
        settings = self._write("containerd.toml", _containerd(self._network()))
        self.processes.start("containerd", ["containerd", "--config", settings])
        self.processes.wait(
            "containerd", lambda: self.inside.succeeds("ctr", "version"), seconds=30
        )
        archive = images.write(
            self.folder / "pause.tar",
            _PAUSE,
            {"/pause": binaries.path("pause")},
            entrypoint=["/pause"],
        )
        images.load(self.inside, archive)

    def _network(self) -> Path:
        """Point-to-point links: every packet of a pod is routed, so that Services work without
        br_netfilter."""
        plugin = {
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": network.PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        folder = self.folder / "cni"
        folder.mkdir()
        settings = {"cniVersion": "0.4.0", "name": "pods", "plugins": [plugin]}
        (folder / "10-pods.conflist").write_text(json.dumps(settings))
        return folder

    def _start_scheduler(self) -> None:
        name = "kube-scheduler"
        config = self._client(name, f"system:{name}")
        options = [f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0"]
        self.processes.start(name, [binaries.path(name), *options])

    def _start_kubelet(self) -> None:
        serving = self.authority.issue(
            "kubelet-serving", NAME, addresses=[f"IP:{network.NODE}", f"DNS:{NAME}"]
        )
        settings = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": network.NODE,
            "readOnlyPort": 0,
            "tlsCertFile": str(serving.certificate),
            "tlsPrivateKeyFile": str(serving.key),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self.authority.certificate)},
            },
            "authorization": {"mode": "Webhook"},
            **_KUBELET,
            "resolvConf": str(self._write("resolv.conf", f"nameserver {dns.SERVICE}\n")),
        }
        user = self._client("kubelet", f"system:node:{NAME}", "system:nodes")
        options = [
            f"--config={self._write('kubelet.json', json.dumps(settings))}",
            f"--kubeconfig={user}",
            f"--hostname-override={NAME}",
            f"--node-ip={network.NODE}",
        ]
        self.processes.start("kubelet", [binaries.path("kubelet"), *options])

    def _start_proxy(self) -> None:
        name = "kube-proxy"
        settings = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(self._client(name, f"system:{name}"))},
            "clusterCIDR": network.PODS,
            "hostnameOverride": NAME,
            "conntrack": {"maxPerCore": 0},  # a limit of the whole machine
        }
        config = self._write(f"{name}.json", json.dumps(settings))
        self.processes.start(name, [binaries.path(name), f"--config={config}"])

    def _client(self, name: str, user: str, *groups: str) -> Path:
        pair = self.authority.issue(name, user, groups=groups)
        return self.authority.kubeconfig(self.folder / f"{name}.kubeconfig", self.server, pair)

    def _write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text)
        return file


_KUBELET: dict[str, Any] = {
    "cgroupRoot": f"/{cgroups.NAME}",
    "cgroupDriver": "cgroupfs",
    "failCgroupV1": False,
    "enforceNodeAllocatable": [],
    "oomScoreAdj": 0,  # lower needs a capability that a container may not have
    "failSwapOn": False,
    "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    "clusterDNS": [dns.SERVICE],
    "clusterDomain": dns.DOMAIN,
    "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    # images cannot be pulled again: none may be collected
    "imageGCHighThresholdPercent": 100,
    "evictionHard": {
        "memory.available": "100Mi",
        "nodefs.available": "1%",
        "imagefs.available": "1%",
    },
    # one node: look often, so that a changed Secret or ConfigMap reaches its pods in seconds
    "syncFrequency": "5s",
}


def _containerd(plugins: Path) -> str:
    return f"""version = 2
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{_PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{debian.CNI_PLUGINS}"
    conf_dir = "{plugins}"
"""
