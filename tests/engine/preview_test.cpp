// What would be done is told by the same table that decides, with its facts and what they cost;
// asking changes nothing.
#define BOOST_TEST_DYN_LINK
#include "engine/preview.hpp"

#include <boost/test/unit_test.hpp>

#include "tests/engine/sender_rig.hpp"

namespace tidemark::engine::outflow {
namespace {

/// What the primary's store would answer.
struct Source {
  const replication::TestLog& log;
  Lsn retained{1};
  Lsn checkpoint{};
  std::optional<Lsn> touched{};
  std::string uncounted{};  ///< Not empty: the store cannot tell the cost.
  MoveCost cost{.log_bytes = 1000, .touched_blocks = 7, .touched_ranges = 3, .extent_blocks = 50};
  std::string asked{};
};

RecoveryPreview run(Preview preview, Source& source) {
  while (preview.question()) {
    const auto question = *preview.question();
    if (std::holds_alternative<Preview::AskOwn>(question)) {
      source.asked += "own ";
      preview.own(source.retained, source.checkpoint);
    } else if (const auto* t = std::get_if<Preview::AskTouched>(&question)) {
      source.asked += fmt::format("touched {} ", t->at);
      preview.touched(source.touched,
                      source.touched ? source.log.digest(*source.touched) : Digest());
    } else if (const auto* d = std::get_if<Preview::AskDigest>(&question)) {
      source.asked += fmt::format("digest {} ", d->lsn);
      preview.digest(source.log.digest(d->lsn));
    } else {
      const auto& q = std::get<MoveQuestion>(question);
      source.asked +=
          fmt::format("cost ({},{}]{}{} ", q.log_after, q.log_to,
                      q.touched_behind ? fmt::format(" touched {}", *q.touched_behind) : "",
                      q.extents ? " extents" : "");
      source.uncounted.empty() ? preview.cost(source.cost) : preview.cost_unknown(source.uncounted);
    }
  }
  return preview.result();
}

RecoveryPreview ask(Rig& rig, Source& source) {
  return run(Preview(rig.sender->view(), MonoTime(rig.now)), source);
}

void lose_link(Rig& rig) { rig.on(LinkClosed{Lane::records, rig.link, "reset"}); }

}  // namespace

BOOST_AUTO_TEST_SUITE(preview)

BOOST_AUTO_TEST_CASE(a_replica_that_never_answered_has_no_facts) {
  Rig rig;
  rig.on(Started{});
  Source source{rig.log};
  const auto p = ask(rig, source);
  BOOST_TEST((p.basis == PreviewBasis::no_facts));
  BOOST_TEST(!p.plan.has_value());
  BOOST_TEST(!p.outcome.has_value());
  BOOST_TEST(source.asked == "");
}

BOOST_AUTO_TEST_CASE(one_in_line_needs_nothing) {
  Rig rig;
  rig.stream();
  Source source{rig.log};
  const auto p = ask(rig, source);
  BOOST_TEST((p.basis == PreviewBasis::in_line));
  BOOST_TEST(has(p.says, "nothing to do"));
  BOOST_TEST(!p.plan.has_value());
  BOOST_TEST(source.asked == "");
}

BOOST_AUTO_TEST_CASE(one_that_left_is_previewed_from_what_it_acknowledged) {
  Rig rig;
  rig.stream();
  rig.numbered(11, 12);
  rig.hear(rig.ack(12, 12));
  lose_link(rig);
  rig.numbered(13, 20);
  rig.now += 12 * second;
  Source source{rig.log};
  const auto p = ask(rig, source);
  BOOST_TEST((p.basis == PreviewBasis::known_facts));
  BOOST_TEST(p.says == "as of 12.0 s ago; its log may have changed since");
  BOOST_TEST((p.outcome->row == OutcomeRow::log_retained));
  BOOST_TEST(p.theirs_from_acks);
  BOOST_TEST(p.theirs->durable.value == 12u);
  BOOST_TEST(p.plan->common_point.value == 12u);
  BOOST_TEST(p.plan->target.value == 20u);
  BOOST_TEST(p.plan->pin_from.value == 13u);
  BOOST_TEST(p.source == "log (12,20]");
  BOOST_TEST(p.move.log_records == 8u);
  BOOST_TEST(p.move.all_bytes() == 1000u);
  BOOST_TEST(p.assumed == "");
  BOOST_TEST(source.asked == "own digest 12 digest 0 cost (12,20] ");
}

BOOST_AUTO_TEST_CASE(behind_the_log_the_touched_blocks_are_what_moves) {
  Rig rig;
  rig.stream();
  lose_link(rig);
  rig.numbered(11, 40);
  Source source{rig.log};
  source.retained = Lsn(30);
  source.checkpoint = Lsn(35);
  source.touched = Lsn(8);
  const auto p = ask(rig, source);
  BOOST_TEST((p.outcome->kind == OutcomeKind::rebuild_delta));
  BOOST_TEST((p.plan->scope == BaseScope::touched));
  BOOST_TEST(p.compared.value == 8u);
  BOOST_TEST(p.move.base_bytes == 7u * block_bytes);
  BOOST_TEST(p.move.index_bytes == 48u);
  BOOST_TEST(p.move.all_bytes() == 1000u + 7u * block_bytes + 48u);
  BOOST_TEST(!p.move.remark.empty());
  BOOST_TEST(source.asked == "own touched 10 digest 35 cost (35,40] touched 8 ");
}

// The log goes on between two of the questions, and the index no longer reaches back so far.
BOOST_AUTO_TEST_CASE(a_plan_whose_cost_nobody_can_count_any_more_is_told_without_it) {
  Rig rig;
  rig.stream();
  lose_link(rig);
  rig.numbered(11, 40);
  Source source{rig.log};
  source.retained = Lsn(30);
  source.checkpoint = Lsn(35);
  source.touched = Lsn(8);
  source.uncounted = "the index begins behind 9";
  const auto p = ask(rig, source);
  BOOST_TEST((p.outcome->kind == OutcomeKind::rebuild_delta));
  BOOST_TEST(p.plan.has_value());
  BOOST_TEST(p.uncounted == "the index begins behind 9");
  BOOST_TEST(p.move.all_bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(without_the_index_the_allocated_blocks_move) {
  Rig rig;
  rig.stream();
  lose_link(rig);
  rig.numbered(11, 40);
  Source source{rig.log};
  source.retained = Lsn(30);
  source.checkpoint = Lsn(35);
  source.cost.extents_at_most = true;
  const auto p = ask(rig, source);
  BOOST_TEST((p.outcome->row == OutcomeRow::log_beyond_retention));
  BOOST_TEST(p.move.base_bytes == 50u * block_bytes);
  BOOST_TEST(has(p.move.remark, "at most"));
  BOOST_TEST(has(source.asked, "extents"));
}

BOOST_AUTO_TEST_CASE(a_session_that_runs_is_told_with_what_is_left) {
  Rig rig(20);
  rig.catch_up_from(5);
  rig.on(LogRecordsRead{rig.session, Lsn(6), rig.log.batch(6, 20)});
  rig.hear(rig.ack(9, 9));
  Source source{rig.log};
  const auto p = ask(rig, source);
  BOOST_TEST((p.basis == PreviewBasis::session));
  BOOST_TEST((p.phase == SessionPhase::running));
  BOOST_TEST(p.plan->common_point.value == 5u);
  BOOST_TEST(p.move.log_records == 11u);
  BOOST_TEST(p.done.records == 15u);
  BOOST_TEST(p.pins.size() == 1u);
  BOOST_TEST(source.asked == "cost (9,20] ");
}

BOOST_AUTO_TEST_CASE(what_needs_an_operator_says_so_instead_of_a_plan) {
  Rig rig;
  rig.on(Started{});
  rig.open();
  auto facts = rig.facts(10);
  facts.base = BaseState::damaged;
  facts.damage = "block 7";
  rig.probe(facts);
  rig.digests(10);
  BOOST_REQUIRE((rig.sender->state() == PeerState::refused));
  Source source{rig.log};
  const auto p = ask(rig, source);
  BOOST_TEST((p.outcome->kind == OutcomeKind::refuse));
  BOOST_TEST(!p.plan.has_value());
  BOOST_TEST(has(p.problem, "block 7"));
  BOOST_TEST(!has(source.asked, "cost"));
}

BOOST_AUTO_TEST_CASE(what_was_never_compared_is_said) {
  Rig rig;
  rig.on(Started{});
  rig.open();
  auto other = rig.facts(9);
  rig.touched = Lsn(4);
  rig.probe(other, 11, 10);
  rig.hear(DigestIs{volume(), Epoch(1), rig.session, Lsn(4), {}});  // No longer known there.
  rig.on(OwnDigestRead{rig.session, Lsn(10), rig.log.digest(Lsn(10))});
  lose_link(rig);
  Source source{rig.log, Lsn(11), Lsn(10), Lsn(6)};
  const auto p = ask(rig, source);
  BOOST_TEST(has(p.assumed, "digests at 6"));
}

BOOST_AUTO_TEST_CASE(a_preview_decides_as_the_next_handshake_does) {
  for (const std::uint64_t received : {0u, 4u, 10u}) {
    Rig first;
    first.on(Started{});
    first.open();
    first.probe(first.facts(received));
    first.digests(received);
    const auto session = first.sender->view();
    BOOST_REQUIRE(session.outcome.has_value());
    first.on(LogPinned{first.session, Error{Errc::unavailable, "no"}});
    Source source{first.log};
    const auto p = ask(first, source);
    BOOST_TEST((p.outcome->row == session.outcome->row));
    BOOST_TEST((p.plan->common_point == session.plan->common_point));
    BOOST_TEST((p.plan->kind == session.plan->kind));
  }
}

BOOST_AUTO_TEST_CASE(asking_changes_nothing_of_the_sender) {
  const auto story = [](bool look) {
    std::string said;
    Rig rig(20);
    const auto peek = [&] {
      if (!look) return;
      Source source{rig.log};
      (void)ask(rig, source);
    };
    said += rig.on(Started{});
    peek();
    said += rig.open();
    peek();
    said += rig.probe(rig.facts(5));
    peek();
    said += rig.digests(5);
    peek();
    said += rig.on(LogPinned{rig.session, Done{}});
    peek();
    said += rig.hear(rig.ready(6)) + rig.turn();
    peek();
    said += rig.hear(rig.ack(20, 20)) + rig.turn();
    peek();
    said += rig.on(LinkClosed{Lane::records, rig.link, "reset"});
    peek();
    said += rig.tick(2000) + rig.open();
    return said;
  };
  BOOST_TEST(story(true) == story(false));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine::outflow
