#include "engine/commit_rule.hpp"

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <vector>

#include "engine/planted.hpp"
#include "tests/support/print_strong.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t lsn_max = 3;

Lsn lsn(std::uint64_t value) { return Lsn(value); }

/// The rule as a sentence: L is committed when every counted disk holds all up to L and the reign's
/// own record is among it.
Lsn model_committed(const CommitInputs& in) {
  for (auto l = in.head; l >= in.epoch_record && l > Lsn{}; l = l.previous()) {
    bool everywhere = in.own_durable >= l;
    if (in.mode != Mode::best_effort) {
      for (const auto& copy : in.others) everywhere = everywhere && copy.durable >= l;
    }
    if (everywhere) return l;
  }
  return {};
}

Lsn model_answerable(const CommitInputs& in, Lsn committed) {
  if (committed < in.epoch_record || committed == Lsn{}) return {};
  for (auto l = in.head; l > committed; l = l.previous()) {
    if (in.ack == AckPolicy::durable || in.mode == Mode::best_effort) break;
    int copies = 1;
    bool all_have_it = true;
    for (const auto& copy : in.others) {
      copies += copy.exact ? 1 : 0;
      if (copy.must_receive && copy.received < l) all_have_it = false;
    }
    if (copies >= 2 && all_have_it) return l;
  }
  return committed;
}

/// Every way in which one copy may stand: numbers 0..3, durable <= received,
/// exact implies must_receive.
std::vector<CountedCopy> every_copy() {
  std::vector<CountedCopy> copies;
  for (std::uint64_t received = 0; received <= lsn_max; ++received) {
    for (std::uint64_t durable = 0; durable <= received; ++durable) {
      copies.push_back({lsn(received), lsn(durable), false, false});
      copies.push_back({lsn(received), lsn(durable), false, true});
      copies.push_back({lsn(received), lsn(durable), true, true});
    }
  }
  return copies;
}

template <class Check>
void with_every_input(const std::vector<CountedCopy>& others, Check check) {
  for (const auto mode : {Mode::sync_all, Mode::best_effort}) {
    for (const auto ack : {AckPolicy::received, AckPolicy::durable}) {
      for (std::uint64_t epoch_record = 1; epoch_record <= lsn_max; ++epoch_record) {
        for (auto head = epoch_record; head <= lsn_max; ++head) {
          for (std::uint64_t own = 0; own <= head; ++own) {
            check(CommitInputs{mode, ack, lsn(epoch_record), lsn(head), lsn(own), others});
          }
        }
      }
    }
  }
}

std::size_t disagreements(const CommitInputs& in) {
  const auto now = committed(in);
  std::size_t wrong = now != model_committed(in) ? 1 : 0;
  // Committed may stand ahead of what today's copies allow: one joined since.
  for (auto before = now; before <= in.own_durable; before = before.next()) {
    if (answerable(in, before) != model_answerable(in, before)) ++wrong;
  }
  return wrong;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(commit_rule)

BOOST_AUTO_TEST_CASE(three_copies_in_every_order_agree_with_the_rule_as_a_sentence) {
  const auto copies = every_copy();
  std::size_t wrong = 0;
  std::size_t walked = 0;
  with_every_input({}, [&](const CommitInputs& in) { wrong += disagreements(in); });
  for (const auto& a : copies) {
    with_every_input({a}, [&](const CommitInputs& in) { wrong += disagreements(in); });
    for (const auto& b : copies) {
      with_every_input({a, b}, [&](const CommitInputs& in) {
        ++walked;
        wrong += disagreements(in);
      });
    }
  }
  BOOST_TEST(wrong == 0U);
  BOOST_TEST(walked > 50'000U);
}

BOOST_AUTO_TEST_CASE(an_older_epochs_record_is_never_committed_by_counting_it) {
  const std::vector<CountedCopy> others{{lsn(9), lsn(9), true, true}};
  CommitInputs in{Mode::sync_all, AckPolicy::received, lsn(10), lsn(12), lsn(9), others};
  BOOST_TEST(committed(in) == Lsn{});
  BOOST_TEST(answerable(in, committed(in)) == Lsn{});
}

BOOST_AUTO_TEST_CASE(with_the_epochs_own_record_all_below_it_commits) {
  const std::vector<CountedCopy> others{{lsn(11), lsn(10), true, true}};
  CommitInputs in{Mode::sync_all, AckPolicy::received, lsn(10), lsn(12), lsn(12), others};
  BOOST_TEST(committed(in) == lsn(10));
  BOOST_TEST(answerable(in, lsn(10)) == lsn(11));
}

BOOST_AUTO_TEST_CASE(the_own_disk_counts_too) {
  const std::vector<CountedCopy> others{{lsn(12), lsn(12), true, true}};
  CommitInputs in{Mode::sync_all, AckPolicy::received, lsn(10), lsn(12), lsn(11), others};
  BOOST_TEST(committed(in) == lsn(11));
}

BOOST_AUTO_TEST_CASE(a_lone_copy_answers_only_what_is_durable) {
  CommitInputs in{Mode::sync_all, AckPolicy::received, lsn(1), lsn(5), lsn(3), {}};
  BOOST_TEST(answerable(in, committed(in)) == lsn(3));
}

BOOST_AUTO_TEST_CASE(a_restarted_member_is_no_second_copy_and_is_not_waited_for_on_receipt) {
  const std::vector<CountedCopy> one{{lsn(2), lsn(2), false, false}};
  CommitInputs alone{Mode::sync_all, AckPolicy::received, lsn(1), lsn(5), lsn(5), one};
  BOOST_TEST(answerable(alone, lsn(2)) == lsn(2));

  const std::vector<CountedCopy> two{{lsn(2), lsn(2), false, false}, {lsn(4), lsn(3), true, true}};
  CommitInputs with_exact{Mode::sync_all, AckPolicy::received, lsn(1), lsn(5), lsn(5), two};
  BOOST_TEST(committed(with_exact) == lsn(2));
  BOOST_TEST(answerable(with_exact, lsn(2)) == lsn(4));
}

BOOST_AUTO_TEST_CASE(planted_bugs_make_the_mistakes_they_name) {
  const std::vector<CountedCopy> others{{lsn(12), lsn(12), true, true}};
  CommitInputs in{Mode::sync_all, AckPolicy::received, lsn(10), lsn(12), lsn(9), others};
  plant(Bug::flush_acked_before_local_sync);
  BOOST_TEST(committed(in) == lsn(12));
  plant(Bug::commit_counts_old_epoch);
  BOOST_TEST(committed(in) == lsn(9));
  plant(Bug::none);
  BOOST_TEST(committed(in) == Lsn{});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
