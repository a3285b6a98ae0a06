// A client, a server and volumes in memory on one loop: what a client sees when it behaves.
#define BOOST_TEST_DYN_LINK
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <array>
#include <filesystem>
#include <ostream>
#include <string>

#include "tests/nbd/world.hpp"

namespace tidemark::nbd {

static std::ostream& operator<<(std::ostream& out, ErrorCode code) {
  return out << static_cast<std::uint32_t>(code);
}

namespace {

using namespace testing;

constexpr std::array every_answer{Answers::at_once, Answers::next_turn};

void expect_done(const Reply& reply) { BOOST_TEST(reply.error == ErrorCode::none, reply.text); }

void expect_error(const Reply& reply, ErrorCode error) {
  BOOST_TEST(reply.error == error, reply.text);
  BOOST_TEST((reply.chunks == 0 || !reply.text.empty()));
}

BOOST_AUTO_TEST_SUITE(session)

BOOST_AUTO_TEST_CASE(written_bytes_are_read_back_in_both_reply_styles) {
  for (const auto answers : every_answer) {
    for (const bool structured : {false, true}) {
      World world(answers);
      auto client = world.client(structured);
      const auto data = pattern(20000, 1);
      expect_done(client.write(511, data));
      const auto reply = client.read(0, 30000);
      expect_done(reply);
      BOOST_TEST((reply.data == Bytes(511) + data + Bytes(30000 - 511 - data.size())));
      BOOST_TEST((reply.chunks > 0) == structured);
      BOOST_TEST(reply.holes == (structured ? 1 : 0));
    }
  }
}

BOOST_AUTO_TEST_CASE(unaligned_and_overlapping_writes_land_in_order) {
  World world;
  auto client = world.client();
  Bytes model(20000);
  Bytes stream;
  std::uint64_t cookie = 0;
  for (unsigned i = 0; i < 200; ++i) {
    const std::uint64_t offset = (i * 977) % 9000;
    const std::uint32_t length = 1 + (i * 1361) % 9000;
    const auto data = pattern(length, i);
    std::copy(data.begin(), data.end(), model.begin() + static_cast<std::ptrdiff_t>(offset));
    stream = std::move(stream) + request(Command::write, ++cookie, offset, length) + data;
  }
  client.send(stream);
  for (unsigned i = 0; i < 200; ++i) expect_done(client.reply());
  BOOST_TEST((client.read(0, 20000).data == model));
}

BOOST_AUTO_TEST_CASE(payloads_of_every_size_keep_the_stream_in_step) {
  World world;
  auto client = world.client();
  constexpr std::uint64_t room = 1 << 20;
  const std::array<std::uint32_t, 12> sizes{1,     27,     28,     4095,   4096,   65535,
                                            65536, 131072, 131073, 300000, 999999, 5};
  Bytes stream;
  for (std::uint64_t i = 0; i < sizes.size(); ++i) {
    stream = std::move(stream) + request(Command::write, i, i * room + i, sizes[i]) +
             pattern(sizes[i], static_cast<unsigned>(i));
  }
  client.send(stream);
  for (std::uint64_t i = 0; i < sizes.size(); ++i) expect_done(client.reply());
  for (std::uint64_t i = 0; i < sizes.size(); ++i) {
    BOOST_TEST(
        (client.read(i * room + i, sizes[i]).data == pattern(sizes[i], static_cast<unsigned>(i))));
  }
}

BOOST_AUTO_TEST_CASE(largest_write_and_read_pass_through) {
  for (const std::uint64_t offset : {0u, 1u, 4095u}) {
    World world;
    auto client = world.client();
    const auto data = pattern(payload_bytes_max, 3);
    expect_done(client.write(offset, data));
    BOOST_TEST((client.read(offset, payload_bytes_max).data == data));
    BOOST_TEST((client.read(offset, payload_bytes_max, command_flag::df).chunks == 1));
  }
}

BOOST_AUTO_TEST_CASE(requests_that_arrive_together_are_submitted_as_one_batch) {
  World world;
  auto client = world.client();
  Bytes stream;
  for (std::uint64_t i = 0; i < 8; ++i) {
    stream = std::move(stream) + request(Command::write, i, i * 4096, 4096) + pattern(4096, 1);
  }
  const auto writes_before = world.server.counters().socket_writes;
  client.send(stream);
  for (int i = 0; i < 8; ++i) expect_done(client.reply());
  BOOST_TEST(world.exports.batches.size() == 1u);
  BOOST_TEST(world.exports.batches.at(0) == 8u);
  BOOST_TEST(world.server.counters().socket_writes - writes_before == 1u);
}

BOOST_AUTO_TEST_CASE(depth_one_costs_one_read_and_one_write) {
  World world;
  auto client = world.client();
  const auto before = world.server.counters();
  for (unsigned i = 0; i < 10; ++i) expect_done(client.write(i * 4096, pattern(4096, i)));
  const auto after = world.server.counters();
  BOOST_TEST(after.socket_reads - before.socket_reads == 10u);
  BOOST_TEST(after.socket_writes - before.socket_writes == 10u);
}

BOOST_AUTO_TEST_CASE(every_cookie_comes_back_even_the_same_one_256_times) {
  World world;
  auto client = world.client();
  Bytes stream;
  for (int i = 0; i < 256; ++i) stream = std::move(stream) + request(Command::flush, 42, 0, 0);
  client.send(stream);
  for (int i = 0; i < 256; ++i) BOOST_TEST(client.reply().cookie == 42u);
  BOOST_TEST(world.volume.flushes == 256u);
}

BOOST_AUTO_TEST_CASE(zeroes_trim_and_holes_are_told_by_block_status) {
  World world;
  auto client = world.client();
  expect_done(client.write(0, pattern(4096 * 8, 1)));
  expect_done(client.ask(request(Command::trim, 1, 4096, 4096)));
  expect_done(client.ask(request(Command::write_zeroes, 1, 2 * 4096, 4096)));
  expect_done(client.ask(request(Command::write_zeroes, 1, 4 * 4096, 4096, command_flag::no_hole)));
  expect_done(client.ask(request(Command::cache, 1, 0, 4096)));
  const auto status = client.ask(request(Command::block_status, 1, 0, 4096 * 16));
  const std::vector<std::pair<std::uint32_t, std::uint32_t>> expected{
      {4096, 0}, {8192, 3}, {4096 * 5, 0}, {4096 * 8, 3}};
  BOOST_TEST((status.extents == expected));
  const auto one =
      client.ask(request(Command::block_status, 1, 4096, 4096 * 9, command_flag::req_one));
  BOOST_TEST((one.extents == std::vector<std::pair<std::uint32_t, std::uint32_t>>{{8192, 3}}));
  BOOST_TEST((client.read(4096, 8192).data == Bytes(8192)));
}

BOOST_AUTO_TEST_CASE(errors_of_the_front_end_name_their_reason) {
  World world;
  auto client = world.client();
  expect_error(client.read(World::volume_bytes, 1), ErrorCode::einval);
  expect_error(client.read(UINT64_MAX - 3, 8), ErrorCode::einval);
  expect_error(client.write(World::volume_bytes - 1, Bytes(2)), ErrorCode::enospc);
  expect_error(client.ask(request(static_cast<Command>(99), 1, 0, 0)), ErrorCode::einval);
  expect_error(client.ask(request(Command::flush, 1, 0, 0, 0x8000)), ErrorCode::einval);
  expect_error(client.ask(request(Command::read, 1, 0, 0xffffffff)), ErrorCode::einval);
  expect_done(client.read(0, 0));
  expect_done(client.write(0, {}));
  BOOST_TEST(world.exports.batches.empty());  // none of it was the volume's affair
  expect_done(client.read(0, 1));
}

BOOST_AUTO_TEST_CASE(payload_of_a_refused_write_is_drained) {
  World world;
  auto client = world.client(false);
  for (const std::size_t bytes : {1u, 4096u, 200000u, payload_bytes_max}) {
    expect_error(client.write(0, Bytes(bytes), command_flag::df), ErrorCode::einval);
    expect_error(client.write(World::volume_bytes, Bytes(bytes)), ErrorCode::enospc);
    expect_done(client.write(0, pattern(1000, 1)));
  }
}

BOOST_AUTO_TEST_CASE(read_only_export_refuses_writes_and_goes_on) {
  World world;
  auto client = world.connect();
  client.go("past");
  expect_error(client.write(0, Bytes(4096)), ErrorCode::eperm);
  expect_error(client.ask(request(Command::trim, 1, 0, 4096)), ErrorCode::eperm);
  expect_done(client.read(0, 4096));
}

BOOST_AUTO_TEST_CASE(errors_of_the_volume_reach_the_client_with_their_text) {
  World world;
  auto client = world.client();
  world.volume.failing = engine::Error{engine::Errc::no_space, "reserving 4096 bytes of log: full"};
  const auto reply = client.write(0, Bytes(4096));
  expect_error(reply, ErrorCode::enospc);
  BOOST_TEST(reply.text == "reserving 4096 bytes of log: full");
  expect_error(client.read(0, 4096), ErrorCode::enospc);
  world.volume.failing.reset();
  expect_done(client.write(0, Bytes(4096)));
}

BOOST_AUTO_TEST_CASE(export_name_leads_to_transmission_too) {
  World world;
  auto client = world.connect();
  client.greet();
  client.send(option(Option::export_name, wire("vol")));
  client.receive(export_name_reply_bytes);
  expect_done(client.write(4000, pattern(200, 1)));
  BOOST_TEST((client.read(4000, 200).data == pattern(200, 1)));
}

BOOST_AUTO_TEST_CASE(good_bye_waits_for_what_is_in_flight) {
  World world(Answers::held);
  auto client = world.client();
  client.send(request(Command::write, 9, 0, 4096) + pattern(4096, 1) +
              request(Command::disc, 0, 0, 0) + request(Command::flush, 10, 0, 0));
  world.settle();
  BOOST_TEST(world.exports.only_port().held().size() == 1u);  // nothing counts behind the good-bye
  BOOST_TEST(world.server.counters().connections == 1u);
  world.exports.only_port().release();
  BOOST_TEST(client.reply().cookie == 9u);
  BOOST_TEST(client.receive_all().empty());
  BOOST_TEST(world.exports.ports.empty());
  BOOST_TEST(world.events.back().reason == "the client disconnected");
}

BOOST_AUTO_TEST_CASE(two_connections_see_each_others_writes) {
  World world;
  auto one = world.client();
  auto two = world.client(false);
  expect_done(one.write(100, pattern(5000, 1)));
  BOOST_TEST((two.read(100, 5000).data == pattern(5000, 1)));
  BOOST_TEST(world.server.counters().connections == 2u);
}

BOOST_AUTO_TEST_CASE(cut_volume_closes_the_connection_and_answers_nothing) {
  World world(Answers::held);
  auto client = world.client();
  client.send(request(Command::flush, 1, 0, 0));
  world.settle();
  world.exports.only_port().cut("epoch 6 lost the cache");
  BOOST_TEST(client.receive_all().empty());
  world.settle();
  BOOST_TEST(world.exports.ports.empty());
  BOOST_TEST(world.events.back().reason == "cut by the volume: epoch 6 lost the cache");
}

BOOST_AUTO_TEST_CASE(a_stopping_server_answers_what_is_in_flight_then_closes) {
  World world(Answers::held);
  auto client = world.client();
  auto idle = world.client();
  auto haggling = world.connect();
  client.send(request(Command::flush, 1, 0, 0) + request(Command::write, 2, 0, 4096) +
              pattern(100, 1));
  world.settle();
  bool done = false;
  world.server.drain(std::chrono::hours(1), [&] { done = true; });
  world.settle();
  BOOST_TEST(!done);
  BOOST_TEST(idle.receive_all().empty());
  haggling.receive_all();
  client.send(request(Command::flush, 3, 0, 0));
  world.settle();
  BOOST_TEST(world.server.counters().connections == 1u);
  for (auto* port : world.exports.ports) port->release();
  const auto reply = client.reply();
  BOOST_TEST(reply.cookie == 1u);
  expect_done(reply);
  BOOST_TEST(client.receive_all().empty());
  world.until([&] { return done; });
  BOOST_TEST(world.server.counters().connections == 0u);
}

BOOST_AUTO_TEST_CASE(a_drain_ends_when_its_time_is_over) {
  World world(Answers::held);
  auto client = world.client();
  client.send(request(Command::flush, 1, 0, 0));
  world.settle();
  bool done = false;
  world.server.drain(std::chrono::milliseconds(0), [&] { done = true; });
  world.until([&] { return done; });
  BOOST_TEST(client.receive_all().empty());
  BOOST_TEST(world.exports.ports.empty());
}

BOOST_AUTO_TEST_CASE(a_start_that_comes_behind_a_drain_changes_nothing) {
  boost::asio::io_context loop{1};
  MemoryExports exports(loop);
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  Server server(loop, exports, options);
  BOOST_REQUIRE(server.bind().has_value());
  bool done = false;
  server.drain(std::chrono::hours(1), [&] { done = true; });
  server.start();
  loop.run();
  BOOST_TEST(done);
  BOOST_TEST(server.address().empty());
}

BOOST_AUTO_TEST_CASE(a_volume_that_is_not_served_any_more_ends_the_connection_instead_of_an_error) {
  using engine::Errc;
  for (const auto code : {Errc::unavailable, Errc::stale, Errc::busy, Errc::cancelled}) {
    World world;
    auto client = world.client();
    expect_done(client.write(0, pattern(4096, 1)));
    world.volume.failing = engine::Error{code, "the store is gone"};
    client.send(request(Command::read, 1, 0, 4096));
    BOOST_TEST(client.receive_all().empty());
    BOOST_TEST(world.events.back().reason ==
               "the volume cannot answer here now: the store is gone");
  }
}

BOOST_AUTO_TEST_CASE(who_connects_before_the_start_is_greeted_after_it) {
  boost::asio::io_context loop{1};
  MemoryExports exports(loop);
  exports.add({"vol", 1 << 20, false});
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  Server server(loop, exports, options);
  BOOST_REQUIRE(server.bind().has_value());
  Client client(loop, server.address());
  loop.poll();
  BOOST_TEST(server.counters().connections_accepted == 0u);
  loop.restart();
  server.start();
  client.go("vol", true);
  expect_done(client.write(0, pattern(4096, 1)));
}

BOOST_AUTO_TEST_CASE(stop_answers_nothing_that_is_in_flight) {
  World world(Answers::held);
  auto client = world.client();
  client.send(request(Command::flush, 1, 0, 0) + request(Command::write, 2, 0, 4096) +
              pattern(100, 1));
  world.settle();
  world.server.stop();
  BOOST_TEST(world.exports.ports.empty());
  BOOST_TEST(client.receive_all().empty());
  BOOST_TEST(world.server.counters().connections == 0u);
}

BOOST_AUTO_TEST_CASE(unix_socket_serves_and_is_removed_on_stop) {
  ServerOptions options;
  options.listen = "unix:" + (std::filesystem::temp_directory_path() /
                              ("tidemark-nbd-test-" + std::to_string(::getpid())))
                                 .string();
  const auto path = options.listen.substr(5);
  {
    World world(Answers::next_turn, options);
    auto client = world.client();
    expect_done(client.write(0, pattern(4096, 1)));
    BOOST_TEST(world.events.front().peer == "unix");
    const auto mode = std::filesystem::status(path).permissions();
    BOOST_TEST(((mode & std::filesystem::perms::group_all) == std::filesystem::perms::none));
    Server second(world.loop, world.exports, options);
    BOOST_TEST((second.listen().error().code == engine::Errc::busy));
  }
  BOOST_TEST(!std::filesystem::exists(path));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::nbd
