// A forced reign whose log lacks the record of the size that is in force.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;
using engine::FrontOp;

BOOST_AUTO_TEST_SUITE(lost_size)

// Clients were told of the larger size and have used it. What they ask there waits until it is in force again.
BOOST_AUTO_TEST_CASE(what_lies_within_a_size_that_a_forced_reign_lost_is_answered_in_the_end) {
  const Story story = [](Stage& s) {
    s.kill(2);
    s.kill(3);
    s.write(0, 1, true);
    s.must(s.resize(384), "not_staged", "it did not grow");
    s.write(300, 1, true);
    s.kill(1);
    s.boot(2);
    s.boot(3);
    s.run_for(1 * second);
    s.hold_log(2);
    s.admin_later("POST", "/v1/volumes/data/promote",
                  fmt::format(R"({{"node":"{}","force":true}})", s.node(2).name()),
                  [](engine::AdminReply) {});
    s.run_until([&] { return s.serves(2) && s.clients().front()->connected(); }, 10 * second);
    const auto written = s.later_write(300, true);
    const auto read = s.later(FrontOp::read, 350);
    const auto beyond = s.later_write(400);
    s.run_for(500 * millisecond);
    s.must(!*written && !*read, "not_staged", "the size was in force already");
    s.let_go(2);
    s.run_until([&] { return *written && *read; }, 20 * second);
    s.must(*written && *read, "refused", "a request within the recorded size was not answered");
    s.must(!*beyond, "answered_beyond", "a write beyond all sizes was answered");
    s.read(300);
    s.settle();
  };
  auto options = apart();
  options.min_copies = 1;
  must_hold(story, options, 3);
}

BOOST_AUTO_TEST_SUITE_END()
