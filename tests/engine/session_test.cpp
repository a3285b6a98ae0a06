// Who may act for a session, how it moves, and that its pins come back once on every way out.
#define BOOST_TEST_DYN_LINK
#include "engine/session.hpp"

#include <boost/test/unit_test.hpp>

#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace tidemark::engine {
namespace {

using P = SessionPhase;
constexpr auto phases = {P::probing, P::pinning, P::preparing, P::running, P::done, P::ended};

Session at(SessionPhase phase, Budget budget = {}) {
  Session s(SessionId(7), Epoch(3), MonoTime(100));
  Plan plan;
  plan.budget = budget;
  if (phase >= P::pinning) s.bind(plan, MonoTime(110));
  if (phase >= P::preparing) s.pinned(MonoTime(120));
  if (phase >= P::running) s.ready(MonoTime(130));
  if (phase == P::done) s.complete(MonoTime(140));
  if (phase == P::ended) s.end(MonoTime(140));
  return s;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(session)

BOOST_AUTO_TEST_CASE(phases_go_forward_or_end) {
  std::string moves;
  for (const auto from : phases)
    for (const auto to : phases)
      if (allowed(from, to)) moves += fmt::format("{}->{} ", to_string(from), to_string(to));
  BOOST_TEST(moves ==
             "probing->pinning probing->ended pinning->preparing pinning->ended preparing->running "
             "preparing->ended running->done running->ended done->ended ");
}

BOOST_AUTO_TEST_CASE(a_pin_comes_back_exactly_once_on_every_way_out) {
  for (const auto phase : {P::pinning, P::preparing, P::running}) {
    auto s = at(phase);
    BOOST_TEST(!s.take_pin_release());  // Not while it runs.
    s.end(MonoTime(200));
    BOOST_TEST(s.take_pin_release());
    BOOST_TEST(!s.take_pin_release());
  }
  auto done = at(P::done);
  BOOST_TEST(done.take_pin_release());
  done.end(MonoTime(300));
  BOOST_TEST(!done.take_pin_release());
  auto unplanned = at(P::probing);
  unplanned.end(MonoTime(200));
  BOOST_TEST(!unplanned.take_pin_release());
}

BOOST_AUTO_TEST_CASE(authority_is_checked_in_its_order) {
  const std::optional<Session> none;
  const std::optional<Session> live = at(P::running);
  const std::optional<Session> over = at(P::ended);
  BOOST_TEST((authority(true, live, SessionId(7), Epoch(3)) == Authority::sender_stopped));
  BOOST_TEST((authority(false, none, SessionId(7), Epoch(3)) == Authority::no_session));
  BOOST_TEST((authority(false, live, SessionId(6), Epoch(3)) == Authority::other_session));
  BOOST_TEST((authority(false, over, SessionId(7), Epoch(3)) == Authority::session_ended));
  BOOST_TEST((authority(false, live, SessionId(7), Epoch(2)) == Authority::other_epoch));
  BOOST_TEST((authority(false, live, SessionId(7), Epoch(4)) == Authority::other_epoch));
  BOOST_TEST((authority(false, live, SessionId(7), Epoch(3)) == Authority::granted));
  BOOST_TEST((authority(false, std::optional<Session>(at(P::done)), SessionId(7), Epoch(3)) ==
              Authority::granted));
  // Where several of them stand in the way, the first is told.
  BOOST_TEST((authority(true, none, SessionId(6), Epoch(2)) == Authority::sender_stopped));
  BOOST_TEST((authority(true, over, SessionId(6), Epoch(2)) == Authority::sender_stopped));
  BOOST_TEST((over->authority(true, SessionId(6), Epoch(2)) == Authority::sender_stopped));
  BOOST_TEST((authority(false, none, SessionId(6), Epoch(2)) == Authority::no_session));
  BOOST_TEST((authority(false, over, SessionId(6), Epoch(2)) == Authority::other_session));
  BOOST_TEST((authority(false, over, SessionId(7), Epoch(2)) == Authority::session_ended));
}

BOOST_AUTO_TEST_CASE(budgets_are_exceeded_strictly) {
  auto stalled = at(P::running, {.duration = 0, .records = 0, .stall = 50});
  BOOST_TEST(!stalled.over_budget(MonoTime(180)).has_value());
  BOOST_TEST((stalled.over_budget(MonoTime(181)) == EndCause::budget_stalled));
  stalled.progressed(MonoTime(181));
  BOOST_TEST(!stalled.over_budget(MonoTime(231)).has_value());

  auto slow = at(P::running, {.duration = 100, .records = 0, .stall = 0});
  BOOST_TEST(!slow.over_budget(MonoTime(200)).has_value());
  BOOST_TEST((slow.over_budget(MonoTime(201)) == EndCause::budget_duration));

  auto long_one = at(P::running, {.duration = 0, .records = 3, .stall = 0});
  long_one.numbers.records = 3;
  BOOST_TEST(!long_one.over_budget(MonoTime(200)).has_value());
  long_one.numbers.records = 4;
  BOOST_TEST((long_one.over_budget(MonoTime(200)) == EndCause::budget_records));
}

BOOST_AUTO_TEST_CASE(a_clock_that_stands_still_or_goes_back_exceeds_nothing) {
  const auto s = at(P::running, {.duration = 10, .records = 0, .stall = 10});
  BOOST_TEST(!s.over_budget(MonoTime(1)).has_value());
}

BOOST_AUTO_TEST_CASE(a_session_that_is_done_has_no_budget) {
  const auto s = at(P::done, {.duration = 1, .records = 0, .stall = 1});
  BOOST_TEST(!s.over_budget(MonoTime(100'000)).has_value());
  BOOST_TEST(!s.budget_due().has_value());
}

BOOST_AUTO_TEST_CASE(a_handshake_that_stalls_is_given_up_too) {
  const auto s = at(P::probing);
  BOOST_TEST((s.over_budget(MonoTime(101 + 30 * second)) == EndCause::budget_stalled));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
