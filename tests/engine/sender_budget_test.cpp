// What a session may use up, counted from where it began.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/sender_rig.hpp"

using namespace tidemark;
using namespace tidemark::engine;
using namespace tidemark::engine::outflow;

namespace {

Budget three_records() {
  Budget budget;
  budget.records = 3;
  return budget;
}

/// A catch-up behind `cp` of a log of ten, up to where its records are sent.
std::string sent_behind(Rig& r, std::uint64_t cp) {
  r.catch_up_from(cp);
  return r.on(LogRecordsRead{r.session, Lsn(cp + 1), r.log.batch(cp + 1, 10)});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sender_budget)

BOOST_AUTO_TEST_CASE(what_the_replica_had_before_counts_for_no_budget) {
  Rig r(10, 1 << 20, three_records());
  BOOST_TEST(!has(sent_behind(r, 7), "session_ended"));
  BOOST_TEST(has(r.hear(r.ack(10, 10)), "session_completed"));
  BOOST_TEST((r.sender->state() == PeerState::streaming));
}

BOOST_AUTO_TEST_CASE(one_record_more_than_the_budget_ends_the_session_with_its_pin) {
  Rig r(10, 1 << 20, three_records());
  const auto text = sent_behind(r, 6);
  BOOST_TEST(has(text, "session_ended budget_records"));
  BOOST_TEST(count(text, "unpin") == 1u);
  BOOST_TEST((r.sender->state() == PeerState::disconnected));
  BOOST_TEST(r.hear(r.ack(10, 10)) == "");  // Too late: nothing it says counts.
}

BOOST_AUTO_TEST_CASE(a_session_that_is_done_streams_beyond_its_budget) {
  Rig r(10, 1 << 20, three_records());
  sent_behind(r, 7);
  r.hear(r.ack(10, 10));
  BOOST_TEST(has(r.numbered(11, 20, 10), "send records 11..20"));
  BOOST_TEST((r.sender->state() == PeerState::streaming));
}

BOOST_AUTO_TEST_CASE(the_target_is_reached_at_its_lsn_and_not_one_before) {
  Rig r(10);
  sent_behind(r, 7);
  BOOST_TEST(!has(r.hear(r.ack(10, 9)), "session_completed"));
  BOOST_TEST((r.sender->state() == PeerState::catching_up));
  BOOST_TEST(has(r.hear(r.ack(10, 10)), "session_completed"));
}

BOOST_AUTO_TEST_SUITE_END()
