#include "profile.hpp"

#include "files.hpp"

namespace openqnn {

namespace {

const char* unitOf(QnnProfile_EventUnit_t unit) {
  switch (unit) {
    case QNN_PROFILE_EVENTUNIT_MICROSEC: return "US";
    case QNN_PROFILE_EVENTUNIT_BYTES: return "BYTES";
    case QNN_PROFILE_EVENTUNIT_CYCLES: return "CYCLES";
    case QNN_PROFILE_EVENTUNIT_COUNT: return "COUNT";
    case QNN_PROFILE_EVENTUNIT_OBJECT: return "OBJECT";
    case QNN_PROFILE_EVENTUNIT_BACKEND: return "BACKEND";
    default: return "UNKNOWN";
  }
}

/** The kinds of event, whose numbers come in blocks. */
const char* kindOf(QnnProfile_EventType_t type) {
  if (type >= 2000) return "BACKEND";
  if (type == QNN_PROFILE_EVENTTYPE_NODE) return "NODE";
  if (type >= QNN_PROFILE_EVENTTYPE_EXECUTE) return "EXECUTE";
  if (type >= QNN_PROFILE_EVENTTYPE_FINALIZE) return "FINALIZE";
  return type >= QNN_PROFILE_EVENTTYPE_INIT ? "INIT" : "UNKNOWN";
}

/** Of events within events; QNN has two levels. */
constexpr int kMostDepth = 8;

constexpr const char* kHeader =
    "Msg Timestamp,Message,Time,Unit of Measurement,Timing Source,Event Level,Event Identifier\n";

}  // namespace

Profile::Profile(const Backend& backend, const std::string& level, bool trace, bool always)
    : backend_(backend), level_(level) {
  if (trace && level != "detailed")
    throw Failure(Exit::usage, "--profiling_option optrace needs --profiling_level detailed.");
  if ((level.empty() && !always) || backend.api().profileCreate == nullptr) return;
  Qnn_ProfileHandle_t profile = nullptr;
  backend.check(backend.api().profileCreate(backend.handle(), QNN_PROFILE_LEVEL_DETAILED, &profile),
                Exit::internal, "The backend cannot record a profile");
  profile_ = {profile, backend.api().profileFree};
  if (trace) enableTrace();
}

void Profile::enableTrace() {
  QnnProfile_Config_t option{};
  option.option = QNN_PROFILE_CONFIG_OPTION_ENABLE_OPTRACE;
  option.enableOptrace = 1;
  const QnnProfile_Config_t* options[] = {&option, nullptr};
  backend_.check(backend_.api().profileSetConfig(handle(), options), Exit::internal,
                 "The backend records no trace");
}

void Profile::collect() {
  if (handle() == nullptr || level_.empty()) return;
  const QnnProfile_EventId_t* events = nullptr;
  uint32_t count = 0;
  backend_.check(backend_.api().profileGetEvents(handle(), &events, &count), Exit::internal,
                 "The recorded profile cannot be read");
  for (uint32_t i = 0; i < count; ++i) collectEvent(events[i], 0);
}

void Profile::collectEvent(QnnProfile_EventId_t event, int depth) {
  const Api& api = backend_.api();
  QnnProfile_EventData_t data{};
  if (api.profileGetEventData(event, &data) != QNN_SUCCESS) return;
  if (data.unit == QNN_PROFILE_EVENTUNIT_OBJECT) return collectObject(event);
  rows_ += std::string("0,") + kindOf(data.type) + "," + std::to_string(data.value) + "," +
           unitOf(data.unit) + ",BACKEND," + (depth == 0 ? "ROOT" : "SUB-EVENT") + "," +
           (data.identifier == nullptr ? "" : data.identifier) + "\n";
  if (level_ == "basic" || depth == kMostDepth) return;
  const QnnProfile_EventId_t* subEvents = nullptr;
  uint32_t count = 0;
  if (api.profileGetSubEvents(event, &subEvents, &count) != QNN_SUCCESS) return;
  for (uint32_t i = 0; i < count; ++i) collectEvent(subEvents[i], depth + 1);
}

void Profile::collectObject(QnnProfile_EventId_t event) {
  QnnProfile_ExtendedEventData_t data{QNN_PROFILE_DATA_VERSION_1, {}};
  backend_.check(backend_.api().profileGetExtendedEventData(event, &data), Exit::internal,
                 "The recorded trace cannot be read");
  const Qnn_OpaqueObject_t& object = data.v1.backendOpaqueObject.opaqueObject;
  objects_.append(static_cast<const char*>(object.data), object.len);
}

void Profile::write(const std::string& folder) const {
  if (level_.empty()) return;
  if (!objects_.empty())
    writeFile(folder + "/qnn-profiling-data_0.log", objects_.data(), objects_.size());
  const std::string text = kHeader + rows_;
  writeFile(folder + "/qnn-profiling-data_0.csv", text.data(), text.size());
}

}  // namespace openqnn
