#include "storage/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "storage/disk_tasks.hpp"
#include "storage/missing_blocks.hpp"
#include "storage/verify_parts.hpp"

namespace tidemark::storage {
namespace {

using engine::BaseState;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Result;

Task<Result<engine::Buffer>> read_superblock(Disk& disk, engine::Timers& timers, std::string path) {
  auto file = co_await open_when_unlocked(disk, timers, path, OpenOptions());
  if (!file) co_return file.error();
  const auto size = disk.size(*file);
  if (!size) co_return size.error();
  if (*size != superblock_slots * superblock_slot_bytes) {
    co_return Error{Errc::corrupt, fmt::format("it has {} bytes, a superblock has {}", *size,
                                               superblock_slots * superblock_slot_bytes)};
  }
  auto bytes = co_await read_file(disk, *file, 0, *size);
  co_return bytes;
}

std::span<const std::byte> slot_at(const engine::Buffer& bytes, std::size_t slot) {
  return std::span(bytes.data(), bytes.size())
      .subspan(slot * superblock_slot_bytes, superblock_slot_bytes);
}

SuperblockSlots decode_slots(const engine::Buffer& bytes) {
  return {decode_superblock(slot_at(bytes, 0)), decode_superblock(slot_at(bytes, 1))};
}

void check_slot(Verification& v, const std::string& path, std::size_t slot,
                std::span<const std::byte> bytes, const Result<Superblock>& found) {
  const auto offset = slot * superblock_slot_bytes;
  if (!found) {
    return v.wrong_at(path, offset,
                      fmt::format("slot {} does not count: {} (a power cut while it was written "
                                  "leaves the same)",
                                  slot, found.error().text));
  }
  if (found->generation % superblock_slots != slot) {
    v.wrong_at(path, offset, fmt::format("slot {} holds generation {}", slot, found->generation));
  }
  const auto used = superblock_used_bytes(bytes);
  if (const auto at = first_not_zero(bytes.subspan(used)))
    v.tell_padding(path, offset + used + *at);
}

/// What the superblock itself says of the copy.
void check_state(Verification& v, const std::string& path, const Superblock& b) {
  if (b.base == BaseState::damaged) {
    v.wrong(path, "the copy is on record as damaged: " + b.damage);
  }
  if (b.base == BaseState::incomplete) {
    v.tell(path, "the base is incomplete: a rebuild has not ended, the copy does not count");
  }
  if (b.resetting) v.tell(path, "an unfinished reset: the extents are emptied at opening");
  if (b.truncate_to) {
    v.tell(path, fmt::format("an unfinished truncation to lsn {}: carried out at opening",
                             *b.truncate_to));
  }
}

Task<std::optional<Superblock>> verify_superblock(Verification& v) {
  const auto path = v.verdict.directory + "/superblock";
  auto bytes = co_await read_superblock(v.disk, v.timers, path);
  if (!bytes) {
    v.wrong(path, fmt::format("{}; log and extents were not checked", bytes.error().text));
    co_return std::nullopt;
  }
  const auto slots = decode_slots(*bytes);
  for (std::size_t i = 0; i < superblock_slots; ++i)
    check_slot(v, path, i, slot_at(*bytes, i), slots[i]);
  const auto in_force = slot_in_force(slots);
  if (!in_force) {
    v.wrong(path, "neither slot counts; log and extents were not checked");
    co_return std::nullopt;
  }
  v.fallen_back = !slots[1 - *in_force];
  check_state(v, path, *slots[*in_force]);
  co_return *slots[*in_force];
}

/// Sizes by which others divide and seek.
bool possible(const Superblock& b) {
  const auto whole = [](std::uint64_t bytes) {
    return bytes != 0 && bytes % engine::block_bytes == 0;
  };
  return whole(b.segment_bytes) && whole(b.extent_file_bytes) && whole(b.spec.size_bytes);
}

Task<Done> verify_names(Verification& v) {
  const auto& directory = v.verdict.directory;
  auto names = co_await list_directory(v.disk, directory);
  if (!names) {
    v.wrong(directory, names.error().text);
    co_return Done{};
  }
  for (const auto& name : *names) {
    const auto path = directory + "/" + name;
    if (name == "superblock.new") {
      v.tell(path, "what a crash left of the replica's creation");
    } else if (name == "missing.new") {
      v.tell(path, "what a crash left of a list of missing blocks");
    } else if (name != "superblock" && name != "wal" && name != "extents" && name != "missing" &&
               name != "forks") {
      v.wrong(path, "does not belong there");
    }
  }
  co_return Done{};
}

Task<Done> verify_missing(Verification& v, const Superblock& b) {
  if (b.base != BaseState::incomplete) co_return Done{};
  const auto path = v.verdict.directory + "/missing";
  MissingFile file(v.disk, v.timers, path, b.spec.id, b.replica);
  auto missing = co_await file.load(engine::volume_blocks_max);
  if (!missing) {
    v.wrong(path, missing.error().text);
  } else if (*missing) {
    v.tell(path, fmt::format("{} blocks are missing", (*missing)->blocks.count()));
  } else {
    v.tell(path, "not there or not whole: all blocks count as missing");
  }
  co_return Done{};
}

}  // namespace

std::string to_string(const Finding& f) {
  auto line = f.file;
  if (f.offset) line += fmt::format(", offset {}", *f.offset);
  if (f.lsn) line += fmt::format(", lsn {}", *f.lsn);
  if (f.block) line += fmt::format(", block {}", *f.block);
  return line + ": " + f.what;
}

std::uint64_t ReplicaVerdict::count(bool information) const {
  return static_cast<std::uint64_t>(
      std::count_if(findings.begin(), findings.end(),
                    [=](const Finding& f) { return f.information == information; }));
}

std::optional<std::size_t> first_not_zero(std::span<const std::byte> bytes) {
  const auto found =
      std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; });
  if (found == bytes.end()) return std::nullopt;
  return static_cast<std::size_t>(found - bytes.begin());
}

Task<Result<SuperblockSlots>> read_slots(Disk& disk, engine::Timers& timers, std::string path) {
  auto bytes = co_await read_superblock(disk, timers, path);
  if (!bytes && bytes.error().code == Errc::corrupt)
    co_return Error{Errc::corrupt, path + ": " + bytes.error().text};
  if (!bytes) co_return bytes.error();
  co_return decode_slots(*bytes);
}

Task<ReplicaVerdict> verify_replica(Disk& disk, engine::Timers& timers, std::string directory,
                                    std::optional<ExpectedReplica> expected, VerifyWatch watch) {
  Verification v{disk, timers, std::move(watch), {}, false, {}};
  v.verdict.directory = std::move(directory);
  co_await verify_names(v);
  auto block = co_await verify_superblock(v);
  v.verdict.superblock = block;
  if (!block) co_return std::move(v.verdict);
  const auto path = v.verdict.directory + "/superblock";
  if (!possible(*block)) {
    v.wrong(path, "its sizes are impossible; log and extents were not checked");
    co_return std::move(v.verdict);
  }
  if (expected) {
    auto ours = check_identity(*block, expected->cluster, expected->spec, expected->replica, path);
    if (!ours) v.wrong(path, ours.error().text);
  }
  co_await verify_missing(v, *block);
  co_await verify_log(v, *block);
  co_await verify_extents(v, *block);
  co_return std::move(v.verdict);
}

}  // namespace tidemark::storage
