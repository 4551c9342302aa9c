#include "dinov3.hpp"

#include "engine.hpp"
#include "manifest.hpp"
#include "picture.hpp"
#include "tensor.hpp"

namespace dinov3 {

namespace {

openqnn::Setting setting(const std::string& context, const std::string& libraries) {
  openqnn::Setting made;
  made.context = context;
  made.libraries = libraries.empty() ? openqnn::folderOf(context) + "/../lib" : libraries;
  return made;
}

}  // namespace

struct Network::State {
  State(const std::string& path, const std::string& libraries)
      : manifest(openqnn::manifestOf(path)), engine(setting(path, libraries)) {}

  std::string manifest;
  openqnn::Engine engine;
};

Network::Network(const std::string& context, const std::string& libraries)
    : state_(std::make_unique<State>(context, libraries)) {
  openqnn::sizeOf(state_->engine.network().input());
}
Network::~Network() = default;
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;

size_t Network::height() const { return openqnn::sizeOf(state_->engine.network().input()).height; }

size_t Network::width() const { return openqnn::sizeOf(state_->engine.network().input()).width; }

std::vector<Output> Network::run(const std::vector<uint8_t>& rgb) {
  openqnn::Network& network = state_->engine.network();
  network.load(openqnn::pixels(network.input(), rgb.data(), rgb.size(), state_->manifest, "RGB"));
  network.run();
  std::vector<Output> outputs;
  for (const Qnn_Tensor_t& tensor : network.outputs()) {
    const Qnn_TensorV1_t& t = openqnn::common(tensor);
    outputs.push_back({t.name, {t.dimensions, t.dimensions + t.rank}, openqnn::values(tensor)});
  }
  return outputs;
}

}  // namespace dinov3
