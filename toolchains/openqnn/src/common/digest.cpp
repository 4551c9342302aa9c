#include "digest.hpp"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "failure.hpp"
#include "files.hpp"

namespace openqnn {

namespace {

constexpr size_t kBlock = 64;
/** Of a file that holds a digest and a name. */
constexpr size_t kMostText = 8192;
using State = std::array<uint32_t, 8>;

/** FIPS 180-4, 4.2.2: the fractions of the cube roots of the first 64 primes. */
constexpr std::array<uint32_t, 64> kRound = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t turn(uint32_t value, int bits) { return value >> bits | value << (32 - bits); }

std::array<uint32_t, 64> expand(const uint8_t* block) {
  std::array<uint32_t, 64> w{};
  for (size_t i = 0; i < 16; ++i) {
    const uint8_t* b = block + 4 * i;
    w[i] = uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | uint32_t{b[3]};
  }
  for (size_t i = 16; i < 64; ++i) {
    const uint32_t s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3;
    const uint32_t s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  return w;
}

void mix(State& state, const uint8_t* block) {
  const auto w = expand(block);
  State s = state;
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t s1 = turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25);
    const uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
    const uint32_t sum = s[7] + s1 + choice + kRound[i] + w[i];
    const uint32_t s0 = turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22);
    const uint32_t most = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    s = {sum + s0 + most, s[0], s[1], s[2], s[3] + sum, s[4], s[5], s[6]};
  }
  for (size_t i = 0; i < 8; ++i) state[i] += s[i];
}

/** The bytes after the last whole block, a one bit, zeros, and the length in bits. */
void mixTail(State& state, const uint8_t* tail, size_t rest, uint64_t size) {
  std::array<uint8_t, 2 * kBlock> last{};
  if (rest != 0) std::memcpy(last.data(), tail, rest);
  last[rest] = 0x80;
  const size_t length = rest + 9 > kBlock ? 2 * kBlock : kBlock;
  for (size_t i = 0; i < 8; ++i) last[length - 1 - i] = static_cast<uint8_t>(size * 8 >> 8 * i);
  for (size_t i = 0; i < length; i += kBlock) mix(state, last.data() + i);
}

}  // namespace

std::string sha256(const void* data, size_t size) {
  State state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const auto* bytes = static_cast<const uint8_t*>(data);
  const size_t whole = size / kBlock * kBlock;
  for (size_t i = 0; i < whole; i += kBlock) mix(state, bytes + i);
  mixTail(state, bytes + whole, size - whole, size);
  std::string text;
  for (const uint32_t word : state) {
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 0xF];
  }
  return text;
}

void writeDigest(const std::string& path, const void* data, size_t size) {
  const std::string name = path.substr(path.rfind('/') + 1);
  const std::string line = sha256(data, size) + "  " + name + "\n";
  writeFile(path + ".sha256", line.data(), line.size());
}

void checkDigest(const std::string& path, const void* data, size_t size) {
  const std::string file = path + ".sha256";
  if (::access(file.c_str(), R_OK) != 0) return;
  if (readText(file, kMostText).substr(0, 64) == sha256(data, size)) return;
  throw Failure(Exit::context,
                path + " is damaged: its bytes are not those that " + file + " was written for.");
}

}  // namespace openqnn
