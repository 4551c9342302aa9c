/** Pictures as the network wants them. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "QnnTypes.h"

namespace openqnn {

/** What a picture has to have, in pixels. */
struct PictureSize {
  uint32_t height;
  uint32_t width;
};

/** The size that an input takes; raises an input failure where it takes no picture. */
PictureSize sizeOf(const Qnn_Tensor_t& input);

/**
 * Turn interleaved RGB bytes into what an input takes: the bytes as numbers, or planes of
 * normalised float32.
 *
 * @param manifest of the package, which says mean and deviation; read for planes alone
 * @param name of the picture's file, for messages
 */
std::vector<float> pixels(const Qnn_Tensor_t& input, const uint8_t* bytes, size_t size,
                          const std::string& manifest, const std::string& name);

}  // namespace openqnn
