// The outcome table, walked whole against a model that was written apart from it: there each row is
// a predicate of its own, and exactly one of them may hold.
#define BOOST_TEST_DYN_LINK
#include "engine/outcome.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace tidemark::engine {
namespace {

enum class Fork { none, forced_after_cp, best_effort_there, sometimes_best_effort_there };
enum class Rebuilt { unknown, ours, abandoned };
/// What the search for a place with equal digests found.
enum class Search { none, nothing_equal, not_covered, covered };
enum class Compared { equal, unequal, ours_unknown, theirs_unknown };

struct Case {
  std::uint64_t R = 0, D = 0, K = 0, C = 0, H = 0, S = 1, cp = 0, witnessed = 0;
  Epoch promised{5};
  BaseState base = BaseState::complete;
  Fork fork = Fork::none;
  Compared digests = Compared::equal;
  bool clean = true;
  bool touched = false;
  Rebuilt rebuilt = Rebuilt::unknown;
  Search search = Search::none;
  bool forgotten = false;
};

OutcomeFacts facts(const Case& c) {
  OutcomeFacts f;
  f.epoch = Epoch(5);
  f.head = Lsn(c.H);
  f.retained = Lsn(c.S);
  f.common_point = f.compared = Lsn(c.cp);
  f.touched_known = c.touched;
  f.witnessed = Lsn(c.witnessed);
  f.history.begin({Epoch(1), 11, Lsn(1), 0, Mode::sync_all});
  if (c.fork == Fork::forced_after_cp) {
    // Beyond LSN 1 there is room for a second reign; at cp = 0 the only reign is the forced one.
    f.history = EpochHistory({{Epoch(5), 55, Lsn(c.cp + 1), EpochBody::forced, Mode::sync_all}});
  }
  const auto mode = c.fork == Fork::best_effort_there ? Mode::best_effort : Mode::sync_all;
  f.replica.history.begin({Epoch(1), 11, Lsn(1), 0, mode});
  if (c.fork == Fork::sometimes_best_effort_there) f.replica.history.configured(Mode::best_effort);
  f.replica.received = Lsn(c.R);
  f.replica.durable = Lsn(c.D);
  f.replica.checkpoint = Lsn(c.K);
  f.replica.committed = Lsn(c.C);
  f.replica.promised = c.promised;
  f.replica.base = c.base;
  f.replica.clean = c.clean;
  if (c.forgotten) f.replica.forgotten = Epoch(3);
  if (c.search == Search::not_covered || c.search == Search::covered) f.equal_at = Lsn(c.cp / 2);
  f.both_touched_known = c.search == Search::covered;
  if (c.rebuilt == Rebuilt::ours) f.replica.rebuild = BaseProgress{Epoch(1), Lsn(c.cp), 3};
  // Copied before our only reign began.
  if (c.rebuilt == Rebuilt::abandoned) f.replica.rebuild = BaseProgress{Epoch(0), Lsn(1), 3};
  if (c.digests != Compared::ours_unknown) f.our_digest = Digest{7, 7};
  if (c.digests != Compared::theirs_unknown) {
    f.their_digest = c.digests == Compared::unequal ? Digest{8, 8} : Digest{7, 7};
  }
  return f;
}

struct Model {
  OutcomeRow row;
  OutcomeKind kind;
  bool (*holds)(const Case&);
};

bool lawful(const Case& c) { return c.K <= c.D && c.D <= c.R && c.C <= c.R; }
bool alive(const Case& c) {
  return c.promised <= Epoch(5) && c.base == BaseState::complete && lawful(c) &&
         !(c.R == 0 && c.witnessed > 0);
}
bool excused(const Case& c) {
  return c.fork == Fork::forced_after_cp || c.fork == Fork::best_effort_there;
}
/// Something beyond cp may have been flushed, known to be committed or not.
bool possible(const Case& c) { return c.fork != Fork::none; }
/// What goes with the tail was written before the reign that forgot a set, which may have committed it.
bool unknown_set(const Case& c) {
  return c.forgotten && c.R > c.cp && c.fork != Fork::best_effort_there;
}
bool nothing_known_lost(const Case& c) {
  return alive(c) && !unknown_set(c) && c.cp >= c.C && c.cp >= c.K && c.D >= c.witnessed;
}
bool proved_equal(const Case& c) { return nothing_known_lost(c) && c.digests == Compared::equal; }
bool exact_cut(const Case& c) {
  return proved_equal(c) && c.R > c.cp && !(possible(c) && !c.clean) && c.S <= c.cp + 1;
}
bool tail_beyond(const Case& c) {
  return proved_equal(c) && c.R > c.cp && !(possible(c) && !c.clean) && c.S > c.cp + 1;
}
bool incomplete(const Case& c) { return c.promised <= Epoch(5) && c.base == BaseState::incomplete; }
bool some_base(const Case& c) {
  return incomplete(c) && lawful(c) && c.rebuilt != Rebuilt::unknown;
}
bool base_of_ours(const Case& c) {
  return some_base(c) && c.rebuilt == Rebuilt::ours && c.cp >= c.C && c.cp >= c.K &&
         !(c.R > c.cp && possible(c) && !c.clean);
}
bool base_proved(const Case& c) { return base_of_ours(c) && c.digests == Compared::equal; }
bool behind(const Case& c) { return proved_equal(c) && c.R == c.cp && c.cp < c.H; }

bool forked_flush(const Case& c) {
  return proved_equal(c) && c.R > c.cp && possible(c) && !c.clean;
}
/// Committed records of the replica are abandoned, as declared.
bool forked(const Case& c) {
  return (alive(c) && excused(c) && !unknown_set(c) && (c.cp < c.C || c.cp < c.K)) ||
         forked_flush(c);
}
bool named(const Case& c) { return c.search == Search::covered; }

using Row = OutcomeRow;
using Kind = OutcomeKind;

// Each predicate says all there is to say of its row: no order of evaluation hides in this table.
const auto model = std::to_array<Model>({
    {Row::promised_higher, Kind::step_down, [](const Case& c) { return c.promised > Epoch(5); }},
    {Row::replica_damaged, Kind::refuse,
     [](const Case& c) { return c.promised <= Epoch(5) && c.base == BaseState::damaged; }},
    {Row::base_unknown, Kind::rebuild_full,
     [](const Case& c) { return incomplete(c) && !some_base(c); }},
    {Row::base_abandoned, Kind::rebuild_full,
     [](const Case& c) { return some_base(c) && !base_of_ours(c); }},
    {Row::base_unproved, Kind::rebuild_full,
     [](const Case& c) { return base_of_ours(c) && !base_proved(c); }},
    {Row::base_interrupted, Kind::rebuild_rest,
     [](const Case& c) { return base_proved(c) && c.S <= c.cp + 1; }},
    {Row::base_left_behind, Kind::rebuild_delta,
     [](const Case& c) { return base_proved(c) && c.S > c.cp + 1 && c.touched; }},
    {Row::base_beyond_retention, Kind::rebuild_full,
     [](const Case& c) { return base_proved(c) && c.S > c.cp + 1 && !c.touched; }},
    {Row::facts_impossible, Kind::refuse,
     [](const Case& c) {
       return c.promised <= Epoch(5) && c.base == BaseState::complete && !lawful(c);
     }},
    {Row::wiped, Kind::not_yet,
     [](const Case& c) {
       return c.promised <= Epoch(5) && c.base == BaseState::complete && lawful(c) && c.R == 0 &&
              c.witnessed > 0;
     }},
    {Row::forked_touched, Kind::rebuild_delta, [](const Case& c) { return forked(c) && named(c); }},
    {Row::forked_below_committed, Kind::rebuild_full,
     [](const Case& c) { return forked(c) && !named(c) && c.cp < c.C; }},
    {Row::committed_beyond_common_point, Kind::refuse,
     [](const Case& c) { return alive(c) && c.cp < c.C && !excused(c); }},
    {Row::forked_below_checkpoint, Kind::rebuild_full,
     [](const Case& c) { return forked(c) && !named(c) && c.cp >= c.C && c.cp < c.K; }},
    {Row::checkpoint_beyond_common_point, Kind::refuse,
     [](const Case& c) { return alive(c) && c.cp >= c.C && c.cp < c.K && !excused(c); }},
    {Row::set_forgotten, Kind::refuse,
     [](const Case& c) {
       return alive(c) && unknown_set(c) && (excused(c) || (c.cp >= c.C && c.cp >= c.K));
     }},
    {Row::acknowledged_records_lost, Kind::rebuild_full,
     [](const Case& c) {
       return alive(c) && !unknown_set(c) && c.cp >= c.C && c.cp >= c.K && c.D < c.witnessed;
     }},
    {Row::digests_unequal_touched, Kind::rebuild_delta,
     [](const Case& c) {
       return nothing_known_lost(c) && c.digests == Compared::unequal && named(c);
     }},
    {Row::digests_unequal, Kind::rebuild_full,
     [](const Case& c) {
       return nothing_known_lost(c) && c.digests == Compared::unequal && !named(c);
     }},
    {Row::digest_unknown, Kind::rebuild_full,
     [](const Case& c) {
       return nothing_known_lost(c) &&
              (c.digests == Compared::ours_unknown || c.digests == Compared::theirs_unknown);
     }},
    {Row::forked_flush_unknown, Kind::rebuild_full,
     [](const Case& c) { return forked_flush(c) && !named(c); }},
    {Row::tail_to_cut_touched, Kind::rebuild_delta,
     [](const Case& c) { return tail_beyond(c) && c.touched; }},
    {Row::tail_to_cut_beyond_retention, Kind::rebuild_full,
     [](const Case& c) { return tail_beyond(c) && !c.touched; }},
    {Row::no_common_point, Kind::truncate, [](const Case& c) { return exact_cut(c) && c.cp == 0; }},
    {Row::replica_ahead, Kind::truncate,
     [](const Case& c) { return exact_cut(c) && c.cp > 0 && c.cp == c.H; }},
    {Row::diverged_tail, Kind::truncate,
     [](const Case& c) { return exact_cut(c) && c.cp > 0 && c.cp < c.H; }},
    {Row::nothing_missing, Kind::zero_gap,
     [](const Case& c) { return proved_equal(c) && c.R == c.cp && c.cp == c.H; }},
    {Row::empty_log_retained, Kind::catch_up,
     [](const Case& c) { return behind(c) && c.R == 0 && c.S == 1; }},
    {Row::log_retained, Kind::catch_up,
     [](const Case& c) { return behind(c) && c.R > 0 && c.S <= c.cp + 1; }},
    {Row::empty_log_touched, Kind::rebuild_delta,
     [](const Case& c) { return behind(c) && c.R == 0 && c.S > 1 && c.touched; }},
    {Row::empty_log_beyond_retention, Kind::rebuild_full,
     [](const Case& c) { return behind(c) && c.R == 0 && c.S > 1 && !c.touched; }},
    {Row::log_touched, Kind::rebuild_delta,
     [](const Case& c) { return behind(c) && c.R > 0 && c.S > c.cp + 1 && c.touched; }},
    {Row::log_beyond_retention, Kind::rebuild_full,
     [](const Case& c) { return behind(c) && c.R > 0 && c.S > c.cp + 1 && !c.touched; }},
});
static_assert(model.size() == static_cast<std::size_t>(Row::count_));

std::string text(const Case& c) {
  return fmt::format(
      "R={} D={} K={} C={} H={} S={} cp={} witnessed={} base={} fork={} digests={} clean={} "
      "touched={} rebuilt={} search={} forgotten={}",
      c.R, c.D, c.K, c.C, c.H, c.S, c.cp, c.witnessed, to_string(c.base), static_cast<int>(c.fork),
      static_cast<int>(c.digests), c.clean, c.touched, static_cast<int>(c.rebuilt),
      static_cast<int>(c.search), c.forgotten);
}

/// Boost's macros cost too much for a hundred thousand cases:
/// it speaks only where something is wrong.
void check(const Case& c, std::set<OutcomeRow>& seen) {
  const auto outcome = decide(facts(c));
  seen.insert(outcome.row);
  int held = 0;
  for (const auto& m : model) {
    if (!m.holds(c)) continue;
    ++held;
    if (outcome.row == m.row && outcome.kind == m.kind) continue;
    BOOST_ERROR(text(c) + ": " + std::string(to_string(outcome.row)) + ", the model says " +
                std::string(to_string(m.row)));
  }
  if (held != 1) BOOST_ERROR(text(c) + fmt::format(": {} rows of the model hold", held));
}

template <class Then>
void each_log(std::uint64_t max, Then then) {
  Case c;
  for (c.H = 0; c.H <= max; ++c.H)
    for (c.S = 1; c.S <= c.H + 1; ++c.S)
      for (c.R = 0; c.R <= max; ++c.R)
        for (c.cp = 0; c.cp <= std::min(c.R, c.H); ++c.cp)
          for (c.D = 0; c.D <= c.R; ++c.D)
            for (c.K = 0; c.K <= c.D; ++c.K)
              for (c.C = 0; c.C <= c.R; ++c.C) then(c);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(outcome)

BOOST_AUTO_TEST_CASE(every_combination_of_facts_has_exactly_one_row) {
  std::set<OutcomeRow> seen;
  const auto walk = [&](Case c) {
    for (const auto fork : {Fork::none, Fork::forced_after_cp, Fork::best_effort_there,
                            Fork::sometimes_best_effort_there})
      for (const auto digests :
           {Compared::equal, Compared::unequal, Compared::ours_unknown, Compared::theirs_unknown})
        for (const bool clean : {false, true})
          for (const std::uint64_t witnessed : {0u, 1u, 3u}) {
            c.fork = fork;
            c.digests = digests;
            c.clean = clean;
            c.witnessed = witnessed;
            for (const bool touched : {false, true}) {
              c.touched = touched;
              check(c, seen);
            }
            c.touched = false;
            for (const auto search :
                 {Search::nothing_equal, Search::not_covered, Search::covered}) {
              c.search = search;
              check(c, seen);
            }
            c.search = Search::none;
          }
  };
  for (const bool forgotten : {false, true})
    each_log(3, [&](Case c) {
      c.forgotten = forgotten;
      walk(c);
    });
  for (const auto base : {BaseState::incomplete, BaseState::damaged})
    for (const auto rebuilt : {Rebuilt::unknown, Rebuilt::ours, Rebuilt::abandoned})
      for (const auto digests :
           {Compared::equal, Compared::unequal, Compared::ours_unknown, Compared::theirs_unknown})
        for (const bool touched : {false, true})
          for (const bool clean : {false, true})
            for (const auto fork :
                 {Fork::none, Fork::best_effort_there, Fork::sometimes_best_effort_there})
              each_log(2, [&](Case c) {
                c.base = base;
                c.rebuilt = rebuilt;
                c.digests = digests;
                c.touched = touched;
                c.clean = clean;
                c.fork = fork;
                c.forgotten = clean;  // It has no vote: no set counted on it.
                check(c, seen);
              });
  each_log(2, [&](Case c) {
    c.promised = Epoch(6);
    check(c, seen);
  });
  Case impossible{.R = 2, .D = 3, .K = 0, .C = 0, .H = 3, .S = 1, .cp = 2};
  check(impossible, seen);
  impossible = {.R = 3, .D = 1, .K = 2, .C = 0, .H = 3, .S = 1, .cp = 3};
  check(impossible, seen);
  impossible = {.R = 1, .D = 1, .K = 1, .C = 2, .H = 3, .S = 1, .cp = 1};
  check(impossible, seen);
  BOOST_TEST(seen.size() == model.size());
}

BOOST_AUTO_TEST_CASE(the_table_gives_each_row_its_kind_and_the_way_that_would_be_better) {
  std::string found;
  for (const auto& m : model) {
    const auto r = rule(m.row);
    BOOST_TEST((r.kind == m.kind));
    if (r.better != NotYet::none)
      found += fmt::format("{}: {}\n", to_string(m.row), to_string(r.better));
  }
  BOOST_TEST(found == "wiped: readmission\n");
}

// C18: a wrong primary may not cut what its replica knows committed,
// whatever its control plane says.
BOOST_AUTO_TEST_CASE(a_primary_that_lacks_committed_records_is_refused) {
  const Case c{.R = 110, .D = 110, .K = 50, .C = 110, .H = 61, .S = 1, .cp = 60};
  const auto outcome = decide(facts(c));
  BOOST_TEST((outcome.kind == OutcomeKind::refuse));
  BOOST_TEST(outcome.proof ==
             "committed_beyond_common_point: it knows 110 committed and the logs part at 60 "
             "(R=110 D=110 K=50 C=110 S=1 H=61 cp=60)");
}

// C18: what it knew committed it lost with its power, and the set that says so is one that its control plane forgot.
BOOST_AUTO_TEST_CASE(a_tail_that_a_forgotten_set_may_have_committed_is_not_cut) {
  Case c{.R = 110, .D = 110, .K = 50, .C = 60, .H = 61, .S = 1, .cp = 60};
  BOOST_TEST((decide(facts(c)).row == OutcomeRow::diverged_tail));
  c.forgotten = true;
  const auto outcome = decide(facts(c));
  BOOST_TEST((outcome.kind == OutcomeKind::refuse));
  BOOST_TEST(outcome.proof ==
             "set_forgotten: (60,110] may have been committed by a set that the control plane had "
             "forgotten when epoch 3 began; `tidemark promote --force` of the copy that is right "
             "decides, or `tidemark replica replace` of this one (R=110 D=110 K=50 C=60 S=1 H=61 "
             "cp=60)");
}

// Nothing shows that they part at 0: the reign that both had has fallen out of the history.
BOOST_AUTO_TEST_CASE(a_replica_away_for_more_reigns_than_are_remembered_is_told_so) {
  const auto after = [](std::uint64_t reigns) {
    OutcomeFacts f = facts({.R = 10, .D = 10, .K = 5, .C = 9, .H = 5000, .S = 4000});
    for (std::uint64_t i = 2; i <= 1 + reigns; ++i)
      f.history.begin({Epoch(i), i * 11, Lsn(i * 10), 0, Mode::sync_all});
    f.epoch = f.history.last()->epoch;
    f.common_point = common_point(f.history, f.head, f.replica.history, f.replica.received);
    return f;
  };
  BOOST_TEST((decide(after(epoch_history_max - 1)).row == OutcomeRow::log_beyond_retention));
  auto facts = after(epoch_history_max);
  BOOST_TEST(decide(facts).proof ==
             "committed_beyond_common_point: it knows 9 committed and where the logs part is not "
             "known: the last 128 reigns are remembered, and they share none; `tidemark replica "
             "replace` puts a new copy in its place (R=10 D=10 K=5 C=9 S=4000 H=5000 cp=0)");
  facts.replica.committed = Lsn(0);
  BOOST_TEST(decide(facts).proof.starts_with(
      "checkpoint_beyond_common_point: its extents hold 5 and where the logs part is not known: "));
}

// A search that was made is not made again, and only what it can change is searched for.
BOOST_AUTO_TEST_CASE(only_rows_that_a_delta_would_replace_ask_where_the_logs_part) {
  std::string found;
  for (const auto& m : model) {
    if (wants_search(m.row)) found += fmt::format("{}\n", to_string(m.row));
    // Nothing that was committed goes unless its row says so.
    if (parts_from_committed(m.row))
      BOOST_TEST((m.kind == Kind::rebuild_full || m.kind == Kind::rebuild_delta));
  }
  BOOST_TEST(found ==
             "forked_below_committed\nforked_below_checkpoint\ndigests_unequal\n"
             "forked_flush_unknown\n");
}

BOOST_AUTO_TEST_CASE(the_replicas_committed_suffix_begins_where_the_logs_part) {
  Case c{.R = 110, .D = 110, .K = 50, .C = 110, .H = 61, .S = 1, .cp = 60};
  c.fork = Fork::best_effort_there;
  c.search = Search::covered;
  const auto outcome = decide(facts(c));
  BOOST_TEST((outcome.row == OutcomeRow::forked_touched));
  BOOST_TEST((outcome.parts_at == Lsn(60)));
  BOOST_TEST(outcome.proof ==
             "forked_touched: it holds 110 committed and 50 flushed and the logs part at 60; the "
             "digests at 30 are equal, and what both touched behind it is known (R=110 D=110 K=50 "
             "C=110 S=1 H=61 cp=60)");
  c = {.R = 60, .D = 60, .K = 50, .C = 60, .H = 61, .S = 1, .cp = 60};
  c.digests = Compared::unequal;
  c.search = Search::covered;
  BOOST_TEST((decide(facts(c)).parts_at == Lsn(30)));
}

// C18: a copy that was being made has a log too.
BOOST_AUTO_TEST_CASE(the_committed_suffix_of_an_incomplete_copy_is_kept_as_well) {
  Case c{.R = 110, .D = 110, .K = 50, .C = 110, .H = 61, .S = 1, .cp = 60};
  c.base = BaseState::incomplete;
  c.rebuilt = Rebuilt::ours;
  BOOST_TEST((decide(facts(c)).row == OutcomeRow::base_abandoned));
  BOOST_TEST((decide(facts(c)).parts_at == Lsn(60)));
  // Of no reign that may lose anything, and never committed.
  c = {.R = 110, .D = 110, .K = 50, .C = 55, .H = 61, .S = 1, .cp = 60};
  c.base = BaseState::incomplete;
  c.rebuilt = Rebuilt::abandoned;
  BOOST_TEST((decide(facts(c)).row == OutcomeRow::base_abandoned));
  BOOST_TEST(!decide(facts(c)).parts_at.has_value());
  c.rebuilt = Rebuilt::ours;
  c.digests = Compared::unequal;
  BOOST_TEST((decide(facts(c)).row == OutcomeRow::base_unproved));
  BOOST_TEST((decide(facts(c)).parts_at == Lsn()));
  c.digests = Compared::theirs_unknown;
  BOOST_TEST(!decide(facts(c)).parts_at.has_value());
}

// C18, C21: that histories agree says where the logs part only while the digests there agree too.
BOOST_AUTO_TEST_CASE(the_whole_log_of_an_abandoned_copy_is_kept_where_the_digests_differ) {
  // Committed below where the histories part; and beyond it.
  for (const std::uint64_t committed : {55u, 110u}) {
    Case c{.R = 110, .D = 110, .K = 50, .C = committed, .H = 61, .S = 1, .cp = 60};
    c.base = BaseState::incomplete;
    c.rebuilt = Rebuilt::abandoned;
    c.digests = Compared::unequal;
    BOOST_TEST((decide(facts(c)).row == OutcomeRow::base_abandoned));
    BOOST_TEST((decide(facts(c)).parts_at == Lsn()));
  }
}

// C9: what was copied of an abandoned past is not kept.
BOOST_AUTO_TEST_CASE(content_is_abandoned_where_a_later_reign_began_at_or_before_it) {
  const EpochHistory ours(
      {{Epoch(3), 3, Lsn(1), 0, Mode::sync_all}, {Epoch(7), 7, Lsn(50), 0, Mode::sync_all}});
  BOOST_TEST(!abandoned(ours, Epoch(3), Lsn(49)));
  BOOST_TEST(abandoned(ours, Epoch(3), Lsn(50)));
  BOOST_TEST(!abandoned(ours, Epoch(7), Lsn(5000)));
  BOOST_TEST(abandoned(ours, Epoch(5), Lsn(50)));  // A reign that we never had.
  const EpochHistory shortened({{Epoch(7), 7, Lsn(50), 0, Mode::sync_all}});
  BOOST_TEST(abandoned(shortened, Epoch(3), Lsn(10)));  // What came between is forgotten.
}

BOOST_AUTO_TEST_CASE(the_boundary_of_retention_is_exact) {
  Case c{.R = 10, .D = 10, .K = 0, .C = 10, .H = 20, .S = 11, .cp = 10};
  BOOST_TEST((decide(facts(c)).row == OutcomeRow::log_retained));
  c.S = 12;
  BOOST_TEST((decide(facts(c)).row == OutcomeRow::log_beyond_retention));
  c.touched = true;
  BOOST_TEST((decide(facts(c)).row == OutcomeRow::log_touched));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
