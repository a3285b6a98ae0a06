// The judges of a whole run, each with a right story and one that it must notice.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/checkers/errors.hpp"
#include "sim/checkers/leaks.hpp"
#include "sim/checkers/progress.hpp"
#include "sim/checkers/states.hpp"
#include "sim/checkers/truth.hpp"
#include "sim/volume_view.hpp"
#include "tests/sim/judged.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Errc;
using engine::Event;
using engine::FrontOp;
using engine::Level;
using engine::MonoTime;
using engine::second;

namespace {

// --- errors

struct Refusing : Found {
  Errors errors{fail};
  Errors::World trouble{1 * second, false, false};
  Errors::World calm{60 * second, false, false};

  void refused(FrontOp op, Errc code, const std::string& text, const Errors::World& world) {
    errors.refused(op, engine::Error{code, text}, world);
  }
};

// --- states

struct Moving : Found {
  States states{fail};

  void sender(const std::string& from, const std::string& to) {
    states.happened(life, Event(Level::info, "peer_state_changed")
                              .with("replica", 2)
                              .with("from", from)
                              .with("to", to));
  }
  void session(const std::string& what, int id) {
    states.happened(life,
                    Event(Level::info, "session_" + what).with("replica", 2).with("session", id));
  }
};

// --- leaks

Census look(std::uint64_t actors, std::uint64_t links) {
  return {{"node1 actors", actors}, {"connections", links}};
}
struct Leaking : Found {
  const Census formula{{"connections", 2}};
  Leaks leaks{{{"open files", 1}}, fail};
};

// --- truth

struct Telling : Found {
  Truth truth{fail};
  VolumeView view;

  Telling() {
    view.primary = "node1";
    view.serving = true;
    for (const auto* node : {"node1", "node2"}) {
      CopyView copy;
      copy.node = node;
      copy.state = "streaming";
      view.copies.push_back(copy);
    }
  }
  void seen(std::uint64_t seconds) { truth.seen(MonoTime(seconds * second), view); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(judges)

BOOST_FIXTURE_TEST_CASE(errors_that_have_their_reason_pass, Refusing) {
  refused(FrontOp::write, Errc::no_space, "write: the volume ends at 8192", calm);
  refused(FrontOp::read, Errc::invalid, "read: the volume ends at 8192", calm);
  refused(FrontOp::trim, Errc::invalid, "trim: the volume ends at 8192", calm);
  refused(FrontOp::write, Errc::no_space, "write: the log of volume data has no space left",
          trouble);
  refused(FrontOp::flush, Errc::io_failed, "volume data has too few copies, and is to fail then: x",
          {1 * second, true, false});
  refused(FrontOp::read, Errc::corrupt, "block 7 is damaged", {60 * second, false, true});
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(an_error_that_is_not_known_is_noticed, Refusing) {
  refused(FrontOp::write, Errc::cancelled, "cancelled", trouble);
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(the_wrong_code_for_a_request_is_noticed, Refusing) {
  refused(FrontOp::write, Errc::invalid, "write: the volume ends at 8192", calm);
  refused(FrontOp::read, Errc::no_space, "read: the volume ends at 8192", calm);
  BOOST_TEST(found == "dishonest_error\ndishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(an_error_without_a_reason_is_noticed, Refusing) {
  refused(FrontOp::flush, Errc::io_failed,
          "volume data has too few copies, and is to fail then: ", {1 * second, true, false});
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(a_full_log_where_nothing_was_wrong_is_noticed, Refusing) {
  refused(FrontOp::write, Errc::no_space, "write: the log of volume data has no space left", calm);
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(a_read_that_fails_for_want_of_space_is_noticed, Refusing) {
  refused(FrontOp::read, Errc::no_space, "read: the log of volume data has no space left", trouble);
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(a_volume_that_fails_though_it_is_to_wait_is_noticed, Refusing) {
  refused(FrontOp::write, Errc::io_failed, "volume data has too few copies, and is to fail then: x",
          trouble);
  BOOST_TEST(found == "dishonest_error\n");
}

// An operator changes it under load; who was told first answers by it first, and is heard a little later.
BOOST_FIXTURE_TEST_CASE(a_volume_fails_as_long_as_any_node_was_told_so_and_a_little_longer,
                        Refusing) {
  const auto at = [](std::uint64_t s) { return MonoTime(s * second); };
  BOOST_TEST(!errors.may_fail(at(1)));
  errors.told(1, false, at(1));
  BOOST_TEST(!errors.may_fail(at(1)));
  errors.told(1, true, at(2));
  errors.told(2, true, at(2));
  errors.told(1, false, at(30));
  BOOST_TEST(errors.may_fail(at(50)));
  errors.told(2, false, at(60));
  errors.told(2, false, at(65));
  BOOST_TEST(errors.may_fail(at(70)));
  BOOST_TEST(!errors.may_fail(at(71)));
}

BOOST_FIXTURE_TEST_CASE(damage_that_nobody_did_is_noticed, Refusing) {
  refused(FrontOp::read, Errc::corrupt, "block 7 is damaged", trouble);
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_AUTO_TEST_CASE(who_waits_while_something_is_wrong_waits_rightly) {
  Found f;
  Progress progress(f.fail);
  for (std::uint64_t t = 1; t < 300; ++t)
    progress.look(MonoTime(t * second), t % 15 != 0, MonoTime(1));
  BOOST_TEST(f.found == "");
  BOOST_TEST(progress.longest() == 14 * second);
}

BOOST_AUTO_TEST_CASE(who_waits_though_nothing_is_wrong_is_noticed) {
  Found f;
  Progress progress(f.fail);
  const auto since = MonoTime(10 * second);
  progress.look(MonoTime(20 * second), false, since);
  progress.look(MonoTime(20 * second) + Progress::patience, true, since);
  BOOST_TEST(f.found == "");
  progress.look(MonoTime(21 * second) + Progress::patience, true, since);
  BOOST_TEST(f.found == "no_progress\n");
}

BOOST_FIXTURE_TEST_CASE(a_good_recovery_goes_its_way, Moving) {
  sender("disconnected", "connecting");
  sender("connecting", "probing");
  sender("probing", "preparing");
  session("started", 1);
  sender("preparing", "catching_up");
  session("completed", 1);
  sender("catching_up", "streaming");
  session("ended", 1);
  sender("streaming", "disconnected");
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_state_that_may_not_follow_is_noticed, Moving) {
  sender("disconnected", "connecting");
  sender("connecting", "streaming");
  BOOST_TEST(found == "state_forbidden\n");
}

BOOST_FIXTURE_TEST_CASE(a_state_that_was_left_without_a_word_is_noticed, Moving) {
  sender("disconnected", "connecting");
  sender("probing", "preparing");
  BOOST_TEST(found == "state_unknown\n");
}

BOOST_FIXTURE_TEST_CASE(a_session_that_is_completed_twice_or_was_never_begun_is_noticed, Moving) {
  session("started", 1);
  session("completed", 1);
  session("completed", 1);
  BOOST_TEST(found == "session_order\n");
  found.clear();
  session("completed", 2);
  BOOST_TEST(found.find("session_order\n") == 0);
}

BOOST_FIXTURE_TEST_CASE(a_timer_that_comes_and_goes_is_no_leak, Leaking) {
  leaks.before(look(7, 2));
  leaks.before(look(6, 2));
  leaks.after(look(7, 2));
  leaks.after(look(6, 2));
  leaks.judge(formula);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(what_is_left_over_is_noticed, Leaking) {
  leaks.before(look(6, 2));
  leaks.after(look(7, 2));
  leaks.judge(formula);
  BOOST_TEST(found == "leak\n");
}

BOOST_FIXTURE_TEST_CASE(some_may_be_more_and_no_more_than_that, Leaking) {
  leaks.before({{"connections", 2}, {"open files", 7}});
  leaks.after({{"connections", 2}, {"open files", 8}});
  leaks.judge(formula);
  BOOST_TEST(found == "");
  Leaks more({{"open files", 1}}, fail);
  more.before({{"connections", 2}, {"open files", 7}});
  more.after({{"connections", 2}, {"open files", 9}});
  more.judge(formula);
  BOOST_TEST(found == "leak\n");
}

BOOST_FIXTURE_TEST_CASE(what_the_formula_does_not_say_is_noticed_though_it_does_not_grow, Leaking) {
  leaks.before(look(6, 3));
  leaks.after(look(6, 3));
  leaks.judge(formula);
  BOOST_TEST(found == "leak\n");
}

BOOST_FIXTURE_TEST_CASE(a_status_may_take_a_while, Telling) {
  truth.died("node2", MonoTime(10 * second));
  seen(15);
  view.copies[1].state = "disconnected";
  seen(40);
  truth.boots("node2");
  view.copies[1].state = "streaming";
  seen(41);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(a_dead_node_that_is_shown_as_following_is_noticed, Telling) {
  truth.died("node2", MonoTime(10 * second));
  seen(21);
  BOOST_TEST(found == "status_lies\n");
}

BOOST_FIXTURE_TEST_CASE(a_dead_primary_that_is_shown_as_serving_is_noticed, Telling) {
  view.copies[0].state = "";
  truth.died("node1", MonoTime(10 * second));
  seen(21);
  BOOST_TEST(found == "status_lies\n");
}

BOOST_FIXTURE_TEST_CASE(a_lost_copy_that_is_shown_as_whole_is_noticed, Telling) {
  truth.happened(MonoTime(10 * second), "node2", Event(Level::error, "store_lost"));
  seen(21);
  BOOST_TEST(found == "status_lies\n");
  found.clear();
  view.copies[1].problem = "disk failed";
  seen(22);
  BOOST_TEST(found == "");
}

BOOST_AUTO_TEST_SUITE_END()
