// What arrives on a connection: judged by its phase as soon as its header is there, put together,
// decoded; and what is wrong with it is said with the code that the peer is to be told.
#define BOOST_TEST_DYN_LINK
#include "transport/replication/intake.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>

#include "tests/transport/random_messages.hpp"
#include "transport/replication/codec.hpp"

namespace tidemark::transport {
namespace {

using namespace engine;
using namespace test;

using Bytes = std::vector<std::byte>;

Bytes stream_of(const Message& message) {
  const auto frame = encode(message);
  Bytes bytes = frame.head;
  for (const auto& slice : frame.body) {
    bytes.insert(bytes.end(), slice.bytes().begin(), slice.bytes().end());
  }
  return bytes;
}

std::size_t give(Intake& intake, std::span<const std::byte> bytes) {
  std::size_t fed = 0;
  for (const auto& part : intake.room()) {
    const auto count = std::min(part.size(), bytes.size() - fed);
    if (count > 0) std::memcpy(part.data(), bytes.data() + fed, count);
    fed += count;
  }
  intake.filled(fed);
  return fed;
}

Terms open_records() { return {Phase::open, Purpose::records, test_volume_key()}; }

BOOST_AUTO_TEST_SUITE(intake)

BOOST_AUTO_TEST_CASE(a_greeting_and_what_follows_is_taken_byte_by_byte) {
  const std::vector<Message> sent{sample<Hello>(), sample<Probe>(), Message(writes(1, 3))};
  auto terms = Terms{};
  Intake intake(Direction::from_connector);
  std::vector<Message> taken;
  for (const auto& message : sent) {
    for (const auto byte : stream_of(message)) {
      BOOST_REQUIRE(give(intake, {&byte, 1}) == 1u);
      auto next = intake.next(terms);
      BOOST_REQUIRE(!std::holds_alternative<Breach>(next));
      if (auto* got = std::get_if<Message>(&next)) {
        terms.learn(*got);
        taken.push_back(std::move(*got));
      }
    }
    if (taken.size() == 1) {  // The Hello: its answer opens the connection.
      BOOST_TEST((terms.phase == Phase::answering));
      terms.purpose = Purpose::records;
      terms.volume = test_volume_key();
      terms.learn(sample<HelloOk>());
      BOOST_TEST((terms.phase == Phase::open));
    }
  }
  BOOST_REQUIRE(taken.size() == sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) BOOST_TEST(same(sent[i], taken[i]));
}

BOOST_AUTO_TEST_CASE(what_may_not_come_now_is_refused_as_soon_as_its_header_is_there) {
  const auto bytes = stream_of(writes(1, 20));
  Intake intake(Direction::from_acceptor);  // Records go the other way.
  give(intake, std::span(bytes).first(frame_header_bytes));
  const auto next = intake.next(open_records());
  const auto* breach = std::get_if<Breach>(&next);
  BOOST_REQUIRE(breach != nullptr);
  BOOST_TEST((breach->code == RefusalCode::protocol));
  BOOST_TEST(breach->text == "records may not come here now");
}

BOOST_AUTO_TEST_CASE(damaged_blocks_are_bad_data_and_damaged_heads_a_breach_of_protocol) {
  const auto whole = stream_of(writes(1, 2));
  const auto refused_as = [&](std::size_t at) {
    auto bytes = whole;
    bytes[at] ^= std::byte{1};
    Intake intake(Direction::from_connector);
    std::span<const std::byte> rest(bytes);
    Intake::Next next;
    while (!rest.empty() && std::holds_alternative<std::monostate>(next)) {
      rest = rest.subspan(give(intake, rest));
      next = intake.next(open_records());
    }
    BOOST_REQUIRE(std::holds_alternative<Breach>(next));
    return std::get<Breach>(next).code;
  };
  BOOST_TEST((refused_as(9) == RefusalCode::protocol));
  BOOST_TEST((refused_as(frame_header_bytes + 3) == RefusalCode::protocol));
  BOOST_TEST((refused_as(whole.size() - 1) == RefusalCode::bad_data));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::transport
