// A receiver machine on the bench: each call tells it what happened
// and gives back what it asked for, as text.
#pragma once

#include <boost/test/unit_test.hpp>

#include <optional>
#include <string>

#include "engine/receiver.hpp"
#include "tests/engine/replication_support.hpp"

namespace tidemark::engine::inflow {

using replication::assignment;
using replication::node;
using replication::TestLog;
using replication::volume;

inline constexpr std::uint64_t plenty = 1ull << 30;

struct Rig {
  /// A replica whose log ends at `end`, all of it durable.
  explicit Rig(std::uint64_t end = 5, BaseState base = BaseState::complete, Epoch forgotten = {}) {
    log.epoch(1, 11);
    log.grow_to(end);
    ReceiverConfig config;
    config.assignment = assignment(1, 1, 2);
    config.incarnation = Incarnation(4);
    config.promised = Epoch(1);
    config.forgotten = forgotten;
    auto& n = config.numbers;
    n.received = n.durable = log.end();
    n.digest = n.durable_digest = log.digest(log.end());
    n.retained = Lsn(1);
    n.history = log.history();
    n.base = base;
    n.wal_free_bytes = plenty;
    receiver.emplace(std::move(config));
  }

  template <class Event>
  std::string on(Event event) {
    return replication::render(receiver->on(std::move(event)));
  }
  Hello hello(Purpose purpose = Purpose::records) const {
    Hello h;
    h.purpose = purpose;
    h.node = node(1);
    h.incarnation = Incarnation(1);
    h.volume = volume();
    h.from = ReplicaId(1);
    h.to = ReplicaId(2);
    h.epoch = epoch;
    h.session = purpose == Purpose::bulk ? SessionId(7) : SessionId{};
    return h;
  }
  std::string say(Message message, LinkNumber link = 1) {
    return on(PeerSaid{link, std::move(message)});
  }
  std::string turn() { return on(TurnEnded{}); }
  std::string arrive(LinkNumber link = 1) { return on(PeerArrived{link, hello()}); }
  std::string moved(std::uint64_t durable, std::uint64_t free = plenty) {
    return on(StoreMoved{Lsn(durable), log.digest(Lsn(durable)), Lsn(0), Lsn(1), free});
  }
  StartSession start(std::uint64_t cp, std::uint64_t target,
                     SessionKind kind = SessionKind::catch_up) const {
    StartSession s;
    s.volume = volume();
    s.epoch = epoch;
    s.session = SessionId(7);
    s.kind = kind;
    s.common_point = Lsn(cp);
    s.digest = log.digest(Lsn(cp));
    s.target = Lsn(target);
    s.history = log.history();
    s.reason = "because";
    return s;
  }
  void prove(std::uint64_t lsn) {
    say(AskDigest{volume(), epoch, SessionId(7), Lsn(lsn)});
    on(DigestRead{1, SessionId(7), Lsn(lsn), log.digest(Lsn(lsn))});
  }
  /// Connected and following from the end of its log.
  void follow() {
    const auto end = log.end().value;
    arrive();
    prove(end);
    say(start(end, end));
    turn();
    BOOST_REQUIRE((receiver->state() == ReceiverState::following));
  }
  Records records(std::uint64_t from, std::uint64_t to, std::uint64_t committed = 0) {
    if (log.end() < Lsn(to)) log.grow_to(to);
    return {volume(), epoch, SessionId(7), Lsn(committed), *log.batch(from, to)};
  }

  TestLog log;
  std::optional<Receiver> receiver;
  Epoch epoch{1};
};

inline bool has(const std::string& text, std::string_view what) {
  return text.find(what) != std::string::npos;
}

}  // namespace tidemark::engine::inflow
