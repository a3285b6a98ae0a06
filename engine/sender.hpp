// The primary's side of one replica: the owner of the one cursor towards it. Decides, does no I/O.
//
//   disconnected, refused  ──retry──────────────► connecting
//   connecting             ──link───────────────► probing
//   probing                ──facts, digests─────► preparing, or refused by the outcome
//   preparing              ──session ready──────► catching_up or rebuilding
//   catching_up            ──target durable─────► streaming
//   rebuilding             ──barrier witnessed──► streaming
//
//   any ──failure, with a typed cause──► disconnected
//   any ──stop, no longer a member──► stopped (final)
//
// One link, one session: whatever ends the session closes the link, and the next one begins with
// fresh facts. Nothing is decided by timers: they retry, repeat numbers on an idle link and end
// what has stalled.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "engine/catch_up.hpp"
#include "engine/cursor.hpp"
#include "engine/digest_search.hpp"
#include "engine/escalation.hpp"
#include "engine/lag.hpp"
#include "engine/outcome.hpp"
#include "engine/preview.hpp"
#include "engine/rate.hpp"
#include "engine/rebuild.hpp"
#include "engine/sender_events.hpp"
#include "engine/session.hpp"

namespace tidemark::engine::outflow {

constexpr bool allowed(PeerState from, PeerState to) {
  using S = PeerState;
  if (from == S::stopped || from == to) return false;
  if (to == S::stopped || to == S::disconnected) return true;
  switch (from) {
    case S::disconnected:
    case S::refused:
      return to == S::connecting;
    case S::connecting:
      return to == S::probing;
    case S::probing:
      return to == S::preparing || to == S::refused;
    case S::preparing:
      return to == S::catching_up || to == S::rebuilding;
    case S::catching_up:
    case S::rebuilding:
      return to == S::streaming;
    case S::streaming:
    case S::stopped:
      return false;
  }
  return false;
}

/// Silence of the records link while an answer is owed, after which it is closed.
inline constexpr std::uint64_t silence_max = 3 * second;
/// An idle link hears the numbers this often, and answers.
inline constexpr std::uint64_t progress_every = 500 * millisecond;
/// Committed that no records carried is told this much later: at depth 1 the next write carries it.
inline constexpr std::uint64_t committed_told_within = 5 * millisecond;
/// The pin follows the replica in steps of this size; a chunk is larger.
inline constexpr std::uint64_t repin_bytes = 16u << 20;
/// A replica that was asked for a block has this long to answer.
inline constexpr std::uint64_t copy_wait_max = 2 * second;

struct SenderConfig {
  ClusterId cluster;
  NodeId node;              ///< Ours.
  Incarnation incarnation;  ///< Ours.
  Assignment assignment;    ///< Names us primary.
  ReplicaId peer;           ///< A member other than us.
  Lsn head;                 ///< Numbered before the first RecordsAdded.
  Lsn committed;
  EpochHistory history;                 ///< Of our log.
  ConfigurationHistory configurations;  ///< Of our log; empty: as the assignment says.
  std::uint64_t credit_bytes = 16u << 20;
  bool paced = false;  ///< Base blocks are read only when the node's pace grants it.
  std::uint64_t retry_min = 10 * millisecond;
  std::uint64_t retry_max = 1 * second;
  std::uint64_t escalated_retry =
      10 * second;  ///< Pause at most, once a way failed again and again.
  Budget budget;
};

class Sender {
 public:
  explicit Sender(SenderConfig config);

  SenderEffects on(const Started&, Moment at);
  SenderEffects on(const RecordsAdded& event, Moment at);
  SenderEffects on(const MessageArrived& event, Moment at);
  SenderEffects on(const LinkOpened& event, Moment at);
  SenderEffects on(const ConnectFailed& event, Moment at);
  SenderEffects on(const LinkClosed& event, Moment at);
  SenderEffects on(const OwnFactsRead& event, Moment at);
  SenderEffects on(const OwnDigestRead& event, Moment at);
  SenderEffects on(const OwnDigestsRead& event, Moment at);
  SenderEffects on(const TouchedFound& event, Moment at);
  SenderEffects on(const TouchedRead& event, Moment at);
  SenderEffects on(const SourceFailed& event, Moment at);
  SenderEffects on(const LogPinned& event, Moment at);
  SenderEffects on(const LogRecordsRead& event, Moment at);
  SenderEffects on(const BaseRunRead& event, Moment at);
  SenderEffects on(const GroupSumsRead& event, Moment at);
  SenderEffects on(const PaceTold& event, Moment at);
  SenderEffects on(const BlockWanted& event, Moment at);
  SenderEffects on(const CopyRead& event, Moment at);
  SenderEffects on(const AssignmentChanged& event, Moment at);
  SenderEffects on(const Ticked&, Moment at);
  SenderEffects on(const TurnEnded&, Moment at);
  SenderEffects on(const StopRequested&, Moment at);

  PeerState state() const { return state_; }
  /// Something waits for the end of this turn: give TurnEnded.
  bool wants_turn_end() const { return progress_due_ || report_due_; }
  /// When to give Ticked, if nothing else happens before.
  std::optional<MonoTime> wake_at() const;
  PeerStatus status(MonoTime now) const;
  /// What a preview of recovery begins with.
  PeerView view() const;

 private:
  /// What one handshake has gathered so far.
  struct Handshake {
    std::optional<Facts> facts;
    std::optional<OwnFactsRead> own;
    Lsn common_point;
    bool digests_asked = false;
    Lsn compared;  ///< Where digests are asked for: the common point, or below it.
    bool touched_known = false;
    bool their_digest_known = false, our_digest_known = false, base_digest_known = false;
    std::optional<Digest> their_digest, our_digest, base_digest;
    std::optional<DigestSearch> search;  ///< Of the place where the logs part.
    Lsn our_touched_from, their_touched_from;
  };

  bool stopped() const { return state_ == PeerState::stopped; }
  bool flowing() const { return session_ && session_->flowing(); }
  /// True where the call may be executed; else says in `out` why it is dropped.
  bool authorised(SessionId id, Epoch epoch, std::string_view what, SenderEffects& out) const;
  bool current(Lane lane, LinkNumber link) const;

  // Links and retries.
  void connect(SenderEffects& out);
  void disconnect(EndCause cause, std::string text, Moment at, SenderEffects& out);
  void fail(EndCause cause, std::string text, PeerState to, Moment at, SenderEffects& out);
  void end_session(EndCause cause, const std::string& text, Moment at, SenderEffects& out);
  void close_links(SenderEffects& out);
  void schedule_retry(Moment at);
  void count_end(EndCause cause, SenderEffects& out);
  void count_work(RecoveryCounts::Result result);
  void keep_what_acks_proved();

  // Handshake.
  void find_common_point(SenderEffects& out);
  void ask_digests(SenderEffects& out);
  void decide_outcome(Moment at, SenderEffects& out);
  OutcomeFacts outcome_facts() const;
  void search_on(Moment at, SenderEffects& out);
  void log_divergence(SenderEffects& out) const;
  void begin_plan(Plan plan, Moment at, SenderEffects& out);

  // What the replica says.
  void heard(const Facts& facts, Moment at, SenderEffects& out);
  void heard(const DigestIs& answer, Moment at, SenderEffects& out);
  void heard(const Digests& answer, Moment at, SenderEffects& out);
  void heard(const SessionReady& ready, Moment at, SenderEffects& out);
  void heard(const Ack& ack, Moment at, SenderEffects& out);
  void heard(const BarrierReached& reached, Moment at, SenderEffects& out);
  void heard(const TouchedNoted& noted, Moment at, SenderEffects& out);
  void heard(const AskBlock& ask, Moment at, SenderEffects& out);
  void heard(const BlockIs& answer, Moment at, SenderEffects& out);
  void heard(const AskBase& ask, Moment at, SenderEffects& out);
  void heard(const AskBaseSums& ask, Moment at, SenderEffects& out);
  void heard(const BaseWhole& whole, Moment at, SenderEffects& out);
  void heard(const Refused& refused, Moment at, SenderEffects& out);
  template <class Other>
  void heard(const Other& other, Moment at, SenderEffects& out);

  void answer_block(BlockIndex block, Result<BlockCopy> copy, SenderEffects& out);
  void give_up_asking(Moment at, SenderEffects& out);
  void tell_copy(BlockCopy copy, SenderEffects& out);

  // Flow.
  void send(Lane lane, Message message, std::uint64_t bytes, SenderEffects& out);
  void send_records(const std::vector<RecordPtr>& batch, bool receipt_wanted, Moment at,
                    SenderEffects& out);
  void pump_records(SenderEffects& out);
  void pump_base(SenderEffects& out);
  // sender_pace.cpp: its share of what the node gives away.
  void begin_base_read(std::uint64_t granted, SenderEffects& out);
  void base_read(BlockRange asked, const BasePiece& piece, SenderEffects& out);
  void leave_pace(SenderEffects& out);
  std::optional<EndCause> spent_budget(Moment at);
  void tell_limits(PeerStatus& status) const;
  void after_progress(Moment at, SenderEffects& out);
  void repin(SenderEffects& out);
  void complete(Moment at, SenderEffects& out);
  void release_pin(SenderEffects& out);

  /// True if it is of a later reign than ours, which is over then.
  bool note_promise(Epoch promised);
  void become(PeerState to, SenderEffects& out);
  Level level_of_change(PeerState to) const;
  ReportPeer report() const;
  void tell_pace(PeerStatus& status, MonoTime now) const;
  Lsn known_durable() const;
  std::string peer_text() const;

  SenderConfig config_;
  PeerState state_ = PeerState::disconnected;
  std::string reason_;
  std::string outcome_;

  LinkNumber links_ = 0;         ///< Numbers handed out.
  LinkNumber records_link_ = 0;  ///< 0: none wanted.
  LinkNumber bulk_link_ = 0;
  std::uint64_t backoff_ = 0;
  std::optional<MonoTime> retry_at_;
  std::optional<MonoTime> owed_since_;  ///< An answer on the records link is owed since then.
  MonoTime last_sent_;                  ///< On the records link.
  MonoTime now_;                        ///< Of the event being handled.

  std::uint64_t sessions_ = 0;  ///< Counted in this reign.
  std::optional<Session> session_;
  std::variant<std::monostate, CatchUp, Rebuild> executor_;
  Handshake handshake_;
  std::optional<BlockIndex> touched_upto_;  ///< Named so far; the replica is to say that it noted.
  Cursor cursor_;
  bool reading_records_ = false;
  bool in_pace_ = false;     ///< The pace knows of this lane: it is owed a leave.
  bool pace_asked_ = false;  ///< No grant came yet.
  PaceStanding pace_;        ///< As last told.
  std::map<BlockIndex, std::uint64_t> granted_reads_;  ///< Bytes, by the first block asked for.
  Lsn pinned_from_;
  std::uint64_t bytes_since_pin_ = 0;

  /// The replica is to say what it has, asked when; at most repairs_at_once_max.
  std::map<BlockIndex, MonoTime> asked_blocks_;
  std::size_t copies_reading_ = 0;  ///< For the replica; at most repairs_at_once_max.

  Lsn head_;  ///< Last numbered.
  Lsn committed_;
  LagMarks lag_;
  Incarnation peer_incarnation_;
  Lsn witnessed_;  ///< Highest durable LSN proved in this reign; void once a rebuild began.
  std::uint64_t wal_free_bytes_ = 0;
  Epoch promised_;

  std::optional<KnownFacts> known_;  ///< Of the last handshake, or of what was acknowledged since.
  std::optional<Outcome> decided_;   ///< Of the last handshake.
  /// The row that an operator must see, told already: what repeats it goes to the debug log only, so
  /// that it does not push everything else out of the recovery log.
  std::optional<OutcomeRow> refused_for_;
  std::string connect_problem_;  ///< Of the last attempt, told already; empty: it succeeded.
  MonoTime acked_;               ///< When the replica acknowledged last.
  Escalation escalation_;
  RecoveryCounts counts_;
  Rate sent_bytes_;
  Rate moved_;  ///< Base blocks of a rebuild, LSNs of a catch-up.

  bool progress_due_ = false;  ///< To be told at the end of this turn.
  std::optional<MonoTime>
      committed_due_;  ///< Committed moved: told then, unless records told it before.
  bool report_due_ = false;
};

}  // namespace tidemark::engine::outflow

namespace tidemark::engine {
using outflow::Sender;
}  // namespace tidemark::engine
