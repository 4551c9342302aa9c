#include "htp.hpp"

namespace openqnn {

namespace {

QnnHtpGraph_CustomConfig_t optimization(QnnHtpGraph_OptimizationType_t type, float value) {
  QnnHtpGraph_CustomConfig_t custom{};
  custom.option = QNN_HTP_GRAPH_CONFIG_OPTION_OPTIMIZATION;
  custom.optimizationOption = {type, value};
  return custom;
}

QnnHtpGraph_CustomConfig_t precision(bool fp16) {
  QnnHtpGraph_CustomConfig_t custom{};
  custom.option = QNN_HTP_GRAPH_CONFIG_OPTION_PRECISION;
  custom.precision = fp16 ? QNN_PRECISION_FLOAT16 : QNN_PRECISION_FLOAT32;
  return custom;
}

QnnHtpGraph_CustomConfig_t number(QnnHtpGraph_ConfigOption_t option, uint64_t value) {
  QnnHtpGraph_CustomConfig_t custom{};
  custom.option = option;
  // The members are of various widths; on these little-endian machines one store serves them all.
  custom.numHvxThreads = value;
  return custom;
}

}  // namespace

HtpDeviceConfigs::HtpDeviceConfigs(const DeviceConfig& device) {
  if (device.socModel != 0) {
    // The SoC implies the architecture; the backend warns when it is told both.
    custom_.option = QNN_HTP_DEVICE_CONFIG_OPTION_SOC;
    custom_.socModel = device.socModel;
  } else {
    custom_.option = QNN_HTP_DEVICE_CONFIG_OPTION_ARCH;
    custom_.arch = {0, device.dspArch};
  }
  if (device.socModel == 0 && device.dspArch == 0) return;
  config_.option = QNN_DEVICE_CONFIG_OPTION_CUSTOM;
  config_.customConfig = &custom_;
  list_ = {&config_, nullptr};
}

HtpDeviceConfigs::HtpDeviceConfigs(QnnDevice_PlatformInfo_t* platform) {
  config_.option = QNN_DEVICE_CONFIG_OPTION_PLATFORM_INFO;
  config_.hardwareInfo = platform;
  list_ = {&config_, nullptr};
}

const QnnDevice_Config_t** HtpDeviceConfigs::list() {
  return list_.empty() ? nullptr : list_.data();
}

HtpGraphConfigs::HtpGraphConfigs(const std::vector<GraphConfig>& graphs) {
  for (const GraphConfig& graph : graphs) {
    lists_.push_back(translate(graph));
    for (const std::string& name : graph.names) {
      names_.push_back(name);
      infos_.push_back({names_.back().data(), lists_.back().data()});
      list_.push_back(&infos_.back());
    }
  }
}

HtpGraphConfigs::ConfigList HtpGraphConfigs::translate(const GraphConfig& graph) {
  ConfigList list;
  if (graph.optimization) {
    add(list, optimization(QNN_HTP_GRAPH_OPTIMIZATION_TYPE_FINALIZE_OPTIMIZATION_FLAG,
                           static_cast<float>(*graph.optimization)));
  }
  if (graph.dlbc) {
    add(list, optimization(QNN_HTP_GRAPH_OPTIMIZATION_TYPE_ENABLE_DLBC, *graph.dlbc ? 1.0F : 0.0F));
  }
  if (graph.vtcmMb) add(list, number(QNN_HTP_GRAPH_CONFIG_OPTION_VTCM_SIZE, *graph.vtcmMb));
  if (graph.fp16) add(list, precision(*graph.fp16));
  if (graph.hvxThreads) {
    add(list, number(QNN_HTP_GRAPH_CONFIG_OPTION_NUM_HVX_THREADS, *graph.hvxThreads));
  }
  if (graph.foldReluOff) {
    add(list, number(QNN_HTP_GRAPH_CONFIG_OPTION_FOLD_RELU_ACTIVATION_INTO_CONV_OFF,
                     *graph.foldReluOff ? 1 : 0));
  }
  if (graph.shortDepthConvOff) {
    add(list, number(QNN_HTP_GRAPH_CONFIG_OPTION_SHORT_DEPTH_CONV_ON_HMX_OFF,
                     *graph.shortDepthConvOff ? 1 : 0));
  }
  list.push_back(nullptr);
  return list;
}

void HtpGraphConfigs::add(ConfigList& list, const QnnHtpGraph_CustomConfig_t& custom) {
  customs_.push_back(custom);
  QnnGraph_Config_t config{};
  config.option = QNN_GRAPH_CONFIG_OPTION_CUSTOM;
  config.customConfig = &customs_.back();
  configs_.push_back(config);
  list.push_back(&configs_.back());
}

}  // namespace openqnn
