#include "npu.hpp"

#include <algorithm>

#include "failure.hpp"

namespace openqnn {

namespace {

constexpr uint32_t kMostCores = 64;

/** Latencies and polling are those of Qualcomm's tools for the profiles of these names. */
constexpr PowerProfile kPowerProfiles[] = {
    {"burst", DCVS_VOLTAGE_VCORNER_MAX_VOLTAGE_CORNER, false, 40, 100, 9999},
    {"balanced", DCVS_VOLTAGE_VCORNER_NOM_PLUS, true, 1000, 100, 0},
    {"power-saver", DCVS_VOLTAGE_VCORNER_SVS, true, 1000, 200, 0},
};

bool known(const QnnDevice_HardwareDeviceInfo_t& device) {
  return device.version == 1 && device.v1.cores != nullptr && device.v1.numCores >= 1 &&
         device.v1.numCores <= kMostCores && device.v1.cores[0].version == 1;
}

using Config = QnnHtpPerfInfrastructure_PowerConfig_t;

Config clocks(uint32_t id, const PowerProfile& profile) {
  Config config{};
  config.option = QNN_HTP_PERF_INFRASTRUCTURE_POWER_CONFIGOPTION_DCVS_V3;
  QnnHtpPerfInfrastructure_DcvsV3_t& vote = config.dcvsV3Config;
  vote.contextId = id;
  vote.setDcvsEnable = vote.setSleepLatency = vote.setBusParams = vote.setCoreParams = 1;
  vote.dcvsEnable = profile.dcvs ? 1 : 0;
  vote.powerMode = QNN_HTP_PERF_INFRASTRUCTURE_POWERMODE_PERFORMANCE_MODE;
  vote.sleepLatency = profile.sleepLatencyUs;
  vote.busVoltageCornerMin = vote.busVoltageCornerTarget = vote.busVoltageCornerMax =
      profile.corner;
  vote.coreVoltageCornerMin = vote.coreVoltageCornerTarget = vote.coreVoltageCornerMax =
      profile.corner;
  return config;
}

Config rpcLatency(uint32_t microseconds) {
  Config config{};
  config.option = QNN_HTP_PERF_INFRASTRUCTURE_POWER_CONFIGOPTION_RPC_CONTROL_LATENCY;
  config.rpcControlLatencyConfig = microseconds;
  return config;
}

Config rpcPolling(uint32_t microseconds) {
  Config config{};
  config.option = QNN_HTP_PERF_INFRASTRUCTURE_POWER_CONFIGOPTION_RPC_POLLING_TIME;
  config.rpcPollingTimeConfig = microseconds;
  return config;
}

QnnHtpDevice_PerfInfrastructure_t callsOf(const Backend& backend) {
  QnnDevice_Infrastructure_t infrastructure = nullptr;
  const char* what = "The backend takes no votes for clocks; run with --perf default";
  backend.check(backend.api().deviceGetInfrastructure(&infrastructure), Exit::target, what);
  const auto* htp = reinterpret_cast<const QnnHtpDevice_Infrastructure_t*>(infrastructure);
  if (htp == nullptr || htp->infraType != QNN_HTP_DEVICE_INFRASTRUCTURE_TYPE_PERF) {
    throw Failure(Exit::target, std::string(what) + ".");
  }
  return htp->perfInfra;
}

}  // namespace

Npu::Npu(const Backend& backend, unsigned number) : backend_(backend) {
  backend.check(backend.api().deviceGetPlatformInfo(backend.log(), &all_), Exit::target,
                "The backend does not list the NPUs");
  const bool listed = all_ != nullptr && all_->version == 1 && number < all_->v1.numHwDevices;
  if (!listed || !known(all_->v1.hwDevices[number])) {
    throw Failure(Exit::target, "There is no NPU " + std::to_string(number) + "; there are " +
                                    std::to_string(all_ == nullptr ? 0 : all_->v1.numHwDevices) +
                                    ", counted from 0.");
  }
  device_ = all_->v1.hwDevices[number];
  alone_ = {1, {1, &device_}};
}

Npu::~Npu() { backend_.api().deviceFreePlatformInfo(backend_.log(), all_); }

std::vector<std::string> profileNames() {
  std::vector<std::string> names;
  for (const PowerProfile& profile : kPowerProfiles) names.emplace_back(profile.name);
  names.emplace_back("default");
  return names;
}

const PowerProfile& profileOf(const std::string& name) {
  return *std::find_if(std::begin(kPowerProfiles), std::end(kPowerProfiles),
                       [&](const PowerProfile& profile) { return name == profile.name; });
}

ClockVote::ClockVote(const Backend& backend, const Npu& npu, const PowerProfile& profile)
    : calls_(callsOf(backend)) {
  const std::string what = std::string("The NPU refuses the vote for ") + profile.name +
                           "; run with --perf default";
  backend.check(calls_.createPowerConfigId(npu.deviceId(), npu.coreId(), &id_), Exit::target, what);
  const Config votes[] = {clocks(id_, profile), rpcLatency(profile.rpcLatencyUs),
                          rpcPolling(profile.rpcPollingUs)};
  const Config* list[] = {&votes[0], &votes[1], &votes[2], nullptr};
  const Qnn_ErrorHandle_t error = calls_.setPowerConfig(id_, list);
  if (error != QNN_SUCCESS) calls_.destroyPowerConfigId(id_);
  backend.check(error, Exit::target, what);
}

ClockVote::~ClockVote() { calls_.destroyPowerConfigId(id_); }

}  // namespace openqnn
