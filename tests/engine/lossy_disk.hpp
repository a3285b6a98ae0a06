// What the lossy line's world stands on: random numbers,
// and a replica's disk whose memory can be lost.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "engine/receiver_events.hpp"
#include "tests/engine/replication_support.hpp"

namespace tidemark::engine::lossy {

/// splitmix64 (Steele et al. 2014): the same numbers with every library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    auto z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  bool chance(std::uint64_t percent) { return below(100) < percent; }

 private:
  std::uint64_t state_;
};

/// What block `b` counts for in a sum, holding the content of a record.
inline std::uint64_t sum_of(std::uint64_t b, Lsn lsn) {
  return Random(b * 1'000'003 + lsn.value).next();
}

/// What the replica's disk holds: a log with a durable part,
/// and which record each base block is of.
struct ReplicaDisk {
  std::vector<RecordPtr> log;  ///< Behind base_lsn.
  Lsn base_lsn;
  Digest base_digest;
  EpochHistory base_history;
  Lsn durable;
  Lsn checkpoint;
  Lsn committed;
  BaseState base = BaseState::complete;
  BaseProgress progress;  ///< While the base is incomplete.
  std::vector<bool> missing = std::vector<bool>(8, false);
  std::vector<bool> unsaved = std::vector<bool>(8, false);  ///< Copied, forgotten in a crash.
  /// Per block: the LSN whose content the extents hold (0: zeros).
  std::vector<Lsn> extents = std::vector<Lsn>(8);

  Lsn end() const { return base_lsn + log.size(); }
  Digest digest(Lsn lsn) const {
    if (lsn <= base_lsn) return base_digest;
    return log.at(lsn - base_lsn - 1)->header().digest;
  }
  std::optional<Digest> known_digest(Lsn lsn) const {
    if (lsn == Lsn{} && base_lsn == Lsn{}) return Digest{};
    if (lsn < base_lsn || lsn > end()) return std::nullopt;
    return digest(lsn);
  }
  EpochHistory history() const {
    auto h = base_history;
    for (const auto& r : log) {
      if (r->header().kind != RecordKind::epoch) continue;
      const auto body = decode_epoch(r->inline_body());
      h.begin({r->header().epoch, body->nonce, r->lsn(), body->marks, body->mode});
    }
    return h;
  }
  /// The newest record of block `b` that the log has, behind `behind`.
  Lsn in_log(std::uint64_t b, Lsn behind = {}) const {
    Lsn lsn;
    for (const auto& r : log) {
      const bool of_block =
          r->header().kind == RecordKind::write && r->header().range.contains(BlockIndex(b));
      if (of_block && r->lsn() > behind) lsn = r->lsn();
    }
    return lsn;
  }
  /// What the extents hold of block `b` once flushed up to `end`.
  Lsn flushed_up_to(std::uint64_t b, Lsn end) const {
    Lsn lsn;
    for (const auto& r : log) {
      if (r->lsn() > end || r->header().kind != RecordKind::write) continue;
      if (r->header().range.contains(BlockIndex(b))) lsn = r->lsn();
    }
    // A block that is missing holds anything; one that was copied may be newer.
    return missing[b] && lsn ? lsn : std::max(extents[b], lsn);
  }
  /// Neither in the extents, nor newer in a part of the log that can't be cut any more.
  bool is_missing(std::uint64_t b) const {
    const auto newest = in_log(b);
    return missing[b] && (!newest || newest > committed);
  }
  std::vector<BlockRange> find_missing(BlockIndex from) const {
    std::vector<BlockRange> found;
    for (auto b = from.value; b < missing.size(); ++b) {
      if (is_missing(b)) found.push_back({BlockIndex(b), 1});
    }
    return found;
  }
  /// How many blocks it keeps.
  std::uint64_t begin_base(const inflow::BeginBase& e, const std::vector<bool>& noted) {
    if (e.scope == BaseScope::all) *this = {};
    const auto kept = [this] {
      return static_cast<std::uint64_t>(std::count(missing.begin(), missing.end(), false));
    };
    for (std::uint64_t b = 0; e.scope != BaseScope::rest && b < missing.size(); ++b) {
      const bool abandoned = e.log.own_past && in_log(b, e.log.own_past->touched_from);
      const bool touched = in_log(b, checkpoint) || noted[b] || abandoned;
      missing[b] = e.scope == BaseScope::all || missing[b] || touched;
    }
    progress.epoch = e.epoch;
    if (e.scope == BaseScope::touched) {
      const auto kept_upto =
          e.log.own_past ? std::min(checkpoint, e.log.own_past->touched_from) : checkpoint;
      progress.flush_lsn = std::max(progress.flush_lsn, kept_upto);
    }
    progress.missing_blocks = missing.size() - kept();
    if (e.scope == BaseScope::rest) return 0;
    log.clear();
    base_lsn = durable = checkpoint = committed = e.log.base;
    base_digest = e.log.digest;
    base_history = e.log.history;
    base = BaseState::incomplete;
    return kept();
  }
  /// A piece of the base arrived; how many blocks of it the WAL lane had first.
  std::uint64_t copy(const inflow::WriteBaseRun& run) {
    std::uint64_t skipped = 0;
    progress.flush_lsn = std::max(progress.flush_lsn, run.flush_lsn);
    for (auto b = run.range.first.value; b < run.range.end().value; ++b) {
      if (!is_missing(b)) {
        ++skipped;
        continue;
      }
      extents[b] = run.sums.empty() ? Lsn{} : Lsn(run.sums[0]);
      missing[b] = false;
      unsaved[b] = true;
    }
    return skipped;
  }
  /// Memory is lost, and what was copied and not recorded as copied.
  void crash() {
    log.resize(durable - base_lsn);
    committed = std::min(committed, durable);
    for (std::uint64_t b = 0; b < missing.size(); ++b) {
      if (!unsaved[b]) continue;
      missing[b] = true;
      extents[b] = Lsn(1'000'000);  // Anything.
    }
    unsaved.assign(unsaved.size(), false);
  }
  /// What a reader of block `b` gets: newest record of the log, else the extents.
  Lsn content(std::uint64_t b) const {
    const auto newest = in_log(b);
    return newest ? newest : extents[b];
  }
  /// The flusher: extents follow up to min(committed, durable) (C10).
  void flush() {
    const auto limit = std::min(committed, durable);
    for (const auto& r : log) {
      if (r->lsn() > limit || r->header().kind != RecordKind::write) continue;
      const auto b = r->header().range.first.value;
      // A block that is missing holds anything; one that was copied may be newer.
      extents[b] = missing[b] ? r->lsn() : std::max(extents[b], r->lsn());
      missing[b] = false;
    }
    if (limit > checkpoint) unsaved.assign(unsaved.size(), false);
    checkpoint = std::max(checkpoint, limit);
  }
};

}  // namespace tidemark::engine::lossy
