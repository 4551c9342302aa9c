/** SHA-256 digests beside files, in the form of sha256sum: `<file>.sha256`. */
#pragma once

#include <cstddef>
#include <string>

namespace openqnn {

/** The digest of some bytes, in hexadecimal. */
std::string sha256(const void* data, size_t size);

/** Write the digest of `path`, whose bytes these are, beside it. */
void writeDigest(const std::string& path, const void* data, size_t size);

/** Refuse bytes that the digest beside `path` does not fit; without one there is nothing to hold.
 */
void checkDigest(const std::string& path, const void* data, size_t size);

}  // namespace openqnn
