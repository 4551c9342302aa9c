#include "json.hpp"

#include <vector>

#include "tensor.hpp"

namespace openqnn {

namespace {

using json = nlohmann::ordered_json;

std::string text(const char* value) { return value == nullptr ? "" : value; }

std::string text(const Qnn_Version_t& version) {
  return std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
         std::to_string(version.patch);
}

const char* nameOfType(Qnn_TensorType_t type) {
  switch (type) {
    case QNN_TENSOR_TYPE_APP_WRITE: return "QNN_TENSOR_TYPE_APP_WRITE";
    case QNN_TENSOR_TYPE_APP_READ: return "QNN_TENSOR_TYPE_APP_READ";
    case QNN_TENSOR_TYPE_APP_READWRITE: return "QNN_TENSOR_TYPE_APP_READWRITE";
    case QNN_TENSOR_TYPE_NATIVE: return "QNN_TENSOR_TYPE_NATIVE";
    case QNN_TENSOR_TYPE_STATIC: return "QNN_TENSOR_TYPE_STATIC";
    default: return "QNN_TENSOR_TYPE_UNDEFINED";
  }
}

json scaleOffset(float scale, int32_t offset) { return {{"scale", scale}, {"offset", offset}}; }

json axisScaleOffset(const Qnn_AxisScaleOffset_t& axis) {
  json pairs = json::array();
  for (uint32_t i = 0; i < axis.numScaleOffsets; ++i) {
    pairs.push_back(scaleOffset(axis.scaleOffset[i].scale, axis.scaleOffset[i].offset));
  }
  return {{"axis", axis.axis}, {"numScaleOffsets", axis.numScaleOffsets}, {"scaleOffset", pairs}};
}

json describeEncoding(const Qnn_QuantizeParams_t& params) {
  if (params.encodingDefinition != QNN_DEFINITION_DEFINED) {
    return {{"definition", "QNN_DEFINITION_UNDEFINED"},
            {"quantizationEncoding", "QNN_QUANTIZATION_ENCODING_UNDEFINED"}};
  }
  json encoding = {{"definition", "QNN_DEFINITION_DEFINED"}};
  switch (params.quantizationEncoding) {
    case QNN_QUANTIZATION_ENCODING_SCALE_OFFSET:
      encoding["quantizationEncoding"] = "QNN_QUANTIZATION_ENCODING_SCALE_OFFSET";
      encoding["scaleOffset"] =
          scaleOffset(params.scaleOffsetEncoding.scale, params.scaleOffsetEncoding.offset);
      break;
    case QNN_QUANTIZATION_ENCODING_AXIS_SCALE_OFFSET:
      encoding["quantizationEncoding"] = "QNN_QUANTIZATION_ENCODING_AXIS_SCALE_OFFSET";
      encoding["axisScaleOffset"] = axisScaleOffset(params.axisScaleOffsetEncoding);
      break;
    default: encoding["quantizationEncoding"] = static_cast<uint32_t>(params.quantizationEncoding);
  }
  return encoding;
}

json describeTensor(const Qnn_Tensor_t& tensor) {
  const Qnn_TensorV1_t& t = common(tensor);
  json info = {{"id", t.id},
               {"name", text(t.name)},
               {"type", nameOfType(t.type)},
               {"dataFormat", t.dataFormat},
               {"dataType", nameOf(t.dataType)},
               {"rank", t.rank},
               {"dimensions", std::vector<uint32_t>(t.dimensions, t.dimensions + t.rank)},
               {"quantizeParams", describeEncoding(t.quantizeParams)}};
  return {{"version", static_cast<int>(tensor.version)}, {"info", info}};
}

json describeTensors(const Qnn_Tensor_t* tensors, uint32_t count) {
  json list = json::array();
  for (uint32_t i = 0; i < count; ++i) list.push_back(describeTensor(tensors[i]));
  return list;
}

json describeGraph(const QnnSystemContext_GraphInfo_t& graph) {
  const QnnSystemContext_GraphInfoV3_t& g = graph.graphInfoV3;
  json info = {{"graphName", text(g.graphName)},
               {"numGraphInputs", g.numGraphInputs},
               {"graphInputs", describeTensors(g.graphInputs, g.numGraphInputs)},
               {"numGraphOutputs", g.numGraphOutputs},
               {"graphOutputs", describeTensors(g.graphOutputs, g.numGraphOutputs)}};
  if (const HtpGraphInfo* blob = htpInfo(g)) {
    info["graphBlobInfo"] = {{"spillFillBufferSize", blob->spillFillBufferSize},
                             {"vtcmSize", blob->vtcmSize},
                             {"optimizationLevel", blob->optimizationLevel},
                             {"htpDlbc", blob->htpDlbc != 0},
                             {"numHvxThreads", blob->numHvxThreads}};
  }
  return {{"version", static_cast<int>(graph.version)}, {"info", info}};
}

}  // namespace

json describe(const BinaryInfo& binary) {
  const QnnSystemContext_BinaryInfoV3_t& b = binary.get();
  json graphs = json::array();
  for (uint32_t i = 0; i < b.numGraphs; ++i) graphs.push_back(describeGraph(b.graphs[i]));
  json info = {{"backendId", b.backendId},
               {"buildId", text(b.buildId)},
               {"coreApiVersion", text(b.coreApiVersion)},
               {"backendApiVersion", text(b.backendApiVersion)},
               {"socVersion", text(b.socVersion)},
               {"socModel", b.socModel},
               {"dspArch", binary.dspArch()},
               {"contextBlobVersion", text(b.contextBlobVersion)},
               {"contextBlobSize", b.contextBlobSize},
               {"numContextTensors", b.numContextTensors},
               {"contextTensors", describeTensors(b.contextTensors, b.numContextTensors)},
               {"numGraphs", b.numGraphs},
               {"graphs", graphs}};
  return {{"version", 3}, {"info", info}};
}

}  // namespace openqnn
