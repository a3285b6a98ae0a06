// Which extent files a replica has: counted, and each of the first 32768 by name.
//
//   count 3   bits 1 0 1 1 0 ...     files 0, 2, 3
//
// Stands in the superblock, so that a file that is lost is missed and not read as zeros. 16 TiB in
// files of 512 MiB and more are all named; of smaller files those beyond are only counted.
#pragma once

#include <cstdint>
#include <vector>

namespace tidemark::storage {

struct ExtentFileSet {
  static constexpr std::uint64_t named_max = 32768;

  std::uint64_t count = 0;
  std::vector<std::uint8_t> bits;  ///< Bit n % 8 of byte n / 8: file n; named_max / 8 at most.

  bool has(std::uint64_t number) const {
    return number / 8 < bits.size() && (bits[number / 8] >> (number % 8) & 1) != 0;
  }
  /// `number` is not in it yet.
  void add(std::uint64_t number) {
    ++count;
    if (number >= named_max) return;
    if (bits.size() <= number / 8) bits.resize(number / 8 + 1);
    bits[number / 8] = static_cast<std::uint8_t>(bits[number / 8] | 1u << (number % 8));
  }
  bool operator==(const ExtentFileSet&) const = default;
};

}  // namespace tidemark::storage
