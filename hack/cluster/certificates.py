"""A certificate authority of the cluster's own, and what it signs, by the `openssl` command.

`control_plane` and `node` ask for one certificate per identity, so that every connection is
verified on both ends and every component has the rights of its name (`system:kube-scheduler`, …)
and no more. Keys never leave the cluster's folder and go with it.
"""

import base64
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.errors import ClusterError

_DAYS = "365"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """`Authority(folder)` makes a CA in an empty folder, and signs what it is asked to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, mode=0o700)
        self.folder = folder
        self._ca = self._request("ca", subject="/CN=scalingsweep-test", extensions=_CA)

    @property
    def certificate(self) -> Path:
        """What every component trusts."""
        return self._ca.certificate

    def issue(
        self, name: str, user: str, *, groups: Sequence[str] = (), addresses: Sequence[str] = ()
    ) -> Pair:
        """Sign a certificate for a client, a server, or both.

        Args:
            name: of the files.
            user: the common name, which is Kubernetes' user name.
            groups: organizations, which are Kubernetes' groups.
            addresses: `DNS:…` and `IP:…` under which it serves.
        """
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        names = [f"subjectAltName={','.join(addresses)}"] if addresses else []
        return self._request(name, subject=subject, extensions=[*_LEAF, *names], signed=True)

    def kubeconfig(self, path: Path, server: str, pair: Pair) -> Path:
        """Write what a client needs, complete in one file that only its owner may read."""
        cluster = {"server": server, "certificate-authority-data": _base64(self.certificate)}
        user = {
            "client-certificate-data": _base64(pair.certificate),
            "client-key-data": _base64(pair.key),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))  # JSON is YAML
        return path

    def _request(
        self, name: str, *, subject: str, extensions: Sequence[str], signed: bool = False
    ) -> Pair:
        pair = Pair(certificate=self.folder / f"{name}.crt", key=self.folder / f"{name}.key")
        # a settings file of our own: the machine's would add extensions that contradict these
        settings = self.folder / f"{name}.cnf"
        lines = ["[req]", "distinguished_name=dn", "x509_extensions=ext", "[dn]", "[ext]"]
        settings.write_text("\n".join([*lines, *extensions, ""]))
        ca = ("-CA", str(self._ca.certificate), "-CAkey", str(self._ca.key)) if signed else ()
        files = ("-keyout", str(pair.key), "-out", str(pair.certificate))
        shape = ("-x509", "-days", _DAYS, "-subj", subject, "-config", str(settings))
        _openssl("req", *shape, *_NEW_KEY, *ca, *files)
        return pair


_CA = (
    "basicConstraints=critical,CA:TRUE",
    "keyUsage=critical,keyCertSign,cRLSign",
    "subjectKeyIdentifier=hash",
)
_LEAF = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=clientAuth,serverAuth",
    "authorityKeyIdentifier=keyid",
)


def _openssl(*arguments: str) -> None:
    try:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise ClusterError("certificates are made by openssl: install it") from None
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"openssl {arguments[0]} failed: {error.stderr.strip()}") from None


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
