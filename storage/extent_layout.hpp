// Where the blocks of a volume lie in extent files, and what both files of a pair must be: all that
// can be said of them without opening any for writing (docs/DATA_FORMAT.md, "Extents").
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/record/checksum.hpp"
#include "storage/disk.hpp"
#include "storage/task.hpp"

namespace tidemark::storage {

/// Checksums in one block of a checksum file.
inline constexpr std::uint64_t sums_per_page = engine::block_bytes / sizeof(engine::BlockSum);

struct ExtentLayout {
  std::string directory;
  std::uint64_t volume_blocks = 0;
  std::uint64_t file_blocks = 0;  ///< Of every file but the last.

  struct Name {
    std::uint64_t number = 0;
    bool data = false;  ///< Else the checksums.
  };
  /// Which file `name` is; nothing when it does not belong to this volume.
  std::optional<Name> parse(const std::string& name) const;
  std::string path_of(std::uint64_t number, const char* suffix) const;
  std::uint64_t number_of(engine::BlockIndex block) const { return block.value / file_blocks; }
  std::uint64_t blocks_in(std::uint64_t number) const;
  /// Size of its checksum file, in blocks.
  std::uint64_t sum_pages(std::uint64_t number) const;
};

/// The whole checksum file, padding included.
Task<engine::Result<std::vector<engine::BlockSum>>> read_sum_table(Disk& disk, FilePtr file,
                                                                   std::uint64_t pages);

/// Stands for a checksum that could not be read: no content fits it, as with any checksum that is wrong.
inline constexpr engine::BlockSum unread_sum = ~engine::BlockSum{0};
/// More of one file, and it is no sector that cannot be read, but the disk.
inline constexpr std::size_t unread_pages_max = 64;

/// A checksum file as far as it can be read.
struct SumTable {
  std::vector<engine::BlockSum> sums;    ///< Padding included.
  std::set<std::uint64_t> unread_pages;  ///< Their sums are unread_sum.
};
Task<engine::Result<SumTable>> read_what_can_be_read(Disk& disk, FilePtr file, std::uint64_t pages);

/// A block whose content is not what its checksum says.
struct SumMismatch {
  engine::BlockIndex block;
  engine::BlockSum found = 0;
  engine::BlockSum written = 0;
};
/// The first such block of a run from `first` on, with one checksum for each block of `content`.
std::optional<SumMismatch> first_mismatch(engine::VolumeKey key, engine::BlockIndex first,
                                          std::span<const std::byte> content,
                                          std::span<const engine::BlockSum> sums);

}  // namespace tidemark::storage
