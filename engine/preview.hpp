// What recovery of one replica would do now, and why, without doing it.
//
//   what the sender knows ──► Preview ──question──► the primary's own store
//                                ▲──────answer──────┘   (reads only: nothing pinned, nothing begun)
//                                └──► RecoveryPreview
//
// A session that runs is told as it is. Otherwise the facts that the replica told last are put
// beside the primary's own of this moment, and the table of outcomes (outcome.hpp) decides as it
// would for the next handshake: the same function, so a preview can't disagree with a session that
// reads the same facts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/outcome.hpp"
#include "engine/plan.hpp"
#include "engine/session.hpp"
#include "engine/status.hpp"

namespace tidemark::engine {

/// What a replica told last.
struct KnownFacts {
  Facts facts;
  MonoTime at;
  /// What was acknowledged since then is taken for its log's end: it proves more than the facts.
  bool from_acks = false;
  Lsn compared;                  ///< Where its digest is known.
  std::optional<Digest> digest;  ///< Its own at `compared`; nothing: it no longer knew.
  bool asked = false;            ///< A digest was asked for and answered.
  bool equal = false;            ///< It was ours: then the logs are equal below it, too.
};

/// What a sender says of its replica. Taken at one moment; nothing of the sender changes.
struct PeerView {
  ReplicaId replica;
  NodeId node;
  PeerState state = PeerState::disconnected;
  std::string reason;
  Epoch epoch;
  EpochHistory history;
  Lsn head;
  Lsn committed;
  Lsn witnessed;
  std::optional<KnownFacts> known;
  // Of a session that is not over:
  SessionId session;
  std::optional<SessionPhase> phase;
  std::optional<Plan> plan;
  std::optional<Outcome> outcome;  ///< From which the plan was made.
  SessionNumbers work;
  Lsn durable;  ///< What it proved in the session; nothing where it proved nothing yet.
  std::vector<std::string> pins;
  Budget budget;
};

/// What is to be counted at the primary's store.
struct MoveQuestion {
  Lsn log_after;  ///< Records of (log_after, log_to].
  Lsn log_to;
  std::optional<Lsn> touched_behind;  ///< Blocks that the log touched behind it.
  bool extents = false;               ///< Blocks that are in the extents.
};
struct MoveCost {
  std::uint64_t log_bytes = 0;
  std::uint64_t touched_blocks = 0;
  std::uint64_t touched_ranges = 0;
  std::uint64_t extent_blocks = 0;
  bool extents_at_most = false;  ///< Not all of it was counted block by block.
};

/// What a plan moves, in bytes on the wire, frames left out.
struct MoveEstimate {
  std::uint64_t log_records = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t base_blocks = 0;
  std::uint64_t base_bytes = 0;
  std::uint64_t index_bytes = 0;
  std::uint64_t all_bytes() const { return log_bytes + base_bytes + index_bytes; }
  /// What the number leaves out or counts too much; empty: nothing worth saying.
  std::string remark;
};

struct OwnNumbers {
  Lsn head;
  Lsn retained;
  Lsn checkpoint;
  Lsn committed;
};

enum class PreviewBasis : std::uint8_t {
  in_line,      ///< It streams: nothing is to be done.
  session,      ///< A session runs: its plan.
  known_facts,  ///< What it told last: its log may have changed since.
  no_facts,     ///< It told nothing in this reign.
};
std::string_view to_string(PreviewBasis basis);

struct RecoveryPreview {
  ReplicaId replica;
  NodeId node;
  PeerState state = PeerState::disconnected;
  std::string reason;  ///< Of the state.
  Epoch epoch;
  PreviewBasis basis = PreviewBasis::no_facts;
  std::string says;  ///< In a sentence, for people.
  std::optional<Outcome> outcome;
  std::string problem;  ///< Why no plan can be made of the outcome; empty where one can.
  std::string assumed;  ///< What could not be compared and was taken for equal; empty: nothing.
  std::optional<Plan> plan;
  std::string source;     ///< Where the bytes come from.
  MoveEstimate move;      ///< Of the plan; of a running session: what is left of it.
  std::string uncounted;  ///< Why nobody could count that, and `move` says nothing; empty: it does.
  std::optional<Facts> theirs;
  std::uint64_t theirs_age_milliseconds = 0;
  bool theirs_from_acks = false;
  OwnNumbers ours;
  Lsn common_point;
  Lsn compared;
  SessionId session;
  std::optional<SessionPhase> phase;
  SessionNumbers done;
  std::uint64_t done_milliseconds = 0;
  std::vector<std::string> pins;  ///< Held now.
};

/// What `plan` moves. `missing` is what the replica said it lacks of an interrupted base.
MoveEstimate estimate(const Plan& plan, const MoveCost& cost, std::uint64_t missing);
/// What is to be counted for `plan`, from `from` on where a session already proved that much.
MoveQuestion question_for(const Plan& plan, Lsn from);

/// Asks the primary's store one question after the other; then result() is whole.
class Preview {
 public:
  struct AskOwn {};
  struct AskTouched {
    Lsn at;
  };
  struct AskDigest {
    Lsn lsn;
  };
  using Question = std::variant<AskOwn, AskTouched, AskDigest, MoveQuestion>;

  Preview(PeerView view, MonoTime now);

  /// The next question; nothing: result() is whole.
  const std::optional<Question>& question() const { return question_; }
  // Exactly the answer to question(), each time.
  void own(Lsn retained, Lsn checkpoint);
  void touched(std::optional<Lsn> lsn, Digest digest);
  void digest(std::optional<Digest> digest);
  void cost(const MoveCost& cost);
  /// The store has gone on between two questions, and can no longer count: the plan is told without.
  void cost_unknown(const std::string& why);

  const RecoveryPreview& result() const { return result_; }

 private:
  void say_running();
  void ask_digests();
  void decide_now();

  PeerView view_;
  RecoveryPreview result_;
  std::optional<Question> question_;
  bool touched_known_ = false;
  std::optional<std::optional<Digest>> our_digest_, base_digest_;  ///< Outer: answered.
};

}  // namespace tidemark::engine
