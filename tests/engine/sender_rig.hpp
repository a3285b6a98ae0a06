// A sender machine on the bench: each call tells it what happened
// and gives back what it asked for, as text.
#pragma once

#include <boost/test/unit_test.hpp>

#include <functional>
#include <optional>
#include <string>

#include "engine/sender.hpp"
#include "tests/engine/replication_support.hpp"

namespace tidemark::engine::outflow {

using replication::assignment;
using replication::node;
using replication::TestLog;
using replication::volume;

inline std::size_t count(const std::string& text, std::string_view what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}
inline bool has(const std::string& text, std::string_view what) { return count(text, what) > 0; }

/// A sender of replica 1 towards replica 2, and all that it asked for since the last look.
struct Rig {
  explicit Rig(std::uint64_t end = 10, std::uint64_t credit = 1 << 20, Budget budget = {},
               bool paced = false) {
    log.epoch(1, 11);
    log.grow_to(end);
    SenderConfig config;
    config.node = node(1);
    config.incarnation = Incarnation(1);
    config.assignment = assignment();
    config.peer = ReplicaId(2);
    config.head = log.end();
    config.history = log.history();
    config.credit_bytes = credit;
    config.paced = paced;
    config.budget = budget;
    sender.emplace(std::move(config));
  }

  template <class Event>
  std::string on(const Event& event) {
    auto effects = sender->on(event, {MonoTime(now), 0});
    for (const auto& effect : effects) {
      if (const auto* c = std::get_if<Connect>(&effect))
        (c->lane == Lane::bulk ? bulk : link) = c->link;
      if (const auto* r = std::get_if<ReadOwnFacts>(&effect)) session = r->session;
    }
    return replication::render(effects);
  }
  std::string hear(Message message, Lane lane = Lane::records) {
    return on(MessageArrived{lane, lane == Lane::bulk ? bulk : link, std::move(message)});
  }
  std::string turn() { return on(TurnEnded{}); }
  std::string tick(std::uint64_t milliseconds) {
    now += milliseconds * millisecond;
    return on(Ticked{});
  }
  std::string open() { return on(LinkOpened{Lane::records, link, node(2), Incarnation(4)}); }
  std::string numbered(std::uint64_t from, std::uint64_t to, std::uint64_t committed = 0) {
    log.grow_to(to);
    return on(RecordsAdded{log.batch(from, to), Lsn(committed)});
  }

  Facts facts(std::uint64_t received) const {
    Facts f;
    f.volume = volume();
    f.epoch = Epoch(1);
    f.session = session;
    f.history = received == 0 ? EpochHistory{} : log.history();
    f.received = f.durable = Lsn(received);
    f.retained = Lsn(1);
    f.promised = Epoch(1);
    f.incarnation = Incarnation(4);
    f.clean = true;
    return f;
  }
  Ack ack(std::uint64_t received, std::uint64_t durable) const {
    return {volume(), Epoch(1), session, Lsn(received), Lsn(durable), log.digest(Lsn(durable)),
            1 << 30};
  }
  SessionReady ready(std::uint64_t next) const { return {volume(), Epoch(1), session, Lsn(next)}; }

  /// Up to the question for digests.
  std::string probe(const Facts& f, std::uint64_t retained = 1, std::uint64_t checkpoint = 0) {
    auto text = hear(f) + on(OwnFactsRead{session, Lsn(retained), Lsn(checkpoint)});
    if (has(text, "find_touched")) text += on(TouchedFound{session, touched, touched_digest()});
    return text;
  }
  std::string digests(std::uint64_t cp, std::uint64_t checkpoint = 0) {
    auto text = hear(DigestIs{volume(), Epoch(1), session, Lsn(cp), log.digest(Lsn(cp))});
    text += on(OwnDigestRead{session, Lsn(cp), log.digest(Lsn(cp))});
    if (checkpoint != cp) {
      text += on(OwnDigestRead{session, Lsn(checkpoint), log.digest(Lsn(checkpoint))});
    }
    return text;
  }
  /// Up to catching_up from `cp`.
  void catch_up_from(std::uint64_t cp) {
    on(Started{});
    open();
    probe(facts(cp));
    digests(cp);
    on(LogPinned{session, Done{}});
    hear(ready(cp + 1));
    turn();
  }
  /// In line, nothing in flight.
  void stream() {
    catch_up_from(log.end().value);
    hear(ack(log.end().value, log.end().value));
    turn();
    BOOST_REQUIRE((sender->state() == PeerState::streaming));
  }

  Digest touched_digest() const { return touched ? log.digest(*touched) : Digest(); }

  TestLog log;
  std::optional<Lsn> touched;  ///< From where on touched blocks are known, below what is retained.
  std::optional<Sender> sender;
  LinkNumber link = 0;
  LinkNumber bulk = 0;
  SessionId session;
  std::uint64_t now = 1000 * second;
};

}  // namespace tidemark::engine::outflow
