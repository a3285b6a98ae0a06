// What strangers, broken clients and slow ones do to a server, and that the others do not notice.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/nbd/world.hpp"

namespace tidemark::nbd {
namespace {

using namespace testing;

/// A conversation that touches everything: options, aligned and unaligned writes, reads,
/// status, an error.
Bytes conversation() {
  return client_flags + option(Option::structured_reply) +
         option(Option::set_meta_context, context_data("vol", {base_allocation_name})) +
         option(Option::go, info_data("vol", {3})) + request(Command::write, 1, 100, 300) +
         pattern(300, 1) + request(Command::write, 2, UINT64_MAX, 50) + pattern(50, 2) +
         request(Command::read, 3, 0, 500) + request(Command::block_status, 4, 0, 8192) +
         request(Command::flush, 5, 0, 0) + request(Command::disc, 0, 0, 0);
}

/// A server that was mistreated still serves.
void expect_service(World& world) {
  auto client = world.client();
  const auto data = pattern(5000, 7);
  BOOST_TEST((client.write(123, data).error == ErrorCode::none));
  BOOST_TEST((client.read(123, 5000).data == data));
}

/// What the server said, message by message and sorted: replies may overtake each other (an error
/// of the front end need not wait for the volume), so their order depends on how the requests
/// were cut into reads.
std::vector<std::string> messages(const Bytes& bytes) {
  std::vector<std::string> all;
  Reader in(bytes);
  const auto take = [&](std::size_t count) { return std::string(in.text(count).value()); };
  const auto number = [](const std::string& field) {
    return load<std::uint32_t>(reinterpret_cast<const std::byte*>(field.data()));
  };
  take(greeting_bytes);
  while (in.left() != 0) {
    auto message = take(4);
    const auto magic = number(message);
    if (magic == simple_reply_magic) {
      message += take(simple_reply_header_bytes - 4);
    } else {
      const bool chunk = magic == structured_reply_magic;
      message += take((chunk ? chunk_header_bytes : option_reply_header_bytes) - 4);
      message += take(number(message.substr(message.size() - 4)));
    }
    all.push_back(std::move(message));
  }
  std::sort(all.begin(), all.end());
  return all;
}

BOOST_AUTO_TEST_SUITE(hostile)

BOOST_AUTO_TEST_CASE(fragments_of_one_byte_get_the_same_answers) {
  World whole(Answers::at_once);
  auto fast = whole.connect();
  fast.send(conversation());
  const auto expected = messages(fast.receive_all());

  World world(Answers::at_once);
  auto slow = world.connect();
  for (const auto b : conversation()) {
    slow.send({b});
    world.settle();
  }
  BOOST_TEST((messages(slow.receive_all()) == expected));
  // Three ACKs, two infos, a context; five requests, each answered by one message.
  BOOST_TEST(expected.size() == 6u + 5u);
}

BOOST_AUTO_TEST_CASE(leaving_at_any_byte_harms_nobody) {
  World world;
  auto witness = world.client();
  const auto all = conversation();
  for (std::size_t bytes = 0; bytes <= all.size(); ++bytes) {
    auto client = world.connect();
    client.send(Bytes(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(bytes)));
    if (bytes % 3 != 0) world.settle();
    if (bytes % 2 == 0) {
      client.close();
    } else {
      client.reset();
    }
  }
  BOOST_TEST((witness.write(0, pattern(4096, 1)).error == ErrorCode::none));
  witness.send(request(Command::disc, 0, 0, 0));
  world.until_nobody_is_connected();
  world.settle();
  BOOST_TEST(world.exports.ports.empty());
  expect_service(world);
}

BOOST_AUTO_TEST_CASE(leaving_while_answers_are_due_forgets_the_client) {
  for (const bool reset : {false, true}) {
    World world(Answers::held);
    auto client = world.client();
    client.send(request(Command::write, 1, 0, 4096) + pattern(4096, 1) +
                request(Command::read, 2, 0, 1 << 20));
    world.settle();
    if (reset) {
      client.reset();
    } else {
      client.close();
    }
    world.until_nobody_is_connected();
    BOOST_TEST(world.exports.ports.empty());
  }
}

BOOST_AUTO_TEST_CASE(silence_ends_at_the_deadline) {
  ServerOptions options;
  options.times.negotiation = std::chrono::milliseconds(0);
  World world(Answers::next_turn, options);
  auto client = world.connect();
  BOOST_TEST(client.receive_all().size() == greeting_bytes);
  BOOST_TEST(world.events.back().reason == "no export chosen within 0 ms");
  BOOST_TEST(world.server.counters().negotiations_failed == 1u);
}

BOOST_AUTO_TEST_CASE(volume_that_never_answers_does_not_keep_a_departed_client) {
  ServerOptions options;
  options.times.farewell = std::chrono::milliseconds(0);
  World world(Answers::held, options);
  auto client = world.client();
  client.send(request(Command::flush, 1, 0, 0) + request(Command::disc, 0, 0, 0));
  world.until_nobody_is_connected();
  BOOST_TEST(world.exports.ports.empty());
}

BOOST_AUTO_TEST_CASE(garbage_of_every_kind_closes_that_connection_only) {
  World world;
  auto witness = world.client();
  const auto agreed = client_flags + option(Option::go, info_data("vol"));
  const std::vector<Bytes> garbage{
      wire(std::uint32_t{0xffffffff}),                    // client flags, all ones
      Bytes(64, std::byte{0xff}),                         //
      wire("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),  //
      hex("16030100a5010000a10303") + Bytes(160),         // a TLS hello at once
      client_flags + wire(greeting_magic, std::uint32_t{1}, std::uint32_t{0}),
      client_flags + wire(option_magic, std::uint32_t{7}, std::uint32_t{0xffffffff}),
      client_flags + wire(option_magic, std::uint32_t{1}, std::uint32_t{4}, "none"),
      client_flags + Bytes(64, std::byte{0x41}),
      agreed + Bytes(request_header_bytes),                           // request magic 0
      agreed + request(Command::write, 1, 0, payload_bytes_max + 1),  // 32 MiB and a byte
      agreed + request(Command::write, 1, 0, 0xffffffff),
      agreed + request(Command::flush, 1, 0, 0) + Bytes(500, std::byte{0x55}),
  };
  for (const auto& bytes : garbage) {
    auto client = world.connect();
    client.send(bytes);
    client.receive_all();  // ends: the server closed
  }
  world.until([&] { return world.server.counters().connections == 1; });
  BOOST_TEST((witness.write(0, pattern(4096, 1)).error == ErrorCode::none));
  expect_service(world);
}

BOOST_AUTO_TEST_CASE(random_bytes_never_do_more_than_close) {
  World world;
  std::uint64_t state = 42;  // xorshift: the same bytes on every machine
  const auto random = [&state] {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  };
  const auto all = conversation();
  for (int round = 0; round < 400; ++round) {
    auto bytes = all;
    for (auto flips = 1 + random() % 4; flips > 0; --flips) {
      bytes[random() % bytes.size()] ^= static_cast<std::byte>(1u << random() % 8);
    }
    auto client = world.connect();
    client.send(bytes);
    world.settle();
    client.reset();
  }
  world.until_nobody_is_connected();
  expect_service(world);
}

BOOST_AUTO_TEST_CASE(million_options_are_not_listened_to) {
  World world;
  auto client = world.connect();
  Bytes flood = client_flags;
  for (int i = 0; i < 20000; ++i) flood = std::move(flood) + option(Option::list);
  try {
    client.send(flood);
  } catch (const std::runtime_error&) {  // the server closed while we were talking
  }
  world.until_nobody_is_connected();
  BOOST_TEST(world.events.back().reason == "more than 4096 options");
}

BOOST_AUTO_TEST_CASE(places_are_limited_and_come_free) {
  ServerOptions options;
  options.connections_max = 2;
  World world(Answers::next_turn, options);
  auto one = world.client();
  auto two = world.client();
  auto three = world.connect();
  BOOST_TEST(three.receive_all().empty());
  BOOST_TEST(world.server.counters().connections_refused == 1u);
  BOOST_TEST((one.write(0, Bytes(1)).error == ErrorCode::none));
  two.close();
  world.until([&] { return world.server.counters().connections == 1; });
  expect_service(world);
}

BOOST_AUTO_TEST_CASE(one_host_cannot_take_every_place_by_saying_nothing) {
  ServerOptions options;
  options.negotiating_per_host_max = 2;
  World world(Answers::next_turn, options);
  auto working = world.client();
  auto one = world.connect();
  auto two = world.connect();
  auto three = world.connect();
  BOOST_TEST(three.receive_all().empty());
  one.close();
  world.until([&] { return world.server.counters().connections == 2; });
  expect_service(world);
}

BOOST_AUTO_TEST_CASE(hasty_client_is_read_no_further_than_256_requests) {
  World world(Answers::held);
  auto client = world.client();
  Bytes stream;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    stream = std::move(stream) + request(Command::read, i, 0, 512);
  }
  client.send(stream);
  world.settle();
  for (std::uint64_t answered = 0; answered < 1000;) {
    auto& port = world.exports.only_port();
    BOOST_TEST(port.held().size() == std::min<std::uint64_t>(256, 1000 - answered));
    port.release();
    world.settle();
    const auto now = std::min<std::uint64_t>(256, 1000 - answered);
    for (std::uint64_t i = 0; i < now; ++i) BOOST_TEST(client.reply(0, 512).cookie == answered++);
    world.settle();
  }
}

BOOST_AUTO_TEST_CASE(hasty_client_is_read_no_further_than_33_mib) {
  World world(Answers::held);
  auto client = world.client();
  Bytes stream;
  for (std::uint64_t i = 0; i < 9; ++i) {
    stream = std::move(stream) + request(Command::read, i, 0, 16 << 20);
  }
  client.send(stream);
  world.settle();
  BOOST_TEST(world.exports.only_port().held().size() == 2u);
  world.exports.answers = Answers::at_once;
  world.exports.only_port().release();
  for (std::uint64_t i = 0; i < 9; ++i) BOOST_TEST(client.reply(0, 16 << 20).cookie == i);
}

BOOST_AUTO_TEST_CASE(reader_that_never_reads_stops_being_served_and_loses_nothing) {
  World world(Answers::at_once);
  auto client = world.client();
  const auto data = pattern(8 << 20, 5);
  BOOST_TEST((client.write(0, data).error == ErrorCode::none));
  Bytes stream;
  for (std::uint64_t i = 0; i < 40; ++i) {
    stream = std::move(stream) + request(Command::read, i, 0, 8 << 20);
  }
  client.send(stream);
  world.settle();
  const auto served = world.server.counters().bytes_read;
  // 33 MiB of replies, and what the kernel's buffers took.
  BOOST_TEST(served < in_flight_bytes_max + (std::uint64_t{32} << 20));
  expect_service(world);  // others are
  for (std::uint64_t i = 0; i < 40; ++i) {
    const auto reply = client.reply(0, 8 << 20);
    BOOST_TEST(reply.cookie == i);
    BOOST_TEST((reply.data.size() == data.size()));
  }
}

BOOST_AUTO_TEST_CASE(reader_that_never_reads_is_not_kept_for_ever) {
  ServerOptions options;
  options.times.stalled = std::chrono::milliseconds(0);
  World world(Answers::at_once, options);
  auto client = world.client();
  Bytes stream;
  for (std::uint64_t i = 0; i < 8; ++i)
    stream = std::move(stream) + request(Command::read, i, 0, 32 << 20, command_flag::df);
  client.write(0, Bytes(4096));
  client.send(stream);
  world.until_nobody_is_connected();
  BOOST_TEST(world.events.back().reason == "the client took no reply for 0 ms");
}

BOOST_AUTO_TEST_CASE(write_that_stops_in_its_payload_is_never_submitted) {
  World world;
  for (const std::uint32_t missing : {1u, 4095u, 4096u, 1u << 20}) {
    auto client = world.client();
    client.send(request(Command::write, 1, 0, 1 << 20) + Bytes((1 << 20) - missing));
    world.settle();
    client.reset();
  }
  world.until_nobody_is_connected();
  BOOST_TEST(world.exports.batches.empty());
  expect_service(world);
}

BOOST_AUTO_TEST_CASE(stop_with_clients_in_every_state_leaves_nothing_behind) {
  World world(Answers::held);
  auto silent = world.connect();
  auto haggling = world.connect();
  haggling.greet();
  auto idle = world.client();
  auto waiting = world.client();
  waiting.send(request(Command::flush, 1, 0, 0));
  auto writing = world.client();
  writing.send(request(Command::write, 1, 0, 8192) + Bytes(100));
  auto leaving = world.client();
  leaving.send(request(Command::flush, 1, 0, 0) + request(Command::disc, 0, 0, 0));
  world.settle();
  BOOST_TEST(world.server.counters().connections == 6u);
  world.server.stop();
  BOOST_TEST(world.exports.ports.empty());
  for (auto* client : {&silent, &haggling, &idle, &waiting, &writing, &leaving}) {
    client->receive_all();
  }
  world.server.stop();  // again: nothing more happens
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(listening)

BOOST_AUTO_TEST_CASE(addresses_are_literal_and_complete) {
  BOOST_TEST(to_string(parse_address("127.0.0.1:10809").value()) == "127.0.0.1:10809");
  BOOST_TEST(to_string(parse_address("[::1]:1").value()) == "[::1]:1");
  BOOST_TEST(to_string(parse_address("unix:/run/x").value()) == "unix:/run/x");
  BOOST_TEST(host_of(parse_address("[::1]:1").value()) == "::1");
  for (const auto* bad :
       {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:1x",
        "localhost:1", "::1:1", "[127.0.0.1]:1", "256.0.0.1:1", "unix:", "10.0.0.1/8:1"}) {
    const auto parsed = parse_address(bad);
    BOOST_TEST(!parsed.has_value(), bad);
    if (!parsed) BOOST_TEST(parsed.error().text.starts_with("address "));
  }
  BOOST_TEST(!parse_address("unix:" + std::string(108, 'x')).has_value());
}

BOOST_AUTO_TEST_CASE(address_in_use_is_said_with_the_address) {
  World world;
  ServerOptions options;
  options.listen = world.server.address();
  Server second(world.loop, world.exports, options);
  const auto status = second.listen();
  BOOST_REQUIRE(!status.has_value());
  BOOST_TEST((status.error().code == engine::Errc::busy));
  BOOST_TEST(status.error().text.find(options.listen) != std::string::npos);
  expect_service(world);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::nbd
