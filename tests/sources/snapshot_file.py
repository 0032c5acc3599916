"""MirrorManager's `mirrorlist_cache.proto` as its authors wrote it, so that tests write files as MirrorManager does.

Independent of the reader on purpose: names, numbers and types are those of `docs/mirrormanager.md`, section 8.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_SCHEMA = """
FileDetailsType: required uint64 TimeStamp 1, required uint64 Size 2, optional string SHA1 3, optional string MD5 4,
    optional string SHA256 5, optional string SHA512 6
FileDetailsCacheFilesType: required string filename 1, repeated FileDetailsType FileDetails 2
FileDetailsCacheDirectoryType: required string directory 1,
    repeated FileDetailsCacheFilesType FileDetailsCacheFiles 2
StringStringMap: required string key 1, required string value 2
StringRepeatedIntMap: required string key 1, repeated int64 value 2
IntRepeatedStringMap: required int64 key 1, repeated string value 2
IntStringMap: required int64 key 1, required string value 2
IntIntMap: required int64 key 1, required int64 value 2
IntRepeatedIntMap: required int64 key 1, repeated int64 value 2
StringBoolMap: required string key 1, required bool value 2
MirrorListCacheType: required string directory 1, repeated int64 Global 2, optional string Subpath 3,
    repeated StringRepeatedIntMap ByCountry 4, repeated StringRepeatedIntMap ByCountryInternet2 5,
    repeated IntRepeatedIntMap ByHostId 6, optional bool OrderedMirrorList 7
MirrorList: required uint64 Time 1, repeated StringStringMap NetblockCountryCache 2,
    repeated StringRepeatedIntMap LocationCache 3, repeated IntStringMap HCUrlCache 4,
    repeated FileDetailsCacheDirectoryType FileDetailsCache 5, repeated StringBoolMap DisabledRepositoryCache 6,
    repeated StringStringMap CountryContinentRedirectCache 7, repeated StringStringMap RepositoryRedirectCache 8,
    repeated StringStringMap RepoArchToDirectoryName 9, repeated IntRepeatedIntMap HostAsnCache 10,
    repeated IntIntMap HostMaxConnectionCache 11, repeated IntStringMap HostCountryCache 12,
    repeated IntIntMap HostBandwidthCache 13, repeated IntRepeatedStringMap HostCountryAllowedCache 14,
    repeated StringRepeatedIntMap HostNetblockCache 15, repeated MirrorListCacheType MirrorListCache 16
"""

_LABELS = {
    "required": FieldDescriptorProto.LABEL_REQUIRED,
    "optional": FieldDescriptorProto.LABEL_OPTIONAL,
    "repeated": FieldDescriptorProto.LABEL_REPEATED,
}

_TYPES = {
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bool": FieldDescriptorProto.TYPE_BOOL,
}


def _compile_schema() -> Any:
    file = FileDescriptorProto(name="original.proto", package="mirrormanager", syntax="proto2")
    for line in _SCHEMA.replace(",\n   ", ",").replace("1,\n", "1,").strip().splitlines():
        message, _, fields = line.partition(":")
        described = file.message_type.add(name=message)
        for text in fields.split(","):
            label, kind, name, number = text.split()
            added = described.field.add(name=name, number=int(number), label=_LABELS[label])
            if kind in _TYPES:
                added.type = _TYPES[kind]
            else:
                added.type = FieldDescriptorProto.TYPE_MESSAGE
                added.type_name = f".mirrormanager.{kind}"
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("mirrormanager.MirrorList"))


MirrorList = _compile_schema()
"""The root message; `MirrorList(Time=…)`, then `.HCUrlCache.add(key=1, value="…")` and so on."""
