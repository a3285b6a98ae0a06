// sync_quorum's arithmetic, against the rule as a sentence.
#include "engine/quorum.hpp"

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <vector>

#include "engine/commit_rule.hpp"
#include "engine/planted.hpp"
#include "tests/support/print_strong.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t lsn_max = 3;

Lsn lsn(std::uint64_t value) { return Lsn(value); }

/// L is committed when, by every rule, `required` voters have all up to L on disk and the reign's
/// own record is among it.
Lsn model_committed(const CommitInputs& in) {
  for (auto l = in.head; l >= in.epoch_record && l > Lsn{}; l = l.previous()) {
    bool everywhere = true;
    for (const auto& rule : in.rules) {
      std::size_t have = in.own_durable >= l ? 1 : 0;
      for (const auto& voter : rule.others) have += voter.durable >= l ? 1U : 0U;
      everywhere = everywhere && have >= rule.required;
    }
    if (everywhere) return l;
  }
  return {};
}

Lsn model_answerable(const CommitInputs& in, Lsn committed) {
  if (committed < in.epoch_record || committed == Lsn{}) return {};
  for (auto l = in.head; l > committed; l = l.previous()) {
    if (in.ack == AckPolicy::durable) break;
    bool everywhere = true;
    for (const auto& rule : in.rules) {
      std::size_t have = 1;
      for (const auto& voter : rule.others) have += voter.counted >= l ? 1U : 0U;
      everywhere = everywhere && have >= rule.required && rule.required > 1;
    }
    if (everywhere) return l;
  }
  return committed;
}

/// Numbers 0..3, durable <= counted.
std::vector<Voter> every_voter() {
  std::vector<Voter> voters;
  for (std::uint64_t counted = 0; counted <= lsn_max; ++counted) {
    for (std::uint64_t durable = 0; durable <= counted; ++durable) {
      voters.push_back({lsn(durable), lsn(counted)});
    }
  }
  return voters;
}

/// Every head, own disk, epoch record and ack policy; how often the rule and the model disagree.
std::size_t disagreements(const std::vector<QuorumRule>& rules) {
  std::size_t wrong = 0;
  for (const auto ack : {AckPolicy::received, AckPolicy::durable}) {
    for (std::uint64_t record = 1; record <= lsn_max; ++record) {
      for (auto head = record; head <= lsn_max; ++head) {
        for (std::uint64_t own = 0; own <= head; ++own) {
          CommitInputs in{Mode::sync_quorum, ack, lsn(record), lsn(head), lsn(own), {}, rules};
          const auto now = committed(in);
          if (now != model_committed(in)) ++wrong;
          for (auto before = now; before <= in.head; before = before.next()) {
            if (answerable(in, before) != model_answerable(in, before)) ++wrong;
          }
        }
      }
    }
  }
  return wrong;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(quorum)

BOOST_AUTO_TEST_CASE(whoever_holds_a_record_and_whoever_votes_have_a_voter_in_common) {
  for (std::size_t n = 1; n <= voters_max; ++n) {
    for (std::size_t min_copies = 1; min_copies <= n; ++min_copies) {
      const auto required = required_voters(n, min_copies);
      BOOST_TEST(required <= n);
      BOOST_TEST(required * 2 > n);
      BOOST_TEST(required >= min_copies);
      BOOST_TEST(required + votes_needed(n, required) == n + 1);
    }
  }
  BOOST_TEST(required_voters(2, 3) == 3U);  // more than there are: nothing is committed
  BOOST_TEST(votes_needed(2, 3) == 1U);
}

BOOST_AUTO_TEST_CASE(every_order_of_up_to_four_voters_agrees_with_the_rule_as_a_sentence) {
  const auto voters = every_voter();
  std::size_t wrong = 0;
  std::size_t walked = 0;
  for (std::size_t required = 1; required <= 5; ++required) {
    const auto walk = [&](std::vector<Voter> others) {
      ++walked;
      wrong += disagreements({QuorumRule{required, std::move(others)}});
    };
    walk({});
    for (const auto& a : voters) {
      walk({a});
      for (const auto& b : voters) {
        walk({a, b});
        for (const auto& c : voters) walk({a, b, c});
      }
    }
  }
  BOOST_TEST(wrong == 0U);
  BOOST_TEST(walked == 5U * 1111);
}

BOOST_AUTO_TEST_CASE(while_the_set_changes_both_rules_must_be_met) {
  const auto voters = every_voter();
  std::size_t wrong = 0;
  for (std::size_t one = 1; one <= 3; ++one) {
    for (std::size_t other = 1; other <= 3; ++other) {
      for (const auto& a : voters) {
        for (const auto& b : voters) {
          wrong += disagreements({{one, {a, b}}, {other, {b}}});
          wrong += disagreements({{one, {a}}, {other, {a, b}}});
        }
      }
    }
  }
  BOOST_TEST(wrong == 0U);
}

BOOST_AUTO_TEST_CASE(committed_may_be_ahead_of_the_own_disk) {
  const std::vector<QuorumRule> rules{{2, {{lsn(12), lsn(12)}, {lsn(11), lsn(11)}}}};
  CommitInputs in{Mode::sync_quorum, AckPolicy::received, lsn(10), lsn(12), lsn(3), {}, rules};
  BOOST_TEST(committed(in) == lsn(11));
  BOOST_TEST(answerable(in, lsn(11)) == lsn(12));
}

BOOST_AUTO_TEST_CASE(an_older_epochs_record_is_never_committed_by_counting_copies_of_it) {
  // C3: a majority holds 9, the own epoch's record 10 is on one disk.
  const std::vector<QuorumRule> rules{{2, {{lsn(9), lsn(9)}, {}}}};
  CommitInputs in{Mode::sync_quorum, AckPolicy::received, lsn(10), lsn(10), lsn(10), {}, rules};
  BOOST_TEST(committed(in) == Lsn{});
  BOOST_TEST(answerable(in, committed(in)) == Lsn{});
}

BOOST_AUTO_TEST_CASE(a_lone_voter_answers_only_what_is_durable) {
  const std::vector<QuorumRule> rules{{1, {}}};
  CommitInputs in{Mode::sync_quorum, AckPolicy::received, lsn(1), lsn(5), lsn(3), {}, rules};
  BOOST_TEST(answerable(in, committed(in)) == lsn(3));
}

BOOST_AUTO_TEST_CASE(planted_the_old_epochs_record_is_counted) {
  plant(Bug::commit_counts_old_epoch);
  const std::vector<QuorumRule> rules{{2, {{lsn(9), lsn(9)}, {}}}};
  CommitInputs in{Mode::sync_quorum, AckPolicy::received, lsn(10), lsn(10), lsn(10), {}, rules};
  BOOST_TEST(committed(in) == lsn(9));
  plant(Bug::none);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
