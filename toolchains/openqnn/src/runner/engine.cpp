#include "engine.hpp"

#include <cstring>

#include "board.hpp"
#include "build_id.hpp"
#include "digest.hpp"

namespace openqnn {

namespace {

constexpr const char* kBackend = "libQnnHtp.so";

/** Make something that the board may refuse; add to a refusal what most likely is wrong. */
template <typename Made, typename... Parts>
std::unique_ptr<Made> made(std::string (*why)(), Parts&&... parts) {
  try {
    return std::make_unique<Made>(std::forward<Parts>(parts)...);
  } catch (const Failure& failure) {
    if (!kOnBoard) throw;
    throw Failure(Exit::target, why() + " " + failure.what());
  }
}

/** The file's bytes are those that its digest says, before any of them is believed. */
const MappedFile& checked(const MappedFile& file, const std::string& path) {
  checkDigest(path, file.data(), file.size());
  return file;
}

/** The context's build, after a look at the libraries that are to run it. */
std::string checkedBuild(const BinaryInfo& info, const std::string& context,
                         const std::string& backend) {
  const char* written = info.get().buildId == nullptr ? "" : info.get().buildId;
  const std::string buildId = buildIdIn(written, std::strlen(written));
  checkBuild(backend, buildId, context);
  return buildId;
}

/** The simulator has to be told which SoC it is; a board knows, and may have more than one NPU. */
HtpDeviceConfigs deviceConfigs(const BinaryInfo& info, Npu* npu) {
  if (!kOnBoard) return HtpDeviceConfigs(DeviceConfig{info.socModel(), info.dspArch()});
  return npu == nullptr ? HtpDeviceConfigs(DeviceConfig{}) : HtpDeviceConfigs(npu->alone());
}

}  // namespace

Engine::Engine(const Setting& setting)
    : file_(setting.context),
      info_(checked(file_, setting.context).data(), file_.size(), setting.context,
            setting.libraries + "/" + kSystemLibrary) {
  const std::string library = setting.libraries + "/" + kBackend;
  buildId_ = checkedBuild(info_, setting.context, library);
  if (kOnBoard) prepareBoard({setting.libraries, buildId_, info_.dspArch()}, setting.ownSkel);
  backend_ = made<Backend>(whyNoBackend, library, setting.logLevel);
  if (setting.needsNpu || setting.choosesNpu) {
    npu_ = made<Npu>(whyNoNpu, *backend_, setting.npu);
  }
  HtpDeviceConfigs configs = deviceConfigs(info_, setting.choosesNpu ? npu_.get() : nullptr);
  network_ = made<Network>(whyNoNpu, *backend_, setting.context, file_, info_, configs.list());
}

}  // namespace openqnn
