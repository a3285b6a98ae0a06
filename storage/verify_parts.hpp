// What the parts of verification share. Private to storage/verify*.cpp.
#pragma once

#include <string>
#include <utility>

#include "storage/dirty_map.hpp"
#include "storage/verify.hpp"
#include "storage/wal_reading.hpp"

namespace tidemark::storage {

/// One verification of one replica.
struct Verification {
  Disk& disk;
  engine::Timers& timers;
  VerifyWatch watch;
  ReplicaVerdict verdict;
  /// The superblock in force is the older one: the newer was lost.
  bool fallen_back = false;
  DirtyMap dirty;  ///< What the log has above the checkpoint.

  void found(Finding finding) {
    if (watch.found) watch.found(finding);
    verdict.findings.push_back(std::move(finding));
  }
  void wrong(std::string file, std::string what) {
    found({false, std::move(file), {}, {}, {}, std::move(what)});
  }
  void wrong_at(std::string file, std::uint64_t offset, std::string what) {
    found({false, std::move(file), offset, {}, {}, std::move(what)});
  }
  void tell(std::string file, std::string what) {
    found({true, std::move(file), {}, {}, {}, std::move(what)});
  }
  /// Padding under no checksum, which nothing reads: a torn write leaves what stood there before.
  void tell_padding(std::string file, std::uint64_t offset) {
    found({true,
           std::move(file),
           offset,
           {},
           {},
           "padding that is not zero; no checksum covers it, nothing reads it"});
  }
  void progress(const std::string& what) {
    if (watch.progress) watch.progress(what, verdict.checked);
  }
};

/// Reads the retained log; fills `dirty`.
Task<engine::Done> verify_log(Verification& v, const Superblock& block);
/// Reads all extent files, one after the other.
Task<engine::Done> verify_extents(Verification& v, const Superblock& block);

/// Where the first byte that is not zero stands; nothing when all are.
std::optional<std::size_t> first_not_zero(std::span<const std::byte> bytes);

}  // namespace tidemark::storage
