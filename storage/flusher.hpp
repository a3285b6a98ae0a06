// Carries committed records into the extents and moves the checkpoint behind them.
//
//   round: records (K, limit] -> newest version per block -> extents -> sync
//          -> superblock with K' -> prune
//
// A full disk pauses it (the log still has everything); any other failure ends the store (C23).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/flush_plan.hpp"
#include "engine/timer.hpp"
#include "storage/dirty_map.hpp"
#include "storage/extents.hpp"
#include "storage/lifetime.hpp"
#include "storage/wal.hpp"

namespace tidemark::storage {

struct FlushLimits {
  std::uint64_t flush_bytes = 0;  ///< Payload that starts a round.
  std::uint64_t flush_after = 0;  ///< Age that starts one.
};
/// Payload of one round, zeros that keep their space included: bounds its memory when records must
/// be read back from the log, and its time. One record may have more; it is written in parts.
inline constexpr std::uint64_t flush_round_bytes_max = 32ull << 20;

/// Where the extents are.
struct CheckpointState {
  engine::Lsn lsn;
  engine::Digest digest;
  engine::WallTime time;  ///< Monotone time of the record there.
};

class Flusher {
 public:
  /// `checkpointed` makes a new checkpoint durable; it gets the records of the round.
  using Checkpointed =
      std::function<Task<engine::Status>(CheckpointState, const std::vector<engine::RecordPtr>&)>;

  Flusher(Wal& wal, Extents& extents, DirtyMap& dirty, engine::VolumeKey key,
          engine::Timers& timers, FlushLimits limits, CheckpointState at, engine::Lsn ceiling,
          Checkpointed checkpointed);
  ~Flusher();

  void set_committed(engine::Lsn committed);
  /// Records were appended or became durable: starts a round when one is due.
  void poke();
  /// Flushes until the checkpoint reaches `target` (as the limit allows);
  /// answers when it did, or failed.
  Task<engine::Status> flush_to(engine::Lsn target);
  /// Starts no round by itself; answers when none is running.
  Task<engine::Status> hold();
  void release();
  /// The log was cut behind `end`: nothing beyond counts as committed any more (C10).
  /// No round may run.
  void truncated(engine::Lsn end);
  /// Starts over at another checkpoint: after a reset. No round may run.
  void restart(CheckpointState at);
  void stop() { stopped_ = true; }

  const CheckpointState& checkpoint() const { return at_; }
  engine::Lsn limit() const;
  /// The highest LSN whose content the extents may hold.
  engine::Lsn ceiling() const { return ceiling_; }
  /// A block that is written beside the rounds may hold content up to `lsn`, at most limit().
  void raise_ceiling(engine::Lsn lsn) { ceiling_ = std::max(ceiling_, lsn); }
  /// Something is flushable and nothing hinders it.
  bool can_progress() const { return !stopped_ && !held_ && problem_.empty() && limit() > at_.lsn; }
  bool running() const { return running_; }
  const std::string& problem() const { return problem_; }
  std::uint64_t rounds() const { return rounds_; }

  /// A round is about to write these records' blocks; nothing else may write them any more but what
  /// holds their guard already. May be empty.
  std::function<void(const std::vector<engine::RecordPtr>&)> before_writing;
  std::function<void()> on_progress;
  std::function<void(engine::Error)> on_failed;

 private:
  bool due() const;
  void start_round(engine::Lsn to);
  Task<engine::Status> round(engine::Lsn to);
  void round_done(engine::Status status);
  void pause(const engine::Error& error);
  void arm_age_timer();
  void wake(std::vector<std::function<void(engine::Done)>>& waiting);
  /// How far a plan was carried out.
  struct PlanPlace {
    std::size_t run = 0;
    std::uint64_t blocks = 0;  ///< Of that run.
  };
  std::vector<ExtentRun> next_runs(const std::vector<engine::FlushRun>& plan, PlanPlace& at) const;
  ExtentRun zeros_run(engine::BlockRange range) const;

  Wal& wal_;
  Extents& extents_;
  DirtyMap& dirty_;
  engine::VolumeKey key_;
  engine::Timers& timers_;
  FlushLimits limits_;
  CheckpointState at_;
  engine::Lsn ceiling_;
  Checkpointed checkpointed_;
  engine::Lsn committed_;
  engine::Lsn aged_;    ///< What lies up to here has waited long enough.
  engine::Lsn aging_;   ///< What the armed timer will let through.
  engine::Lsn target_;  ///< flush_to() wants this much.
  bool running_ = false;
  bool held_ = false;
  bool stopped_ = false;
  std::optional<engine::Error> failure_;
  std::string problem_;
  std::uint64_t rounds_ = 0;
  engine::TimerId age_timer_ = 0;
  engine::TimerId retry_timer_ = 0;
  std::vector<std::function<void(engine::Done)>>
      waiting_;  ///< For any round's end, or a higher limit.
  Lifetime lifetime_;
  Scope scope_;
};

}  // namespace tidemark::storage
