// Little-endian fields in a growing or given run of bytes, for the small formats of this folder
// (superblock, segment header). Reading is total: past the end it yields zeros and remembers.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.hpp"

namespace tidemark::storage {

static_assert(std::endian::native == std::endian::little,
              "formats are little-endian and stored as the machine holds them");

class ByteWriter {
 public:
  template <class T>
  requires std::is_unsigned_v<T>
  void put(T value) {
    const auto at = bytes_.size();
    bytes_.resize(at + sizeof value);
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  void put(const engine::Uuid& id) {
    for (auto b : id.bytes) put(b);
  }
  void put(const engine::Digest& digest) {
    put(digest.high);
    put(digest.low);
  }
  void put(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    for (auto c : text) put(static_cast<std::uint8_t>(c));
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  requires std::is_unsigned_v<T> T get() {
    T value{};
    if (bytes_.size() < sizeof value) {
      whole_ = false;
      return value;
    }
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return value;
  }
  engine::Uuid uuid() {
    engine::Uuid id;
    for (auto& b : id.bytes) b = get<std::uint8_t>();
    return id;
  }
  engine::Digest digest() {
    engine::Digest d;
    d.high = get<std::uint64_t>();
    d.low = get<std::uint64_t>();
    return d;
  }
  /// At most `most` bytes, else the reader is no longer whole.
  std::string text(std::size_t most) {
    const auto n = get<std::uint32_t>();
    if (n > most || n > bytes_.size()) {
      whole_ = false;
      return {};
    }
    std::string s(reinterpret_cast<const char*>(bytes_.data()), n);
    bytes_ = bytes_.subspan(n);
    return s;
  }
  /// Everything that was asked for was there.
  bool whole() const { return whole_; }

 private:
  std::span<const std::byte> bytes_;
  bool whole_ = true;
};

}  // namespace tidemark::storage
