/**
 * The two levels of JSON configuration.
 *
 * Level 1 names the backend's extension library and the level 2 file; level 2 says for which device
 * and how graphs are compiled. Keys are those of the schema that Qualcomm's extension library holds
 * (QAIRT 2.51). A key that schema does not know is refused, and so is one that openqnn cannot
 * honour: nothing that is asked for is silently left out.
 */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace openqnn {

struct GraphConfig {
  std::vector<std::string> names;
  std::optional<uint32_t> vtcmMb;        ///< 0: all the device has
  std::optional<uint32_t> optimization;  ///< 1 to 3
  std::optional<uint32_t> hvxThreads;
  std::optional<bool> fp16;
  std::optional<bool> dlbc;  ///< compress activations on their way to memory
  std::optional<bool> foldReluOff;
  std::optional<bool> shortDepthConvOff;
};

struct DeviceConfig {
  uint32_t socModel = 0;  ///< 0: not said
  uint32_t dspArch = 0;   ///< 73 for v73; 0: not said
};

struct Config {
  std::string extensions;  ///< path of the extension library
  DeviceConfig device;
  std::vector<GraphConfig> graphs;
};

/** Read both levels; raises a config failure that names file and key. */
Config readConfig(const std::string& path);

}  // namespace openqnn
