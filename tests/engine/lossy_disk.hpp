// What the lossy line's world stands on: random numbers,
// and a replica's disk whose memory can be lost.
#pragma once

#include <map>
#include <optional>
#include <vector>

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
  /// Per block: the LSN whose content the extents hold (0: zeros).
  std::vector<Lsn> extents = std::vector<Lsn>(8);
  std::vector<bool> written_by_log = std::vector<bool>(8, false);

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
  /// What a reader of block `b` gets: newest record of the log, else the extents.
  Lsn content(std::uint64_t b) const {
    auto lsn = extents[b];
    for (const auto& r : log) {
      if (r->header().kind == RecordKind::write && r->header().range.contains(BlockIndex(b))) {
        lsn = std::max(lsn, r->lsn());
      }
    }
    return lsn;
  }
  /// The flusher: extents follow up to min(committed, durable) (C10).
  void flush() {
    const auto limit = std::min(committed, durable);
    for (const auto& r : log) {
      if (r->lsn() > limit || r->header().kind != RecordKind::write) continue;
      const auto b = r->header().range.first.value;
      extents[b] = std::max(extents[b], r->lsn());
    }
    checkpoint = std::max(checkpoint, limit);
  }
};

}  // namespace tidemark::engine::lossy
