"""Secrets: the key file, what is encrypted with it, tokens and their hashes."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from hashlib import sha256

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_FILE = "redirector.key"

KEY_BYTES = 32

TOKEN_PREFIX = "rdr_"

_NONCE_BYTES = 12

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's least for Argon2id: what is hashed are passwords that a database held in clear."""


@dataclass(eq=False)
class KeyFileError(Exception):
    """The operator must act: the key file is missing, open to others, or no key."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


@dataclass(frozen=True, slots=True)
class Cipher:
    """Encrypts what must be shown again, such as passwords of rsync URLs: AES-256-GCM."""

    key: bytes = field(repr=False)

    def encrypt(self, text: str) -> bytes:
        """Different for each call."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self.key).encrypt(nonce, text.encode(), None)

    def decrypt(self, sealed: bytes) -> str | None:
        """None when another key, or nobody, sealed it."""
        try:
            return AESGCM(self.key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None).decode()
        except (InvalidTag, ValueError):
            return None


def make_key_file(path: str) -> bool:
    """Write a new key to *path*, readable by its owner alone; False when there is a file already. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(os.urandom(KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return True


def read_key_file(path: str) -> Cipher:
    """The key in *path*. Raises KeyFileError: it is missing, others may read it, or it holds something else."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(1024)
    except OSError as error:
        way_out = "; `redirector registry init` makes it" if isinstance(error, FileNotFoundError) else ""
        raise KeyFileError(path, f"cannot be read ({error.strerror}){way_out}") from error
    if mode & 0o077:
        raise KeyFileError(path, f"others may read it (mode {mode & 0o777:04o}): chmod 600 {path}")
    try:
        key = bytes.fromhex(raw.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyFileError(path, "no key: 64 hexadecimal digits are needed")
    return Cipher(key)


def make_token() -> str:
    """A new token: 256 bits of chance behind its prefix."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is kept of a token. It is chance alone, so a plain hash cannot be guessed backwards."""
    return sha256(token.encode()).hexdigest()


def hash_password(password: str) -> str:
    """What is kept of a password that people, or an imported database, chose."""
    return _HASHER.hash(password)


NOBODYS = hash_password(secrets.token_hex())
"""Of nobody: comparing with it takes as long as with somebody's."""


def is_password(password: str, hashed: str) -> bool:
    """Whether *hashed* is of *password*. cost: some 30 ms"""
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False
