// The count of failures picks a pause, and any gain forgets it.
#define BOOST_TEST_DYN_LINK
#include "engine/escalation.hpp"

#include <boost/test/unit_test.hpp>

#include "engine/rate.hpp"

namespace tidemark::engine {

BOOST_AUTO_TEST_SUITE(escalation)

BOOST_AUTO_TEST_CASE(it_escalates_once_at_the_stated_number) {
  Escalation e;
  for (std::uint32_t i = 1; i < Escalation::sessions_max; ++i) {
    BOOST_TEST(!e.failed(SessionKind::catch_up));
    BOOST_TEST(!e.escalated());
  }
  BOOST_TEST(e.failed(SessionKind::catch_up));
  BOOST_TEST(e.escalated());
  BOOST_TEST(!e.failed(SessionKind::catch_up));  // Told once.
  BOOST_TEST(e.escalated());
}

BOOST_AUTO_TEST_CASE(another_kind_begins_anew) {
  Escalation e;
  for (int i = 0; i < 7; ++i) (void)e.failed(SessionKind::catch_up);
  BOOST_TEST(!e.failed(SessionKind::rebuild));
  BOOST_TEST(e.failed_in_a_row() == 1u);
}

BOOST_AUTO_TEST_CASE(a_catch_up_that_gains_records_is_no_failure_in_a_row) {
  Escalation e;
  e.durable(Lsn(5));
  for (int i = 0; i < 7; ++i) (void)e.failed(SessionKind::catch_up);
  e.durable(Lsn(5));
  BOOST_TEST(e.failed_in_a_row() == 7u);  // The same place again is no gain.
  e.durable(Lsn(6));
  BOOST_TEST(e.failed_in_a_row() == 0u);
}

BOOST_AUTO_TEST_CASE(a_rebuild_gains_when_less_is_missing_than_ever) {
  Escalation e;
  e.missing(100);
  for (int i = 0; i < 7; ++i) (void)e.failed(SessionKind::rebuild);
  e.durable(Lsn(50));  // Records beside an incomplete base are no way out.
  e.missing(100);
  BOOST_TEST(e.failed_in_a_row() == 7u);
  e.missing(99);
  BOOST_TEST(e.failed_in_a_row() == 0u);
}

BOOST_AUTO_TEST_CASE(orders_and_links_say_nothing_of_the_way) {
  for (const auto cause : {EndCause::link_down, EndCause::stopped, EndCause::removed,
                           EndCause::reassigned_epoch, EndCause::reassigned_endpoint})
    BOOST_TEST(!counts_as_failure(cause));
  for (const auto cause : {EndCause::budget_stalled, EndCause::pin_failed, EndCause::log_gone,
                           EndCause::source_failed, EndCause::refused_by_peer})
    BOOST_TEST(counts_as_failure(cause));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(rate)

BOOST_AUTO_TEST_CASE(it_is_that_of_the_last_seconds) {
  Rate r;
  MonoTime now(100 * second);
  BOOST_TEST(r.per_second(now) == 0u);
  for (int i = 0; i <= 100; ++i) {
    r.note(static_cast<std::uint64_t>(i) * 1000, now);
    if (i < 100) now = now + 100 * millisecond;
  }
  BOOST_TEST(r.per_second(now) == 10'000u);
  BOOST_TEST(r.per_second(now + 60 * second) == 0u);
}

BOOST_AUTO_TEST_CASE(what_stands_still_slows_down) {
  Rate r;
  r.note(0, MonoTime(100 * second));
  r.note(4000, MonoTime(101 * second));
  BOOST_TEST(r.per_second(MonoTime(101 * second)) == 4000u);
  BOOST_TEST(r.per_second(MonoTime(104 * second)) == 1000u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
