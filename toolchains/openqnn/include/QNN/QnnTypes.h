/** Tensors, quantisation, parameters and operations: the vocabulary of a graph. */
#ifndef QNN_TYPES_H
#define QNN_TYPES_H

#include "QnnCommon.h"

typedef enum {
  QNN_DEFINITION_IMPL_GENERATED = 0,
  QNN_DEFINITION_DEFINED = 1,
  QNN_DEFINITION_UNDEFINED = 0x7FFFFFFF
} Qnn_Definition_t;

typedef enum {
  QNN_PRIORITY_LOW = 0,
  QNN_PRIORITY_NORMAL = 100,
  QNN_PRIORITY_DEFAULT = QNN_PRIORITY_NORMAL,
  QNN_PRIORITY_NORMAL_HIGH = 150,
  QNN_PRIORITY_HIGH = 200,
  QNN_PRIORITY_UNDEFINED = 0x7FFFFFFF
} Qnn_Priority_t;

/** The second hexadecimal digit pair is the width in bits, written in decimal. */
typedef enum {
  QNN_DATATYPE_INT_8 = 0x0008,
  QNN_DATATYPE_INT_16 = 0x0016,
  QNN_DATATYPE_INT_32 = 0x0032,
  QNN_DATATYPE_INT_64 = 0x0064,
  QNN_DATATYPE_UINT_8 = 0x0108,
  QNN_DATATYPE_UINT_16 = 0x0116,
  QNN_DATATYPE_UINT_32 = 0x0132,
  QNN_DATATYPE_UINT_64 = 0x0164,
  QNN_DATATYPE_FLOAT_16 = 0x0216,
  QNN_DATATYPE_FLOAT_32 = 0x0232,
  QNN_DATATYPE_FLOAT_64 = 0x0264,
  QNN_DATATYPE_SFIXED_POINT_4 = 0x0304,
  QNN_DATATYPE_SFIXED_POINT_8 = 0x0308,
  QNN_DATATYPE_SFIXED_POINT_16 = 0x0316,
  QNN_DATATYPE_SFIXED_POINT_32 = 0x0332,
  QNN_DATATYPE_UFIXED_POINT_4 = 0x0404,
  QNN_DATATYPE_UFIXED_POINT_8 = 0x0408,
  QNN_DATATYPE_UFIXED_POINT_16 = 0x0416,
  QNN_DATATYPE_UFIXED_POINT_32 = 0x0432,
  QNN_DATATYPE_BOOL_8 = 0x0508,
  QNN_DATATYPE_STRING = 0x0608,
  QNN_DATATYPE_UNDEFINED = 0x7FFFFFFF
} Qnn_DataType_t;

/** A number of type `dataType`, or a string. */
typedef struct {
  Qnn_DataType_t dataType;
  union {
    float floatValue;
    double doubleValue;
    uint64_t uint64Value;
    int64_t int64Value;
    uint32_t uint32Value;
    int32_t int32Value;
    uint16_t uint16Value;
    int16_t int16Value;
    uint8_t uint8Value;
    int8_t int8Value;
    uint8_t bool8Value;
    const char* stringValue;
  };
} Qnn_Scalar_t;

/** Bytes whose meaning only their maker knows. */
typedef struct {
  void* data;
  uint64_t len;
} Qnn_OpaqueObject_t;

typedef enum {
  QNN_QUANTIZATION_ENCODING_SCALE_OFFSET = 0,
  QNN_QUANTIZATION_ENCODING_AXIS_SCALE_OFFSET = 1,
  QNN_QUANTIZATION_ENCODING_BW_SCALE_OFFSET = 2,
  QNN_QUANTIZATION_ENCODING_BW_AXIS_SCALE_OFFSET = 3,
  QNN_QUANTIZATION_ENCODING_UNDEFINED = 0x7FFFFFFF
} Qnn_QuantizationEncoding_t;

/** real = scale * (quantised + offset): the offset is the negative of a zero point. */
typedef struct {
  float scale;
  int32_t offset;
} Qnn_ScaleOffset_t;

typedef struct {
  int32_t axis;
  uint32_t numScaleOffsets;
  Qnn_ScaleOffset_t* scaleOffset;
} Qnn_AxisScaleOffset_t;

typedef struct {
  uint32_t bitwidth;
  float scale;
  int32_t offset;
} Qnn_BwScaleOffset_t;

/** `offsets` may be null where all of them are zero. */
typedef struct {
  uint32_t bitwidth;
  int32_t axis;
  uint32_t numElements;
  float* scales;
  int32_t* offsets;
} Qnn_BwAxisScaleOffset_t;

typedef struct {
  Qnn_Definition_t encodingDefinition;
  Qnn_QuantizationEncoding_t quantizationEncoding;
  union {
    Qnn_ScaleOffset_t scaleOffsetEncoding;
    Qnn_AxisScaleOffset_t axisScaleOffsetEncoding;
    Qnn_BwScaleOffset_t bwScaleOffsetEncoding;
    Qnn_BwAxisScaleOffset_t bwAxisScaleOffsetEncoding;
  };
} Qnn_QuantizeParams_t;

typedef enum {
  QNN_TENSOR_TYPE_APP_WRITE = 0,
  QNN_TENSOR_TYPE_APP_READ = 1,
  QNN_TENSOR_TYPE_APP_READWRITE = 2,
  QNN_TENSOR_TYPE_NATIVE = 3,
  QNN_TENSOR_TYPE_STATIC = 4,
  QNN_TENSOR_TYPE_NULL = 5,
  QNN_TENSOR_TYPE_UNDEFINED = 0x7FFFFFFF
} Qnn_TensorType_t;

typedef uint32_t Qnn_TensorDataFormat_t;
#define QNN_TENSOR_DATA_FORMAT_DENSE 0
#define QNN_TENSOR_DATA_FORMAT_FLAT_BUFFER QNN_TENSOR_DATA_FORMAT_DENSE

typedef enum {
  QNN_TENSORMEMTYPE_RAW = 0,
  QNN_TENSORMEMTYPE_MEMHANDLE = 1,
  QNN_TENSORMEMTYPE_UNDEFINED = 0x7FFFFFFF
} Qnn_TensorMemType_t;

typedef struct {
  void* data;
  uint32_t dataSize;
} Qnn_ClientBuffer_t;

typedef enum {
  QNN_SPARSE_LAYOUT_HYBRID_COO = 0,
  QNN_SPARSE_LAYOUT_UNDEFINED = 0x7FFFFFFF
} Qnn_SparseLayoutType_t;

typedef struct {
  uint32_t numSpecifiedElements;
  uint32_t numSparseDimensions;
} Qnn_SparseLayoutHybridCoo_t;

typedef struct {
  Qnn_SparseLayoutType_t type;
  union {
    Qnn_SparseLayoutHybridCoo_t hybridCoo;
  };
} Qnn_SparseParams_t;

typedef enum {
  QNN_TENSOR_VERSION_1 = 1,
  QNN_TENSOR_VERSION_2 = 2,
  QNN_TENSOR_VERSION_UNDEFINED = 0x7FFFFFFF
} Qnn_TensorVersion_t;

typedef struct {
  uint32_t id;
  const char* name;
  Qnn_TensorType_t type;
  Qnn_TensorDataFormat_t dataFormat;
  Qnn_DataType_t dataType;
  Qnn_QuantizeParams_t quantizeParams;
  uint32_t rank;
  uint32_t* dimensions;
  Qnn_TensorMemType_t memType;
  union {
    Qnn_ClientBuffer_t clientBuf;
    Qnn_MemHandle_t memHandle;
  };
} Qnn_TensorV1_t;

/** Version 1 and three more members; the common ones stand at the same offsets. */
typedef struct {
  uint32_t id;
  const char* name;
  Qnn_TensorType_t type;
  Qnn_TensorDataFormat_t dataFormat;
  Qnn_DataType_t dataType;
  Qnn_QuantizeParams_t quantizeParams;
  uint32_t rank;
  uint32_t* dimensions;
  Qnn_TensorMemType_t memType;
  union {
    Qnn_ClientBuffer_t clientBuf;
    Qnn_MemHandle_t memHandle;
  };
  uint8_t* isDynamicDimensions;
  Qnn_SparseParams_t sparseParams;
  uint8_t isProduced;
} Qnn_TensorV2_t;

typedef struct {
  Qnn_TensorVersion_t version;
  union {
    Qnn_TensorV1_t v1;
    Qnn_TensorV2_t v2;
  };
} Qnn_Tensor_t;

typedef enum {
  QNN_PARAMTYPE_SCALAR = 0,
  QNN_PARAMTYPE_TENSOR = 1,
  QNN_PARAMTYPE_UNDEFINED = 0x7FFFFFFF
} Qnn_ParamType_t;

typedef struct {
  Qnn_ParamType_t paramType;
  const char* name;
  union {
    Qnn_Scalar_t scalarParam;
    Qnn_Tensor_t tensorParam;
  };
} Qnn_Param_t;

typedef enum {
  QNN_OPCONFIG_VERSION_1 = 1,
  QNN_OPCONFIG_VERSION_UNDEFINED = 0x7FFFFFFF
} Qnn_OpConfigVersion_t;

typedef struct {
  const char* name;
  const char* packageName;
  const char* typeName;
  uint32_t numOfParams;
  Qnn_Param_t* params;
  uint32_t numOfInputs;
  Qnn_Tensor_t* inputTensors;
  uint32_t numOfOutputs;
  Qnn_Tensor_t* outputTensors;
} Qnn_OpConfigV1_t;

typedef struct {
  Qnn_OpConfigVersion_t version;
  union {
    Qnn_OpConfigV1_t v1;
  };
} Qnn_OpConfig_t;

QNN_LAYOUT_ASSERT(sizeof(Qnn_DataType_t) == 4);
QNN_LAYOUT_ASSERT(sizeof(Qnn_Scalar_t) == 16);
QNN_LAYOUT_ASSERT(offsetof(Qnn_Scalar_t, floatValue) == 8);
QNN_LAYOUT_ASSERT(sizeof(Qnn_ScaleOffset_t) == 8);
QNN_LAYOUT_ASSERT(sizeof(Qnn_BwAxisScaleOffset_t) == 32);
QNN_LAYOUT_ASSERT(offsetof(Qnn_BwAxisScaleOffset_t, scales) == 16);
QNN_LAYOUT_ASSERT(sizeof(Qnn_QuantizeParams_t) == 40);
QNN_LAYOUT_ASSERT(offsetof(Qnn_QuantizeParams_t, scaleOffsetEncoding) == 8);
QNN_LAYOUT_ASSERT(sizeof(Qnn_ClientBuffer_t) == 16);
QNN_LAYOUT_ASSERT(sizeof(Qnn_SparseParams_t) == 12);
QNN_LAYOUT_ASSERT(sizeof(Qnn_TensorV1_t) == 112);
QNN_LAYOUT_ASSERT(sizeof(Qnn_TensorV2_t) == 136);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, name) == 8);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, type) == 16);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, dataFormat) == 20);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, dataType) == 24);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, quantizeParams) == 32);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, rank) == 72);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, dimensions) == 80);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, memType) == 88);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, clientBuf) == 96);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV1_t, clientBuf) == offsetof(Qnn_TensorV2_t, clientBuf));
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, isDynamicDimensions) == 112);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, sparseParams) == 120);
QNN_LAYOUT_ASSERT(offsetof(Qnn_TensorV2_t, isProduced) == 132);
QNN_LAYOUT_ASSERT(sizeof(Qnn_Tensor_t) == 144);
QNN_LAYOUT_ASSERT(offsetof(Qnn_Tensor_t, v2) == 8);
QNN_LAYOUT_ASSERT(sizeof(Qnn_Param_t) == 160);
QNN_LAYOUT_ASSERT(offsetof(Qnn_Param_t, tensorParam) == 16);
QNN_LAYOUT_ASSERT(sizeof(Qnn_OpConfig_t) == 80);
QNN_LAYOUT_ASSERT(offsetof(Qnn_OpConfigV1_t, params) == 32);
QNN_LAYOUT_ASSERT(offsetof(Qnn_OpConfigV1_t, outputTensors) == 64);

#endif
