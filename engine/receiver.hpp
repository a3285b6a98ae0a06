// The replica's side of one volume: takes what the current primary's current session sends,
// and nothing else.
//
//   waiting     ──Hello─────────────────────────► ready
//   ready       ──StartSession──────────────────► preparing
//   preparing   ──truncated, or nothing to cut──► following
//   preparing   ──base begun────────────────────► rebuilding
//   rebuilding  ──barrier, base made complete───► following
//
//   any of these ──link gone, fenced, refused──► waiting
//   any of these ──store broke──► refusing
//   any ──role ends──► stopping ──disk work done──► stopped (final)
//
// It acknowledges only what its own disk holds, takes only records that continue its own log by
// digest, and knows committed only as far as this session proved that the log is shared (C10). Disk
// work that was begun ends before the next session begins.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/assignment.hpp"
#include "engine/base_lane.hpp"
#include "engine/receiver_events.hpp"

namespace tidemark::engine::inflow {

enum class ReceiverState : std::uint8_t {
  waiting,    ///< No primary is connected.
  ready,      ///< Connected; facts and digests are being compared.
  preparing,  ///< The log is being cut, or begun anew once all touched blocks were named.
  following,
  rebuilding,
  refusing,  ///< The store is gone.
  stopping,
  stopped,
};
std::string_view to_string(ReceiverState state);
constexpr bool allowed(ReceiverState from, ReceiverState to) {
  using S = ReceiverState;
  if (from == S::stopped) return false;
  if (to == S::stopped) return from == S::stopping;
  if (from == S::stopping) return false;
  if (to == S::stopping) return true;
  if (from == S::refusing) return false;
  if (to == S::waiting || to == S::refusing) return true;
  switch (from) {
    case S::waiting:
      return to == S::ready;
    case S::ready:
      return to == S::preparing || to == S::following;
    case S::preparing:
      return to == S::following || to == S::rebuilding;
    case S::rebuilding:
      return to == S::following;
    default:
      return false;
  }
}

/// Digests of the newest records, so that a duplicate can be told from another record:
/// 4096 x 24 bytes.
inline constexpr std::size_t recent_records_max = 4096;
/// Answers of a whole search are remembered: 8 rounds of 64.
inline constexpr std::size_t proved_points_max = 512;
/// Blocks that are read for the primary at once.
inline constexpr std::size_t copies_read_max = repairs_at_once_max;
/// A log with less room takes no new session: two of the largest records.
inline constexpr std::uint64_t room_for_session_bytes = 4u << 20;

/// What the replica's log and extents hold.
struct ReplicaNumbers {
  Lsn received;   ///< End of the log in memory.
  Digest digest;  ///< At received.
  Lsn durable;
  Digest durable_digest;
  Lsn checkpoint;
  Lsn retained;
  Lsn committed;  ///< Local: at most what was proved to be shared.
  EpochHistory history;
  ConfigurationHistory configurations;  ///< Of the log up to received.
  WallTime mono_time;                   ///< Of the last record.
  BaseState base = BaseState::complete;
  std::optional<BaseProgress> rebuild;  ///< base == incomplete: how far it came.
  bool clean = false;                   ///< committed bounds what the extents hold.
  std::string damage;
  std::uint64_t wal_free_bytes = 0;
};

struct ReceiverConfig {
  Assignment assignment;    ///< role == replica.
  Incarnation incarnation;  ///< Ours.
  Epoch promised;
  Epoch forgotten;         ///< Facts::forgotten, of the node's record.
  ReplicaNumbers numbers;  ///< As the opened store says; received == durable.
};

class Receiver {
 public:
  explicit Receiver(ReceiverConfig config);

  ReceiverEffects on(PeerSaid event);
  ReceiverEffects on(const StoreMoved& event);
  ReceiverEffects on(const TurnEnded&);
  ReceiverEffects on(const PeerArrived& event);
  ReceiverEffects on(const PeerGone& event);
  ReceiverEffects on(const DigestRead& event);
  ReceiverEffects on(const DigestsRead& event);
  ReceiverEffects on(const StoreStepEnded& event);
  ReceiverEffects on(const BaseBegun& event);
  ReceiverEffects on(const MissingFound& event);
  ReceiverEffects on(const BaseRunWritten& event);
  ReceiverEffects on(const ComparisonPrepared& event);
  ReceiverEffects on(const BaseCompared& event);
  ReceiverEffects on(const CopyRead& event);
  ReceiverEffects on(const StoreBroke& event);
  ReceiverEffects on(const AssignmentChanged& event);
  ReceiverEffects on(const FenceAsked& event);
  ReceiverEffects on(const StopAsked& event);

  bool wants_turn_end() const { return ack_due_ || committed_due_; }
  ReceiverState state() const { return state_; }
  const ReplicaNumbers& numbers() const { return numbers_; }
  Epoch epoch() const { return assignment_.epoch; }
  Epoch promised() const { return promised_; }
  SessionId session() const { return session_; }
  const std::string& reason() const { return reason_; }

 private:
  enum class Step : std::uint8_t { none, truncating, beginning, finishing };

  bool in_session() const {
    return state_ == ReceiverState::following || state_ == ReceiverState::rebuilding;
  }
  bool store_busy() const { return step_ != Step::none || base_writes_ > 0; }

  // Links.
  std::optional<Refused> objection(const Hello& hello) const;
  void drop_links(const Refused& refused, ReceiverEffects& out);
  void refuse(LinkNumber link, RefusalCode code, std::string text, ReceiverEffects& out);
  void leave_session();
  void go_on_without_comparison(std::string_view why, ReceiverEffects& out);

  // What the primary says on the records link.
  bool authorised(LinkNumber link, VolumeId volume, Epoch epoch, SessionId session,
                  ReceiverEffects& out);
  void said(LinkNumber link, Probe& probe, ReceiverEffects& out);
  void said(LinkNumber link, AskDigest& ask, ReceiverEffects& out);
  void said(LinkNumber link, AskDigests& ask, ReceiverEffects& out);
  void said(LinkNumber link, StartSession& start, ReceiverEffects& out);
  void said(LinkNumber link, Touched& touched, ReceiverEffects& out);
  void said(LinkNumber link, Records& records, ReceiverEffects& out);
  void said(LinkNumber link, Progress& progress, ReceiverEffects& out);
  void said(LinkNumber link, Barrier& barrier, ReceiverEffects& out);
  void said(LinkNumber link, AskBlock& ask, ReceiverEffects& out);
  void said(LinkNumber link, BlockIs& answer, ReceiverEffects& out);
  // And on the bulk link.
  void said(LinkNumber link, BaseBlocks& blocks, ReceiverEffects& out);
  void said(LinkNumber link, BaseZeroes& zeroes, ReceiverEffects& out);
  void said(LinkNumber link, BaseSums& sums, ReceiverEffects& out);
  template <class Other>
  void said(LinkNumber link, Other& other, ReceiverEffects& out);

  void seek_repair(ReceiverEffects& out);
  void truncate_or_go_on(ReceiverEffects& out);
  void begin_base(ReceiverEffects& out);
  void reached(Lsn lsn, Digest digest);
  void session_ready(ReceiverEffects& out);
  std::optional<std::string> objection(const StartSession& start) const;
  std::optional<std::string> objection_to_delta(const StartSession& start) const;
  bool proved(Lsn lsn, const Digest& digest) const;
  void take_base(LinkNumber link, WriteBaseRun run, ReceiverEffects& out);
  void pump_base(ReceiverEffects& out);

  // Records.
  enum class Take : std::uint8_t { appended, duplicate, refused };
  Take take(const Record& record, std::string& why);
  std::uint64_t blocks() const;
  void note_committed(Lsn number);
  Facts facts(const Probe& probe) const;

  void after_store_work(ReceiverEffects& out);
  void check_barrier(ReceiverEffects& out);
  void send_ack(ReceiverEffects& out);
  void become(ReceiverState to, ReceiverEffects& out);

  Assignment assignment_;
  Incarnation incarnation_;
  Epoch promised_;
  Epoch forgotten_;  ///< Of the epochs before this role's: another one begins a new role.
  ReplicaNumbers numbers_;
  ReceiverState state_ = ReceiverState::waiting;
  std::string reason_;
  std::optional<Error> broken_;

  LinkNumber records_link_ = 0;
  LinkNumber bulk_link_ = 0;
  SessionId session_;
  std::optional<StartSession> started_;  ///< Of the current session.
  std::optional<Message> deferred_;  ///< Probe or StartSession that came while the store was busy.
  std::optional<Barrier> barrier_;
  std::optional<BaseIntake> intake_;
  std::optional<BaseQuestion> question_;    ///< While its answer is awaited, or compared with.
  std::uint32_t unequal_ = 0;               ///< Comparisons of this session that were.
  std::optional<BlockIndex> touched_upto_;  ///< While Touched is awaited: where the next may begin.

  std::vector<DamagedBlock> damaged_;  ///< What the store wants help with.
  struct AskedBlock {
    DamagedBlock damaged;
    bool answered = false;  ///< The store has the answer.
  };
  /// The primary, in this session. Not answered: at most repairs_at_once_max.
  std::map<BlockIndex, AskedBlock> asked_blocks_;
  std::size_t copies_reading_ = 0;

  // Disk work under way; it outlives the session that asked for it.
  Step step_ = Step::none;
  BaseScope step_scope_ = BaseScope::all;
  BaseState base_before_ = BaseState::complete;  ///< That step.
  Lsn step_lsn_;
  Digest step_digest_;
  WallTime step_time_;
  EpochHistory step_history_;
  ConfigurationHistory step_configurations_;
  std::size_t base_writes_ = 0;
  SessionId base_writes_session_;

  /// The digest at the last LSN that was asked for: StartSession must name it.
  Lsn proved_lsn_;
  std::optional<Digest> proved_digest_;
  std::vector<DigestAt> proved_points_;  ///< And those of a search for where the logs part.

  struct Undurable {
    Lsn lsn;
    std::uint64_t cost = 0;
  };
  std::deque<Undurable> undurable_;  ///< Bounded by the room in the log.
  std::uint64_t undurable_cost_ = 0;
  std::deque<Digest> recent_;  ///< Of the records up to received, the newest last.

  bool ack_due_ = false;
  bool committed_due_ = false;
  bool fence_pending_ = false;
  bool stop_pending_ = false;
};

}  // namespace tidemark::engine::inflow

namespace tidemark::engine {
using inflow::Receiver;
}  // namespace tidemark::engine
