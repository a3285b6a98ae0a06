// Connections whose bytes are cut anywhere, damaged, held up, and late.
#define BOOST_TEST_DYN_LINK
#include "sim/wire.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <numeric>

#include "tests/sim/line.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::millisecond;
using engine::second;
using tidemark::sim_tests::Line;

namespace {

NetworkWeather bytes(std::uint64_t fragment_one_in = 0) {
  NetworkWeather weather;
  weather.bytes = true;
  weather.fragment_one_in = fragment_one_in;
  return weather;
}
NetworkWeather draining() {
  auto weather = bytes(3);
  weather.drains = true;
  return weather;
}

std::vector<std::uint64_t> first(std::size_t count) {
  std::vector<std::uint64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 1u);
  return numbers;
}

/// Sizes from some bytes to some hundred thousand.
void tell_many(Line& line, std::uint64_t count) {
  for (std::uint64_t id = 1; id <= count; ++id) {
    line.tell(id, static_cast<std::size_t>(line.random.below(id % 5 == 0 ? 300'000 : 200)));
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wire)

BOOST_AUTO_TEST_CASE(frames_arrive_whole_and_in_order_however_they_are_cut) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Line line(seed, bytes(2));
    line.connect();
    BOOST_REQUIRE(line.link);
    tell_many(line, 40);
    line.link->close();
    line.run();
    BOOST_TEST((line.ear_a->heard == first(40)));
    for (const auto& body : line.ear_a->bodies) {
      BOOST_TEST((body == std::string(body.size(), body.empty() ? 'a' : body.front())));
    }
    BOOST_TEST(line.ear_a->down == "closed by the peer");
    BOOST_TEST(line.net.counts().pieces > line.net.counts().frames);
    BOOST_TEST(line.codec_errors.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_ends_the_connection_and_is_never_taken) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Line line(seed, bytes(seed % 2 == 0 ? 3 : 0));
    line.connect();
    BOOST_REQUIRE(line.link);
    line.beat(1);
    line.net.flip(1, 0, 1);
    line.tell(2, static_cast<std::size_t>(line.random.below(500)));
    line.net.open_all();
    line.beat(3);
    line.run();
    BOOST_TEST((line.ear_a->heard == first(1)));
    BOOST_TEST(line.ear_a->down.find("was refused") != std::string::npos);
    BOOST_TEST(line.ear_b->refusals.size() == 1u);
    BOOST_TEST(line.ear_b->down == "closed by the peer");
    BOOST_TEST(line.net.counts().flips == 1u);
    BOOST_TEST(line.net.counts().refused == 1u);
    BOOST_TEST(line.believed.empty());
    BOOST_TEST(line.codec_errors.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_flipped_hello_or_answer_fails_the_connect_and_the_next_one_is_made) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Line line(seed, bytes(3));
    const bool hello = seed % 2 == 0;
    line.net.flip(hello ? 1 : 0, hello ? 0 : 1, 1);
    line.connect();
    BOOST_TEST(!line.link);
    BOOST_TEST(line.error != "");
    BOOST_TEST(line.net.counts().flips >= 1u);
    BOOST_TEST(line.believed.empty());
    BOOST_TEST(line.codec_errors.empty());
    line.net.open_all();
    line.connect();
    BOOST_TEST(!!line.link);
  }
}

BOOST_AUTO_TEST_CASE(a_frame_that_is_taken_though_it_was_damaged_is_told_of) {
  Line line(1, bytes());
  auto wire = std::make_shared<Wire>(line.net, 77, Line::hello(), line.lives[1], 0, "a:1");
  wire->reached(line.lives[0], "b");
  line.net.block(1, 0);
  wire->greet(Line::hello(), [](const auto&, const auto&) {});
  // Twice the same bit: the bytes are right, as if no checksum had noticed.
  wire->pipe(Wire::connector).damage(400);
  wire->pipe(Wire::connector).damage(400);
  line.net.open(1, 0);
  wire->path_opened();
  line.run();
  BOOST_TEST(line.believed.size() == 1u);
}

BOOST_AUTO_TEST_CASE(an_undamaged_frame_that_is_refused_is_told_of) {
  Line line(1, bytes());
  auto wire = std::make_shared<Wire>(line.net, 77, Line::hello(), line.lives[1], 0, "a:1");
  wire->reached(line.lives[0], "b");
  wire->learn_hello(Line::hello());  // It waits for no Hello, and gets one.
  wire->greet(Line::hello(), [](const auto&, const auto&) {});
  line.run();
  BOOST_TEST(line.codec_errors.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_cut_leaves_a_prefix_that_may_end_inside_a_frame) {
  std::uint64_t some = 0, none = 0, torn = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Line line(seed, draining());
    line.connect();
    tell_many(line, 20);
    line.run_for(line.random.below(600) * 1'000);
    line.net.cut(0, 1);
    line.run();
    const auto heard = line.ear_a->heard.size();
    BOOST_TEST((line.ear_a->heard == first(heard)));
    BOOST_TEST(line.ear_a->down == "connection reset");
    BOOST_TEST(line.ear_b->down == "connection reset");
    some += heard > 0 && heard < 20 ? 1 : 0;
    none += heard == 0 ? 1 : 0;
    torn += line.net.counts().torn;
  }
  BOOST_TEST(some > 20u);
  BOOST_TEST(none > 5u);
  BOOST_TEST(torn > 20u);
}

BOOST_AUTO_TEST_CASE(a_path_that_is_blocked_inside_a_frame_goes_on_with_it) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Line line(seed, bytes(2));
    line.connect();
    tell_many(line, 20);
    for (int i = 0; i < 10; ++i) {
      line.run_for(line.random.below(100) * 1'000);
      line.net.block(1, 0);
      line.run_for(line.random.below(90) * millisecond);
      line.net.open_all();
    }
    line.run();
    BOOST_TEST((line.ear_a->heard == first(20)));
    BOOST_TEST(line.ear_a->down == "");
  }
}

BOOST_AUTO_TEST_CASE(a_flapping_path_breaks_nothing_and_a_long_block_does) {
  Line line(1, bytes());
  line.connect();
  for (int i = 0; i < 100; ++i) {
    line.net.block(1, 0);
    line.run_for(90 * millisecond);
    line.net.open_all();
    line.run_for(10 * millisecond);
  }
  BOOST_TEST(line.ear_a->down == "");
  line.net.block(1, 0);
  line.run_for(20 * second);
  BOOST_TEST(line.ear_a->down != "");
}

BOOST_AUTO_TEST_CASE(a_clogged_path_lets_hardly_anything_through_and_then_all_at_once) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Line line(seed, bytes(seed % 2 == 0 ? 4 : 0));
    line.connect();
    line.net.clog(1, 0, 50 * millisecond);
    for (std::uint64_t id = 1; id <= 100; ++id) line.tell(id, 20'000);
    line.run_for(20 * second);
    const auto heard = line.ear_a->heard.size();
    BOOST_TEST(heard > 0u);  // About 400 pieces of 700 bytes.
    BOOST_TEST(heard < 40u);
    BOOST_TEST(line.link->queued_bytes() > 1'000'000u);
    BOOST_TEST(line.ear_a->down == "");
    line.net.free(1, 0);
    line.run_for(30 * millisecond);
    BOOST_TEST((line.ear_a->heard == first(100)));
    BOOST_TEST(line.link->queued_bytes() == 0u);
  }
}

BOOST_AUTO_TEST_CASE(a_link_that_takes_no_data_is_cut_when_too_much_waits) {
  Line line(1, bytes());
  line.connect();
  line.net.clog(1, 0, 100 * millisecond);
  for (std::uint64_t id = 1; id <= 15; ++id) line.tell(id, 4u << 20);
  line.run_for(1 * millisecond);
  BOOST_TEST(line.ear_b->down == "");
  BOOST_TEST(line.link->queued_bytes() > 60u << 20);
  line.tell(16, 4u << 20);
  line.tell(17, 4u << 20);
  line.run();
  BOOST_TEST(line.ear_b->down.find("takes no data") != std::string::npos);
  BOOST_TEST(line.ear_a->down == "connection reset");
  BOOST_TEST(line.ear_a->heard.empty());
}

BOOST_AUTO_TEST_CASE(what_is_closed_into_a_blocked_path_is_cut_after_a_while) {
  std::uint64_t some = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Line line(seed, bytes());
    line.connect();
    line.net.block(1, 0);
    for (std::uint64_t id = 1; id <= 10; ++id) line.tell(id, 1'000);
    line.link->close();
    line.run_for(1'100 * millisecond);
    line.net.open_all();
    line.run();
    const auto heard = line.ear_a->heard.size();
    BOOST_TEST((line.ear_a->heard == first(heard)));
    BOOST_TEST(line.ear_a->down != "");
    some += heard > 0 && heard < 10 ? 1 : 0;
  }
  BOOST_TEST(some > 5u);
}

BOOST_AUTO_TEST_CASE(a_half_open_connection_is_heard_beside_the_next_one) {
  std::uint64_t beside = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Line line(seed, draining());
    line.connect();
    for (std::uint64_t id = 1; id <= 50; ++id) line.tell(id, 1'000);
    const auto broken = line.events.now().value;
    line.net.half_open(0, 1);
    const auto old = line.ear_a;
    const auto old_b = line.ear_b;
    line.new_ears();
    line.begin_connect();
    line.run_for(50 * millisecond);
    BOOST_REQUIRE(line.link);
    for (std::uint64_t id = 1; id <= 50; ++id) line.tell(id, 1'000);
    line.run();
    BOOST_TEST((line.ear_a->heard == first(50)));
    BOOST_TEST((old->heard == first(old->heard.size())));
    const auto [soon, late] = std::minmax(old->down_at, old_b->down_at);
    BOOST_TEST(soon.value < broken + 100 * millisecond);
    BOOST_TEST(late.value > broken + 1 * second);
    if (!old->heard.empty() && old->last_heard > line.ear_a->last_heard) ++beside;
  }
  BOOST_TEST(beside > 10u);
}

BOOST_AUTO_TEST_CASE(an_end_that_nobody_tells_hears_of_it_after_seconds) {
  std::uint64_t late = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    auto weather = draining();
    weather.unheard_one_in = 2;
    Line line(seed, weather);
    line.connect();
    const auto broken = line.events.now().value;
    line.net.cut(0, 1);
    line.run();
    BOOST_TEST(line.ear_a->down != "");
    BOOST_TEST(line.ear_b->down != "");
    if (line.ear_a->down_at.value > broken + 1 * second) ++late;
  }
  BOOST_TEST(late > 10u);
  BOOST_TEST(late < 40u);
}

BOOST_AUTO_TEST_CASE(connections_share_what_a_path_carries) {
  NetworkWeather weather;
  weather.shared_capacity = true;
  weather.bytes_per_microsecond = 10;
  Line line(1, weather);
  line.connect();
  const auto one = line.link;
  const auto ear_of_one = line.ear_a;
  line.new_ears();
  line.connect();
  const auto began = line.events.now();
  one->send(engine::AdminReply{1, 200, std::string(1'000'000, 'x')});
  line.beat(2);
  line.run();
  BOOST_TEST((ear_of_one->heard == std::vector<std::uint64_t>{1}));
  BOOST_TEST((line.ear_a->heard == std::vector<std::uint64_t>{2}));
  BOOST_TEST(line.ear_a->last_heard.value > began.value + 100 * millisecond);
}

BOOST_AUTO_TEST_CASE(one_seed_is_one_stream) {
  const auto play = [](std::uint64_t seed) {
    auto weather = draining();
    weather.flip_one_in = 30;
    Line line(seed, weather);
    line.connect();
    if (line.link) tell_many(line, 30);
    line.run_for(300'000);
    line.net.cut(0, 1);
    line.run();
    return line.trace.hash();
  };
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST(play(seed) == play(seed));
    BOOST_TEST(play(seed) != play(seed + 1));
  }
}

BOOST_AUTO_TEST_SUITE_END()
