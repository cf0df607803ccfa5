"""Who made a package: an Ed25519 signature over its manifest, which holds the hash of everything else.

    {"algorithm": "ed25519", "key": "<32 bytes in hex>", "signature": "<64 bytes in hex>"}

Keys are PEM files, as `openssl genpkey -algorithm ed25519` writes them. A key is trusted because its public half lies
in the private folder of trusted keys, or was named for this run: a package that brings its own key proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .. import package_problems as problems
from ..base import paths
from ..base.problems import OutsideError, Problem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ALGORITHM = "ed25519"
_LARGEST_KEY = 1 << 16


def trusted_folder() -> Path:
    """Where public keys (`*.pem`) lie that this user trusts. Raises `UnsafeFolder`."""
    return paths.private("trusted")


def private_key(path: str) -> Ed25519PrivateKey:
    """The key to sign with. Raises `OutsideError` (key-unreadable, extra-missing)."""
    _need("signing a package")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_key_bytes(path, True), password=None)
    except (ValueError, TypeError) as error:
        why = "it is locked by a password" if isinstance(error, TypeError) else "it is no private key in PEM form"
        raise OutsideError(problems.key_unreadable(path, why, True)) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise OutsideError(problems.key_unreadable(path, "it is a key of another kind", True))
    return key


def sign(key: Ed25519PrivateKey, manifest: bytes) -> bytes:
    """The signature file."""
    said = {
        "algorithm": _ALGORITHM,
        "key": key.public_key().public_bytes_raw().hex(),
        "signature": key.sign(manifest).hex(),
    }
    return json.dumps(said, indent=1).encode() + b"\n"


def public_key(path: str) -> bytes:
    """The 32 bytes of a public key in a PEM file; of a private one, its public half. Raises `OutsideError`."""
    _need("reading a key")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

    data = _key_bytes(path, False)
    try:
        if b"PRIVATE KEY" in data:
            key: object = load_pem_private_key(data, password=None)
        else:
            key = load_pem_public_key(data)
    except (ValueError, TypeError):
        raise OutsideError(problems.key_unreadable(path, "it is no key in PEM form", False)) from None
    if isinstance(key, Ed25519PrivateKey):
        key = key.public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise OutsideError(problems.key_unreadable(path, "it is a key of another kind", False))
    return key.public_bytes_raw()


def trusted_keys(named: Iterable[str] = ()) -> frozenset[bytes]:
    """The public keys of the trusted folder and those that are named. A file of the folder that is no key is skipped.

    Raises `OutsideError` for a named one that cannot be read, `UnsafeFolder`.
    """
    found = {public_key(path) for path in named}
    for path in sorted(trusted_folder().glob("*.pem")):
        try:
            found.add(public_key(str(path)))
        except OutsideError:
            continue
    return frozenset(found)


def signer(signature: bytes, manifest: bytes, name: str) -> bytes | Problem:
    """The public key that signed the manifest, or why the signature is none. `name` is the package in problems.

    Raises `OutsideError` (extra-missing).
    """
    try:
        said: Any = json.loads(signature)
        given = cast("dict[str, Any]", said)
        algorithm, key, sealed = given["algorithm"], bytes.fromhex(given["key"]), bytes.fromhex(given["signature"])
        if set(given) != {"algorithm", "key", "signature"}:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        return problems.signature_wrong(name, "signature.json is no signature")
    if algorithm != _ALGORITHM or len(key) != 32 or len(sealed) != 64:
        return problems.signature_wrong(name, "it is of a kind that this agentlang does not know")
    _need("checking the signature of a package")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(sealed, manifest)
    except (InvalidSignature, ValueError):
        return problems.signature_wrong(name, "it is not that of this manifest")
    return key


def _key_bytes(path: str, private: bool) -> bytes:
    file = Path(path)
    try:
        if file.stat().st_size > _LARGEST_KEY:
            raise OutsideError(problems.key_unreadable(path, "it is too large", private))
        return file.read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise OutsideError(problems.key_unreadable(path, why, private)) from None


def _need(what: str) -> None:
    if find_spec("cryptography") is None:
        raise OutsideError(problems.extra_missing(what))
