/** A configuration in the form the HTP backend takes it. */
#pragma once

#include <deque>
#include <vector>

#include "HTP/QnnHtpDevice.h"
#include "HTP/QnnHtpGraph.h"
#include "QnnWrapperUtils.hpp"
#include "config.hpp"

namespace openqnn {

/** Null-terminated list of device configurations; valid as long as this lives. */
class HtpDeviceConfigs {
 public:
  explicit HtpDeviceConfigs(const DeviceConfig& device);
  /** For those NPUs of this machine that `platform`, which must outlive this, lists. */
  explicit HtpDeviceConfigs(QnnDevice_PlatformInfo_t* platform);
  HtpDeviceConfigs(const HtpDeviceConfigs&) = delete;
  HtpDeviceConfigs& operator=(const HtpDeviceConfigs&) = delete;

  /** Null where the configuration says nothing about the device. */
  const QnnDevice_Config_t** list();

 private:
  QnnHtpDevice_CustomConfig_t custom_{};
  QnnDevice_Config_t config_{};
  std::vector<const QnnDevice_Config_t*> list_;
};

/** What a model library's composeGraphs takes; valid as long as this lives. */
class HtpGraphConfigs {
 public:
  explicit HtpGraphConfigs(const std::vector<GraphConfig>& graphs);
  HtpGraphConfigs(const HtpGraphConfigs&) = delete;
  HtpGraphConfigs& operator=(const HtpGraphConfigs&) = delete;

  const qnn_wrapper_api::GraphConfigInfo_t** infos() { return list_.data(); }
  uint32_t count() const { return static_cast<uint32_t>(list_.size()); }

 private:
  using ConfigList = std::vector<const QnnGraph_Config_t*>;

  ConfigList translate(const GraphConfig& graph);
  void add(ConfigList& list, const QnnHtpGraph_CustomConfig_t& custom);

  // Deques, because the lists point into them while they still grow.
  std::deque<QnnHtpGraph_CustomConfig_t> customs_;
  std::deque<QnnGraph_Config_t> configs_;
  std::deque<ConfigList> lists_;
  std::deque<std::string> names_;
  std::deque<qnn_wrapper_api::GraphConfigInfo_t> infos_;
  std::vector<const qnn_wrapper_api::GraphConfigInfo_t*> list_;
};

}  // namespace openqnn
