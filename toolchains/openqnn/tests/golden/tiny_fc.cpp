/*
 * Made by qnn-onnx-converter qaisw-v2.51.0.260929181845.
 * Command: qnn-onnx-converter -i tiny_fc.onnx -o tiny_fc.cpp
 */
#include "QnnModel.hpp"
#include "QnnOpDef.h"

// Flag to determine if Backend should do node validation for each opNode added
#define DO_GRAPH_NODE_VALIDATIONS 1

using namespace qnn_wrapper_api;

extern "C" {

QNN_API extern const char* QNN_SDK_VERSION;
const char* QNN_SDK_VERSION = "qaisw-v2.51.0.260929181845";

// The graph is a list in the order of its calls; what belongs to a node stands before it. Constant
// data compiles many times faster than a function a call.
struct Encoding {
  Qnn_QuantizationEncoding_t kind;
  float scale;
  int32_t offset;
  uint32_t bitwidth;
  int32_t axis;
  uint32_t count;
};

struct Tensor {
  const char* name;
  Qnn_TensorType_t type;
  Qnn_DataType_t dataType;
  uint32_t rank;
  uint32_t dimensions[2];
  Encoding encoding;
};

struct Scalar {
  const char* name;
  Qnn_Scalar_t scalar;
};

struct Param {
  const char* name;
  const void* values;
  uint32_t size;
  Tensor tensor;
};

struct Node {
  const char* name;
  const char* package;
  const char* type;
  const char* inputs;  // each ended by a zero
};

enum Kind { IS_INPUT, IS_WEIGHT, IS_HALF_WEIGHT, IS_SCALAR, IS_PARAM, IS_OUTPUT, IS_NODE };

struct Line {
  Kind kind;
  union {
    Tensor tensor;
    Scalar scalar;
    Param param;
    Node node;
  };
};

#define UNQUANTIZED {QNN_QUANTIZATION_ENCODING_UNDEFINED, 0.0f, 0, 0, 0, 0}
#define SCALE_OFFSET(SCALE, OFFSET) \
  {QNN_QUANTIZATION_ENCODING_SCALE_OFFSET, SCALE, OFFSET, 0, 0, 0}
#define BW_SCALE_OFFSET(BITS, SCALE, OFFSET) \
  {QNN_QUANTIZATION_ENCODING_BW_SCALE_OFFSET, SCALE, OFFSET, BITS, 0, 0}
// The numbers of a whole axis are stored behind the weights, in the order of the lines.
#define AXIS_SCALE_OFFSET(AXIS, COUNT) \
  {QNN_QUANTIZATION_ENCODING_AXIS_SCALE_OFFSET, 0.0f, 0, 0, AXIS, COUNT}
#define BW_AXIS_SCALE_OFFSET(BITS, AXIS, COUNT) \
  {QNN_QUANTIZATION_ENCODING_BW_AXIS_SCALE_OFFSET, 0.0f, 0, BITS, AXIS, COUNT}

#define TENSOR(NAME, TYPE, DATATYPE, ...) \
  {NAME, QNN_TENSOR_TYPE_##TYPE, QNN_DATATYPE_##DATATYPE, __VA_ARGS__}
#define INPUT(NAME, ...) {IS_INPUT, {.tensor = TENSOR(NAME, APP_WRITE, __VA_ARGS__)}}
#define WEIGHT(NAME, ...) {IS_WEIGHT, {.tensor = TENSOR(NAME, STATIC, __VA_ARGS__)}}
#define HALF_WEIGHT(NAME, ...) {IS_HALF_WEIGHT, {.tensor = TENSOR(NAME, STATIC, __VA_ARGS__)}}
#define SCALAR(NAME, DATATYPE, MEMBER, VALUE) \
  {IS_SCALAR, {.scalar = {NAME, {QNN_DATATYPE_##DATATYPE, {.MEMBER = VALUE}}}}}
#define PARAM(NAME, VALUES, TENSOR_NAME, ...) \
  {IS_PARAM, {.param = {NAME, VALUES, sizeof(VALUES), TENSOR(TENSOR_NAME, STATIC, __VA_ARGS__)}}}
#define OUTPUT(...) {IS_OUTPUT, {.tensor = TENSOR(__VA_ARGS__)}}
#define NODE(NAME, PACKAGE, TYPE, INPUTS) {IS_NODE, {.node = {NAME, PACKAGE, TYPE, INPUTS}}}

// Values of parameters.
static const uint32_t values_0[] = {1, 0};

static const Line LINES[] = {
  INPUT("x", FLOAT_32, 2, {8, 32}, UNQUANTIZED),
  WEIGHT("fc.weight", FLOAT_32, 2, {16, 32}, UNQUANTIZED),
  WEIGHT("fc.bias", FLOAT_32, 1, {16}, UNQUANTIZED),
  SCALAR("keep_dims", BOOL_8, bool8Value, 0),
  OUTPUT("fc_out", NATIVE, FLOAT_32, 2, {8, 16}, UNQUANTIZED),
  NODE("fc", "qti.aisw", "FullyConnected", "x\0" "fc.weight\0" "fc.bias\0"),
  PARAM("perm", values_0, "transpose_perm", UINT_32, 1, {2}, UNQUANTIZED),
  OUTPUT("y", APP_READ, FLOAT_32, 2, {16, 8}, UNQUANTIZED),
  NODE("transpose", "qti.aisw", "Transpose", "fc_out\0"),
};

// Weights are kept as 16-bit floats, in which the HTP computes, and handed over as the graph's
// 32-bit ones: the backend copies them, so that one buffer serves for all.
static float widenedOne(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7FFF;
  const float scale = magnitude < 0x7C00 ? 5192296858534827628530496329220096.0f : 1.0f;  // 2^112
  uint32_t bits = magnitude << 13 | (magnitude < 0x7C00 ? 0 : 0x70000000);
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  value *= scale;
  __builtin_memcpy(&bits, &value, sizeof bits);
  bits |= sign;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

static Qnn_ClientBuffer_t widened(Qnn_ClientBuffer_t weight) {
  static float floats[0x10000];  // of each half
  static float buffer[1];
  if (floats[1] == 0) {
    for (uint32_t half = 0; half < 0x10000; ++half) floats[half] = widenedOne((uint16_t)half);
  }
  const uint8_t* halves = (const uint8_t*)weight.data;
  const uint32_t count = weight.dataSize / 2;
  for (uint32_t i = 0; i < count; ++i) {
    uint16_t half;
    __builtin_memcpy(&half, halves + 2 * i, sizeof half);
    buffer[i] = floats[half];
  }
  return {buffer, 2 * weight.dataSize};
}

// Return an encoding; `next` are the numbers of those along an axis.
static Qnn_QuantizeParams_t encodingOf(const Encoding& encoding, uint8_t*& next) {
  const bool isDefined = encoding.kind != QNN_QUANTIZATION_ENCODING_UNDEFINED;
  Qnn_QuantizeParams_t params{};
  params.encodingDefinition = isDefined ? QNN_DEFINITION_DEFINED : QNN_DEFINITION_UNDEFINED;
  params.quantizationEncoding = encoding.kind;
  switch (encoding.kind) {
    case QNN_QUANTIZATION_ENCODING_AXIS_SCALE_OFFSET:
      params.axisScaleOffsetEncoding.axis = encoding.axis;
      params.axisScaleOffsetEncoding.numScaleOffsets = encoding.count;
      params.axisScaleOffsetEncoding.scaleOffset = (Qnn_ScaleOffset_t*)next;
      next += encoding.count * sizeof(Qnn_ScaleOffset_t);
      break;
    case QNN_QUANTIZATION_ENCODING_BW_SCALE_OFFSET:
      params.bwScaleOffsetEncoding.bitwidth = encoding.bitwidth;
      params.bwScaleOffsetEncoding.scale = encoding.scale;
      params.bwScaleOffsetEncoding.offset = encoding.offset;
      break;
    case QNN_QUANTIZATION_ENCODING_BW_AXIS_SCALE_OFFSET:
      params.bwAxisScaleOffsetEncoding.bitwidth = encoding.bitwidth;
      params.bwAxisScaleOffsetEncoding.axis = encoding.axis;
      params.bwAxisScaleOffsetEncoding.numElements = encoding.count;
      params.bwAxisScaleOffsetEncoding.scales = (float*)next;
      next += encoding.count * sizeof(float);
      params.bwAxisScaleOffsetEncoding.offsets = (int32_t*)next;
      next += encoding.count * sizeof(int32_t);
      break;
    default:
      params.scaleOffsetEncoding.scale = encoding.scale;
      params.scaleOffsetEncoding.offset = encoding.offset;
  }
  return params;
}

static Qnn_Tensor_t tensorOf(const Tensor& line, Qnn_ClientBuffer_t data, uint8_t*& encodings) {
  Qnn_Tensor_t tensor{};
  tensor.version = QNN_TENSOR_VERSION_2;
  tensor.v2.name = line.name;
  tensor.v2.type = line.type;
  tensor.v2.dataFormat = QNN_TENSOR_DATA_FORMAT_DENSE;
  tensor.v2.dataType = line.dataType;
  tensor.v2.quantizeParams = encodingOf(line.encoding, encodings);
  tensor.v2.rank = line.rank;
  tensor.v2.dimensions = (uint32_t*)line.dimensions;
  tensor.v2.memType = QNN_TENSORMEMTYPE_RAW;
  tensor.v2.clientBuf = data;
  tensor.v2.sparseParams.type = QNN_SPARSE_LAYOUT_UNDEFINED;
  return tensor;
}

static Qnn_Param_t scalarOf(const Scalar& line) {
  Qnn_Param_t param{};
  param.paramType = QNN_PARAMTYPE_SCALAR;
  param.name = line.name;
  param.scalarParam = line.scalar;
  return param;
}

static Qnn_Param_t paramOf(const Param& line, uint8_t*& encodings) {
  Qnn_Param_t param{};
  param.paramType = QNN_PARAMTYPE_TENSOR;
  param.name = line.name;
  param.tensorParam = tensorOf(line.tensor, {(void*)line.values, line.size}, encodings);
  return param;
}

static ModelError_t addLines(QnnModel& model, const Qnn_ClientBuffer_t* weights,
                             uint8_t* encodings) {
  const char* inputs[3];
  Qnn_Param_t params[1];
  Qnn_Tensor_t outputs[1], tensor;
  uint32_t numInputs = 0, numParams = 0, numOutputs = 0;
  ModelError_t err = MODEL_NO_ERROR;
  for (const Line& line : LINES) {
    switch (line.kind) {
      case IS_INPUT:
        tensor = tensorOf(line.tensor, {nullptr, 0}, encodings);
        VALIDATE(model.addTensor(line.tensor.name, tensor), err);
        break;
      case IS_WEIGHT:
        tensor = tensorOf(line.tensor, *weights++, encodings);
        VALIDATE(model.addTensor(line.tensor.name, tensor), err);
        break;
      case IS_HALF_WEIGHT:
        tensor = tensorOf(line.tensor, widened(*weights++), encodings);
        VALIDATE(model.addTensor(line.tensor.name, tensor), err);
        break;
      case IS_SCALAR:
        params[numParams++] = scalarOf(line.scalar);
        break;
      case IS_PARAM:
        params[numParams++] = paramOf(line.param, encodings);
        break;
      case IS_OUTPUT:
        outputs[numOutputs++] = tensorOf(line.tensor, {nullptr, 0}, encodings);
        break;
      case IS_NODE:
        for (const char* name = line.node.inputs; *name != 0; ++name) {
          inputs[numInputs++] = name;
          while (*name != 0) ++name;
        }
        VALIDATE(model.addNode(QNN_OPCONFIG_VERSION_1, line.node.name, line.node.package,
                               line.node.type, numParams ? params : nullptr, numParams, inputs,
                               numInputs, outputs, numOutputs), err);
        numInputs = numParams = numOutputs = 0;
        break;
    }
  }
  return err;
}

QNN_API
ModelError_t QnnModel_composeGraphs(Qnn_BackendHandle_t backendHandle,
                                    QNN_INTERFACE_VER_TYPE interface,
                                    Qnn_ContextHandle_t contextHandle,
                                    const GraphConfigInfo_t** graphsConfigInfo,
                                    const uint32_t numGraphsConfigInfo,
                                    GraphInfoPtr_t** graphsInfo,
                                    uint32_t* numGraphsInfo,
                                    bool debug,
                                    QnnLog_Callback_t logCallback,
                                    QnnLog_Level_t maxLogLevel) {
  (void)logCallback;
  (void)maxLogLevel;
  ModelError_t err = MODEL_NO_ERROR;

  // Weights in the order of their lines, and what they must hash to.
  const Qnn_ClientBuffer_t weights[] = {
    {(uint8_t*)BINVARSTART(fc_weight), BINLEN(fc_weight)},  // sha256 addefa64821b1c8cefd4d1efb3071d80f7843f86d0d4ad1d366609a51e6d770f
    {(uint8_t*)BINVARSTART(fc_bias), BINLEN(fc_bias)},  // sha256 18ebe98f80ebed31215e531d7b227e68130c72a755359abaf596b86e6c135fff
  };
  uint8_t* encodings = nullptr;

  /* model/graph for tiny_fc */
  QnnModel model;
  const QnnGraph_Config_t** graphConfigs = nullptr;
  VALIDATE(getQnnGraphConfigFromInfo("tiny_fc", graphsConfigInfo, numGraphsConfigInfo,
                                     graphConfigs), err);
  VALIDATE(model.initialize(backendHandle, interface, contextHandle, "tiny_fc", debug,
                            DO_GRAPH_NODE_VALIDATIONS, graphConfigs), err);
  VALIDATE(addLines(model, weights, encodings), err);

  // Add all models to array to get graphsInfo
  QnnModel* models[] = {&model};
  uint32_t numModels = 1;

  // Populate the constructed graphs in provided output variables
  VALIDATE(getGraphInfoFromModels(*models, numModels, graphsInfo), err);
  *numGraphsInfo = numModels;

  return err;
} // PREPARE_GRAPHS

QNN_API
ModelError_t QnnModel_freeGraphsInfo(GraphInfoPtr_t** graphsInfo, uint32_t numGraphsInfo) {
  return qnn_wrapper_api::freeGraphsInfo(graphsInfo, numGraphsInfo);
} // FREEGRAPHINFO

}
