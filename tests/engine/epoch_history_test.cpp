#define BOOST_TEST_DYN_LINK
#include "engine/epoch_history.hpp"

#include <boost/test/unit_test.hpp>
#include <functional>
#include <vector>

namespace tidemark::engine {
namespace {

EpochStart reign(std::uint64_t epoch, std::uint64_t nonce, std::uint64_t first) {
  EpochStart start;
  start.epoch = Epoch(epoch);
  start.nonce = nonce;
  start.first = Lsn(first);
  return start;
}

// A log as a plain sequence: element i is the (epoch, nonce) that wrote LSN i + 1.
struct Writer {
  std::uint64_t epoch = 0;
  std::uint64_t nonce = 0;
  auto operator<=>(const Writer&) const = default;
};
using Log = std::vector<Writer>;

EpochHistory history_of(const Log& log) {
  EpochHistory history;
  for (std::size_t i = 0; i < log.size(); ++i) {
    if (i > 0 && log[i] == log[i - 1]) continue;
    BOOST_REQUIRE(history.begin(reign(log[i].epoch, log[i].nonce, i + 1)));
  }
  return history;
}

std::size_t first_of_its_reign(const Log& log, std::size_t i) {
  while (i > 0 && log[i - 1] == log[i]) --i;
  return i;
}

Lsn common_point_by_reading(const Log& a, const Log& b) {
  for (auto i = std::min(a.size(), b.size()); i > 0; --i) {
    if (a[i - 1] == b[i - 1] && first_of_its_reign(a, i - 1) == first_of_its_reign(b, i - 1)) {
      return Lsn(i);
    }
  }
  return Lsn{};
}

/// Every log of at most `length` records over epochs 1 to 3 with two nonces each.
std::vector<Log> all_logs(std::size_t length) {
  std::vector<Log> logs;
  const std::function<void(Log&)> grow = [&](Log& log) {
    logs.push_back(log);
    if (log.size() == length) return;
    for (std::uint64_t epoch = 1; epoch <= 3; ++epoch) {
      for (std::uint64_t nonce = 1; nonce <= 2; ++nonce) {
        const Writer writer{epoch, nonce};
        if (!log.empty() && writer != log.back() && epoch <= log.back().epoch) continue;
        log.push_back(writer);
        grow(log);
        log.pop_back();
      }
    }
  };
  Log empty;
  grow(empty);
  return logs;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(epoch_history)

BOOST_AUTO_TEST_CASE(the_common_point_of_any_two_small_logs_is_what_reading_both_gives) {
  const auto logs = all_logs(5);
  BOOST_TEST(logs.size() > 200);
  for (const auto& a : logs) {
    for (const auto& b : logs) {
      const auto found = common_point(history_of(a), Lsn(a.size()), history_of(b), Lsn(b.size()));
      BOOST_REQUIRE_EQUAL(found.value, common_point_by_reading(a, b).value);
    }
  }
}

BOOST_AUTO_TEST_CASE(two_branches_of_one_log_share_exactly_their_trunk) {
  const EpochHistory trunk({reign(1, 11, 1), reign(2, 22, 50)});
  auto a = trunk;
  auto b = trunk;
  BOOST_TEST(a.begin(reign(3, 33, 104)));
  BOOST_TEST(b.begin(reign(4, 44, 101)));
  BOOST_TEST(common_point(a, Lsn(110), b, Lsn(120)).value == 100u);
  BOOST_TEST(common_point(a, Lsn(103), trunk, Lsn(108)).value == 103u);
}

BOOST_AUTO_TEST_CASE(a_reign_with_another_nonce_is_another_reign) {
  const EpochHistory a({reign(1, 11, 1), reign(2, 22, 10)});
  const EpochHistory b({reign(1, 11, 1), reign(2, 23, 10)});
  BOOST_TEST(common_point(a, Lsn(20), b, Lsn(20)).value == 9u);
}

BOOST_AUTO_TEST_CASE(a_reign_that_begins_elsewhere_is_not_believed) {
  const EpochHistory a({reign(1, 11, 1), reign(2, 22, 10)});
  const EpochHistory b({reign(1, 11, 1), reign(2, 22, 8)});
  BOOST_TEST(common_point(a, Lsn(20), b, Lsn(20)).value == 7u);
}

BOOST_AUTO_TEST_CASE(logs_without_a_record_share_nothing) {
  const EpochHistory one({reign(1, 11, 1)});
  BOOST_TEST(common_point({}, Lsn{}, {}, Lsn{}).value == 0u);
  BOOST_TEST(common_point(one, Lsn(5), {}, Lsn{}).value == 0u);
  BOOST_TEST(common_point(one, Lsn(5), {}, Lsn(5)).value == 0u);
}

BOOST_AUTO_TEST_CASE(a_common_point_below_what_is_remembered_is_none) {
  const EpochHistory a({reign(5, 5, 100), reign(6, 6, 200)});
  const EpochHistory b({reign(4, 4, 40), reign(7, 7, 90)});
  BOOST_TEST(common_point(a, Lsn(300), b, Lsn(300)).value == 0u);
}

BOOST_AUTO_TEST_CASE(only_a_later_reign_further_on_begins) {
  EpochHistory history;
  BOOST_TEST(!history.begin(reign(0, 1, 1)));
  BOOST_TEST(!history.begin(reign(1, 1, 0)));
  BOOST_TEST(history.begin(reign(2, 1, 10)));
  BOOST_TEST(!history.begin(reign(2, 1, 10)));
  BOOST_TEST(!history.begin(reign(2, 1, 11)));
  BOOST_TEST(!history.begin(reign(3, 1, 10)));
  BOOST_TEST(!history.begin(reign(1, 1, 20)));
  BOOST_TEST(history.begin(reign(3, 1, 11)));
  BOOST_TEST(history.starts().size() == 2u);
}

BOOST_AUTO_TEST_CASE(at_names_the_reign_that_wrote_an_lsn) {
  const EpochHistory history({reign(1, 11, 5), reign(3, 33, 9)});
  BOOST_TEST(!history.at(Lsn(4)).has_value());
  BOOST_TEST(history.at(Lsn(5))->epoch.value == 1u);
  BOOST_TEST(history.at(Lsn(8))->epoch.value == 1u);
  BOOST_TEST(history.at(Lsn(9))->epoch.value == 3u);
  BOOST_TEST(history.at(Lsn(900))->epoch.value == 3u);
  BOOST_TEST(history.last()->nonce == 33u);
  BOOST_TEST(!EpochHistory().last().has_value());
}

BOOST_AUTO_TEST_CASE(truncation_forgets_the_reigns_behind_the_cut) {
  EpochHistory history({reign(1, 11, 1), reign(2, 22, 10), reign(3, 33, 20)});
  history.truncate(Lsn(10));
  BOOST_TEST(history.last()->epoch.value == 2u);
  history.truncate(Lsn(9));
  BOOST_TEST(history.last()->epoch.value == 1u);
  history.truncate(Lsn{});
  BOOST_TEST(history.empty());
}

BOOST_AUTO_TEST_CASE(the_oldest_reigns_are_forgotten_when_there_are_too_many) {
  EpochHistory history;
  for (std::uint64_t i = 1; i <= epoch_history_max + 3; ++i)
    BOOST_TEST(history.begin(reign(i, i, 10 * i)));
  BOOST_TEST(history.starts().size() == epoch_history_max);
  BOOST_TEST(history.starts().front().epoch.value == 4u);
  BOOST_TEST(!history.at(Lsn(39)).has_value());
  BOOST_TEST(history.shortened());
  BOOST_TEST(!EpochHistory({reign(1, 11, 1), reign(2, 22, 10)}).shortened());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
