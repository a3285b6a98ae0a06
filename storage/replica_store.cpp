// Appending, reading and numbers. Opening: replica_open.cpp;
// what changes history: replica_change.cpp.
#include "storage/replica_store.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/planted.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::BlockRange;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::RecordPtr;
using engine::Result;
using engine::Status;

}  // namespace

/// Where the newest version of a run stood when it was asked for.
struct ReplicaStore::Source {
  BlockRange range;
  Lsn lsn;  ///< Zero: the extents have it.
  DirtyKind kind = DirtyKind::data;
  RecordPtr record;  ///< When it is in memory.
};

ReplicaStore::ReplicaStore(StoreConfig config)
    : config_(std::move(config)),
      key_(config_.spec.id),
      superblock_file_(config_.disk, config_.timers, config_.directory + "/superblock"),
      missing_file_(config_.disk, config_.timers, config_.directory + "/missing", config_.spec.id,
                    config_.replica),
      forks_(config_.disk, config_.events, config_.directory + "/forks",
             config_.limits.reserve_bytes),
      touched_(config_.kv, config_.events, config_.spec, config_.replica) {}

ReplicaStore::~ReplicaStore() {
  superblock_turn_.close();
  change_turn_.close();
  missing_turn_.close();
  if (extents_) extents_->abandon();
  if (hold_timer_ != 0) config_.timers.cancel(hold_timer_);
  if (repair_timer_ != 0) config_.timers.cancel(repair_timer_);
}

void ReplicaStore::append(const std::vector<RecordPtr>& records, Lsn committed) {
  CHECK(opened());
  if (failure() || stopped_) return;  // the owner has been told, or told us
  for (const auto& record : records) {
    dirty_.add(record->header());
    if (record->header().kind == engine::RecordKind::epoch) note_epoch(*record);
    if (const auto said = engine::configuration_of(*record)) {
      put_in_force(record->header(), *said, configurations_, history_);
    }
  }
  wal_->append(records);
  set_committed(committed);
  prune_ahead();
  flusher_->poke();
}

void ReplicaStore::set_committed(Lsn committed) {
  if (committed <= committed_ || failure() || stopped_) return;
  committed_ = std::min(committed, wal_->end().lsn);
  wal_->set_committed(committed_);
  flusher_->set_committed(committed_);
}

void ReplicaStore::note_epoch(const engine::Record& record) {
  const auto body = engine::decode_epoch(record.inline_body());
  CHECK(body.has_value());
  history_.begin({record.header().epoch, body->nonce, record.lsn(), body->marks, body->mode});
}

std::vector<ReplicaStore::Source> ReplicaStore::sources_of(BlockRange range) const {
  std::vector<Source> sources;
  dirty_.visit(range, [&](BlockRange part, const DirtyBlock* dirty) {
    Source source{part, {}, DirtyKind::data, {}};
    if (dirty != nullptr) {
      source.lsn = dirty->lsn;
      source.kind = dirty->kind;
      if (dirty->kind == DirtyKind::data) source.record = wal_->in_memory(dirty->lsn);
    }
    sources.push_back(std::move(source));
  });
  return sources;
}

namespace {

engine::FrontReply::Piece zeros_of(BlockRange range) { return {{}, range.count * block_bytes}; }

engine::FrontReply::Piece part_of(const engine::Record& record, BlockRange range) {
  const auto skipped = range.first - record.header().range.first;
  return {record.payload().part(skipped * block_bytes, range.count * block_bytes), 0};
}

}  // namespace

/// What needs no disk: the newest version is in memory, or reads as zeros.
std::optional<engine::FrontReply::Piece> ReplicaStore::piece_at_hand(const Source& source) {
  if (!source.lsn) return std::nullopt;
  if (source.kind != DirtyKind::data) return zeros_of(source.range);
  if (source.record) return part_of(*source.record, source.range);
  return std::nullopt;
}

std::optional<ReplicaStore::Pieces> ReplicaStore::read_from_memory(BlockRange range) const {
  if (!readable()) return std::nullopt;
  Pieces pieces;
  for (const auto& source : sources_of(range)) {
    auto piece = piece_at_hand(source);
    if (!piece) return std::nullopt;
    pieces.push_back(std::move(*piece));
  }
  return pieces;
}

Task<Result<ReplicaStore::Pieces>> ReplicaStore::read_blocks(BlockRange range) {
  auto allowed = readable();
  if (!allowed) co_return allowed.error();
  if (range.end().value > engine::volume_blocks_max) {
    co_return Error{Errc::invalid, fmt::format("read of blocks {}: no volume has them", range)};
  }
  // Resolved here and now: a later record that nobody may see yet is not looked at (C20).
  auto sources = sources_of(range);
  std::vector<Pieces> read(sources.size());
  std::vector<Task<Status>> tasks;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (auto piece = piece_at_hand(sources[i])) {
      read[i].push_back(std::move(*piece));
    } else {
      tasks.push_back(read_source(sources[i], read[i]));
    }
  }
  auto status = co_await read_fan_.all(std::move(tasks));
  if (!status) co_return status.error();
  Pieces pieces;
  for (auto& part : read) std::move(part.begin(), part.end(), std::back_inserter(pieces));
  co_return pieces;
}

Task<Status> ReplicaStore::read_source(Source source, Pieces& into) {
  if (source.lsn && !engine::planted(engine::Bug::read_misses_the_log)) {
    auto payload = co_await wal_->read_payload(source.lsn, source.range);
    if (payload) {
      into.push_back({std::move(*payload), 0});
      co_return engine::Done{};
    }
    // No other copy can be asked for a record, and the flusher needs it as well: who has all of the log serves.
    if (payload.error().code == Errc::io_failed) co_return failed(payload.error());
    // Flushed and pruned meanwhile: then the extents have it.
    if (payload.error().code != Errc::out_of_window) co_return payload.error();
  }
  auto read = co_await extents_->read(source.range);
  if (!read && is_block_damage(read.error())) read = co_await read_repaired(source.range);
  if (!read) co_return read.error();
  for (auto& piece : *read) {
    if (piece.data.empty()) {
      into.push_back(zeros_of(piece.range));
    } else {
      into.push_back({std::move(piece.data), 0});
    }
  }
  co_return engine::Done{};
}

Task<Result<std::vector<engine::Allocation>>> ReplicaStore::allocation(BlockRange range) {
  auto allowed = readable();
  if (!allowed) co_return allowed.error();
  auto sources = sources_of(range);
  std::vector<engine::Allocation> runs;
  // False when one more run would be too many.
  const auto add = [&runs](engine::Allocation run) {
    const bool joins =
        !runs.empty() && runs.back().hole == run.hole && runs.back().zero == run.zero;
    if (!joins && runs.size() == allocation_runs_max) return false;
    if (joins) {
      runs.back().length += run.length;
    } else {
      runs.push_back(run);
    }
    return true;
  };
  for (const auto& source : sources) {
    if (source.lsn) {
      if (!add({source.range.count * block_bytes, source.kind == DirtyKind::hole,
                source.kind != DirtyKind::data}))
        co_return runs;
      continue;
    }
    auto found = co_await extents_->allocation(source.range, allocation_runs_max);
    if (!found) co_return found.error();
    std::uint64_t told = 0;
    for (const auto& run : *found) {
      if (!add(run)) co_return runs;
      told += run.length;
    }
    if (told < source.range.count * block_bytes) co_return runs;
  }
  co_return runs;
}

Task<Result<std::vector<RecordPtr>>> ReplicaStore::read_log(Lsn from, Lsn to,
                                                            std::uint64_t bytes_max) {
  const auto last = std::min(to, wal_->end().lsn);
  if (!from || from > last) {
    co_return Error{Errc::invalid, fmt::format("read of the log from lsn {} to {}: it ends at {}",
                                               from, to, wal_->end().lsn)};
  }
  auto records = co_await wal_->read(from, last, bytes_max);
  co_return records;
}

Task<std::optional<engine::Digest>> ReplicaStore::log_digest(Lsn lsn) {
  auto digest = co_await wal_->digest_at(lsn);
  if (digest) co_return digest;
  const auto boundary = touched_.boundary(lsn);
  if (boundary && boundary->lsn == lsn) co_return boundary->digest;
  co_return std::nullopt;
}

Task<KnownDigests> ReplicaStore::log_digests(std::vector<Lsn> lsns) {
  KnownDigests known;
  for (auto lsn : lsns) {
    lsn = std::min(lsn, wal_->end().lsn);
    auto digest = co_await wal_->digest_at(lsn);
    // The pruned part of the log left digests at boundaries only.
    if (const auto boundary = touched_.boundary(lsn); !digest && boundary) {
      lsn = boundary->lsn;
      digest = boundary->digest;
    }
    const bool rises = known.points.empty() || known.points.back().lsn < lsn;
    if (digest && rises) known.points.push_back({lsn, *digest});
  }
  known.touched_from = touched_.covered_from();
  co_return known;
}

std::optional<TouchedBoundary> ReplicaStore::touched_boundary(Lsn at) const {
  return touched_.boundary(at);
}

Result<std::vector<BlockRange>> ReplicaStore::touched_since(Lsn boundary, engine::BlockIndex from,
                                                            std::size_t ranges_max) {
  const bool begins = from == engine::BlockIndex();
  if (begins || !touched_walk_ || touched_walk_->boundary != boundary) {
    auto blocks = touched_.since(boundary);
    if (!blocks) return blocks.error();
    touched_walk_.emplace(TouchedWalk{boundary, std::move(*blocks)});
  }
  std::vector<BlockRange> ranges;
  while (ranges.size() < ranges_max) {
    const auto run = touched_walk_->blocks.next_run(from);
    if (!run) {
      touched_walk_.reset();
      break;
    }
    ranges.push_back(*run);
    from = run->end();
  }
  return ranges;
}

Status ReplicaStore::readable() const {
  if (superblock_.base == engine::BaseState::complete) return engine::Done{};
  const auto why = superblock_.base == engine::BaseState::incomplete ? "its base is incomplete"
                                                                     : superblock_.damage;
  return Error{Errc::unavailable, fmt::format("read of replica {}: {}", config_.replica, why)};
}

std::optional<Error> ReplicaStore::failure() const { return failure_; }

void ReplicaStore::pin(std::uint64_t id, Lsn from) { wal_->pin(id, from); }

void ReplicaStore::unpin(std::uint64_t id) { wal_->unpin(id); }

void ReplicaStore::fail(Error error) {
  if (failure_) return;
  failure_ = error;
  flusher_->stop();
  wake_readers();
  if (on_failed) on_failed(std::move(error));
}

void ReplicaStore::progressed() {
  if (on_progress) on_progress();
}

std::uint64_t ReplicaStore::free_bytes() const { return failure_ ? 0 : wal_->free_bytes(); }

engine::StoreStatus ReplicaStore::status() const {
  engine::StoreStatus s;
  s.base = superblock_.base;
  s.problem = superblock_.damage;
  if (!opened()) return s;
  s.end = wal_->end().lsn;
  s.durable = wal_->durable();
  s.committed = committed_;
  s.checkpoint = checkpoint();
  s.checkpoint_time = flusher_->checkpoint().time;
  s.retained = wal_->retained();
  s.touched_from = touched_.covered_from();
  if (failure_) s.problem = failure_->text;
  if (s.problem.empty()) s.problem = flusher_->problem();
  s.wal_bytes = wal_->disk_bytes();
  s.wal_free_bytes = free_bytes();
  s.dirty_blocks = dirty_.blocks();
  s.memory_bytes = wal_->memory_bytes();
  s.wal_bytes_written = wal_->bytes_written();
  s.extent_bytes_written = extents_->bytes_written();
  s.wal_writes = wal_->writes();
  s.flushes = flusher_->rounds();
  const auto& damaged = extents_->damaged();
  s.damaged_blocks = damaged.size();
  s.unrepairable_blocks = damaged.unrepairable();
  s.damage_found = damaged.found();
  s.blocks_repaired = repaired_;
  s.scrub = scrub_;
  return s;
}

OpenedStore ReplicaStore::facts() const {
  OpenedStore f;
  f.spec = superblock_.spec;
  f.end = wal_->end();
  f.checkpoint = flusher_->checkpoint();
  f.retained = wal_->retained();
  f.committed = committed_;
  f.history = history_;
  f.configurations = configurations_;
  f.base = superblock_.base;
  f.rebuild = progress();
  f.clean = clean_;
  f.damage = superblock_.damage;
  f.chunk_bytes_max = engine::chunk_bytes_max(superblock_.segment_bytes);
  f.wal_free_bytes = free_bytes();
  return f;
}

}  // namespace tidemark::storage
