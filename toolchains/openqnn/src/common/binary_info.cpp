#include "binary_info.hpp"

#include <cstring>

#include "failure.hpp"
#include "location.hpp"

namespace openqnn {

namespace {

QnnSystemInterface_t provider(const SharedLibrary& library) {
  const auto getProviders =
      library.function<QnnSystemInterface_GetProvidersFn_t>("QnnSystemInterface_getProviders");
  const QnnSystemInterface_t** providers = nullptr;
  uint32_t count = 0;
  if (getProviders(&providers, &count) != QNN_SUCCESS || providers == nullptr || count == 0) {
    throw Failure(Exit::library, library.path() + " provides no interface.");
  }
  const Qnn_Version_t& version = providers[0]->systemApiVersion;
  if (version.major == QNN_SYSTEM_API_VERSION_MAJOR &&
      version.minor >= QNN_SYSTEM_API_VERSION_MINOR) {
    return *providers[0];
  }
  throw Failure(Exit::version,
                library.path() + " speaks system API " + std::to_string(version.major) + "." +
                    std::to_string(version.minor) + "; this program was written for " +
                    std::to_string(QNN_SYSTEM_API_VERSION_MAJOR) + "." +
                    std::to_string(QNN_SYSTEM_API_VERSION_MINOR) + ".");
}

/** What `hwInfoBlob` points at. */
struct HardwareInfo {
  uint32_t version;
  uint32_t dspArch;
};

/** Far above any real description; a damaged one easily counts in billions. */
constexpr uint32_t kMost = 1 << 16;
constexpr uint32_t kMostRank = 8;
constexpr uint64_t kMostElements = 1 << 28;

/**
 * The largest value of the SDK's enums. A larger one, as in memory that the library left unfilled,
 * is none of the type's values: to read it as one is undefined.
 */
constexpr uint32_t kMostOfEnums = 0x7FFFFFFF;

template <typename... Enums>
bool readable(const Enums&... fields) {
  const auto number = [](const auto& field) {
    uint32_t bits = 0;
    static_assert(sizeof(field) == sizeof(bits));
    std::memcpy(&bits, &field, sizeof(bits));
    return bits;
  };
  return ((number(fields) <= kMostOfEnums) && ...);
}

bool plausible(const Qnn_Tensor_t& tensor) {
  const Qnn_TensorV1_t& t = tensor.v1;
  const Qnn_QuantizeParams_t& params = t.quantizeParams;
  if (!readable(tensor.version, t.type, t.dataType, t.memType, params.encodingDefinition,
                params.quantizationEncoding)) {
    return false;
  }
  const bool known =
      tensor.version == QNN_TENSOR_VERSION_1 || tensor.version == QNN_TENSOR_VERSION_2;
  if (!known || t.name == nullptr || t.rank > kMostRank) return false;
  if (t.rank != 0 && t.dimensions == nullptr) return false;
  uint64_t elements = 1;
  for (uint32_t i = 0; i < t.rank; ++i) {
    elements *= t.dimensions[i];
    if (elements == 0 || elements > kMostElements) return false;
  }
  const Qnn_AxisScaleOffset_t& axis = params.axisScaleOffsetEncoding;
  return params.encodingDefinition != QNN_DEFINITION_DEFINED ||
         params.quantizationEncoding != QNN_QUANTIZATION_ENCODING_AXIS_SCALE_OFFSET ||
         (axis.scaleOffset != nullptr && axis.numScaleOffsets <= kMost);
}

bool plausible(const Qnn_Tensor_t* tensors, uint32_t count) {
  if (count > kMost || (count != 0 && tensors == nullptr)) return false;
  for (uint32_t i = 0; i < count; ++i) {
    if (!plausible(tensors[i])) return false;
  }
  return true;
}

/** libQnnSystem.so takes damaged numbers at their word; what is used later is looked at here. */
bool plausible(const QnnSystemContext_BinaryInfo_t& info) {
  if (!readable(info.version) || info.version != QNN_SYSTEM_CONTEXT_BINARY_INFO_VERSION_3) {
    return false;
  }
  const QnnSystemContext_BinaryInfoV3_t& b = info.contextBinaryInfoV3;
  if (!plausible(b.contextTensors, b.numContextTensors)) return false;
  if (b.numGraphs == 0 || b.numGraphs > kMost || b.graphs == nullptr) return false;
  for (uint32_t i = 0; i < b.numGraphs; ++i) {
    const auto& version = b.graphs[i].version;
    if (!readable(version) || version != QNN_SYSTEM_CONTEXT_GRAPH_INFO_VERSION_3) return false;
    const QnnSystemContext_GraphInfoV3_t& g = b.graphs[i].graphInfoV3;
    if (g.graphName == nullptr || !plausible(g.graphInputs, g.numGraphInputs) ||
        !plausible(g.graphOutputs, g.numGraphOutputs)) {
      return false;
    }
  }
  return true;
}

}  // namespace

const HtpGraphInfo* htpInfo(const QnnSystemContext_GraphInfoV3_t& graph) {
  const auto* info = static_cast<const HtpGraphInfo*>(graph.graphBlobInfo);
  const bool known =
      info != nullptr && graph.graphBlobInfoSize >= sizeof(*info) && info->version == 1;
  return known ? info : nullptr;
}

BinaryInfo::BinaryInfo(const void* data, uint64_t size, const std::string& name,
                       const std::string& system)
    : library_(libraryPath(system)), interface_(provider(library_)) {
  const auto& api = interface_.QNN_SYSTEM_INTERFACE_VER_NAME;
  if (api.systemContextCreate(&handle_) != QNN_SUCCESS) {
    throw Failure(Exit::internal, system + " cannot make a context.");
  }
  const Reading reading(Exit::context, name);
  const bool read = api.systemContextGetMetaData(handle_, data, size, &info_) == QNN_SUCCESS &&
                    info_ != nullptr && plausible(*info_);
  if (read) return;
  api.systemContextFree(handle_);
  throw Failure(Exit::context, name + " is not a context binary, or it is damaged.");
}

BinaryInfo::~BinaryInfo() { interface_.QNN_SYSTEM_INTERFACE_VER_NAME.systemContextFree(handle_); }

uint32_t BinaryInfo::dspArch() const {
  const auto* hardware = static_cast<const HardwareInfo*>(get().hwInfoBlob);
  return hardware != nullptr && hardware->version == 1 ? hardware->dspArch : 0;
}

}  // namespace openqnn
