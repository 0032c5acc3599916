"""Message classes for what we read of MirrorManager's `mirrorlist_cache.proto` (`docs/mirrormanager.md`, section 8).

Two things differ from the original on purpose, and neither changes a byte on the wire:

- Strings are declared as `bytes`, so that one value that is not UTF-8 costs one record and not the file.
- `Carried` leaves the host lists of a directory undeclared. protobuf keeps what it does not know as it stood in the
  file, so the lists of 50,000 directories are compared as bytes and decoded only where they differ: 0.4 s for 300 MB,
  against 1.0 s with the lists declared.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_Field = tuple[str, int, "FieldDescriptorProto.Label.ValueType", "FieldDescriptorProto.Type.ValueType"]

_ONE = FieldDescriptorProto.LABEL_REQUIRED
_MAYBE = FieldDescriptorProto.LABEL_OPTIONAL
_MANY = FieldDescriptorProto.LABEL_REPEATED
_BYTES = FieldDescriptorProto.TYPE_BYTES
_INT = FieldDescriptorProto.TYPE_INT64
_COUNT = FieldDescriptorProto.TYPE_UINT64
_BOOL = FieldDescriptorProto.TYPE_BOOL
_SMALL = FieldDescriptorProto.TYPE_UINT32
_DOUBLE = FieldDescriptorProto.TYPE_DOUBLE

_MESSAGES: dict[str, tuple[_Field, ...]] = {
    "StringString": (("key", 1, _ONE, _BYTES), ("value", 2, _ONE, _BYTES)),
    "StringInts": (("key", 1, _ONE, _BYTES), ("value", 2, _MANY, _INT)),
    "StringBool": (("key", 1, _ONE, _BYTES), ("value", 2, _ONE, _BOOL)),
    "IntString": (("key", 1, _ONE, _INT), ("value", 2, _ONE, _BYTES)),
    "IntStrings": (("key", 1, _ONE, _INT), ("value", 2, _MANY, _BYTES)),
    "IntInt": (("key", 1, _ONE, _INT), ("value", 2, _ONE, _INT)),
    "IntInts": (("key", 1, _ONE, _INT), ("value", 2, _MANY, _INT)),
    "Carried": (("directory", 1, _ONE, _BYTES), ("subpath", 3, _MAYBE, _BYTES)),
    "HostLists": (("public", 2, _MANY, _INT), ("by_country", 4, _MANY, _BYTES), ("by_host", 6, _MANY, _BYTES)),
    # The two nested levels of file details stay bytes here and are decoded one by one.
    "DetailedDirectory": (("directory", 1, _ONE, _BYTES), ("files", 2, _MANY, _BYTES)),
    "DetailedFile": (("filename", 1, _ONE, _BYTES), ("details", 2, _MANY, _BYTES)),
    "FileDetails": (
        ("timestamp", 1, _MAYBE, _COUNT),
        ("size", 2, _MAYBE, _COUNT),
        ("sha1", 3, _MAYBE, _BYTES),
        ("md5", 4, _MAYBE, _BYTES),
        ("sha256", 5, _MAYBE, _BYTES),
        ("sha512", 6, _MAYBE, _BYTES),
    ),
    # Our own, `docs/snapshot.proto`: what decides answers or is shown.
    "OwnHost": (
        ("id", 1, _ONE, _INT),
        ("name", 2, _MAYBE, _BYTES),
        ("sponsor", 3, _MAYBE, _BYTES),
        ("sponsor_url", 4, _MAYBE, _BYTES),
        ("private", 5, _MAYBE, _BOOL),
        ("state", 6, _MAYBE, _BYTES),
        ("city", 7, _MAYBE, _BYTES),
        ("latitude", 8, _MAYBE, _DOUBLE),
        ("longitude", 9, _MAYBE, _DOUBLE),
        ("ipv4", 10, _MAYBE, _BOOL),
        ("ipv6", 11, _MAYBE, _BOOL),
        ("monopoly", 12, _MAYBE, _BOOL),
        ("own_asn", 13, _MAYBE, _SMALL),
        ("local", 14, _MAYBE, _BOOL),
        ("up", 15, _MAYBE, _BOOL),
        ("condition", 16, _MAYBE, _BYTES),
        ("since", 17, _MAYBE, _COUNT),
        ("reason", 18, _MAYBE, _BYTES),
        ("checked", 19, _MAYBE, _COUNT),
        ("lag_seconds", 20, _MAYBE, _SMALL),
        ("countries_excluded", 27, _MANY, _BYTES),
    ),
    "OwnCategory": (
        ("name", 1, _ONE, _BYTES),
        ("top", 2, _ONE, _BYTES),
        ("product", 3, _MAYBE, _BYTES),
        ("for_people", 4, _MAYBE, _BOOL),
    ),
}


def _compile_messages() -> dict[str, Any]:
    file = FileDescriptorProto(name="mirrorlist_cache.proto", package="redirector", syntax="proto2")
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, number, label, kind in fields:
            described.field.add(name=name, number=number, label=label, type=kind)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"redirector.{name}")) for name in _MESSAGES}


_classes = _compile_messages()

StringString = _classes["StringString"]
StringInts = _classes["StringInts"]
StringBool = _classes["StringBool"]
IntString = _classes["IntString"]
IntStrings = _classes["IntStrings"]
IntInt = _classes["IntInt"]
IntInts = _classes["IntInts"]
Carried = _classes["Carried"]
HostLists = _classes["HostLists"]
DetailedDirectory = _classes["DetailedDirectory"]
DetailedFile = _classes["DetailedFile"]
FileDetails = _classes["FileDetails"]
OwnHost = _classes["OwnHost"]
OwnCategory = _classes["OwnCategory"]
