"""Names and numbers of the QNN C interface, as they stand in `include/QNN/QnnTypes.h`."""

from __future__ import annotations

from types import MappingProxyType

APP_WRITE, APP_READ, NATIVE, STATIC = 0, 1, 3, 4
UNDEFINED = 0x7FFFFFFF

TENSOR_TYPES = MappingProxyType(
    {
        APP_WRITE: "QNN_TENSOR_TYPE_APP_WRITE",
        APP_READ: "QNN_TENSOR_TYPE_APP_READ",
        NATIVE: "QNN_TENSOR_TYPE_NATIVE",
        STATIC: "QNN_TENSOR_TYPE_STATIC",
    }
)

INT_8, INT_16, INT_32, INT_64 = 0x0008, 0x0016, 0x0032, 0x0064
UINT_8, UINT_16, UINT_32, UINT_64 = 0x0108, 0x0116, 0x0132, 0x0164
FLOAT_16, FLOAT_32, FLOAT_64 = 0x0216, 0x0232, 0x0264
SFIXED_8, SFIXED_16, SFIXED_32 = 0x0308, 0x0316, 0x0332
UFIXED_8, UFIXED_16, UFIXED_32 = 0x0408, 0x0416, 0x0432
BOOL_8, STRING = 0x0508, 0x0608

DATATYPES = MappingProxyType(
    {
        INT_8: "QNN_DATATYPE_INT_8",
        INT_16: "QNN_DATATYPE_INT_16",
        INT_32: "QNN_DATATYPE_INT_32",
        INT_64: "QNN_DATATYPE_INT_64",
        UINT_8: "QNN_DATATYPE_UINT_8",
        UINT_16: "QNN_DATATYPE_UINT_16",
        UINT_32: "QNN_DATATYPE_UINT_32",
        UINT_64: "QNN_DATATYPE_UINT_64",
        FLOAT_16: "QNN_DATATYPE_FLOAT_16",
        FLOAT_32: "QNN_DATATYPE_FLOAT_32",
        FLOAT_64: "QNN_DATATYPE_FLOAT_64",
        SFIXED_8: "QNN_DATATYPE_SFIXED_POINT_8",
        SFIXED_16: "QNN_DATATYPE_SFIXED_POINT_16",
        SFIXED_32: "QNN_DATATYPE_SFIXED_POINT_32",
        UFIXED_8: "QNN_DATATYPE_UFIXED_POINT_8",
        UFIXED_16: "QNN_DATATYPE_UFIXED_POINT_16",
        UFIXED_32: "QNN_DATATYPE_UFIXED_POINT_32",
        BOOL_8: "QNN_DATATYPE_BOOL_8",
        STRING: "QNN_DATATYPE_STRING",
    }
)

# The C type of an element, and the member of Qnn_Scalar_t that holds one.
C_TYPES = MappingProxyType(
    {
        INT_8: ("int8_t", "int8Value"),
        INT_16: ("int16_t", "int16Value"),
        INT_32: ("int32_t", "int32Value"),
        INT_64: ("int64_t", "int64Value"),
        UINT_8: ("uint8_t", "uint8Value"),
        UINT_16: ("uint16_t", "uint16Value"),
        UINT_32: ("uint32_t", "uint32Value"),
        UINT_64: ("uint64_t", "uint64Value"),
        FLOAT_32: ("float", "floatValue"),
        FLOAT_64: ("double", "doubleValue"),
        BOOL_8: ("uint8_t", "bool8Value"),
    }
)

SCALE_OFFSET, AXIS_SCALE_OFFSET, BW_SCALE_OFFSET, BW_AXIS_SCALE_OFFSET = 0, 1, 2, 3


def bits(datatype: int) -> int:
    """Return the width of a datatype: its last two hexadecimal digits, read as decimal."""
    return int(f"{datatype & 0xFF:x}")


def is_fixed_point(datatype: int) -> bool:
    """Return whether a datatype is a quantised one."""
    return datatype >> 8 in (3, 4)
