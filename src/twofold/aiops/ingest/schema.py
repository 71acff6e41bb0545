"""Small protobuf messages built from their published field numbers: no .proto file, compiler or generated package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as _F  # noqa: N814 - a constant's holder, used like one
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

# Name, number, type: a scalar below, `repeated` and a scalar, or the name of a message, which is repeated.
Field = tuple[str, int, str]

_SCALARS: Final = {
    "string": _F.TYPE_STRING,
    "bytes": _F.TYPE_BYTES,
    "double": _F.TYPE_DOUBLE,
    "int32": _F.TYPE_INT32,
    "int64": _F.TYPE_INT64,
    "uint32": _F.TYPE_UINT32,
    "uint64": _F.TYPE_UINT64,
    "sint32": _F.TYPE_SINT32,
    "sint64": _F.TYPE_SINT64,
}


def message_class(package: str, messages: Mapping[str, tuple[Field, ...]], name: str) -> Any:
    """The class of message `name`, in a pool of its own so that it never meets another package's definition."""
    file = FileDescriptorProto(name=f"twofold/{package}.proto", package=package, syntax="proto3")
    for message, fields in messages.items():
        described = file.message_type.add(name=message)
        for field, number, kind in fields:
            _, repeated, scalar = kind.rpartition("repeated ")
            if scalar in _SCALARS:
                label = _F.LABEL_REPEATED if repeated else _F.LABEL_OPTIONAL
                described.field.add(name=field, number=number, type=_SCALARS[scalar], label=label)
            else:
                described.field.add(
                    name=field,
                    number=number,
                    type=_F.TYPE_MESSAGE,
                    type_name=f".{package}.{kind}",
                    label=_F.LABEL_REPEATED,
                )
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
