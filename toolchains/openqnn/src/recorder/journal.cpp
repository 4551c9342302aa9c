#include "journal.hpp"

#include <cinttypes>

#include "HTP/QnnHtpGraph.h"
#include "json.hpp"

namespace openqnn {
namespace {

std::string version(const Qnn_Version_t& v) {
  return json::list({json::number(v.major), json::number(v.minor), json::number(v.patch)});
}

std::string scalar_value(const Qnn_Scalar_t& scalar) {
  switch (scalar.dataType) {
    case QNN_DATATYPE_FLOAT_32: return json::number(scalar.floatValue);
    case QNN_DATATYPE_FLOAT_64: return json::number(scalar.doubleValue);
    case QNN_DATATYPE_INT_8: return json::number(scalar.int8Value);
    case QNN_DATATYPE_INT_16: return json::number(scalar.int16Value);
    case QNN_DATATYPE_INT_32: return json::number(scalar.int32Value);
    case QNN_DATATYPE_INT_64: return json::number(scalar.int64Value);
    case QNN_DATATYPE_UINT_8: return json::number(scalar.uint8Value);
    case QNN_DATATYPE_UINT_16: return json::number(scalar.uint16Value);
    case QNN_DATATYPE_UINT_32: return json::number(scalar.uint32Value);
    case QNN_DATATYPE_UINT_64: return json::number(scalar.uint64Value);
    case QNN_DATATYPE_BOOL_8: return json::number(scalar.bool8Value);
    case QNN_DATATYPE_STRING: return json::text(scalar.stringValue);
    default: return "null";
  }
}

template <typename T>
std::string numbers(const T* values, uint32_t count) {
  json::Items items;
  for (uint32_t i = 0; i < count; ++i) items.push_back(json::number(values ? values[i] : T{}));
  return json::list(items);
}

std::string per_axis(const Qnn_AxisScaleOffset_t& axis) {
  json::Items scales, offsets;
  for (uint32_t i = 0; i < axis.numScaleOffsets; ++i) {
    scales.push_back(json::number(axis.scaleOffset[i].scale));
    offsets.push_back(json::number(axis.scaleOffset[i].offset));
  }
  return json::object({{"axis", json::number(axis.axis)},
                       {"scales", json::list(scales)},
                       {"offsets", json::list(offsets)}});
}

std::string encoding_value(const Qnn_QuantizeParams_t& params) {
  const auto& plain = params.scaleOffsetEncoding;
  const auto& narrow = params.bwScaleOffsetEncoding;
  const auto& rows = params.bwAxisScaleOffsetEncoding;
  switch (params.quantizationEncoding) {
    case QNN_QUANTIZATION_ENCODING_SCALE_OFFSET:
      return json::object(
          {{"scale", json::number(plain.scale)}, {"offset", json::number(plain.offset)}});
    case QNN_QUANTIZATION_ENCODING_AXIS_SCALE_OFFSET:
      return per_axis(params.axisScaleOffsetEncoding);
    case QNN_QUANTIZATION_ENCODING_BW_SCALE_OFFSET:
      return json::object({{"bitwidth", json::number(narrow.bitwidth)},
                           {"scale", json::number(narrow.scale)},
                           {"offset", json::number(narrow.offset)}});
    case QNN_QUANTIZATION_ENCODING_BW_AXIS_SCALE_OFFSET:
      return json::object({{"bitwidth", json::number(rows.bitwidth)},
                           {"axis", json::number(rows.axis)},
                           {"scales", numbers(rows.scales, rows.numElements)},
                           {"offsets", numbers(rows.offsets, rows.numElements)}});
    default: return "null";
  }
}

std::string quantization(const Qnn_QuantizeParams_t& params) {
  if (params.encodingDefinition != QNN_DEFINITION_DEFINED) return "null";
  return json::object(
      {{"encoding", json::number(static_cast<uint32_t>(params.quantizationEncoding))},
       {"value", encoding_value(params)}});
}

std::string config(const QnnGraph_Config_t& config) {
  if (config.option != QNN_GRAPH_CONFIG_OPTION_CUSTOM) {
    return json::object({{"option", json::number(static_cast<uint32_t>(config.option))},
                         {"value", json::number(static_cast<uint32_t>(config.priority))}});
  }
  const auto& custom = *static_cast<const QnnHtpGraph_CustomConfig_t*>(config.customConfig);
  const auto option = json::number(static_cast<uint32_t>(custom.option));
  if (custom.option == QNN_HTP_GRAPH_CONFIG_OPTION_OPTIMIZATION) {
    const auto& optimization = custom.optimizationOption;
    return json::object({{"custom", option},
                         {"type", json::number(static_cast<uint32_t>(optimization.type))},
                         {"value", json::number(optimization.floatValue)}});
  }
  return json::object({{"custom", option}, {"value", json::number(custom.vtcmSizeInMB)}});
}

std::string parameter(const Qnn_Param_t& param) {
  const auto name = json::text(param.name);
  if (param.paramType == QNN_PARAMTYPE_TENSOR) {
    return json::object({{"name", name}, {"tensor", json::number(param.tensorParam.v1.id)}});
  }
  const auto& scalar = param.scalarParam;
  return json::object({{"name", name},
                       {"dtype", json::number(static_cast<uint32_t>(scalar.dataType))},
                       {"value", scalar_value(scalar)}});
}

std::string ids(const Qnn_Tensor_t* tensors, uint32_t count) {
  json::Items items;
  for (uint32_t i = 0; i < count; ++i) items.push_back(json::number(tensors[i].v1.id));
  return json::list(items);
}

}  // namespace

Journal::Journal(std::string folder)
    : folder_(std::move(folder)), calls_(std::fopen((folder_ + "/calls.jsonl").c_str(), "w")) {}

bool Journal::line(const std::string& text) {
  return calls_ && std::fprintf(calls_.get(), "%s\n", text.c_str()) >= 0;
}

bool Journal::provider(const QnnInterface_t& provider) {
  return line(json::object({{"call", json::text("provider")},
                            {"name", json::text(provider.providerName)},
                            {"core", version(provider.apiVersion.coreApiVersion)},
                            {"backend", version(provider.apiVersion.backendApiVersion)}}));
}

bool Journal::graph(const char* name, const QnnGraph_Config_t** configs) {
  json::Items items;
  for (auto one = configs; one && *one; ++one) items.push_back(config(**one));
  return line(json::object(
      {{"call", json::text("graph")}, {"name", json::text(name)}, {"configs", json::list(items)}}));
}

bool Journal::tensor(const Qnn_Tensor_t& tensor) {
  const auto& t = tensor.v1;
  const bool is_static = t.type == QNN_TENSOR_TYPE_STATIC;
  return (!is_static || raw(t)) &&
         line(json::object({{"call", json::text("tensor")},
                            {"id", json::number(t.id)},
                            {"name", json::text(t.name)},
                            {"type", json::number(static_cast<uint32_t>(t.type))},
                            {"format", json::number(t.dataFormat)},
                            {"dtype", json::number(static_cast<uint32_t>(t.dataType))},
                            {"quantization", quantization(t.quantizeParams)},
                            {"dims", numbers(t.dimensions, t.rank)},
                            {"bytes", json::number(is_static ? t.clientBuf.dataSize : 0)}}));
}

bool Journal::node(const Qnn_OpConfigV1_t& op) {
  json::Items params;
  for (uint32_t i = 0; i < op.numOfParams; ++i) params.push_back(parameter(op.params[i]));
  return line(json::object({{"call", json::text("node")},
                            {"name", json::text(op.name)},
                            {"package", json::text(op.packageName)},
                            {"type", json::text(op.typeName)},
                            {"params", json::list(params)},
                            {"inputs", ids(op.inputTensors, op.numOfInputs)},
                            {"outputs", ids(op.outputTensors, op.numOfOutputs)}}));
}

bool Journal::refused(const Qnn_OpConfigV1_t& op, Qnn_ErrorHandle_t error) {
  return line(json::object({{"call", json::text("refused")},
                            {"name", json::text(op.name)},
                            {"type", json::text(op.typeName)},
                            {"error", json::number(QNN_GET_ERROR_CODE(error))}}));
}

bool Journal::finalize() {
  return line(json::object({{"call", json::text("finalize")}})) && std::fflush(calls_.get()) == 0;
}

bool Journal::raw(const Qnn_TensorV1_t& tensor) {
  const auto path = folder_ + "/" + std::to_string(tensor.id) + ".raw";
  File file(std::fopen(path.c_str(), "wb"));
  const auto size = tensor.clientBuf.dataSize;
  return file && std::fwrite(tensor.clientBuf.data, 1, size, file.get()) == size &&
         std::fflush(file.get()) == 0;
}

}  // namespace openqnn
