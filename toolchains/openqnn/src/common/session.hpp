/** From options to a backend with a device: what the programs that drive a backend share. */
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "backend.hpp"
#include "config.hpp"
#include "htp.hpp"
#include "model.hpp"

namespace openqnn {

/** The options every such program knows. */
std::vector<Option> sessionOptions();

/** The configuration of `--config_file`, or an empty one. */
Config configOf(const Arguments& arguments);

/** A backend and one context, with the graphs of model libraries composed and finalised in it. */
class Compiled {
 public:
  /**
   * Compose and finalise every graph.
   *
   * @param profile where the backend records what finalising took; may be null
   */
  Compiled(const Backend& backend, std::vector<ModelLibrary>& models, const Config& config,
           bool debug, Qnn_ProfileHandle_t profile);

  Qnn_ContextHandle_t context() const { return context_.get(); }
  const std::vector<const GraphInfo*>& graphs() const { return graphs_; }

 private:
  HtpDeviceConfigs deviceConfigs_;
  HtpGraphConfigs graphConfigs_;
  Owned<Qnn_DeviceHandle_t> device_;
  Owned<Qnn_ContextHandle_t> context_;
  std::vector<const GraphInfo*> graphs_;
};

}  // namespace openqnn
