// The codec gives back what it took, and nothing else gets through it.
#define BOOST_TEST_DYN_LINK
#include "transport/replication/codec.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>

#include "engine/record/checksum.hpp"
#include "tests/transport/random_messages.hpp"

namespace tidemark::transport {
namespace {

using namespace engine;
using namespace test;

constexpr std::uint64_t seed = 20240607;
constexpr std::size_t header_crc_at = 16;

/// A frame as it arrives: header, head and body apart, so that tests can bend each.
struct Arrived {
  FrameHeader header;
  std::vector<std::byte> head;
  Slice body;
};

Arrived arrive(const Message& message) {
  const auto frame = encode(message);
  const std::span<const std::byte> bytes(frame.head);
  auto header = decode_header(bytes.first<frame_header_bytes>());
  BOOST_REQUIRE(header);
  const auto head = bytes.subspan(frame_header_bytes);
  return {*header, {head.begin(), head.end()}, joined(frame.body)};
}

Result<Message> read(const Arrived& frame) {
  return decode(frame.header, frame.head, frame.body, test_volume_key());
}

/// As `read`, with sizes and CRC of the header set to what head and body are now.
Result<Message> read_resealed(Arrived frame) {
  frame.header.head_bytes = static_cast<std::uint32_t>(frame.head.size());
  frame.header.body_bytes = static_cast<std::uint32_t>(frame.body.size());
  frame.header.head_crc = crc32c(frame.head);
  return read(frame);
}

std::vector<std::byte> head_of(const Message& message) { return arrive(message).head; }

std::string why(const Result<Message>& result) { return result ? "" : result.error().text; }

Slice flipped(const Slice& slice, std::size_t at, unsigned bit) {
  auto copy = Buffer::copy_of(slice.bytes());
  copy.data()[at] ^= std::byte{1} << bit;
  return std::move(copy).freeze();
}

/// The answer to a question for a block, with its content.
Message lost_block() {
  BlockIs message;
  message.volume = test_volume();
  auto& copy = message.copy;
  copy.block = BlockIndex(7);
  copy.state = CopyState::data;
  copy.data = Buffer::copy_of(std::vector<std::byte>(block_bytes, std::byte{0x5a})).freeze();
  copy.sum = block_sum(test_volume_key(), copy.block, copy.data.bytes());
  return message;
}

BOOST_AUTO_TEST_SUITE(codec)

BOOST_AUTO_TEST_CASE(every_message_comes_back_as_it_was_sent) {
  SplitMix rng(seed);
  for (std::size_t type = 0; type < message_types; ++type) {
    for (int round = 0; round < 200; ++round) {
      const auto message = random_message(rng, type);
      const auto back = decode(encode(message), test_volume_key());
      BOOST_REQUIRE_MESSAGE(back, name(message) << ": " << why(back));
      BOOST_REQUIRE_MESSAGE(same(message, *back), name(message) << " changed on the way");
    }
  }
}

BOOST_AUTO_TEST_CASE(the_longest_strings_and_lists_fit_and_reach_the_bound_of_their_type) {
  for (std::size_t type = 0; type < message_types; ++type) {
    const auto message = largest_message(type);
    const auto frame = encode(message);
    const auto& rule = frame_rules[type];
    // No address that can be dialled is as long as the text of one may be.
    const bool open_ended = rule.body_max > 0 || rule.type == FrameType::register_node;
    BOOST_TEST((open_ended || frame.head.size() == frame_header_bytes + rule.head_max), rule.name);
    const auto back = decode(frame, test_volume_key());
    BOOST_REQUIRE_MESSAGE(back, rule.name << ": " << why(back));
    BOOST_TEST(same(message, *back));
  }
}

BOOST_AUTO_TEST_CASE(a_full_records_frame_of_1024_blocks_fits) {
  const Message message = writes(1, records_per_frame_max);
  const auto frame = encode(message);
  BOOST_TEST(frame.body_bytes() == records_frame_bytes_max);
  const auto back = decode(frame, test_volume_key());
  BOOST_REQUIRE(back);
  BOOST_TEST(same(message, *back));
}

BOOST_AUTO_TEST_CASE(a_block_beyond_32_bits_keeps_its_number_on_the_wire) {
  AskBase ask{test_volume(), Epoch(1), SessionId(2), {}};
  const auto bytes_of_none = head_of(ask).size();
  ask.ranges = {{BlockIndex((std::uint64_t{1} << 40) + 5), std::uint64_t{1} << 33}};
  BOOST_TEST(head_of(ask).size() - bytes_of_none == 2 * sizeof(std::uint64_t));
  const auto back = read(arrive(ask));
  BOOST_REQUIRE_MESSAGE(back, why(back));
  BOOST_TEST((std::get<AskBase>(*back).ranges == ask.ranges));
}

BOOST_AUTO_TEST_CASE(names_are_those_of_the_engine) {
  for (std::size_t type = 0; type < message_types; ++type) {
    BOOST_TEST(frame_rules[type].name == name(sample_message(type)));
  }
}

BOOST_AUTO_TEST_CASE(payload_is_referred_to_and_never_copied) {
  const auto sent = writes(1, 3);
  const auto frame = encode(sent);
  BOOST_TEST(frame.body.size() == 3u);
  for (std::size_t i = 0; i < 3; ++i)
    BOOST_TEST(frame.body[i].data() == sent.records[i]->payload().data());

  const auto frame_body = joined(frame.body);
  const auto arrived = arrive(sent);
  const auto back = decode(arrived.header, arrived.head, frame_body, test_volume_key());
  BOOST_REQUIRE(back);
  const auto& records = std::get<Records>(*back).records;
  for (std::size_t i = 0; i < 3; ++i)
    BOOST_TEST(records[i]->payload().data() == frame_body.data() + i * block_bytes);
}

BOOST_AUTO_TEST_CASE(a_frame_that_is_used_again_forgets_what_it_held) {
  Frame frame;
  encode(writes(1, 3), frame);
  encode(Heartbeat{7}, frame);
  const auto back = decode(frame, std::nullopt);
  BOOST_REQUIRE(back);
  BOOST_TEST(std::get<Heartbeat>(*back).sequence == 7u);
  BOOST_TEST(frame.bytes() == frame_header_bytes + 8);
}

BOOST_AUTO_TEST_CASE(a_long_reason_is_cut_not_refused) {
  const auto back = decode(encode(Refused{RefusalCode::no_space, std::string(5000, 'x'), Epoch(1)}),
                           std::nullopt);
  BOOST_REQUIRE(back);
  BOOST_TEST(std::get<Refused>(*back).text == std::string(text_bytes_max, 'x'));
}

BOOST_AUTO_TEST_CASE(a_long_reason_is_cut_at_the_border_of_a_character) {
  const auto whole = std::string(text_bytes_max - 2, 'x');
  const auto back =
      decode(encode(Refused{RefusalCode::no_space, whole + "\xe2\x82\xac", {}}), std::nullopt);
  BOOST_REQUIRE(back);
  BOOST_TEST(std::get<Refused>(*back).text == whole);
}

BOOST_AUTO_TEST_CASE(a_register_names_its_node_and_endpoints_that_can_be_dialled) {
  const Register good{
      {"node1", make_uuid(1, 1)}, Incarnation(1), "10.0.0.1:9101", "[::1]:1", false};
  const auto taken = [](const Register& m) { return decode(encode(m), std::nullopt).has_value(); };
  BOOST_TEST(taken(good));
  for (const auto* bad : {"", "\xff", "a b", "node1\x1b[2J"}) {
    auto m = good;
    m.node.name = bad;
    BOOST_TEST(!taken(m), bad);
  }
  for (const auto* bad : {"", "node1:9101", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:x\xff"}) {
    auto m = good;
    m.replication = bad;
    BOOST_TEST(!taken(m), bad);
    m = good;
    m.nbd = bad;
    BOOST_TEST(!taken(m), bad);
  }
}

// A search in places that do not rise would not end.
BOOST_AUTO_TEST_CASE(digests_of_places_out_of_order_are_refused) {
  const auto asked = [](std::vector<Lsn> lsns) {
    return decode(encode(AskDigests{test_volume(), Epoch(1), SessionId(2), std::move(lsns)}),
                  test_volume_key());
  };
  BOOST_TEST(asked({Lsn(3), Lsn(4)}).has_value());
  for (const auto& lsns : std::vector<std::vector<Lsn>>{{}, {Lsn(4), Lsn(3)}, {Lsn(4), Lsn(4)}})
    BOOST_TEST(!asked(lsns).has_value());
  const Digests answer{test_volume(), Epoch(1), SessionId(2), Lsn(0), {{Lsn(4), {}}, {Lsn(4), {}}}};
  BOOST_TEST(!decode(encode(answer), test_volume_key()).has_value());
}

BOOST_AUTO_TEST_CASE(an_admin_reply_beyond_the_bound_arrives_as_an_error) {
  const auto back =
      decode(encode(AdminReply{9, 200, std::string(admin_body_bytes_max + 1, 'x')}), std::nullopt);
  BOOST_REQUIRE(back);
  BOOST_TEST(std::get<AdminReply>(*back).id == 9u);
  BOOST_TEST(std::get<AdminReply>(*back).status == 500);
}

BOOST_AUTO_TEST_CASE(a_head_that_ends_anywhere_too_early_is_refused) {
  for (std::size_t type = 0; type < message_types; ++type) {
    auto frame = arrive(sample_message(type));
    while (!frame.head.empty()) {
      frame.head.pop_back();
      BOOST_REQUIRE_MESSAGE(!read_resealed(frame),
                            frame_rules[type].name << " at " << frame.head.size());
    }
  }
}

BOOST_AUTO_TEST_CASE(bytes_behind_the_last_field_are_refused) {
  for (std::size_t type = 0; type < message_types; ++type) {
    auto frame = arrive(sample_message(type));
    frame.head.push_back(std::byte{0});
    BOOST_TEST(!read_resealed(frame), frame_rules[type].name);
  }
}

BOOST_AUTO_TEST_CASE(one_flipped_bit_anywhere_is_refused) {
  for (std::size_t type = 0; type < message_types; ++type) {
    const auto sent = encode(sample_message(type));
    for (std::size_t at = 0; at < sent.head.size(); ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        auto bent = sent;
        bent.head[at] ^= std::byte{1} << bit;
        BOOST_REQUIRE_MESSAGE(!decode(bent, test_volume_key()),
                              frame_rules[type].name << " byte " << at);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(one_flipped_bit_anywhere_in_a_body_is_refused) {
  for (const Message& message : {Message(writes(5, 2)), sample<BaseBlocks>(), lost_block()}) {
    const auto sent = arrive(message);
    BOOST_REQUIRE(!sent.body.empty());
    for (std::size_t at = 0; at < sent.body.size(); ++at) {
      const auto back =
          decode(sent.header, sent.head, flipped(sent.body, at, at % 8), test_volume_key());
      BOOST_REQUIRE_MESSAGE(!back, name(message) << " byte " << at);
      BOOST_REQUIRE(back.error().code == Errc::corrupt);
    }
  }
}

// There is one way to write a message: what is accepted under a right CRC is what would be sent.
BOOST_AUTO_TEST_CASE(a_bent_head_with_a_right_crc_is_refused_or_is_another_message) {
  SplitMix rng(seed);
  std::size_t refusals = 0;
  for (std::size_t type = 0; type < message_types; ++type) {
    const auto sent = arrive(sample_message(type));
    for (std::size_t at = 0; at < sent.head.size(); ++at) {
      for (int round = 0; round < 4; ++round) {
        auto bent = sent;
        bent.head[at] = static_cast<std::byte>(rng.next());
        const auto back = read_resealed(bent);
        if (!back) {
          ++refusals;
          continue;
        }
        BOOST_REQUIRE_MESSAGE(head_of(*back) == bent.head,
                              frame_rules[type].name << " byte " << at);
      }
    }
  }
  BOOST_TEST(refusals > 1000u);
}

BOOST_AUTO_TEST_CASE(noise_with_a_right_crc_never_breaks_the_decoder) {
  SplitMix rng(seed);
  for (int round = 0; round < 20'000; ++round) {
    const auto& rule = frame_rules[rng.between(0, message_types - 1)];
    Arrived frame;
    frame.header.type = rule.type;
    frame.head.resize(rng.between(rule.head_min, std::min(rule.head_max, rule.head_min + 300)));
    // Mostly small numbers: noise that gets past the counts.
    for (auto& b : frame.head) b = static_cast<std::byte>(rng.coin() ? 0 : rng.between(0, 4));
    const auto back = read_resealed(frame);
    if (back) BOOST_REQUIRE(head_of(*back) == frame.head);
  }
}

BOOST_AUTO_TEST_CASE(records_need_the_volume_of_their_connection) {
  for (const Message& message : {Message(writes(5, 2)), sample<BaseBlocks>(), lost_block()}) {
    const auto frame = encode(message);
    BOOST_TEST((decode(frame, std::nullopt).error().code == Errc::invalid));
    const VolumeKey other(make_uuid(1, 2));
    BOOST_TEST((decode(frame, other).error().code == Errc::corrupt));
  }
}

BOOST_AUTO_TEST_CASE(a_block_comes_with_its_content_or_says_why_not) {
  auto without = arrive(lost_block());
  without.body = {};
  BOOST_TEST(!read_resealed(without));
  BlockIs denied;
  denied.volume = test_volume();
  denied.copy.state = CopyState::damaged;
  auto with = arrive(denied);
  BOOST_TEST(read_resealed(with).has_value());
  with.body = zeros(block_bytes);
  BOOST_TEST(!read_resealed(with));
}

BOOST_AUTO_TEST_CASE(a_body_that_records_do_not_name_is_refused) {
  auto frame = arrive(writes(5, 2));
  const auto whole = frame.body;
  frame.body = whole.part(0, block_bytes);
  BOOST_TEST(!read_resealed(frame));
  frame.body = joined({whole, zeros(block_bytes)});
  BOOST_TEST(!read_resealed(frame));
}

BOOST_AUTO_TEST_CASE(a_count_of_records_that_the_head_does_not_hold_is_refused) {
  const auto sent = arrive(writes(5, 2));
  for (const int claimed : {0, 1, 3, 1024, 1025, 0xffff}) {
    const auto count = static_cast<std::uint16_t>(claimed);
    auto bent = sent;
    std::memcpy(bent.head.data() + 40, &count, sizeof count);
    BOOST_TEST(!read_resealed(bent), count);
  }
}

BOOST_AUTO_TEST_CASE(members_out_of_order_are_refused) {
  Assign assign;
  assign.assignment.spec = {test_volume(), "v", 4096, Mode::sync_all, AckPolicy::received, 3, 2};
  assign.assignment.in_sync = {{ReplicaId(2), Incarnation(1)}, {ReplicaId(1), Incarnation(1)}};
  BOOST_TEST(!decode(encode(assign), std::nullopt));
  assign.assignment.in_sync = {{ReplicaId(1), Incarnation(1)}, {ReplicaId(1), Incarnation(1)}};
  BOOST_TEST(!decode(encode(assign), std::nullopt));
  assign.assignment.in_sync = {{ReplicaId(1), Incarnation(1)}, {ReplicaId(2), Incarnation(1)}};
  BOOST_TEST(decode(encode(assign), std::nullopt).has_value());
}

BOOST_AUTO_TEST_CASE(reigns_out_of_order_are_refused) {
  Assign assign;
  assign.assignment.spec = {test_volume(), "v", 4096, Mode::sync_all, AckPolicy::received, 3, 2};
  auto& reigns = assign.assignment.reigns;
  reigns = {{Epoch(2), Version(1), false}, {Epoch(1), Version(2), false}};
  BOOST_TEST(!decode(encode(assign), std::nullopt));
  reigns = {{Epoch(1), Version(1), false}, {Epoch(1), Version(2), false}};
  BOOST_TEST(!decode(encode(assign), std::nullopt));
  // Behind one that was forgotten the versions may be any.
  reigns = {{Epoch(1), Version(2), false}, {Epoch(2), Version(1), true}};
  BOOST_TEST(decode(encode(assign), std::nullopt).has_value());
}

BOOST_AUTO_TEST_CASE(volumes_that_cannot_be_are_refused) {
  const VolumeSpec good{test_volume(), "vol-1", 8192, Mode::sync_all, AckPolicy::received, 3, 2};
  const auto taken = [](const VolumeSpec& spec) {
    Assign assign;
    assign.assignment.spec = spec;
    return decode(encode(assign), std::nullopt).has_value();
  };
  BOOST_TEST(taken(good));
  for (const auto* bad : {"", ".hidden", "a/b", "a b", "\n"}) {
    auto spec = good;
    spec.name = bad;
    BOOST_TEST(!taken(spec), bad);
  }
  auto spec = good;
  spec.size_bytes = 8191;
  BOOST_TEST(!taken(spec));
  spec = good;
  spec.copies = 17;
  BOOST_TEST(!taken(spec));
  spec = good;
  spec.min_copies = 4;
  BOOST_TEST(!taken(spec));
}

BOOST_AUTO_TEST_CASE(an_empty_or_endless_block_range_is_refused) {
  BaseZeroes zeroes;
  BOOST_TEST(!decode(encode(zeroes), std::nullopt));
  zeroes.range = {BlockIndex(~std::uint64_t{0}), 1};
  BOOST_TEST(!decode(encode(zeroes), std::nullopt));
  zeroes.range = {BlockIndex(0), ~std::uint64_t{0}};
  BOOST_TEST(decode(encode(zeroes), std::nullopt).has_value());
}

BOOST_AUTO_TEST_CASE(a_body_is_joined_without_a_copy_when_it_is_one_piece) {
  const auto piece = zeros(8192);
  BOOST_TEST(joined({piece}).data() == piece.data());
  BOOST_TEST(joined({piece, piece}).size() == 16384u);
  BOOST_TEST(joined({}).empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(frame_header)

using HeaderBytes = std::array<std::byte, frame_header_bytes>;

HeaderBytes reseal(HeaderBytes bytes) {
  std::memset(bytes.data() + header_crc_at, 0, 4);
  const auto crc = crc32c(bytes);
  std::memcpy(bytes.data() + header_crc_at, &crc, sizeof crc);
  return bytes;
}

HeaderBytes with(const HeaderBytes& bytes, std::size_t at, std::uint32_t value, std::size_t size) {
  auto bent = bytes;
  std::memcpy(bent.data() + at, &value, size);
  return reseal(bent);
}

bool taken(const HeaderBytes& bytes) { return decode_header(bytes).has_value(); }

BOOST_AUTO_TEST_CASE(sizes_are_bounded_per_type_before_anything_is_allocated) {
  for (const auto& rule : frame_rules) {
    const auto header = encode_header({rule.type, rule.head_min, 0, 0});
    BOOST_TEST(taken(header), rule.name);
    const auto head = [&](std::uint32_t bytes) { return taken(with(header, 8, bytes, 4)); };
    BOOST_TEST(head(rule.head_max), rule.name);
    BOOST_TEST(!head(0), rule.name);
    BOOST_TEST(!head(rule.head_min - 1), rule.name);
    BOOST_TEST(!head(rule.head_max + 1), rule.name);
    BOOST_TEST(!head(0xffffffff), rule.name);
    const auto body = [&](std::uint32_t bytes) { return taken(with(header, 12, bytes, 4)); };
    BOOST_TEST(body(rule.body_max), rule.name);
    BOOST_TEST(!body(1), rule.name);
    BOOST_TEST(!body(rule.body_max + 1), rule.name);
    BOOST_TEST(!body(rule.body_max + block_bytes), rule.name);
    BOOST_TEST(!body(0xfffff000), rule.name);
    BOOST_TEST(!body(0xffffffff), rule.name);
  }
}

BOOST_AUTO_TEST_CASE(only_known_types_are_taken) {
  std::size_t known = 0;
  for (std::uint32_t type = 0; type < 256; ++type) {
    const auto* rule = find_rule(static_cast<std::uint8_t>(type));
    const auto header =
        encode_header({FrameType::hello, rule != nullptr ? rule->head_min : 100, 0, 0});
    BOOST_TEST(taken(with(header, 4, type, 1)) == (rule != nullptr), type);
    known += rule != nullptr;
  }
  BOOST_TEST(known == message_types);
}

BOOST_AUTO_TEST_CASE(reserved_bytes_and_magic_must_be_as_written) {
  const auto header = encode_header({FrameType::heartbeat, 8, 0, 0});
  BOOST_TEST(taken(header));
  for (const std::size_t at :
       {0u, 1u, 2u, 3u, 5u, 6u, 7u, 24u, 25u, 26u, 27u, 28u, 29u, 30u, 31u}) {
    for (const std::uint32_t value : {0x01u, 0x80u, 0xffu}) {
      BOOST_TEST(!taken(with(header, at, value, 1)), "byte " << at);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_wrong_crc_is_refused) {
  auto header = encode_header({FrameType::heartbeat, 8, 0, 0});
  for (std::size_t at = header_crc_at; at < header_crc_at + 4; ++at) {
    auto bent = header;
    bent[at] ^= std::byte{1};
    BOOST_TEST(!taken(bent));
  }
}

BOOST_AUTO_TEST_CASE(a_stranger_is_told_what_was_expected) {
  HeaderBytes bytes;
  std::memcpy(bytes.data(), "GET / HTTP/1.1\r\nHost: localhost\r", bytes.size());
  const auto refused = decode_header(bytes);
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().text.find("not a tidemark peer") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::transport
