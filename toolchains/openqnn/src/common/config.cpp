#include "config.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "document.hpp"
#include "failure.hpp"

namespace openqnn {

namespace {

using nlohmann::json;
using Names = std::vector<const char*>;

/** Known to the schema; openqnn has no means to honour them. */
const Names kGraphUnsupported = {"vtcm_size",
                                 "hmx_op_bounding",
                                 "num_cores",
                                 "cached_weights",
                                 "advanced_activation_fusion",
                                 "dynamic_partitioning",
                                 "monolithic_lstm",
                                 "high_precision_sigmoid",
                                 "assume_same_quant",
                                 "finalize_config",
                                 "precision_compensation",
                                 "share_io_buffer",
                                 "dlbc_weights",
                                 "sparse_weights_compression",
                                 "fp16_clamp_overflow",
                                 "weights_packing",
                                 "slc_alloc_enable",
                                 "vtcm_retention"};
const Names kDeviceUnsupported = {
    "core_type",          "device_type",          "enable_async_execute",
    "async_voting",       "profiling_level",      "use_dynamic_partitioning",
    "use_client_context", "enable_htp_extension", "consolidate_htp_extension"};
/** What only tunes a running device: right to give, without effect where nothing runs on one. */
const Names kGraphRuntime = {"perf_profile"};
const Names kDeviceRuntime = {"device_id", "core_id", "pd_session", "cores"};

bool contains(const Names& names, const std::string& name) {
  return std::any_of(names.begin(), names.end(), [&](const char* known) { return name == known; });
}

/** One JSON object, read key by key; complains with the file's name and the key's place. */
class Section {
 public:
  Section(const json& value, std::string place) : value_(value), place_(std::move(place)) {
    if (!value_.is_object()) fail("is not an object");
  }

  [[noreturn]] void fail(const std::string& why) const {
    throw Failure(Exit::config, place_ + " " + why + ".");
  }

  /** Refuse keys that are neither in `known` nor in `idle`. */
  void allow(const Names& known, const Names& idle, const Names& unsupported) const {
    for (const auto& item : value_.items()) {
      if (contains(known, item.key()) || contains(idle, item.key())) continue;
      const bool real = contains(unsupported, item.key());
      throw Failure(Exit::config,
                    place_ + "." + item.key() +
                        (real ? " is not supported by openqnn." : " is an unknown key."));
    }
  }

  const json* find(const char* key) const {
    const auto found = value_.find(key);
    return found == value_.end() ? nullptr : &*found;
  }

  std::optional<uint32_t> number(const char* key, uint32_t least, uint32_t most) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    // Every number that is allowed here is a double without loss.
    const double n = value->is_number() ? value->get<double>() : -1.0;
    if (!(n >= least && n <= most) || n != std::floor(n)) {
      Section(json::object(), place_ + "." + key)
          .fail("must be a whole number from " + std::to_string(least) + " to " +
                std::to_string(most));
    }
    return static_cast<uint32_t>(n);
  }

  std::optional<bool> boolean(const char* key) const {
    const json* value = find(key);
    if (value != nullptr && value->is_boolean()) return value->get<bool>();
    const auto n = number(key, 0, 1);
    return n ? std::optional<bool>(*n == 1) : std::nullopt;
  }

  std::string string(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return "";
    if (!value->is_string() || value->get<std::string>().empty()) {
      Section(json::object(), place_ + "." + key).fail("must be a text");
    }
    return value->get<std::string>();
  }

  std::string required(const char* key) const {
    const std::string text = string(key);
    if (text.empty()) fail(std::string("lacks ") + key);
    return text;
  }

  /** A list of objects, or one object standing for a list of one, as older samples write it. */
  std::vector<Section> sections(const char* key) const {
    const json* value = find(key);
    std::vector<Section> found;
    if (value == nullptr) return found;
    if (!value->is_array()) return {Section(*value, place_ + "." + key)};
    for (size_t i = 0; i < value->size(); ++i) {
      found.emplace_back((*value)[i], place_ + "." + key + "[" + std::to_string(i) + "]");
    }
    return found;
  }

 private:
  json value_;
  std::string place_;
};

Section readSection(const std::string& path) { return Section(readDocument(path), path); }

std::vector<std::string> readNames(const Section& section) {
  const json* names = section.find("graph_names");
  const bool texts = names != nullptr && names->is_array() && !names->empty() &&
                     std::all_of(names->begin(), names->end(), [](const json& name) {
                       return name.is_string() && !name.get<std::string>().empty();
                     });
  if (!texts) section.fail("needs graph_names, a list of the graphs it is for");
  return names->get<std::vector<std::string>>();
}

GraphConfig readGraph(const Section& section) {
  section.allow({"graph_names", "vtcm_mb", "O", "hvx_threads", "fp16_relaxed_precision", "dlbc",
                 "fold_relu_activation_into_conv_off", "short_depth_conv_on_hmx_off"},
                kGraphRuntime, kGraphUnsupported);
  GraphConfig graph;
  graph.names = readNames(section);
  graph.vtcmMb = section.number("vtcm_mb", 0, 1024);
  graph.optimization = section.number("O", 1, 3);
  graph.hvxThreads = section.number("hvx_threads", 1, 64);
  graph.fp16 = section.boolean("fp16_relaxed_precision");
  graph.dlbc = section.boolean("dlbc");
  graph.foldReluOff = section.boolean("fold_relu_activation_into_conv_off");
  graph.shortDepthConvOff = section.boolean("short_depth_conv_on_hmx_off");
  return graph;
}

uint32_t readArch(const Section& section) {
  const std::string arch = section.string("dsp_arch");
  const std::string alias = section.string("htp_arch");
  if (!arch.empty() && !alias.empty() && arch != alias)
    section.fail("has dsp_arch and htp_arch, and they differ");
  const std::string text = arch.empty() ? alias : arch;
  if (text.empty()) return 0;
  const bool valid =
      text.size() == 3 && text[0] == 'v' && std::isdigit(text[1]) && std::isdigit(text[2]);
  if (!valid) section.fail("has a dsp_arch \"" + text + "\" that is not of the form v73");
  return static_cast<uint32_t>((text[1] - '0') * 10 + text[2] - '0');
}

DeviceConfig readDevice(const Section& section) {
  section.allow({"soc_id", "soc_model", "dsp_arch", "htp_arch"}, kDeviceRuntime,
                kDeviceUnsupported);
  const auto id = section.number("soc_id", 0, 0xFFFF);
  const auto model = section.number("soc_model", 0, 0xFFFF);
  if (id && model && *id != *model) section.fail("has soc_id and soc_model, and they differ");
  return {model.value_or(id.value_or(0)), readArch(section)};
}

void checkGraphs(const Config& config, const Section& section) {
  std::set<std::string> seen;
  for (const GraphConfig& graph : config.graphs) {
    for (const std::string& name : graph.names) {
      if (!seen.insert(name).second) section.fail("configures the graph " + name + " twice");
    }
    if (graph.vtcmMb == 0u && config.device.socModel == 0) {
      section.fail("has vtcm_mb 0, the device's own size, and no soc_model that says which device");
    }
  }
}

void readLevel2(const std::string& path, Config& config) {
  const Section root = readSection(path);
  root.allow({"graphs", "devices"}, {}, {"context", "groupContext", "memory"});
  const auto devices = root.sections("devices");
  if (devices.size() > 1) root.fail("names more than one device");
  if (!devices.empty()) config.device = readDevice(devices.front());
  for (const Section& graph : root.sections("graphs")) config.graphs.push_back(readGraph(graph));
  checkGraphs(config, root);
}

}  // namespace

Config readConfig(const std::string& path) {
  Config config;
  const Section root = readSection(path);
  root.allow({"backend_extensions"}, {}, {"context_configs", "graph_configs"});
  const auto extensions = root.sections("backend_extensions");
  if (extensions.size() != 1) root.fail("lacks backend_extensions");
  const Section& extension = extensions.front();
  extension.allow({"shared_library_path", "config_file_path"}, {}, {});
  config.extensions = extension.required("shared_library_path");
  if (::access(config.extensions.c_str(), R_OK) != 0) {
    throw Failure(Exit::config, path + " names " + config.extensions + ", which is not there.");
  }
  readLevel2(extension.required("config_file_path"), config);
  return config;
}

}  // namespace openqnn
