// A block of the extents that is not what was written there: noted, asked for, taken from another
// copy, written and read back (C14, C27).
//
//   read or scrub ──► note ──► damaged_blocks() ──► the role asks other copies ──► repair_block()
//                       ▲                                                               │
//                       └── whoever reads it waits for a while                written, read back
//
// What is flushed over a damaged block heals it as well; a note's id tells whether that happened
// while another copy was asked.
#include <fmt/format.h>

#include <algorithm>

#include "engine/record/checksum.hpp"
#include "engine/sometimes.hpp"
#include "storage/replica_store.hpp"

namespace tidemark::storage {
namespace {

using engine::block_bytes;
using engine::BlockCopy;
using engine::BlockIndex;
using engine::BlockRange;
using engine::CopyState;
using engine::CopyVerdict;
using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::Result;
using engine::Status;

/// A client that reads what is damaged waits for it, 3 s at most.
constexpr std::uint64_t repair_look_again = 500 * engine::millisecond;
constexpr int repair_looks_max = 6;
/// Who could not help is asked again: a copy may have come back.
constexpr std::uint64_t repair_again_after = 10 * engine::second;
// A copy that is a little ahead: the log comes with the next records, mostly.
constexpr std::uint64_t limit_look_again = 50 * engine::millisecond;
constexpr int limit_looks_max = 20;

}  // namespace

bool is_block_damage(const Error& error) {
  return error.code == Errc::corrupt || error.code == Errc::io_failed;
}

void ReplicaStore::note_damage(BlockIndex block, const Error& error) {
  auto& damaged = extents_->damaged();
  if (!damaged.note(block, flusher_->ceiling())) {
    damaged.try_again(block);
    return progressed();
  }
  config_.events.event(engine::Event(engine::Level::warning, "block_damaged")
                           .with("volume", config_.spec.name)
                           .with("replica", config_.replica)
                           .with("block", block)
                           .with("problem", error.text));
  arm_repair_timer();
  progressed();
}

void ReplicaStore::arm_repair_timer() {
  if (repair_timer_ != 0) return;
  repair_timer_ = config_.timers.after(repair_again_after, lifetime_.guard([this] {
    repair_timer_ = 0;
    if (stopped_ || failure_ || extents_->damaged().size() == 0) return;
    extents_->damaged().try_again();
    arm_repair_timer();
    progressed();
  }));
}

std::vector<engine::DamagedBlock> ReplicaStore::damaged_blocks() const {
  if (!opened() || stopped_ || failure_ || !readable()) return {};
  auto wanted = extents_->damaged().wanted();
  // A truncation lowers the ceiling, never below what the extents do hold.
  for (auto& one : wanted) one.at = std::min(one.at, flusher_->ceiling());
  return wanted;
}

void ReplicaStore::repair_failed(BlockIndex block) {
  if (!opened()) return;
  extents_->damaged().give_up(block);
  wake_readers();
  progressed();
}

void ReplicaStore::wake_readers() {
  auto waiting = std::move(repair_waiting_);
  repair_waiting_.clear();
  for (auto& wake : waiting) wake(Done{});
}

/// Waits until the block was written again, or it takes too long. Whoever cannot help now may be
/// about to come in line: a new primary's replicas are.
Task<Status> ReplicaStore::mended(BlockIndex block) {
  auto& damaged = extents_->damaged();
  for (int look = 0; look < repair_looks_max; ++look) {
    if (stopped_ || failure_ || damaged.find(block) == nullptr) break;
    if (engine::sometimes(damaged.given_up(block), engine::Mark::repair_nobody_could_help)) {
      damaged.try_again(block);
      progressed();
    }
    auto ended = std::make_shared<bool>(false);
    const auto timer = config_.timers.after(repair_look_again, lifetime_.guard([this, ended] {
      *ended = true;
      wake_readers();
    }));
    while (!*ended && !stopped_ && !failure_ && damaged.find(block) != nullptr) {
      auto moved =
          callback<Done>([this](auto done) { repair_waiting_.push_back(std::move(done)); });
      co_await moved;
    }
    config_.timers.cancel(timer);
  }
  co_return Done{};
}

/// What extents_->read(range) gives, once its damaged blocks are repaired.
Task<Result<std::vector<ExtentPiece>>> ReplicaStore::read_repaired(BlockRange range) {
  engine::sometimes(engine::Mark::reader_waits_for_repair);
  const auto first_of_all = extents_->damaged().wait_for(range);
  for (auto block = range.first; block < range.end(); block = block.next()) {
    auto whole = co_await extents_->read({block, 1});
    if (!whole && is_block_damage(whole.error())) note_damage(block, whole.error());
  }
  std::vector<ExtentPiece> pieces;
  for (auto block = range.first; block < range.end(); block = block.next()) {
    (void)co_await mended(block);
    auto whole = co_await extents_->read({block, 1});
    if (!whole) co_return whole.error();
    std::move(whole->begin(), whole->end(), std::back_inserter(pieces));
  }
  co_return pieces;
}

Task<Result<BlockCopy>> ReplicaStore::copy_of(BlockIndex block, Lsn at) {
  auto allowed = readable();
  if (!allowed) co_return allowed.error();
  // A copy may not have heard of the volume's present size: what lies beyond its own is a hole.
  if (block.value >= engine::volume_blocks_max)
    co_return Error{Errc::invalid, fmt::format("copy of block {}: no volume is that large", block)};
  BlockCopy copy;
  copy.block = block;
  // With the bug planted a source offers what it has, too: else nobody honest would send an older block.
  if (checkpoint() < at && !engine::planted(engine::Bug::repair_takes_older_block)) {
    // A comparison wants the extents where it has them; what is not committed here is not flushed.
    if (hold_timer_ != 0 || changing_ || stopped_ || flusher_->limit() < at) co_return copy;
    auto flushed = co_await flusher_->flush_to(at);
    if (!flushed) co_return copy;
  }
  copy.checkpoint = checkpoint();
  auto read = co_await extents_->read({block, 1});
  copy.flush_lsn = flusher_->ceiling();
  if (!read) {
    if (!is_block_damage(read.error())) co_return read.error();
    // What a crash left half written is written again from the log.
    if (dirty_.find(block)) co_return copy;
    note_damage(block, read.error());
    copy.state = CopyState::damaged;
    co_return copy;
  }
  auto& piece = read->front();
  copy.state = piece.data.empty() ? CopyState::hole : CopyState::data;
  if (copy.state == CopyState::data) copy.sum = piece.sums.front();
  copy.data = std::move(piece.data);
  co_return copy;
}

/// True when everything up to `lsn` could be flushed here, after a while at most.
Task<bool> ReplicaStore::limit_reaches(Lsn lsn) {
  for (int look = 0; look < limit_looks_max && flusher_->limit() < lsn; ++look) {
    if (stopped_ || failure_) co_return false;
    auto later = callback<Done>([this](auto done) {
      config_.timers.after(limit_look_again,
                           lifetime_.guard([done = std::move(done)]() mutable { done(Done{}); }));
    });
    co_await later;
  }
  co_return flusher_->limit() >= lsn;
}

Task<Status> ReplicaStore::repair_block(BlockCopy copy, Lsn at) {
  const auto refuse = [&copy](Errc code, std::string_view why) {
    return Error{code, fmt::format("repair of block {}: {}", copy.block, why)};
  };
  const bool data = copy.state == CopyState::data;
  if (!copy.usable()) co_return refuse(Errc::unavailable, engine::to_string(copy.state));
  if (copy.block.value >= engine::volume_blocks_max || copy.data.size() != (data ? block_bytes : 0))
    co_return refuse(Errc::invalid, "it does not fit");
  if (data && engine::block_sum(key_, copy.block, copy.data.bytes()) != copy.sum)
    co_return refuse(Errc::corrupt, "the content does not match its checksum");
  const auto* noted = extents_->damaged().find(copy.block);
  if (noted == nullptr) co_return Done{};  // written over meanwhile
  const auto id = noted->id;
  (void)co_await limit_reaches(copy.flush_lsn);
  auto repaired = co_await repair_noted(copy, id, at);
  wake_readers();
  progressed();
  co_return repaired;
}

/// The content fits its sum; whether it is the right one is decided where nobody can write between
/// that and the writing.
Task<Status> ReplicaStore::repair_noted(const BlockCopy& copy, std::uint64_t id, Lsn at) {
  const auto held = co_await extents_->guard().acquire({copy.block, 1}, RangeGuard::Use::write);
  auto allowed = readable();
  if (!allowed) co_return allowed;
  if (stopped_ || failure_) co_return Error{Errc::unavailable, "repair: the store is stopping"};
  auto& damaged = extents_->damaged();
  const auto* noted = damaged.find(copy.block);
  if (engine::sometimes(noted == nullptr || noted->id != id,
                        engine::Mark::damaged_block_flushed_over))
    co_return Done{};  // flushed over meanwhile
  at = std::max(at, std::min(noted->at, flusher_->ceiling()));
  auto now = co_await extents_->read_held(copy.block);
  if (now) {  // only the reading failed
    damaged.written({copy.block, 1});
    co_return Done{};
  }
  auto own = co_await extents_->sum_held(copy.block);
  if (!own) co_return own.error();
  const auto verdict = engine::judge_copy(copy, *own, at, flusher_->limit());
  if (verdict == CopyVerdict::older || verdict == CopyVerdict::ahead) {
    co_return Error{Errc::refused,
                    fmt::format("repair of block {}: the copy is {}, its extents hold all up to {} "
                                "and perhaps {}; wanted from {} on, at most {}",
                                copy.block, verdict == CopyVerdict::older ? "older" : "ahead",
                                copy.checkpoint, copy.flush_lsn, at, flusher_->limit())};
  }
  if (verdict == CopyVerdict::newest && copy.flush_lsn > flusher_->ceiling()) {
    if (hold_timer_ != 0) co_return Error{Errc::unavailable, "repair: the copy is being compared"};
    engine::sometimes(engine::Mark::repair_by_newer_content);
    flusher_->raise_ceiling(copy.flush_lsn);
  }
  auto written = co_await write_repaired(copy);
  co_return written;
}

/// With its guard held.
Task<Status> ReplicaStore::write_repaired(const BlockCopy& copy) {
  ExtentRun run{{copy.block, 1}, {}, {}};
  if (copy.state == CopyState::data) {
    run.data.push_back(copy.data);
    run.sums.push_back(copy.sum);
  }
  std::vector<ExtentRun> runs;
  runs.push_back(std::move(run));
  auto written = co_await extents_->write_held(std::move(runs));
  if (!written && written.error().code == Errc::no_space) co_return written;
  if (!written) co_return failed(written.error());
  auto synced = co_await extents_->sync();
  if (!synced && synced.error().code == Errc::no_space) co_return synced;
  if (!synced) co_return failed(synced.error());
  auto back = co_await extents_->read_held(copy.block);
  if (!back) {  // The place itself is bad.
    note_damage(copy.block, back.error());
    co_return back.error();
  }
  ++repaired_;
  config_.events.event(engine::Event(engine::Level::info, "block_repaired")
                           .with("volume", config_.spec.name)
                           .with("replica", config_.replica)
                           .with("block", copy.block)
                           .with("from_checkpoint", copy.checkpoint));
  co_return Done{};
}

}  // namespace tidemark::storage
