// Streams into frames and frames into streams, without a socket.
#define BOOST_TEST_DYN_LINK
#include "transport/replication/frame_reader.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>

#include "tests/transport/random_messages.hpp"
#include "transport/replication/codec.hpp"
#include "transport/replication/endpoint.hpp"
#include "transport/replication/send_queue.hpp"

namespace tidemark::transport {
namespace {

using namespace engine;
using namespace test;

using Bytes = std::vector<std::byte>;

/// Feeds as a socket would: at most `portion` bytes, at most what there is room for.
std::size_t feed(FrameReader& reader, std::span<const std::byte> bytes, std::size_t portion) {
  bytes = bytes.first(std::min(bytes.size(), portion));
  std::size_t fed = 0;
  for (const auto& part : reader.room()) {
    const auto count = std::min(part.size(), bytes.size() - fed);
    if (count > 0) std::memcpy(part.data(), bytes.data() + fed, count);
    fed += count;
  }
  BOOST_REQUIRE(fed > 0);
  reader.filled(fed);
  return fed;
}

void take_all(FrameReader& reader, std::vector<Message>& into) {
  while (true) {
    const auto header = reader.header();
    BOOST_REQUIRE(header);
    if (*header == nullptr) return;
    auto frame = reader.take();
    if (!frame) return;
    auto message = decode(frame->header, frame->head, frame->body, test_volume_key());
    BOOST_REQUIRE(message);
    into.push_back(std::move(*message));
  }
}

std::vector<Message> one_of_each() {
  SplitMix rng(99);
  std::vector<Message> all;
  for (std::size_t type = 0; type < message_types; ++type) all.push_back(random_message(rng, type));
  return all;
}

/// Everything the queue holds, written `portion` bytes at a time through at most `pieces`
/// pieces of memory.
Bytes drain(SendQueue& queue, std::size_t portion, std::size_t pieces) {
  Bytes all;
  std::vector<iovec> iov(pieces);
  while (!queue.empty()) {
    const auto count = queue.gather(iov);
    BOOST_REQUIRE(count > 0);
    std::size_t left = portion;
    for (std::size_t i = 0; i < count && left > 0; ++i) {
      const auto take = std::min(left, iov[i].iov_len);
      const auto* data = static_cast<const std::byte*>(iov[i].iov_base);
      all.insert(all.end(), data, data + take);
      left -= take;
    }
    queue.written(portion - left);
  }
  return all;
}

BOOST_AUTO_TEST_SUITE(streams)

BOOST_AUTO_TEST_CASE(frames_come_out_whole_whatever_the_portions) {
  const auto sent = one_of_each();
  SendQueue queue;
  for (const auto& message : sent) queue.push(message);
  const auto stream = drain(queue, 1u << 20, 1024);
  for (const std::size_t portion :
       {1u, 2u, 3u, 31u, 32u, 33u, 4095u, 4096u, 16384u, 16385u, 1u << 20}) {
    FrameReader reader;
    std::vector<Message> received;
    for (std::span<const std::byte> rest(stream); !rest.empty();) {
      rest = rest.subspan(feed(reader, rest, portion));
      take_all(reader, received);
    }
    BOOST_REQUIRE(received.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i)
      BOOST_TEST(same(received[i], sent[i]), portion << " " << name(sent[i]));
  }
}

BOOST_AUTO_TEST_CASE(what_a_queue_gathers_is_the_same_stream_however_it_is_written) {
  const auto sent = one_of_each();
  Bytes expected;
  for (const auto& message : sent) {
    const auto frame = encode(message);
    expected.insert(expected.end(), frame.head.begin(), frame.head.end());
    for (const auto& slice : frame.body)
      expected.insert(expected.end(), slice.bytes().begin(), slice.bytes().end());
  }
  for (const std::size_t portion : {1u, 7u, 4096u, 5000u, 1u << 20}) {
    for (const std::size_t pieces : {1u, 2u, 1024u}) {
      SendQueue queue;
      for (const auto& message : sent) queue.push(message);
      BOOST_TEST(queue.bytes() == expected.size());
      BOOST_TEST((drain(queue, portion, pieces) == expected), portion << " " << pieces);
      BOOST_TEST(queue.bytes() == 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE(payload_that_lies_side_by_side_is_one_piece) {
  // What a replica would send on: records that came in one body.
  const auto frame = encode(writes(1, 16));
  const auto arrived = decode(frame, test_volume_key());
  BOOST_REQUIRE(arrived);
  SendQueue queue;
  queue.push(*arrived);
  std::vector<iovec> pieces(64);
  BOOST_TEST(queue.gather(pieces) == 2u);
}

BOOST_AUTO_TEST_CASE(a_body_is_read_into_block_aligned_memory) {
  FrameReader reader;
  const auto frame = encode(writes(1, 4));
  Bytes bytes = frame.head;
  for (const auto& slice : frame.body)
    bytes.insert(bytes.end(), slice.bytes().begin(), slice.bytes().end());
  feed(reader, bytes, bytes.size());
  BOOST_REQUIRE(*reader.header() != nullptr);
  auto taken = reader.take();
  if (!taken) {
    feed(reader, std::span(bytes).subspan(FrameReader::buffer_bytes), bytes.size());
    taken = reader.take();
  }
  BOOST_REQUIRE(taken.has_value());
  BOOST_TEST(reinterpret_cast<std::uintptr_t>(taken->body.data()) % block_bytes == 0u);
}

BOOST_AUTO_TEST_CASE(a_discarded_stream_has_room_again) {
  FrameReader reader;
  const Bytes zeros(FrameReader::buffer_bytes);
  feed(reader, zeros, zeros.size());
  BOOST_TEST(!reader.header());
  reader.discard();
  BOOST_TEST(reader.room()[2].size() == FrameReader::buffer_bytes);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(endpoints)

BOOST_AUTO_TEST_CASE(numeric_endpoints_are_taken_and_come_back) {
  for (const auto* text : {"127.0.0.1:9101", "[::1]:9101", "0.0.0.0:0", "[2001:db8::1]:65535"}) {
    const auto parsed = parse_endpoint(text);
    BOOST_REQUIRE_MESSAGE(parsed, text);
    BOOST_TEST(to_endpoint(*parsed) == text);
  }
  BOOST_TEST(parse_endpoint("127.3.2.1:1")->loopback);
  BOOST_TEST(parse_endpoint("[::1]:1")->loopback);
  BOOST_TEST(!parse_endpoint("10.0.0.1:1")->loopback);
  BOOST_TEST(!parse_endpoint("[::2]:1")->loopback);
}

BOOST_AUTO_TEST_CASE(anything_else_is_refused_with_what_would_be_right) {
  for (const auto* text :
       {"", ":", ":9101", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:9101x", "127.0.0.1: 9101", "localhost:9101", "::1:9101", "[::1]", "[::1]9101",
        "[127.0.0.1]:9101", "[]:1", "[:1", "]:1", "1.2.3:4", "127.0.0.1:000009101"}) {
    const auto parsed = parse_endpoint(text);
    BOOST_REQUIRE_MESSAGE(!parsed, text);
    BOOST_TEST(parsed.error().text.find("127.0.0.1:9101 or [::1]:9101") != std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::transport
