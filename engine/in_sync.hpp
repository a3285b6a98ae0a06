// Whose durability the commit rule counts: the recorded in-sync set, and what is being asked of the
// control plane. Membership is recorded there by compare-and-swap on (epoch, version), never
// inferred from who is connected.
//
//   outside   ──streams, proved─────────────► counting
//   counting  ──away, stalled, full─────────► outside
//   counting  ──witnessed, asked for────────► joining
//   joining   ──accepted────────────────────► member        or refused──► counting, outside
//   member    ──away, stalled, full, asked──► leaving
//   leaving   ──accepted────────────────────► outside       or refused──► member
//
// Everybody but `outside` counts: a joining member from before the request, a leaving one until its
// accepted answer; while an answer is unknown the union counts (C11). A member recorded under an
// older incarnation counts for durability, not for `received`, until it is recorded again (C4).
//
// In sync_quorum the recorded set is that of the voters, and `required` of them decide (quorum.hpp).
// Nobody leaves for being slow or away: only what an operator took out of the members does. While
// the set changes, its rule and the next one's must both be met; the next set is asked for once all
// that is committed and answered is so by its rule too.
//
// While the mode changes the rules of both modes stand, from the record's number until the control
// plane has recorded it (in_sync_mode.cpp); who comes and goes is decided as in the recorded mode.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/assignment.hpp"
#include "engine/commit_rule.hpp"
#include "engine/event.hpp"
#include "engine/messages.hpp"
#include "engine/status.hpp"
#include "engine/types.hpp"

namespace tidemark::engine {

struct InSyncLimits {
  std::uint64_t leave_after_closed = 100 * millisecond;  ///< Connection gone -> proposed out.
  std::uint64_t leave_after_stalled = 2 * second;        ///< No durable progress -> proposed out.
  std::uint64_t propose_again_after =
      500 * millisecond;  ///< A proposal is repeated until answered.
};

/// What a sender last said of its replica. A repeat replaces the former.
struct PeerSeen {
  ReplicaId replica;
  Incarnation incarnation;  ///< Zero: no connection was made yet.
  PeerState state = PeerState::disconnected;
  SessionId session;
  bool proved = false;  ///< Its log up to `received` is ours, and its base is complete.
  Lsn received;
  Lsn durable;
  std::uint64_t wal_free_bytes = 0;
  Epoch promised;
};

/// Where the primary's log stands when the set is looked at.
struct LogNumbers {
  Lsn epoch_record;
  Lsn head;
  Lsn committed;
  Lsn answerable;
  Lsn own_durable{};  ///< On the primary's disk.
};

enum class Standing : std::uint8_t { outside, counting, joining, member, leaving };
std::string_view to_string(Standing standing);
/// No link, or one over which nothing will come.
bool is_away(PeerState state);
/// `{1,2}`
std::string set_text(const std::vector<SetMember>& set);

class InSync {
 public:
  InSync(const Assignment& assignment, InSyncLimits limits, MonoTime now);

  /// Takes a sender's report; one of an unknown replica or an older incarnation is ignored.
  void see(const PeerSeen& seen, MonoTime now);
  /// Records were numbered behind `head_before`: who lacked nothing begins to lack something now.
  void numbered(Lsn head_before, MonoTime now);
  /// The proposal to send now: a new one, the unanswered one again, or nothing.
  std::optional<ProposeSet> propose(const LogNumbers& log, MonoTime now);
  /// The control plane's answer. True when the set changed;
  /// late and foreign answers change nothing.
  bool decide(const SetDecided& decided, MonoTime now);
  /// A newer version of the same epoch. True when it was taken.
  bool reassign(const Assignment& assignment, MonoTime now);
  /// The mode and min_copies that the control plane has recorded, and what an operator wants instead.
  /// `numbered`: the log says that already.
  void take_rules(const VolumeSpec& spec, const std::optional<Configuration>& wanted,
                  bool numbered);

  /// Whose rules stand: the recorded mode's, and the next one's while it changes (C12).
  std::span<const Mode> modes() const { return modes_; }
  /// Why what an operator wants cannot be numbered yet; empty: it can.
  std::string not_ready_for(const Configuration& next) const;
  /// sync_all: everybody who counts but the primary itself.
  std::span<const CountedCopy> counted() const { return counted_; }
  /// sync_quorum: the recorded voters' rule, and the next one's while the set changes.
  std::span<const QuorumRule> rules() const { return rules_; }
  /// How many of the recorded set must hold a record: all but in sync_quorum.
  std::size_t required() const;
  Standing standing(ReplicaId replica) const;
  bool exact(ReplicaId replica) const;
  const std::vector<SetMember>& recorded() const { return recorded_; }
  Version version() const { return version_; }
  /// Somebody is away, full, or being decided on: look again soon.
  bool unsettled() const;
  /// A counted member can take no more and the set can't do without it:
  /// nothing new may be numbered.
  bool full_member_stays() const;
  /// Since when fewer copies than min_copies (or, in sync_quorum, than must have each record) have all that is numbered
  /// or come nearer to it on their disks: until more do, nothing is committed. `now` when enough do.
  MonoTime too_few_since(const LogNumbers& log, MonoTime now);
  /// In words, who holds committed back and why the set does not go on without it;
  /// empty when nobody does.
  std::string waiting_for(const LogNumbers& log) const;
  /// What happened since the last call, for the recovery log.
  std::vector<Event> take_events();

 private:
  struct Peer {
    ReplicaId replica;
    std::string node;
    PeerState state = PeerState::disconnected;
    Incarnation incarnation;  ///< The last it was seen under; zero when never seen in this reign.
    bool proved = false;
    bool had_room = false;  ///< It has told its free log space in this reign.
    bool full = false;      ///< Its disk took nothing more when it last said so.
    bool was_linked = false;
    bool counting = false;  ///< Counts although nothing was asked for yet; may be dropped at once.
    bool held_in = false;   ///< Should leave, but min_copies forbids it.
    Lsn received;           ///< Void (lowered to durable) when its connection ends (C23).
    Lsn durable;
    Lsn reported;          ///< Highest durable it was said to have: progress, even if not proved.
    MonoTime away_since;   ///< Meaningful while away.
    MonoTime progress_at;  ///< When durable last rose, or it last lacked nothing.
    MonoTime well_at;   ///< The same, but for what it lacked nothing of while it was not in line.
    Lsn barred_below;   ///< It stalled while counting: it counts again once durable here.
    Lsn joins_durable;  ///< sync_quorum: where it must be to join, as of when it began to count.
    Lsn joins_received;
  };
  struct Choice {
    std::vector<SetMember> next;
    std::string reason;
  };

  Peer* find(ReplicaId replica);
  const Peer* find(ReplicaId replica) const;
  bool recorded_exact(const Peer& peer) const;
  bool counts(const Peer& peer) const;
  void take_members(const Assignment& assignment, MonoTime now);
  void take_set(std::vector<SetMember> in_sync, Version version);
  void keep_recorded();
  void recount();
  void recount_copies();
  bool stands(Mode mode) const;
  void update_counting(const LogNumbers& log, MonoTime now);
  bool content(const LogNumbers& log, MonoTime now) const;
  Choice choose(const LogNumbers& log, MonoTime now);
  void keep_to_min_copies(Choice& choice, std::vector<SetMember> leaving);
  std::string why_leave(const Peer& peer, const LogNumbers& log, MonoTime now) const;
  std::string why_waiting(const Peer& peer, const LogNumbers& log) const;
  bool witnessed(const Peer& peer, const LogNumbers& log) const;
  ProposeSet proposal() const;

  // in_sync_short.cpp
  static bool lacks_nothing(const Peer& peer, Lsn head);
  MonoTime fewer_since(Mode mode, MonoTime now) const;

  // in_sync_quorum.cpp
  QuorumRule rule_of(const std::vector<SetMember>& voters) const;
  void recount_rules();
  void update_joining(const LogNumbers& log, MonoTime now);
  bool left(ReplicaId replica) const;
  bool voters_change() const;
  bool may_join(const Peer& peer) const;
  std::vector<SetMember> next_voters(bool join, bool leave, bool only_witnessed) const;
  bool may_stand_alone(const std::vector<SetMember>& voters, const LogNumbers& log) const;
  Choice choose_voters(const LogNumbers& log, MonoTime now) const;
  std::string why_change(const std::vector<SetMember>& next, const LogNumbers& log) const;
  bool quorum_unsettled() const;
  bool quorum_is_full() const;
  std::string quorum_waiting_for(const LogNumbers& log) const;
  std::string missing_of(const std::vector<SetMember>& voters, const LogNumbers& log) const;

  // in_sync_mode.cpp
  bool in_line(const Peer& peer) const;
  bool wants_all() const;
  std::string why_voter_leaves(const Peer& peer, const LogNumbers& log, MonoTime now) const;
  std::optional<Choice> without_unwell(const LogNumbers& log, MonoTime now) const;
  std::string all_waiting_for(const LogNumbers& log) const;

  InSyncLimits limits_;
  VolumeId volume_;
  Mode mode_;                 ///< As the control plane has it recorded.
  std::vector<Mode> modes_;   ///< mode_, and the next one's behind it while it changes.
  std::uint32_t min_copies_;  ///< Recorded; from its number on the wanted one.
  std::optional<Configuration> wanted_;
  Epoch epoch_;
  SetMember self_;
  Version version_;
  std::vector<SetMember> recorded_;                ///< Ordered by ReplicaId.
  std::optional<std::vector<SetMember>> pending_;  ///< Proposed on version_, not answered.
  std::string pending_reason_;
  MonoTime sent_at_;
  MonoTime quiet_until_;            ///< After a refusal nothing is proposed until then.
  std::uint64_t number_ = 0;        ///< Of pending_: a refusal of an earlier proposal is not its.
  std::vector<Peer> peers_;         ///< Ordered by ReplicaId.
  std::vector<ReplicaId> members_;  ///< Of the assignment, the primary included.
  std::vector<CountedCopy> counted_;
  std::vector<QuorumRule> rules_;
  std::vector<Event> events_;
  std::string blocked_;  ///< What the last set_blocked said; empty when not blocked.
  Lsn head_;             ///< When records were numbered last, or looked at.
  Lsn own_durable_;
  MonoTime own_well_at_;  ///< As well_at, of the primary's own copy.
};

}  // namespace tidemark::engine
