// The judge of one register against the definition: thousands of small histories, and for each of them every order of its
// operations.
#define BOOST_TEST_DYN_LINK
#include "sim/checkers/linearizability.hpp"

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <set>
#include <utility>

#include "sim/random.hpp"

using namespace tidemark;
using namespace tidemark::sim;

namespace {

engine::MonoTime at(std::uint64_t t) { return engine::MonoTime(t); }
constexpr std::uint64_t unknown = ~0ULL;

struct Operation {
  bool read = false;
  OpId value = 0;
  OpId id = 0;  ///< Of a write.
  std::uint64_t began = 0;
  std::uint64_t ended = unknown;
};
using Operations = std::vector<Operation>;

// --- the definition ------------------------------------------------------------------------------

/// Wing and Gong: some order of the operations keeps to time, and in it each read returns what was written last. What
/// has no end may be left out.
class EveryOrder {
 public:
  explicit EveryOrder(const Operations& all) : all_(all) {}
  bool exists(std::uint32_t done = 0, OpId value = 0) {
    if (complete(done)) return true;
    if (!tried_.insert({done, value}).second) return false;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if ((done >> i & 1U) != 0 || !may_be_next(i, done)) continue;
      const auto& o = all_[i];
      if (o.read && o.value != value) continue;
      if (exists(done | 1U << i, o.read ? value : o.value)) return true;
    }
    return false;
  }

 private:
  bool complete(std::uint32_t done) const {
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if ((done >> i & 1U) == 0 && all_[i].ended != unknown) return false;
    }
    return true;
  }
  bool may_be_next(std::size_t next, std::uint32_t done) const {
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if ((done >> i & 1U) == 0 && all_[i].ended < all_[next].began) return false;
    }
    return true;
  }

  const Operations& all_;
  std::set<std::pair<std::uint32_t, OpId>> tried_;
};

// --- the judge -----------------------------------------------------------------------------------

struct Judged {
  std::string breach;
  std::size_t held_most = 0;
};

/// What is told of one operation at one time; what begins comes before what ends.
struct Event {
  std::uint64_t time = 0;
  bool ends = false;
  std::size_t operation = 0;
  auto operator<=>(const Event&) const = default;
};

std::uint64_t oldest_open(const Operations& all, const std::set<std::size_t>& open,
                          std::uint64_t now) {
  for (const auto i : open) now = std::min(now, all[i].began);
  return now;
}

Register::Verdict tell(Register& judge, const Operation& o, bool ends) {
  if (!ends) {
    if (!o.read) judge.write_begun(o.id, o.value == 0, at(o.began));
    return std::nullopt;
  }
  if (!o.read) return judge.write_answered(o.id, at(o.ended));
  if (o.value != 0 && !judge.holds(o.value)) return Register::Breach{"not_held", ""};
  return judge.read(o.value, at(o.began), at(o.ended));
}

Judged judged(const Operations& all) {
  std::vector<Event> events;
  for (std::size_t i = 0; i < all.size(); ++i) {
    events.push_back({all[i].began, false, i});
    if (all[i].ended != unknown) events.push_back({all[i].ended, true, i});
  }
  std::sort(events.begin(), events.end());
  Register judge;
  Judged result;
  std::set<std::size_t> open;
  for (const auto& e : events) {
    if (e.ends)
      open.erase(e.operation);
    else if (all[e.operation].ended != unknown)
      open.insert(e.operation);
    auto breach = tell(judge, all[e.operation], e.ends);
    if (!breach) breach = judge.settle(at(oldest_open(all, open, e.time)));
    result.held_most = std::max(result.held_most, judge.held());
    if (!breach) continue;
    result.breach = breach->cls;
    return result;
  }
  if (const auto breach = judge.settle(Register::never)) result.breach = breach->cls;
  return result;
}

/// Operations with ends that overlap, over a short time so that ties are common. A value is written once.
Operations draw(Random& random, bool zeros) {
  Operations all;
  const auto span = random.between(3, 24);
  const auto interval = [&](Operation& o) {
    o.began = 1 + random.below(span);
    o.ended = o.began + random.below(std::max<std::uint64_t>(span / random.between(1, 4), 1));
  };
  const auto writes = random.between(1, 4);
  for (OpId id = 1; id <= writes; ++id) {
    Operation o;
    o.id = id;
    o.value = zeros && random.chance(1, 3) ? 0 : id;
    interval(o);
    if (random.chance(1, 4)) o.ended = unknown;
    all.push_back(o);
  }
  for (auto reads = random.between(1, 6); reads > 0; --reads) {
    Operation o;
    o.read = true;
    o.value = all[random.below(writes)].value;
    if (zeros && random.chance(1, 4)) o.value = 0;
    interval(o);
    all.push_back(o);
  }
  return all;
}

std::string text(const Operations& all) {
  std::string out;
  for (const auto& o : all) {
    out += (o.read ? "read " : "write ") + std::to_string(o.value) + " [" +
           std::to_string(o.began) + ", " + (o.ended == unknown ? "?" : std::to_string(o.ended)) +
           "]; ";
  }
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(linearizability)

BOOST_AUTO_TEST_CASE(values_that_are_written_once_are_judged_as_the_definition_says) {
  Random random(1);
  std::array<int, 2> verdicts{};
  for (int i = 0; i < 6'000; ++i) {
    const auto all = draw(random, false);
    const bool right = EveryOrder(all).exists();
    const auto result = judged(all);
    ++verdicts[right ? 1 : 0];
    BOOST_REQUIRE_MESSAGE((result.breach.empty() == right), text(all) << " -> " << result.breach);
  }
  BOOST_TEST(verdicts[0] > 600);
  BOOST_TEST(verdicts[1] > 600);
}

BOOST_AUTO_TEST_CASE(no_right_history_with_zeros_is_called_wrong_and_most_wrong_ones_are_seen) {
  Random random(2);
  int wrong = 0;
  int seen = 0;
  int right = 0;
  for (int i = 0; i < 6'000; ++i) {
    const auto all = draw(random, true);
    const auto result = judged(all);
    if (EveryOrder(all).exists()) {
      ++right;
      BOOST_REQUIRE_MESSAGE(result.breach.empty(), text(all) << " -> " << result.breach);
    } else {
      ++wrong;
      if (!result.breach.empty()) ++seen;
    }
  }
  BOOST_TEST(right > 600);
  BOOST_TEST(wrong > 600);
  BOOST_TEST_MESSAGE("of " << wrong << " wrong histories with zeros " << seen << " were seen");
  BOOST_TEST(seen * 100 >= wrong * 99);
}

// Whether a read of zeros can be explained may show later, by a slow read of the value before it.
BOOST_AUTO_TEST_CASE(a_read_of_zeros_is_judged_again_until_nothing_can_overlap_it) {
  for (const bool slow : {true, false}) {
    Register judge;
    judge.write_begun(1, false, at(1));
    BOOST_TEST(!judge.write_answered(1, at(2)));
    judge.write_begun(2, true, at(3));
    judge.write_given_up(2, at(4));
    BOOST_TEST(!judge.read(0, at(5), at(20)));
    BOOST_TEST(!judge.settle(at(10)));
    judge.write_begun(3, true, at(22));  // Too late for it.
    if (slow) BOOST_TEST(!judge.read(1, at(10), at(25)));
    const auto breach = judge.settle(at(25));
    BOOST_TEST(breach.has_value() == slow);
    if (breach) BOOST_TEST(breach->cls == "register_zeros");
  }
}

BOOST_AUTO_TEST_CASE(a_breach_names_what_contradicts_what) {
  Register judge;
  judge.write_begun(1, false, at(1));
  BOOST_TEST(!judge.write_answered(1, at(2)));
  judge.write_begun(2, true, at(3));
  BOOST_TEST(!judge.write_answered(2, at(4)));
  BOOST_TEST(!judge.read(0, at(5), at(6)));
  const auto breach = judge.read(1, at(7), at(8));
  BOOST_REQUIRE(breach.has_value());
  BOOST_TEST(breach->text == "op 1 must be before and behind op 2");
  Register other;
  other.write_begun(1, false, at(1));
  BOOST_TEST(!other.write_answered(1, at(2)));
  BOOST_TEST(!other.read(1, at(7), at(8)));
  BOOST_TEST(other.read(0, at(4), at(6))->text == "zeros must be before and behind op 1");
}

BOOST_AUTO_TEST_SUITE_END()
