// The loop: actors, timers and foreign threads on one thread; and the log's lines.
#define BOOST_TEST_DYN_LINK
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "actors/runtime/log_events.hpp"
#include "actors/runtime/loop.hpp"

using namespace tidemark;
using namespace tidemark::actors;

namespace {

using GoAtom = caf::atom_constant<caf::atom("go")>;

struct Counted {
  static inline int alive = 0;
  Counted() { ++alive; }
  ~Counted() { --alive; }
  int seen = 0;
};

struct ManualClock final : engine::Clock {
  engine::MonoTime time{1};
  engine::MonoTime now() const override { return time; }
  engine::WallTime wall() const override { return engine::WallTime(time.value); }
};

caf::behavior stopper(caf::stateful_actor<Counted>* self, Loop* loop, std::thread::id* ran_on) {
  return {[=](GoAtom, int last) {
    *ran_on = std::this_thread::get_id();
    if (++self->state.seen == last) loop->stop();
  }};
}

caf::behavior spinner(caf::stateful_actor<Counted>* self, int) {
  return {[=](GoAtom) { self->send(self, GoAtom::value); }};
}

std::shared_ptr<spdlog::logger> logger_to(std::ostringstream& out) {
  auto logger = std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_st>(out));
  logger->set_pattern("%l %v");
  return logger;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(loop)

BOOST_DATA_TEST_CASE(messages_of_any_thread_are_handled_on_the_loop,
                     boost::unit_test::data::make({0u, 200'000u}), busy_poll) {
  {
    Loop loop(nullptr);
    loop.busy_poll_for(busy_poll);
    std::thread::id ran_on;
    auto actor = loop.actors().spawn(stopper, &loop, &ran_on);
    std::thread sender([&] {
      for (int i = 0; i < 1000; ++i) caf::anon_send(actor, GoAtom::value, 1000);
    });
    loop.run();
    sender.join();
    BOOST_TEST((ran_on == std::this_thread::get_id()));
  }
  BOOST_TEST(Counted::alive == 0);
}

BOOST_AUTO_TEST_CASE(an_actor_that_never_rests_does_not_keep_a_daemon_from_ending) {
  {
    Loop loop(nullptr);
    auto actor = loop.actors().spawn(spinner, 0);
    caf::anon_send(actor, GoAtom::value);
    loop.timers().after(1, [&] { loop.stop(); });
    loop.run();
  }
  BOOST_TEST(Counted::alive == 0);
}

BOOST_AUTO_TEST_CASE(timers_fire_in_order_of_time_then_of_arming_and_not_when_cancelled) {
  Loop loop(nullptr);
  std::vector<int> fired;
  auto& timers = loop.timers();
  // However late the loop comes to them: each is behind the one before in time, or armed by it.
  timers.after(2'000'000, [&] {
    fired.push_back(2);
    timers.after(0, [&] { fired.push_back(3); });
    timers.after(0, [&] { fired.push_back(4); });
    timers.after(0, [&] { loop.stop(); });
  });
  const auto gone = timers.after(1'500'000, [&] { fired.push_back(9); });
  timers.after(1'000'000, [&] {
    fired.push_back(1);
    timers.cancel(gone);
  });
  loop.run();
  BOOST_TEST(fired == (std::vector<int>{1, 2, 3, 4}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_timers_held_is_dropped_before_the_actors_end) {
  {
    Loop loop(nullptr);
    std::thread::id ran_on;
    auto actor = loop.actors().spawn(stopper, &loop, &ran_on);
    loop.timers().after(engine::second, [actor] {});
    loop.timers().after(0, [&] { loop.stop(); });
    loop.run();
  }
  BOOST_TEST(Counted::alive == 0);
}

BOOST_AUTO_TEST_CASE(random_numbers_differ) {
  LoopRandom random;
  BOOST_TEST(random.next() != random.next());
}

BOOST_AUTO_TEST_CASE(a_peers_text_cannot_forge_a_line) {
  std::ostringstream out;
  ManualClock clock;
  LogEvents events(logger_to(out), clock);
  events.event(engine::Event(engine::Level::warning, "link_refused").with("text", "x\nerror {} y"));
  BOOST_TEST(out.str() == "warning link_refused text=\"x\\nerror {} y\"\n");
}

BOOST_AUTO_TEST_CASE(a_site_gone_wild_is_limited_and_what_was_left_out_is_counted) {
  std::ostringstream out;
  ManualClock clock;
  LogEvents events(logger_to(out), clock);
  for (int i = 0; i < 100; ++i) events.event(engine::Event(engine::Level::info, "wild"));
  events.event(engine::Event(engine::Level::info, "calm"));
  clock.time = clock.time + engine::second;
  events.event(engine::Event(engine::Level::info, "wild"));
  const auto text = out.str();
  BOOST_TEST(std::count(text.begin(), text.end(), '\n') ==
             static_cast<std::ptrdiff_t>(LogEvents::lines_per_second_max) + 2);
  BOOST_TEST(text.find("wild suppressed=80") != std::string::npos);
  BOOST_TEST(text.find("calm") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
