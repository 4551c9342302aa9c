/** Pictures as the network wants them. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "manifest.hpp"

namespace openqnn {

/**
 * Turn interleaved RGB bytes of `height` by `width` into numbers, as they are.
 *
 * @param name of the picture's file, for messages
 */
std::vector<float> numbers(const uint8_t* bytes, size_t size, uint32_t height, uint32_t width,
                           const std::string& name);

/**
 * Turn interleaved RGB bytes of `height` by `width` into planes of normalised float32.
 *
 * @param name of the picture's file, for messages
 */
std::vector<float> planes(const uint8_t* bytes, size_t size, uint32_t height, uint32_t width,
                          const Normalisation& how, const std::string& name);

}  // namespace openqnn
