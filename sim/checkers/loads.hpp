// What is bounded stays within its bounds, and what is done again is not done without end.
//
//   mailboxes        no more messages wait for an actor than what may be sent to it at once (docs/QUEUES.md)
//   links            a link holds no more unsent than its owner's credit and window allow
//   a volume         what is numbered and not committed and durable has a cap
//   a store          keeps in memory what is not durable, and behind it no more than its budget; its log has a cap
//   a session        sends no record twice, and no block of a base more often than it was asked for
//   connections      a node knocks at another one no more often than its back-off allows
//   failures         so many sessions of a kind that fail in a row are told to somebody
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "actors/environment.hpp"
#include "actors/interfaces.hpp"
#include "engine/event.hpp"
#include "sim/life.hpp"
#include "sim/scheduler.hpp"

namespace tidemark::sim {

class Loads {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  struct Caps {
    std::uint64_t mailbox = 0;  ///< Messages.
    std::uint64_t receiver_mailbox = 0;
    std::uint64_t link_bytes = 0;   ///< Unsent, of one end.
    std::uint64_t uncommitted = 0;  ///< Payload bytes of a volume.
    std::uint64_t memory_tail = 0;  ///< Of a store's records in memory that are durable.
    std::uint64_t undurable = 0;    ///< And of those that are not.
    std::uint64_t log_bytes = 0;    ///< Of a store's segments,
    std::uint64_t segment = 0;      ///< and for each reign that the log kept tells of one more.
    std::uint64_t connections = 0;  ///< One node to another one, of one purpose, per second.
  };
  /// The bounds of a cluster with these settings, whose clients have no more than so many requests under way, each of
  /// at most so many bytes.
  static Caps caps_of(const actors::Settings& settings, std::uint64_t requests,
                      std::uint64_t request_bytes);

  Loads(Caps caps, OnFailure fail) : caps_(caps), fail_(std::move(fail)) {}

  /// One message about to be handled.
  void observe(const Step& step);
  void sent(const Life& by, engine::Purpose purpose, const engine::Message& message,
            std::size_t unsent_bytes);
  void connects(engine::MonoTime at, const Life& from, const engine::Endpoint& to,
                engine::Purpose purpose);
  void happened(const Life& by, const engine::Event& event);

  /// The greatest of everything so far.
  std::map<std::string, std::uint64_t> highest() const;

 private:
  /// Records that have to be kept somewhere, and what they take.
  struct Kept {
    std::map<engine::Lsn, std::uint64_t> sizes;
    std::uint64_t bytes = 0;

    void add(engine::Lsn lsn, std::uint64_t size);
    void forget_up_to(engine::Lsn lsn);
    void forget_from(engine::Lsn lsn);
    void forget(std::map<engine::Lsn, std::uint64_t>::iterator first,
                std::map<engine::Lsn, std::uint64_t>::iterator behind);
  };
  /// Records of a volume that are not committed and on its own disk.
  struct Numbered {
    engine::Lsn last;
    engine::Lsn committed;
    engine::Lsn durable;
    Kept kept;
  };
  /// What a session has sent.
  struct Sent {
    engine::Lsn next;                             ///< Behind the last record; none yet: Lsn{}.
    std::optional<std::uint64_t> missing_blocks;  ///< What the replica said that it will ask for.
    std::uint64_t base_blocks = 0;
  };
  using Session = std::pair<engine::Epoch, engine::SessionId>;
  /// Catch-ups in a row that had a plan and got nowhere.
  struct Failing {
    std::string session;
    std::uint64_t sessions = 0;
    bool told = false;  ///< Somebody was, and is not told again before it gets anywhere.
  };

  /// `what` is a word of the source.
  void note(const char* what, std::uint64_t value, std::uint64_t cap, const char* cls,
            std::string_view whose);
  void sent_base(const Life& by, const Session& session, std::uint64_t blocks);
  void ended(const Life& by, const engine::Event& event);
  void numbered(caf::actor_id volume, const actors::RecordsNumbered& numbered);
  void appended(const Step& step, const actors::AppendRecords& append);
  void durable(caf::actor_id listener, engine::Lsn durable);
  void judge_store(const Step& step, const engine::StoreStatus& status);
  void judge_memory(const Step& step, const engine::StoreStatus& status);

  Caps caps_;
  OnFailure fail_;
  std::map<std::string_view, std::uint64_t> highest_;
  std::map<caf::actor_id, Numbered> volumes_;
  std::map<caf::actor_id, Kept> stores_;  ///< What they were given and have not on their disks.
  std::map<caf::actor_id, caf::actor_id> store_of_;  ///< By who appends to it.
  struct Reigns {
    std::set<engine::Lsn> records;  ///< Where they begin.
    engine::Lsn retained;           ///< As last told: what is pruned is deleted a little later.
  };
  std::map<std::uint32_t, Reigns> reigns_;  ///< By node.
  std::map<Session, Sent> sessions_;
  std::uint64_t blocks_again_ =
      0;  ///< That comparisons of rebuilt copies asked for, of all sessions.
  std::map<std::tuple<std::uint32_t, engine::Endpoint, engine::Purpose>,
           std::deque<engine::MonoTime>>
      knocks_;
  std::map<std::pair<std::uint32_t, std::string>, Failing> failing_;  ///< By process and replica.
};

}  // namespace tidemark::sim
