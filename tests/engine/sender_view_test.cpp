// The sender seen from outside: budgets that act inside the stream, what repeated failure leads to,
// what is counted, and that what repeats itself does not drown the recovery log.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/sender_rig.hpp"

namespace tidemark::engine::outflow {
namespace {

/// A rig whose sessions have a budget.
struct BudgetRig : Rig {
  explicit BudgetRig(Budget budget, std::uint64_t end = 10) : Rig(end) {
    SenderConfig config;
    config.node = node(1);
    config.incarnation = Incarnation(1);
    config.assignment = assignment();
    config.peer = ReplicaId(2);
    config.head = log.end();
    config.history = log.history();
    config.budget = budget;
    sender.emplace(std::move(config));
  }
};

/// Events that the recovery log keeps.
template <class Event>
std::size_t kept(Rig& r, const Event& event) {
  std::size_t n = 0;
  for (const auto& effect : r.sender->on(event, {MonoTime(r.now), 0})) {
    if (const auto* c = std::get_if<Connect>(&effect)) r.link = c->link;
    if (const auto* f = std::get_if<ReadOwnFacts>(&effect)) r.session = f->session;
    if (const auto* l = std::get_if<Log>(&effect)) n += l->event.level != Level::debug ? 1u : 0u;
  }
  return n;
}

/// One session that gets as far as its start and is refused by the replica.
std::string fail_once(Rig& r, std::uint64_t cp) {
  std::string text = r.open();
  text += r.probe(r.facts(cp));
  text += r.digests(cp);
  text += r.on(LogPinned{r.session, Done{}});
  return text + r.hear(Refused{RefusalCode::bad_data, "its disk", {}});
}

std::uint64_t wait_of(const Rig& r) { return *r.sender->wake_at() - MonoTime(r.now); }

}  // namespace

BOOST_AUTO_TEST_SUITE(sender_view)

BOOST_AUTO_TEST_CASE(a_budget_of_time_acts_inside_the_stream_and_gives_the_pin_back) {
  BudgetRig r({.duration = 2 * second, .records = 0, .stall = 0});
  r.catch_up_from(7);
  for (int i = 0; i < 4; ++i) {
    r.tick(500);
    r.turn();
    r.hear(r.ack(7, 7));
  }
  BOOST_TEST((r.sender->state() == PeerState::catching_up));
  const auto text = r.tick(1);
  BOOST_TEST(has(text, "session_ended budget_duration"));
  BOOST_TEST(count(text, "unpin") == 1u);
}

BOOST_AUTO_TEST_CASE(a_budget_of_records_acts_inside_the_stream_and_gives_the_pin_back) {
  BudgetRig r({.duration = 0, .records = 2, .stall = 0});
  r.catch_up_from(7);
  const auto text = r.on(LogRecordsRead{r.session, Lsn(8), r.log.batch(8, 10)});
  BOOST_TEST(has(text, "session_ended budget_records"));
  BOOST_TEST(count(text, "unpin") == 1u);
}

BOOST_AUTO_TEST_CASE(a_budget_of_zero_limits_nothing) {
  BudgetRig r({.duration = 0, .records = 0, .stall = 0});
  r.catch_up_from(7);
  for (int i = 0; i < 400; ++i) {
    r.tick(500);
    r.turn();
    r.hear(r.ack(7, 6));
  }
  BOOST_TEST((r.sender->state() == PeerState::catching_up));
}

BOOST_AUTO_TEST_CASE(a_way_that_fails_again_and_again_is_told_once_and_waits_longer) {
  Rig r(10);
  r.on(Started{});
  std::string text;
  for (std::uint32_t i = 1; i <= Escalation::sessions_max + 2; ++i) {
    text += fail_once(r, 7);
    BOOST_TEST(wait_of(r) <= (i < Escalation::sessions_max ? 1 * second : 10 * second));
    if (i >= Escalation::sessions_max) BOOST_TEST(wait_of(r) >= 5 * second);
    r.tick(10'000);
  }
  BOOST_TEST(count(text, "recovery_escalated") == 1u);
  const auto status = r.sender->status(MonoTime(r.now));
  BOOST_TEST(status.escalated);
  BOOST_TEST(has(status.reason, "failed in a row"));
  BOOST_TEST(status.counts.escalations == 1u);
}

BOOST_AUTO_TEST_CASE(an_escalated_replica_is_decided_on_by_its_facts_as_ever) {
  Rig r(10);
  r.on(Started{});
  for (std::uint32_t i = 0; i < Escalation::sessions_max; ++i) {
    fail_once(r, 7);
    r.tick(10'000);
  }
  r.open();
  r.probe(r.facts(10));
  BOOST_TEST(has(r.digests(10), "pin 11"));  // Its facts changed: nothing is missing any more.
  r.on(LogPinned{r.session, Done{}});
  r.hear(r.ready(11));
  r.turn();
  r.hear(r.ack(10, 10));
  BOOST_TEST((r.sender->state() == PeerState::streaming));
  BOOST_TEST(!r.sender->status(MonoTime(r.now)).escalated);
  r.on(LinkClosed{Lane::records, r.link, "reset"});
  BOOST_TEST(wait_of(r) <= 50 * millisecond);  // Forgotten.
}

BOOST_AUTO_TEST_CASE(links_that_fail_do_not_escalate) {
  Rig r(10);
  r.on(Started{});
  for (int i = 0; i < 30; ++i) {
    r.open();
    r.probe(r.facts(7));
    r.digests(7);
    r.on(LogPinned{r.session, Done{}});
    r.on(LinkClosed{Lane::records, r.link, "reset"});
    BOOST_TEST(wait_of(r) <= 1 * second);
    r.tick(1000);
  }
  BOOST_TEST(!r.sender->status(MonoTime(r.now)).escalated);
}

BOOST_AUTO_TEST_CASE(a_new_assignment_forgets_the_failures) {
  Rig r(10);
  r.on(Started{});
  for (std::uint32_t i = 0; i < Escalation::sessions_max; ++i) {
    fail_once(r, 7);
    r.tick(10'000);
  }
  auto a = assignment(1, 2);
  a.members[1].endpoint = "elsewhere:1";
  r.on(AssignmentChanged{a});
  BOOST_TEST(!r.sender->status(MonoTime(r.now)).escalated);
}

BOOST_AUTO_TEST_CASE(sessions_are_counted_by_what_they_did_and_how_they_ended) {
  Rig r(10);
  r.catch_up_from(7);
  r.on(LogRecordsRead{r.session, Lsn(8), r.log.batch(8, 10)});
  r.hear(r.ack(10, 10));
  r.on(LinkClosed{Lane::records, r.link, "reset"});  // Streaming ends: no session of its own.
  r.tick(1000);
  r.open();
  r.on(LinkClosed{Lane::records, r.link, "reset"});
  r.tick(1000);
  fail_once(r, 10);
  r.tick(1000);
  r.open();
  r.on(AssignmentChanged{assignment(2)});
  using C = RecoveryCounts;
  const auto counts = r.sender->status(MonoTime(r.now)).counts;
  BOOST_TEST(counts.sessions[C::catch_up][C::completed] == 1u);
  BOOST_TEST(counts.sessions[C::handshake][C::failed] == 1u);
  BOOST_TEST(counts.sessions[C::catch_up][C::failed] == 1u);
  BOOST_TEST(counts.sessions[C::handshake][C::superseded] == 1u);
  BOOST_TEST(counts.sessions[C::rebuild][C::completed] == 0u);
  BOOST_TEST(counts.bytes > 0u);
}

BOOST_AUTO_TEST_CASE(a_session_tells_its_phase_progress_and_pace) {
  Rig r(10);
  r.catch_up_from(0);
  r.hear(r.ack(0, 0));
  r.on(LogRecordsRead{r.session, Lsn(1), r.log.batch(1, 10)});
  r.now += 1 * second;
  r.hear(r.ack(2, 2));
  r.now += 1 * second;
  r.hear(r.ack(4, 4));
  auto s = r.sender->status(MonoTime(r.now));
  BOOST_TEST(s.session_phase == "running");
  BOOST_TEST(s.session_permille == 400u);
  BOOST_TEST(s.session_rate > 0u);
  BOOST_REQUIRE(s.session_eta_milliseconds.has_value());
  BOOST_TEST(*s.session_eta_milliseconds == 3000u);  // 6 records at 2 a second.
  r.now += 1 * second;
  r.hear(r.ack(10, 10));
  s = r.sender->status(MonoTime(r.now));
  BOOST_TEST(s.session_phase == "done");
  BOOST_TEST(s.session_permille == 1000u);
}

BOOST_AUTO_TEST_CASE(what_was_shown_stays_as_it_was) {
  static_assert(!std::is_reference_v<decltype(Rig().sender->status(MonoTime()))>);
  Rig r(10);
  r.stream();
  const auto& shown = r.sender->status(MonoTime(r.now));  // It would move on, were it no copy.
  r.numbered(11, 12);
  r.hear(r.ack(12, 12));
  r.on(LinkClosed{Lane::records, r.link, "reset"});
  BOOST_TEST((shown.state == PeerState::streaming));
  BOOST_TEST(shown.durable.value == 10u);
  const auto now = r.sender->status(MonoTime(r.now));
  BOOST_TEST((now.state == PeerState::disconnected));
  BOOST_TEST(now.durable.value == 12u);
  BOOST_TEST(now.reason != shown.reason);
}

BOOST_AUTO_TEST_CASE(a_replica_that_is_gone_does_not_drown_the_recovery_log) {
  Rig r(10);
  std::size_t told = kept(r, Started{});
  for (int i = 0; i < 1000; ++i) {
    told += kept(r, ConnectFailed{Lane::records, r.link, {Errc::unavailable, "no route"}, {}});
    r.now += 2 * second;
    told += kept(r, Ticked{});
  }
  BOOST_TEST(told <= 4u);
  told = kept(r, ConnectFailed{Lane::records, r.link, {Errc::unavailable, "refused"}, {}});
  BOOST_TEST(told == 1u);  // Another reason is news.
}

BOOST_AUTO_TEST_CASE(a_replica_that_is_refused_does_not_drown_the_recovery_log) {
  Rig r(10);
  std::size_t told = kept(r, Started{});
  for (int i = 0; i < 1000; ++i) {
    told += kept(r, LinkOpened{Lane::records, r.link, node(2), Incarnation(4)});
    auto f = r.facts(7);
    f.base = BaseState::damaged;
    f.damage = "block 3";
    const auto hear = [&](Message m) {
      told += kept(r, MessageArrived{Lane::records, r.link, std::move(m)});
    };
    hear(f);
    told += kept(r, OwnFactsRead{r.session, Lsn(1), Lsn(0)});
    hear(DigestIs{volume(), Epoch(1), r.session, Lsn(7), r.log.digest(Lsn(7))});
    told += kept(r, OwnDigestRead{r.session, Lsn(7), r.log.digest(Lsn(7))});
    told += kept(r, OwnDigestRead{r.session, Lsn(0), r.log.digest(Lsn(0))});
    BOOST_REQUIRE((r.sender->state() == PeerState::refused));
    r.numbered(11 + static_cast<std::uint64_t>(i),
               11 + static_cast<std::uint64_t>(i));  // The proof's numbers change.
    r.now += 2 * second;
    told += kept(r, Ticked{});
  }
  BOOST_TEST(told <= 6u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::outflow
