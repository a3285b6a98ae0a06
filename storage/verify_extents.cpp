// The extents as verification sees them: which files there are, their sizes, and every block's
// content against its checksum.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "storage/disk_tasks.hpp"
#include "storage/extent_layout.hpp"
#include "storage/extents.hpp"
#include "storage/verify_parts.hpp"

namespace tidemark::storage {
namespace {

using engine::BaseState;
using engine::block_bytes;
using engine::BlockIndex;
using engine::BlockSum;
using engine::Done;
using engine::no_block;

class ExtentCheck {
 public:
  ExtentCheck(Verification& v, const Superblock& block)
      : v_(v),
        block_(block),
        key_(block.spec.id),
        layout_{v.verdict.directory + "/extents", engine::volume_blocks_max,
                block.extent_file_bytes / block_bytes} {}

  Task<Done> run() {
    auto names = co_await list_directory(v_.disk, layout_.directory);
    if (!names) {
      v_.wrong(layout_.directory, names.error().text);
      co_return Done{};
    }
    for (const auto& name : *names) {
      const auto named = layout_.parse(name);
      if (!named) {
        v_.wrong(layout_.directory + "/" + name, "does not belong there");
      } else {
        (named->data ? pairs_[named->number].data : pairs_[named->number].sums) = true;
      }
    }
    expect_recorded();
    for (const auto& [number, pair] : pairs_) co_await check_file(number, pair);
    co_return Done{};
  }

 private:
  struct Pair {
    bool data = false;
    bool sums = false;
    bool recorded = false;  ///< In the superblock: it was durable.
  };

  void expect_recorded() {
    const auto& recorded = block_.extent_files;
    std::uint64_t whole = 0;
    for (const auto& [number, pair] : pairs_) whole += pair.data && pair.sums ? 1u : 0u;
    bool missing = false;
    for (std::uint64_t number = 0; number < recorded.bits.size() * 8; ++number) {
      if (!recorded.has(number)) continue;
      auto& pair = pairs_[number];
      pair.recorded = true;
      missing = missing || !pair.data || !pair.sums;
    }
    if (!missing && whole < recorded.count) {
      v_.wrong(layout_.directory, fmt::format("{} extent files are on record and {} are there",
                                              recorded.count, whole));
    }
  }

  Task<Done> check_file(std::uint64_t number, Pair pair) {
    const auto data = layout_.path_of(number, "dat");
    const auto sums = layout_.path_of(number, "sum");
    if (!pair.data && !pair.sums) {
      v_.wrong(data, "is on record and missing, its checksum file too");
    } else if (!pair.sums) {
      v_.wrong(sums, "is missing: nothing says what the blocks beside it must be");
    } else if (!pair.data && pair.recorded) {
      v_.wrong(data, "is on record and missing");
    } else if (!pair.data) {
      v_.tell(sums, "half created by a crash: completed when it is needed");
    } else {
      co_await check_pair(number, pair);
    }
    co_return Done{};
  }

  Task<Done> check_pair(std::uint64_t number, Pair pair) {
    ++v_.verdict.checked.extent_files;
    auto sums = co_await open_sized(layout_.path_of(number, "sum"),
                                    layout_.sum_pages(number) * block_bytes, false);
    // Created to its whole size behind its checksums.
    auto data = co_await open_sized(layout_.path_of(number, "dat"),
                                    layout_.blocks_in(number) * block_bytes, !pair.recorded);
    if (!sums || !data) co_return Done{};
    auto table = co_await read_sum_table(v_.disk, sums, layout_.sum_pages(number));
    if (!table) {
      v_.wrong(sums->path(), table.error().text);
      co_return Done{};
    }
    v_.verdict.checked.bytes += table->size() * sizeof(BlockSum);
    check_padding(sums->path(), *table, number);
    co_await check_blocks(number, data, *table);
    co_return Done{};
  }

  /// Null when it can't be read or has another size, which is told.
  Task<FilePtr> open_sized(std::string path, std::uint64_t bytes, bool may_be_short) {
    auto file = co_await open_when_unlocked(v_.disk, v_.timers, path, OpenOptions());
    if (!file) {
      v_.wrong(path, file.error().text);
      co_return FilePtr();
    }
    const auto size = v_.disk.size(*file);
    if (size && *size == bytes) co_return *file;
    if (!size) {
      v_.wrong(path, size.error().text);
    } else if (may_be_short && *size < bytes) {
      v_.tell(path,
              fmt::format("half created by a crash, with {} of {} bytes: completed when it is "
                          "needed",
                          *size, bytes));
    } else {
      v_.wrong(path, fmt::format("it has {} bytes, not {}", *size, bytes));
    }
    co_return FilePtr();
  }

  void check_padding(const std::string& path, std::span<const BlockSum> table,
                     std::uint64_t number) {
    for (auto i = layout_.blocks_in(number); i < table.size(); ++i) {
      if (table[i] == no_block) continue;
      return v_.wrong_at(path, i * sizeof(BlockSum),
                         "a checksum behind the last block of the file is not zero");
    }
  }

  Task<Done> check_blocks(std::uint64_t number, FilePtr file, std::span<const BlockSum> table) {
    const auto blocks = layout_.blocks_in(number);
    const auto base = BlockIndex(number * layout_.file_blocks);
    for (std::uint64_t at = 0; at < blocks;) {
      if (table[at] == no_block) {
        ++at;
        continue;
      }
      auto end = at + 1;
      while (end < blocks && end - at < extent_run_blocks_max && table[end] != no_block) ++end;
      auto bytes = co_await read_file(v_.disk, file, at * block_bytes, (end - at) * block_bytes);
      if (!bytes) {
        flush(file->path());
        v_.wrong_at(file->path(), at * block_bytes, bytes.error().text);
      } else {
        check_run(file->path(), base + at, bytes->bytes(), table.subspan(at, end - at));
      }
      check_end(file->path(), base + at, base + end);
      v_.verdict.checked.blocks += end - at;
      v_.verdict.checked.bytes += (end - at) * block_bytes;
      v_.progress(fmt::format("extents, {:08x}.dat", number));
      at = end;
    }
    flush(file->path());
    co_return Done{};
  }

  /// What lies beyond the volume's end is holes, but for what the log will write there, or cut.
  void check_end(const std::string& path, BlockIndex first, BlockIndex end) {
    if (block_.configurations.empty() || block_.base == BaseState::incomplete) return;
    auto block = std::max(first, BlockIndex(block_.configurations.current().blocks()));
    while (block < end && v_.dirty.find(block)) block = block.next();
    if (block >= end) return;
    flush(path);
    Finding f;
    f.file = path;
    f.block = block;
    f.offset = block.value % layout_.file_blocks * block_bytes;
    f.what = fmt::format("it holds content, and the volume ends at block {}",
                         block_.configurations.current().blocks());
    v_.found(std::move(f));
  }

  void check_run(const std::string& path, BlockIndex first, std::span<const std::byte> bytes,
                 std::span<const BlockSum> sums) {
    while (const auto wrong = first_mismatch(key_, first, bytes, sums)) {
      const auto passed = wrong->block - first + 1;
      mismatch(path, *wrong);
      first = first + passed;
      bytes = bytes.subspan(passed * block_bytes);
      sums = sums.subspan(passed);
    }
  }

  /// Neighbours that are wrong for the same reason become one finding.
  void mismatch(const std::string& path, const SumMismatch& wrong) {
    const auto dirty = v_.dirty.find(wrong.block);
    const bool healed = dirty || block_.base == BaseState::incomplete;
    const bool joins = pending_ && pending_->information == healed &&
                       *pending_->block + pending_blocks_ == wrong.block;
    if (joins) {
      ++pending_blocks_;
      return;
    }
    flush(path);
    Finding f;
    f.information = healed;
    f.block = wrong.block;
    f.offset = wrong.block.value % layout_.file_blocks * block_bytes;
    f.what = fmt::format("its content has checksum {:016x}, {:016x} was written", wrong.found,
                         wrong.written);
    if (dirty) {
      f.what += fmt::format(
          "; half written by a crash: the log has it at lsn {}, above the "
          "checkpoint, and the next flush writes it again",
          dirty->lsn);
    } else if (healed) {
      f.what += "; the base is incomplete, the rebuild writes it again";
    }
    pending_ = std::move(f);
    pending_blocks_ = 1;
  }

  void flush(const std::string& path) {
    if (!pending_) return;
    pending_->file = path;
    if (pending_blocks_ > 1)
      pending_->what += fmt::format(" (the same with {} blocks behind it)", pending_blocks_ - 1);
    v_.found(std::move(*pending_));
    pending_.reset();
  }

  Verification& v_;
  const Superblock& block_;
  engine::VolumeKey key_;
  ExtentLayout layout_;
  std::map<std::uint64_t, Pair> pairs_;
  std::optional<Finding> pending_;
  std::uint64_t pending_blocks_ = 0;
};

}  // namespace

Task<Done> verify_extents(Verification& v, const Superblock& block) {
  if (block.resetting) co_return Done{};  // emptied at opening, whatever is there
  ExtentCheck check(v, block);
  co_await check.run();
  co_return Done{};
}

}  // namespace tidemark::storage
