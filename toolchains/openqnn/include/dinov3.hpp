/**
 * DINOv3's features of pictures, from a package that dinov3-qnn made: on the NPU of a board, or on
 * x86_64 in Qualcomm's simulator. Link libdinov3.a, -ldl and -pthread; C++17.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dinov3 {

/** One tensor that the network gives, real numbers whatever the precision. */
struct Output {
  std::string name;           ///< `last_hidden_state`, `cls`, `head`, ...
  std::vector<size_t> shape;  ///< [1, tokens, hidden] and the like
  std::vector<float> values;
};

/**
 * The network of a package. What cannot be used raises a std::runtime_error that says what to do:
 * a damaged context, libraries of another build, a board without FastRPC. Not for several threads
 * at a time.
 */
class Network {
 public:
  /**
   * @param context the context binary of the package, in its folder `model`
   * @param libraries Qualcomm's, of this machine; by default the package's, which are the board's
   */
  explicit Network(const std::string& context, const std::string& libraries = "");
  ~Network();
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;

  size_t height() const;  ///< in pixels
  size_t width() const;   ///< in pixels

  /** @param rgb bytes of a picture, height x width x 3, resized and not normalised */
  std::vector<Output> run(const std::vector<uint8_t>& rgb);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dinov3
