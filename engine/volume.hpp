// The primary's side of one volume: numbers every change the moment it comes, ships it without
// waiting, and answers when enough copies have it.
//
//   Requested ─► admitted ─► merged (unaligned edges only) ─► numbered
//   numbered ─► Append, to the store and the senders
//   StoreAdvanced, PeerReported ─► commit rule ─► answerable, committed ─► Reply
//
// A read takes its data first and is answered once everything it may show could be answered (C20).
// A FLUSH waits for the head at its arrival. Until the reign's own record is committed nothing is
// answered (C3). The set of copies that count is in_sync.hpp's; arithmetic is commit_rule.hpp's;
// LSNs are log_head.hpp's.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/commit_rule.hpp"
#include "engine/in_sync.hpp"
#include "engine/latency_window.hpp"
#include "engine/log_head.hpp"
#include "engine/ring.hpp"
#include "engine/sender_registry.hpp"
#include "engine/status.hpp"
#include "engine/volume_events.hpp"

namespace tidemark::engine {

struct VolumeLimits {
  std::uint64_t uncommitted_bytes_max =
      64ull << 20;  ///< Numbered but uncommitted; beyond it requests wait.
  InSyncLimits in_sync;
  // 100 connections at depth 256 with 33 MiB each: all that the NBD server lets in (the daemon
  // asserts it), so that load alone is never answered with an error. It holds the memory anyway.
  std::size_t waiting_requests_max = 25'600;
  std::uint64_t waiting_bytes_max = 100 * (33ull << 20);
  // Each compares with each on the way: 256 x 256 cheap comparisons at worst.
  std::size_t merging_max = 256;
};

/// opening: the epoch record is on its way. serving: it is committed.
/// ended: nothing is done any more.
enum class VolumeState : std::uint8_t { opening, serving, ended };
std::string_view to_string(VolumeState state);
constexpr bool allowed(VolumeState from, VolumeState to) {
  if (to == VolumeState::serving) return from == VolumeState::opening;
  return to == VolumeState::ended && from != VolumeState::ended;
}

class VolumeMachine {
 public:
  explicit VolumeMachine(VolumeLimits limits) : limits_(limits) {}

  VolumeEffects on(RoleOpened event);  ///< The first event, once.
  VolumeEffects on(Requested event);
  VolumeEffects on(BlocksArrived event);
  VolumeEffects on(AllocationArrived event);
  VolumeEffects on(const StoreAdvanced& event);
  VolumeEffects on(const StoreEnded& event);
  VolumeEffects on(const PeerReported& event);
  VolumeEffects on(const SetAnswerArrived& event);
  VolumeEffects on(const AssignmentArrived& event);
  VolumeEffects on(const ClientGone& event);
  VolumeEffects on(const Ticked& event);
  VolumeEffects on(const RoleStopRequested& event);

  VolumeState state() const { return state_; }
  const Assignment& assignment() const { return assignment_; }
  const EpochHistory& history() const { return history_; }
  const ConfigurationHistory& configurations() const { return configurations_; }
  /// How far requests may reach.
  std::uint64_t size_bytes() const;
  Lsn head() const { return log_ ? log_->end() : Lsn{}; }
  Lsn committed() const { return committed_; }
  /// How soon the next Ticked is wanted, in nanoseconds.
  std::uint64_t tick_after() const;
  /// Something waits for an answer or to be numbered.
  bool waits() const;
  /// A client's answer waits until the replicas have received, not until it is durable; or a copy is
  /// still to come in.
  bool receipt_wanted() const;
  /// The set is being decided on or a member of it is away: Ticked is wanted soon, whatever was
  /// asked for before.
  bool unsettled() const;
  /// What clients waited for lately, when enough of it is together.
  std::optional<LatencySample> take_latency(MonoTime now);
  /// `peers` are the senders' own reports; membership is filled in here.
  VolumeStatus status(std::vector<PeerStatus> peers, MonoTime now) const;

 private:
  /// An answer that waits for an LSN.
  struct Waiting {
    Lsn at;
    ClientKey client;
    std::uint64_t cookie = 0;
    MonoTime since;
  };
  /// A change that is not numbered yet.
  struct Change {
    ClientKey client;
    FrontRequest request;
    BlockRange blocks;  ///< Whole blocks it touches.
    MonoTime since;
    std::uint64_t bytes = 0;  ///< Counted against uncommitted_bytes_max while it merges.
    std::uint64_t cost = 0;   ///< Log space reserved for it while it merges.
    bool reading = false;     ///< Its merge reads are on their way or done.
    int missing = 0;          ///< Merge reads that have not come.
    ReadId first_read;        ///< Block at the left edge (or both edges, when it is one block).
    ReadId last_read;
    Slice first_base;  ///< What the edge blocks held; zeros are materialised.
    Slice last_base;
    bool done = false;  ///< Numbered or failed; swept at the end of the pass.
  };
  /// A read (or block_status) whose data is on its way.
  struct Reading {
    ClientKey client;
    std::uint64_t cookie = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };
  struct Held {
    ClientKey client;
    FrontReply reply;
  };

  // volume.cpp: life and answers
  void become(VolumeState to);
  VolumeEffects finish(Moment at);
  void settle(Moment at);
  void propose(Moment at);
  void end(const std::string& reason, bool tell_node);
  void advance();
  void answer_waiting(MonoTime now);
  void reply(ClientKey client, std::uint64_t cookie);
  void refuse(ClientKey client, std::uint64_t cookie, Errc code, std::string text);
  void note_stall(MonoTime since, MonoTime now);
  void change_senders(const std::vector<SenderChange>& changes);
  LogNumbers numbers() const;
  bool in_reign() const { return state_ == VolumeState::serving; }
  CommitInputs commit_inputs(Mode mode) const;

  // volume_write.cpp: admission and numbering
  void take(ClientKey client, FrontRequest request, Moment at);
  void take_change(Change change, Moment at);
  void take_flush(ClientKey client, const FrontRequest& request, MonoTime now);
  void admit_waiting(Moment at);
  bool room_for(const Change& change) const;
  void enter(Change change, Moment at);
  std::optional<Error> why_no_space(const Change& change) const;
  void number(Change& change, WallTime wall);
  void number_write(Change& change, WallTime wall);
  void number_zeroes(Change& change, WallTime wall);

  // volume_short.cpp: fewer copies than min_copies
  void watch_copies(Moment at);
  void fail_waiting();
  Error too_few_copies() const;

  // volume_configure.cpp: another size, mode or min_copies
  void configure(Moment at);
  void take_rules();
  bool rules_hold() const;
  void note_not_ready(std::string why);
  void number_configuration(const Configuration& next, Moment at);
  void refuse_beyond_end();
  void tell_configured(const Configuration& in_force, Moment at);
  Configuration size_alone(const Configuration& wanted) const;
  Error beyond_end(const FrontRequest& request) const;
  std::uint64_t size_to_come() const;
  bool waits_for_size(const FrontRequest& request) const;
  void take_early(ClientKey client, FrontRequest request);
  void admit_early(Moment at);

  // volume_merge.cpp: unaligned edges
  static bool has_edges(const Change& change);
  bool overlaps_earlier(const Change& change, std::size_t before) const;
  void read_edges(Change& change);
  bool take_edge(ReadId id, Result<std::vector<FrontReply::Piece>>& pieces);
  void advance_merges(Moment at);

  // volume_reads.cpp
  void take_read(ClientKey client, const FrontRequest& request);
  void hold(const Reading& reading, FrontReply reply);
  void release_held();

  // volume_status.cpp
  std::uint64_t longest_wait(MonoTime now) const;
  std::string why_waiting(MonoTime now) const;

  VolumeLimits limits_;
  VolumeState state_ = VolumeState::opening;
  Assignment assignment_;
  EpochHistory history_;                 ///< The current reign included.
  ConfigurationHistory configurations_;  ///< Of the log.
  Version told_version_;  ///< Of the assignment when the control plane was last told.
  MonoTime told_at_;
  MonoTime moved_at_;      ///< When committed was last seen to have moved.
  Lsn moved_to_;           ///< Where it was then.
  bool failing_ = false;   ///< Since long enough, and an operator wants errors then.
  std::string not_ready_;  ///< Why what is wanted waits to be numbered, as last said.
  FrontSession session_;
  std::uint64_t sequence_ = 0;  ///< Of the last change numbered for session_.
  std::optional<LogHead> log_;
  std::optional<InSync> in_sync_;
  SenderRegistry senders_;

  Lsn epoch_record_;
  Lsn durable_;
  Lsn committed_;                     ///< Monotone.
  Lsn answerable_;                    ///< Monotone; Lsn{} until the reign's record is committed.
  std::uint64_t wal_free_bytes_ = 0;  ///< As reported with reported_durable_.
  Lsn reported_durable_;
  Lsn shipped_;  ///< Head when records last left.

  std::deque<Change> queued_;  ///< Waits for room or the size, in order of arrival.
  std::uint64_t queued_bytes_ = 0;
  /// No changes, and within a size that is not in force again yet.
  std::deque<std::pair<ClientKey, FrontRequest>> early_;
  std::vector<Change> merging_;  ///< Admitted, in order; waits for an edge or for an earlier one.
  std::uint64_t merging_bytes_ = 0;
  std::uint64_t merging_cost_ = 0;
  Ring<Waiting> on_received_;  ///< Ordered by LSN.
  Ring<Waiting> on_commit_;    ///< Ordered by LSN.
  std::map<ReadId, Reading> reading_;
  std::multimap<Lsn, Held> held_;
  std::uint64_t last_read_id_ = 0;

  LatencyWindow latency_;
  VolumeStatus counters_;  ///< Only its counters are kept up to date.
  VolumeEffects effects_;
  std::string ended_because_;
};

}  // namespace tidemark::engine
