// A stream of bytes between two ends: whatever is cut, lost, sent again or damaged, what is taken is a
// prefix of what was written, and nothing else.
#define BOOST_TEST_DYN_LINK
#include "sim/pipe.hpp"

#include <boost/test/unit_test.hpp>

#include "sim/random.hpp"

using namespace tidemark;
using namespace tidemark::sim;

namespace {

constexpr auto now = engine::MonoTime(1);

/// The receiver of an open control connection.
struct Taker {
  Taker() {
    terms.phase = transport::Phase::open;
    terms.purpose = engine::Purpose::control;
  }
  void take(Pipe& pipe, std::span<const std::byte> bytes) {
    while (!bytes.empty() && refused.empty()) {
      bytes = bytes.subspan(pipe.feed(bytes));
      while (refused.empty() && next(pipe)) {
      }
    }
  }
  bool next(Pipe& pipe) {
    auto got = pipe.take(terms);
    if (const auto* breach = std::get_if<transport::Breach>(&got)) refused = breach->text;
    const auto* message = std::get_if<engine::Message>(&got);
    if (message == nullptr) return false;
    taken.push_back(std::get<engine::AdminReply>(*message).id);
    damaged = damaged || pipe.front().damaged;
    pipe.pop_front();
    return true;
  }
  void land_all(Pipe& pipe) {
    while (auto piece = pipe.land(now)) {
      take(pipe, piece->bytes);
      ended = ended || piece->end;
    }
  }

  transport::Terms terms;
  std::vector<std::uint64_t> taken;
  std::string refused;
  bool damaged = false;
  bool ended = false;
};

engine::Message reply(std::uint64_t id, std::size_t bytes) {
  return engine::AdminReply{id, 200, std::string(bytes, 'x')};
}

Pipe pipe_of(std::uint64_t frames, Random& random) {
  Pipe pipe(transport::Direction::from_connector);
  for (std::uint64_t id = 0; id < frames; ++id) {
    pipe.write(
        reply(id, static_cast<std::size_t>(random.below(random.chance(1, 4) ? 40'000 : 90))));
  }
  return pipe;
}

bool is_prefix(const std::vector<std::uint64_t>& taken) {
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (taken[i] != i) return false;
  }
  return true;
}

void fly_all(Pipe& pipe, Random& random, std::uint64_t longest) {
  while (pipe.waits()) pipe.fly(pipe.next(static_cast<std::size_t>(1 + random.below(longest))));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pipes)

BOOST_AUTO_TEST_CASE(pieces_of_any_size_give_the_frames_in_order_and_then_the_end) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    auto pipe = pipe_of(20, random);
    pipe.write_end();
    fly_all(pipe, random, seed % 3 == 0 ? 30 : 20'000);
    Taker taker;
    taker.land_all(pipe);
    BOOST_TEST(taker.taken.size() == 20u);
    BOOST_TEST(is_prefix(taker.taken));
    BOOST_TEST(taker.ended);
    BOOST_TEST(pipe.unsent_bytes() == 0u);
  }
}

BOOST_AUTO_TEST_CASE(what_is_lost_on_the_way_and_sent_again_makes_no_difference) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Random random(seed);
    auto pipe = pipe_of(12, random);
    pipe.write_end();
    Taker taker;
    while (pipe.waits()) {
      for (auto pieces = random.below(6); pieces > 0 && pipe.waits(); --pieces) {
        pipe.fly(pipe.next(static_cast<std::size_t>(1 + random.below(9'000))));
      }
      pipe.recall(static_cast<std::size_t>(random.below(pipe.flying().size() + 1)));
      if (random.chance(1, 2)) taker.land_all(pipe);
    }
    taker.land_all(pipe);
    BOOST_TEST(taker.taken.size() == 12u);
    BOOST_TEST(is_prefix(taker.taken));
    BOOST_TEST(taker.ended);
  }
}

BOOST_AUTO_TEST_CASE(of_a_stream_that_is_cut_anywhere_a_prefix_is_taken) {
  std::size_t unfinished = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Random random(seed);
    auto pipe = pipe_of(12, random);
    const auto bytes = pipe.waiting_bytes();
    const auto kept = static_cast<std::size_t>(random.below(bytes));
    if (random.chance(1, 2)) {
      fly_all(pipe, random, 9'000);
      pipe.lose_behind(kept);
    } else {
      pipe.chop(kept);
      fly_all(pipe, random, 9'000);
    }
    BOOST_TEST(pipe.flying_bytes() == kept);
    Taker taker;
    taker.land_all(pipe);
    BOOST_TEST(is_prefix(taker.taken));
    BOOST_TEST(taker.taken.size() < 12u);
    BOOST_TEST(taker.refused == "");
    BOOST_TEST(pipe.unsent_bytes() == bytes - kept);
    if (!taker.taken.empty()) ++unfinished;
  }
  BOOST_TEST(unfinished > 50u);
}

BOOST_AUTO_TEST_CASE(the_end_follows_what_is_left_of_a_stream_that_was_chopped) {
  Random random(4);
  auto pipe = pipe_of(3, random);
  pipe.write_end();
  fly_all(pipe, random, 50);
  pipe.recall(5);  // The end among them.
  pipe.chop(10);
  pipe.write_end();
  fly_all(pipe, random, 50);
  Taker taker;
  taker.land_all(pipe);
  BOOST_TEST(taker.ended);
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_is_refused_and_what_came_before_is_taken) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    auto pipe = pipe_of(3, random);
    pipe.damage(random.below(8 * pipe.write(reply(3, seed % 5 == 0 ? 0 : 700))));
    pipe.write(reply(4, 10));
    fly_all(pipe, random, 500);
    Taker taker;
    taker.land_all(pipe);
    BOOST_TEST(taker.taken.size() == 3u);
    BOOST_TEST(is_prefix(taker.taken));
    BOOST_TEST(taker.refused != "");
    BOOST_TEST(!taker.damaged);
    BOOST_TEST(pipe.front().damaged);
  }
}

BOOST_AUTO_TEST_SUITE_END()
