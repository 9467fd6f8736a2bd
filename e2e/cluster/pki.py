"""Certificates and kubeconfigs: each component is a user of its own, so that RBAC and the audit log tell them apart."""

import base64
import datetime as dt
import ipaddress
import pathlib

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.cluster.spec import HOST, REAL_NODE, Spec

_LIFE = dt.timedelta(days=365)
_SKEW = dt.timedelta(hours=1)
_SERVICE = "kubernetes.default.svc"
ISSUER = f"https://{_SERVICE}.cluster.local"
SERVICES = ipaddress.IPv4Network("10.96.0.0/16")

# file: (common name, organisation)
_USERS = {
    "admin": ("admin", "system:masters"),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kwok": ("kwok", ""),
    "kubelet": (f"system:node:{REAL_NODE}", "system:nodes"),
    "kubelet-client": ("kube-apiserver-kubelet-client", "system:masters"),
}
# file: the names under which it is reached
_SERVERS = {
    "api": ("localhost", "kubernetes", "kubernetes.default", _SERVICE, f"{_SERVICE}.cluster.local", HOST),
    "kubelet-server": (REAL_NODE, "localhost", HOST),
}


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _name(common: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)] if organisation else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """The cluster's certificate authority, which writes what it signs into one folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _name("suptree-e2e")
        folder.mkdir(mode=0o700)
        builder = self._builder(self._subject, self._key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._write("ca", self._key, builder)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + _LIFE)
        )

    def _write(self, file: str, key: ec.EllipticCurvePrivateKey, builder: x509.CertificateBuilder) -> None:
        certificate = builder.sign(self._key, hashes.SHA256())
        private = self._folder / f"{file}.key"
        private.touch(mode=0o600)
        private.write_bytes(_pem(key))
        (self._folder / f"{file}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def client(self, file: str, common: str, organisation: str) -> None:
        """Sign a user's certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        self._write(file, key, self._builder(_name(common, organisation), key).add_extension(usage, critical=False))

    def server(self, file: str, names: tuple[str, ...]) -> None:
        """Sign a server's certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        builder = self._builder(_name(names[0]), key).add_extension(usage, critical=False)
        self._write(file, key, builder.add_extension(alternatives, critical=False))


def _kubeconfig(spec: Spec, user: str) -> str:
    def data(file: str) -> str:
        return base64.b64encode((spec.pki / file).read_bytes()).decode()

    name = f"suptree-{spec.name}"
    cluster = {"server": spec.server, "certificate-authority-data": data("ca.crt")}
    credentials = {"client-certificate-data": data(f"{user}.crt"), "client-key-data": data(f"{user}.key")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": "default"}}],
    }
    return yaml.safe_dump(config, sort_keys=False)


def make(spec: Spec) -> None:
    """Write every certificate, key and kubeconfig of a cluster."""
    authority = Authority(spec.pki)
    for file, (common, organisation) in _USERS.items():
        authority.client(file, common, organisation)
        spec.user(file).write_text(_kubeconfig(spec, file))
    for file, names in _SERVERS.items():
        authority.server(file, (*names, str(SERVICES[1]), spec.gateway))
    authority.client("service-accounts", "service-accounts", "")  # only its key is used, to sign tokens
    spec.kubeconfig.touch(mode=0o600)
    spec.kubeconfig.write_text(_kubeconfig(spec, "admin"))
