"""Signatures that `ssh-keygen -Y verify` accepts: SSHSIG, by an Ed25519 or RSA key in OpenSSH's format."""

from __future__ import annotations

import os
import struct
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from hashlib import sha512

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from redirector.registry.secrets import KeyFileError

NAMESPACE = "redirector-release"
"""What the signatures are for (`-n`): none of them can be passed off as one of something else."""

SIGNER = "release-notices"
"""What whoever verifies calls us (`-I`), in his file of allowed signers."""

_MAGIC = b"SSHSIG"
_LINE = 70
_KEY_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs notices. *public*: the key as a line of `authorized_keys`, for whoever verifies."""

    public: str
    _key: Ed25519PrivateKey | RSAPrivateKey = field(repr=False)

    def sign(self, message: bytes) -> str:
        """The signature of *message*, armoured; the same each time for an Ed25519 key.

        The format is OpenSSH's PROTOCOL.sshsig.
        """
        rest = _string(NAMESPACE.encode()) + _string(b"") + _string(b"sha512")
        signed = _MAGIC + rest + _string(sha512(message).digest())
        if isinstance(self._key, Ed25519PrivateKey):
            name, raw = b"ssh-ed25519", self._key.sign(signed)
        else:
            name, raw = b"rsa-sha2-512", self._key.sign(signed, padding.PKCS1v15(), hashes.SHA512())
        blob = _MAGIC + struct.pack(">I", 1) + _string(self._wire()) + rest + _string(_string(name) + _string(raw))
        text = b64encode(blob).decode()
        lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
        return "\n".join(("-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""))

    def _wire(self) -> bytes:
        return b64decode(self.public.split()[1])


def _string(raw: bytes) -> bytes:
    return struct.pack(">I", len(raw)) + raw


def read_sign_key(path: str) -> Signer:
    """The key in *path*. Raises KeyFileError: missing, open to others, with a passphrase, or of another kind."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(_KEY_LIMIT)
    except OSError as error:
        raise KeyFileError(path, f"cannot be read ({error.strerror})") from error
    if mode & 0o077:
        raise KeyFileError(path, f"others may read it (mode {mode & 0o777:04o}): chmod 600 {path}")
    try:
        key = serialization.load_ssh_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        text = "no private key of OpenSSH without a passphrase: `ssh-keygen -t ed25519 -N '' -f FILE` makes one"
        raise KeyFileError(path, text) from None
    if not isinstance(key, Ed25519PrivateKey | RSAPrivateKey):
        raise KeyFileError(path, "an Ed25519 or RSA key is needed")
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return Signer(public.decode(), key)
