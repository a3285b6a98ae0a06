// The planner binds everything, and refuses to plan what nobody can execute.
#define BOOST_TEST_DYN_LINK
#include "engine/plan.hpp"

#include <boost/test/unit_test.hpp>

namespace tidemark::engine {
namespace {

Outcome outcome_of(OutcomeRow row, std::uint64_t cp) {
  Outcome o;
  o.row = row;
  o.kind = rule(row).kind;
  o.better = rule(row).better;
  o.common_point = Lsn(cp);
  o.proof = "because";
  return o;
}

PlanSource source() {
  PlanSource s;
  s.history = EpochHistory(
      {{Epoch(1), 1, Lsn(1), 0, Mode::sync_all}, {Epoch(2), 2, Lsn(15), 0, Mode::sync_all}});
  s.head = Lsn(20);
  s.checkpoint = Lsn(12);
  s.digest_at_checkpoint = Digest{12, 0};
  s.compared = Lsn(10);
  s.digest_at_compared = Digest{10, 0};
  return s;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(plan)

BOOST_AUTO_TEST_CASE(a_catch_up_freezes_the_head_and_pins_from_behind_the_common_point) {
  const auto p = make_plan(outcome_of(OutcomeRow::log_retained, 10), source());
  BOOST_REQUIRE(p.has_value());
  BOOST_TEST((p->kind == SessionKind::catch_up));
  BOOST_TEST(p->common_point.value == 10u);
  BOOST_TEST((p->digest == Digest{10, 0}));
  BOOST_TEST(p->target.value == 20u);
  BOOST_TEST(p->pin_from.value == 11u);
  BOOST_TEST(!p->truncates);
  BOOST_TEST(p->reason == "because");
  BOOST_TEST(p->history.starts().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_truncation_says_so) {
  BOOST_TEST(make_plan(outcome_of(OutcomeRow::diverged_tail, 10), source())->truncates);
}

BOOST_AUTO_TEST_CASE(a_rebuild_begins_behind_our_own_checkpoint) {
  const auto p = make_plan(outcome_of(OutcomeRow::log_beyond_retention, 3), source());
  BOOST_REQUIRE(p.has_value());
  BOOST_TEST((p->kind == SessionKind::rebuild));
  BOOST_TEST(p->common_point.value == 12u);
  BOOST_TEST((p->digest == Digest{12, 0}));
  BOOST_TEST(p->pin_from.value == 13u);
  BOOST_TEST(p->target.value == 20u);
  BOOST_TEST((p->scope == BaseScope::all));
}

BOOST_AUTO_TEST_CASE(a_delta_is_a_rebuild_that_names_where_the_touched_blocks_begin) {
  auto s = source();
  s.compared = Lsn(2);
  const auto p = make_plan(outcome_of(OutcomeRow::log_touched, 3), s);
  BOOST_REQUIRE(p.has_value());
  BOOST_TEST((p->kind == SessionKind::rebuild));
  BOOST_TEST((p->scope == BaseScope::touched));
  BOOST_TEST(p->touched_from.value == 2u);
  BOOST_TEST((p->touched_digest == Digest{10, 0}));
  BOOST_TEST(p->common_point.value == 12u);
}

BOOST_AUTO_TEST_CASE(an_interrupted_rebuild_keeps_its_log) {
  const auto p = make_plan(outcome_of(OutcomeRow::base_interrupted, 10), source());
  BOOST_REQUIRE(p.has_value());
  BOOST_TEST((p->kind == SessionKind::rebuild));
  BOOST_TEST((p->scope == BaseScope::rest));
  BOOST_TEST(p->common_point.value == 10u);
  BOOST_TEST((p->digest == Digest{10, 0}));
  BOOST_TEST(p->pin_from.value == 11u);
}

BOOST_AUTO_TEST_CASE(a_rebuild_without_a_digest_at_the_checkpoint_is_not_planned) {
  auto s = source();
  s.digest_at_checkpoint.reset();
  const auto p = make_plan(outcome_of(OutcomeRow::base_unknown, 3), s);
  BOOST_REQUIRE(!p.has_value());
  BOOST_TEST((p.error().code == Errc::unavailable));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_executed_has_no_plan_but_a_typed_reason) {
  BOOST_TEST((make_plan(outcome_of(OutcomeRow::replica_damaged, 3), source()).error().code ==
              Errc::refused));
  BOOST_TEST((make_plan(outcome_of(OutcomeRow::promised_higher, 3), source()).error().code ==
              Errc::stale));
  const auto wiped = make_plan(outcome_of(OutcomeRow::wiped, 3), source());
  BOOST_TEST((wiped.error().code == Errc::not_yet));
  BOOST_TEST(wiped.error().text == "because; would need readmission");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
