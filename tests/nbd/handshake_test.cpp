// The negotiation, byte by byte, and what strangers try with it.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <map>
#include <ostream>

#include "tests/nbd/bytes.hpp"
#include "transport/nbd/handshake.hpp"
#include "transport/nbd/text.hpp"

namespace tidemark::nbd {

// For Boost.Test, which finds them by their argument's namespace.
static std::ostream& operator<<(std::ostream& out, OptionReply reply) {
  return out << std::hex << static_cast<std::uint32_t>(reply) << std::dec;
}
static std::ostream& operator<<(std::ostream& out, Handshake::Next next) {
  return out << static_cast<int>(next);
}

namespace {

using namespace testing;
using Next = Handshake::Next;

struct FakeDoor final : Door {
  std::vector<engine::ExportInfo> exports{{"vol", 1 << 20, false}};
  std::map<std::string, engine::Error> elsewhere;
  int opened = 0;

  std::vector<engine::ExportInfo> list() override { return exports; }
  engine::Result<engine::ExportInfo> describe(const std::string& name) override {
    for (const auto& info : exports) {
      if (info.name == name) return info;
    }
    if (elsewhere.contains(name)) return elsewhere.at(name);
    return engine::Error{engine::Errc::not_found, "no volume named " + name};
  }
  engine::Result<engine::ExportInfo> open(const std::string& name) override {
    auto info = describe(name);
    if (info) ++opened;
    return info;
  }
};

struct Answer {
  Option option;
  OptionReply type;
  std::string payload;
};

/// Feeds bytes as the session does and takes the replies apart.
struct Haggling {
  FakeDoor door;
  Handshake handshake{door};
  Bytes input;
  Bytes out;
  Next next = Next::read_on;

  explicit Haggling(const Bytes& flags = client_flags) { say(flags); }

  Haggling& say(const Bytes& bytes) {
    input = std::move(input) + bytes;
    while (next == Next::read_on) {
      const auto step = handshake.step(input, out);
      input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(step.consumed));
      next = step.next;
      if (step.consumed == 0) break;
    }
    return *this;
  }

  std::vector<Answer> answers() {
    std::vector<Answer> all;
    Reader in(out);
    while (in.left() != 0) {
      BOOST_REQUIRE(in.take<std::uint64_t>() == option_reply_magic);
      const auto option = static_cast<Option>(in.take<std::uint32_t>().value());
      const auto type = static_cast<OptionReply>(in.take<std::uint32_t>().value());
      all.push_back({option, type, std::string(in.counted_text().value())});
    }
    out.clear();
    return all;
  }

  /// The last reply to an option: ACK or an error.
  OptionReply verdict(Option opt, const Bytes& data = {}) {
    say(option(opt, data));
    const auto all = answers();
    BOOST_REQUIRE(!all.empty());
    return all.back().type;
  }
};

BOOST_AUTO_TEST_SUITE(handshake)

BOOST_AUTO_TEST_CASE(greeting_is_fixed_newstyle_without_zeroes) {
  Bytes out;
  Handshake::greet(out);
  BOOST_TEST(to_hex(out) ==
             "4e42444d41474943"
             "49484156454f5054"
             "0003");
}

BOOST_AUTO_TEST_CASE(go_answers_export_and_block_size_then_enters_transmission) {
  Haggling h;
  h.say(option(Option::structured_reply));
  h.out.clear();
  h.say(option(Option::go, info_data("vol")));
  BOOST_TEST(h.next == Next::transmission);
  // INFO_EXPORT: 1 MiB, flags HAS|FLUSH|FUA|TRIM|ZEROES|DF|MULTI_CONN|CACHE|FAST_ZERO
  BOOST_TEST(to_hex(h.out) ==
             "0003e889045565a9"
             "00000007"
             "00000003"
             "0000000c"
             "0000"
             "0000000000100000"
             "0ded"
             "0003e889045565a9"
             "00000007"
             "00000003"
             "0000000e"
             "0003"
             "00000001"
             "00001000"
             "02000000"
             "0003e889045565a9"
             "00000007"
             "00000001"
             "00000000");
  BOOST_TEST(h.handshake.agreed().size_bytes == 1u << 20);
  BOOST_TEST(h.handshake.agreed().structured_replies);
  BOOST_TEST(!h.handshake.agreed().base_allocation);
  BOOST_TEST(h.handshake.export_name() == "vol");
}

BOOST_AUTO_TEST_CASE(export_name_enters_transmission_with_and_without_padding) {
  Haggling brief;
  brief.say(wire(option_magic, std::uint32_t{1}, std::uint32_t{3}, "vol"));
  BOOST_TEST(brief.next == Next::transmission);
  BOOST_TEST(to_hex(brief.out) ==
             "0000000000100000"
             "0d6d");  // no DF: simple replies
  Haggling padded(wire(std::uint32_t{1}));
  padded.say(wire(option_magic, std::uint32_t{1}, std::uint32_t{3}, "vol"));
  BOOST_TEST(padded.out.size() == export_name_reply_bytes + export_name_padding_bytes);
}

BOOST_AUTO_TEST_CASE(export_name_that_is_not_served_closes_without_a_word) {
  Haggling h;
  h.say(wire(option_magic, std::uint32_t{1}, std::uint32_t{4}, "none"));
  BOOST_TEST(h.next == Next::close);
  BOOST_TEST(h.out.empty());
  BOOST_TEST(h.handshake.why() == "no volume named none");
}

BOOST_AUTO_TEST_CASE(info_describes_without_opening) {
  Haggling h;
  h.say(option(Option::info, info_data("vol", {1, 2, 3})));
  const auto all = h.answers();
  BOOST_REQUIRE(all.size() == 5);
  BOOST_TEST(all[2].payload == std::string("\0\1vol", 5));
  BOOST_TEST(all[3].payload.substr(2) == "Tidemark volume, 1048576 bytes, read-write");
  BOOST_TEST(all.back().type == OptionReply::ack);
  BOOST_TEST(h.door.opened == 0);
  BOOST_TEST(h.next == Next::read_on);
}

BOOST_AUTO_TEST_CASE(export_elsewhere_is_refused_with_the_primary_named) {
  Haggling h;
  h.door.elsewhere["far"] = {engine::Errc::unavailable, "volume far is served by node2"};
  for (const auto opt : {Option::info, Option::go}) {
    h.say(option(opt, info_data("far")));
    const auto all = h.answers();
    BOOST_REQUIRE(all.size() == 1);
    BOOST_TEST(all[0].type == OptionReply::err_policy);
    BOOST_TEST(all[0].payload == "volume far is served by node2");
  }
  BOOST_TEST(h.verdict(Option::go, info_data("../vol")) == OptionReply::err_unknown);
  BOOST_TEST(h.next == Next::read_on);
  BOOST_TEST(h.verdict(Option::go, info_data("vol")) == OptionReply::ack);
}

BOOST_AUTO_TEST_CASE(empty_name_means_the_only_export_and_nothing_else) {
  Haggling one;
  BOOST_TEST(one.verdict(Option::go, info_data("")) == OptionReply::ack);
  BOOST_TEST(one.handshake.export_name() == "vol");
  Haggling two;
  two.door.exports.push_back({"other", 4096, true});
  two.say(option(Option::go, info_data("")));
  const auto answers = two.answers();
  BOOST_REQUIRE(answers.size() == 1);
  BOOST_TEST(answers[0].type == OptionReply::err_unknown);
  BOOST_TEST(answers[0].payload == "several volumes are served here; name one of: vol, other");
}

BOOST_AUTO_TEST_CASE(read_only_export_says_so) {
  Haggling h;
  h.door.exports = {{"past", 4096, true}};
  h.say(wire(option_magic, std::uint32_t{1}, std::uint32_t{4}, "past"));
  BOOST_TEST(to_hex(h.out) ==
             "0000000000001000"
             "0d6f");
  BOOST_TEST(h.handshake.agreed().read_only);
}

BOOST_AUTO_TEST_CASE(list_names_every_export) {
  Haggling h;
  h.door.exports.push_back({"other", 4096, true});
  h.say(option(Option::list));
  const auto all = h.answers();
  BOOST_REQUIRE(all.size() == 3);
  BOOST_TEST(all[0].payload == std::string("\0\0\0\3vol", 7));
  BOOST_TEST(all[1].payload == std::string("\0\0\0\5other", 9));
  BOOST_TEST(all[2].type == OptionReply::ack);
}

BOOST_AUTO_TEST_CASE(list_that_grows_too_long_ends_in_an_error) {
  Haggling h;
  for (int i = 0; i < 300; ++i) h.door.exports.push_back({std::string(4096, 'x'), 4096, false});
  BOOST_TEST(h.verdict(Option::list) == OptionReply::err_too_big);
}

BOOST_AUTO_TEST_CASE(abort_is_acknowledged_then_closes) {
  for (const auto& data : {Bytes{}, wire("a reason")}) {
    Haggling h;
    BOOST_TEST(h.verdict(Option::abort, data) == OptionReply::ack);
    BOOST_TEST(h.next == Next::close);
  }
}

BOOST_AUTO_TEST_CASE(options_that_carry_no_data_refuse_data) {
  Haggling h;
  BOOST_TEST(h.verdict(Option::list, wire("x")) == OptionReply::err_invalid);
  BOOST_TEST(h.verdict(Option::structured_reply, wire("x")) == OptionReply::err_invalid);
  BOOST_TEST(h.verdict(Option::starttls) == OptionReply::err_unsup);
  BOOST_TEST(h.next == Next::read_on);
}

BOOST_AUTO_TEST_CASE(unknown_options_are_refused_one_by_one) {
  for (const std::uint32_t number :
       {0u, 4u, 11u, 12u, 255u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    Haggling h;
    BOOST_TEST(h.verdict(static_cast<Option>(number), wire("data")) == OptionReply::err_unsup);
    BOOST_TEST(h.verdict(Option::go, info_data("vol")) == OptionReply::ack);
  }
}

BOOST_AUTO_TEST_CASE(unknown_client_flags_close) {
  for (const std::uint32_t flags : {4u, 7u, 0x80000000u, 0xffffffffu}) {
    BOOST_TEST(Haggling(wire(flags)).next == Next::close);
  }
}

BOOST_AUTO_TEST_CASE(plain_newstyle_knows_one_option) {
  Haggling h(wire(std::uint32_t{0}));
  h.say(option(Option::list));
  BOOST_TEST(h.next == Next::close);
}

BOOST_AUTO_TEST_CASE(option_without_magic_closes) {
  Haggling h;
  h.say(wire(greeting_magic, std::uint32_t{3}, std::uint32_t{0}));
  BOOST_TEST(h.next == Next::close);
}

BOOST_AUTO_TEST_CASE(long_options_are_drained_and_refused_and_longer_ones_close) {
  for (const std::uint32_t length : {8193u, 20000u, 60000u}) {
    Haggling h;
    h.say(wire(option_magic, std::uint32_t{7}, length));
    BOOST_TEST(h.out.empty());
    h.say(Bytes(length - 1));
    BOOST_TEST(h.out.empty());
    h.say(Bytes(1));
    BOOST_TEST(h.answers().back().type == OptionReply::err_too_big);
    BOOST_TEST(h.next == Next::read_on);
  }
  for (const std::uint32_t length : {524288u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    Haggling h;
    h.say(wire(option_magic, std::uint32_t{7}, length));
    BOOST_TEST(h.next == Next::close);
  }
}

BOOST_AUTO_TEST_CASE(every_short_length_of_every_option_is_answered_or_closes) {
  for (std::uint32_t number = 0; number <= 12; ++number) {
    for (const std::size_t length : {0u, 1u, 3u, 4u, 5u, 256u, 257u, 4095u, 4096u, 4097u, 8192u}) {
      Haggling h;
      h.say(option(static_cast<Option>(number), Bytes(length)));
      const bool answered = !h.out.empty();
      BOOST_TEST((answered || h.next == Next::close), number << " " << length);
      BOOST_TEST(h.input.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(export_name_longer_than_the_protocol_allows_closes) {
  for (const std::size_t length : {4097u, 9000u}) {
    Haggling h;
    h.say(option(Option::export_name, Bytes(length, std::byte{'x'})));
    BOOST_TEST(h.next == Next::close);
  }
}

BOOST_AUTO_TEST_CASE(lengths_inside_info_that_do_not_add_up_are_invalid) {
  const std::vector<Bytes> bad{
      wire(std::uint32_t{100}, "vol", std::uint16_t{0}),  // name longer than the option
      wire(std::uint32_t{0xffffffff}, "vol", std::uint16_t{0}),
      wire(std::uint32_t{0x80000000}, "vol", std::uint16_t{0}),
      wire(std::uint32_t{3}, "vol"),                   // no count
      wire(std::uint32_t{3}, "vol", std::uint8_t{0}),  // half a count
      wire(std::uint32_t{3}, "vol", std::uint16_t{2}, std::uint16_t{0}),
      wire(std::uint32_t{3}, "vol", std::uint16_t{65535}),
      wire(std::uint32_t{3}, "vol", std::uint16_t{1}, std::uint16_t{0}, std::uint8_t{0}),
      info_data(std::string_view("v\0l", 3)),
      info_data("\xff\xfe"),
      info_data("\xc0\xaf"),
      info_data("\xed\xa0\x80"),
      info_data(std::string(4097, 'x')),
  };
  for (const auto& data : bad) {
    Haggling h;
    BOOST_TEST(h.verdict(Option::go, data) == OptionReply::err_invalid, to_hex(data).substr(0, 60));
    BOOST_TEST(h.verdict(Option::info, data) == OptionReply::err_invalid);
    BOOST_TEST(h.door.opened == 0);
    BOOST_TEST(h.verdict(Option::go, info_data("vol", {0, 0, 3, 3, 9})) == OptionReply::ack);
  }
}

BOOST_AUTO_TEST_CASE(longest_legal_name_gets_a_bounded_reply) {
  Haggling h;
  h.say(option(Option::go, info_data(std::string(4096, 'n'))));
  const auto all = h.answers();
  BOOST_TEST(all.back().type == OptionReply::err_unknown);
  BOOST_TEST(all.back().payload.size() <= message_bytes_max);
}

BOOST_AUTO_TEST_CASE(contexts_are_listed_by_wildcard_and_selected_by_name) {
  Haggling h;
  BOOST_TEST(h.verdict(Option::list_meta_context, context_data("vol", {})) ==
             OptionReply::err_invalid);
  BOOST_TEST(h.verdict(Option::structured_reply) == OptionReply::ack);
  const auto count = [&](Option opt, std::initializer_list<std::string_view> queries) {
    h.say(option(opt, context_data("vol", queries)));
    const auto all = h.answers();
    BOOST_TEST(all.back().type == OptionReply::ack);
    return all.size() - 1;
  };
  BOOST_TEST(count(Option::list_meta_context, {}) == 1u);
  BOOST_TEST(count(Option::list_meta_context, {"base:"}) == 1u);
  BOOST_TEST(count(Option::list_meta_context, {"base:allocation"}) == 1u);
  BOOST_TEST(count(Option::list_meta_context, {"qemu:", "base:other", ""}) == 0u);
  BOOST_TEST(count(Option::set_meta_context, {}) == 0u);
  BOOST_TEST(count(Option::set_meta_context, {"base:"}) == 0u);
  BOOST_TEST(count(Option::set_meta_context, {"base:allocation", "base:allocation"}) == 1u);
}

BOOST_AUTO_TEST_CASE(selected_context_gets_its_id_and_holds_for_that_export_only) {
  Haggling h;
  h.door.exports.push_back({"other", 4096, false});
  h.say(option(Option::structured_reply));
  h.out.clear();
  h.say(option(Option::set_meta_context, context_data("vol", {"base:allocation"})));
  BOOST_TEST(to_hex(h.out) ==
             "0003e889045565a9"
             "0000000a"
             "00000004"
             "00000013"
             "00000001"
             "626173653a616c6c6f636174696f6e"
             "0003e889045565a9"
             "0000000a"
             "00000001"
             "00000000");
  h.out.clear();
  h.say(option(Option::go, info_data("other")));
  BOOST_TEST(!h.handshake.agreed().base_allocation);
}

BOOST_AUTO_TEST_CASE(failed_selection_forgets_the_earlier_one) {
  const std::vector<Bytes> failures{context_data("none", {"base:allocation"}),
                                    wire(std::uint32_t{99}), Bytes(9000), context_data("vol", {})};
  for (const auto& failure : failures) {
    Haggling h;
    h.verdict(Option::structured_reply);
    h.verdict(Option::set_meta_context, context_data("vol", {"base:allocation"}));
    h.verdict(Option::set_meta_context, failure);
    BOOST_TEST(h.verdict(Option::go, info_data("vol")) == OptionReply::ack);
    BOOST_TEST(!h.handshake.agreed().base_allocation);
  }
}

BOOST_AUTO_TEST_CASE(lengths_inside_contexts_that_do_not_add_up_are_invalid) {
  const std::vector<Bytes> bad{
      {},
      wire(std::uint32_t{3}, "vol"),
      wire(std::uint32_t{3}, "vol", std::uint32_t{0xffffffff}),
      wire(std::uint32_t{3}, "vol", std::uint32_t{1}, std::uint32_t{0xffffffff}, "base:"),
      wire(std::uint32_t{3}, "vol", std::uint32_t{1}, std::uint32_t{6}, "base:"),
      context_data("vol", {"base:"}) + Bytes(1),
      context_data("vol", {std::string_view("a\0b", 3)}),
  };
  for (const auto& data : bad) {
    Haggling h;
    h.verdict(Option::structured_reply);
    BOOST_TEST(h.verdict(Option::set_meta_context, data) == OptionReply::err_invalid);
    BOOST_TEST(h.verdict(Option::list_meta_context, data) == OptionReply::err_invalid);
  }
}

BOOST_AUTO_TEST_CASE(endless_haggling_is_cut_by_count_and_by_bytes) {
  Haggling counted;
  for (std::uint32_t i = 0; i < options_max; ++i) counted.say(option(Option::list));
  BOOST_TEST(counted.next == Next::read_on);
  counted.say(option(Option::list));
  BOOST_TEST(counted.next == Next::close);

  Haggling weighed;
  int options = 0;
  for (; weighed.next == Next::read_on; ++options) weighed.say(option(Option::list, Bytes(8192)));
  BOOST_TEST(options == 64);
}

BOOST_AUTO_TEST_CASE(fragments_of_one_byte_say_the_same) {
  const auto stream = client_flags + option(Option::structured_reply) +
                      option(Option::set_meta_context, context_data("vol", {"base:allocation"})) +
                      option(Option::go, Bytes(8500)) + option(Option::list) +
                      option(Option::go, info_data("vol", {1, 2}));
  Haggling whole{Bytes{}};
  whole.say(stream);
  Haggling pieces{Bytes{}};
  for (const auto b : stream) pieces.say({b});
  BOOST_TEST(whole.next == Next::transmission);
  BOOST_TEST(pieces.next == Next::transmission);
  BOOST_TEST(to_hex(whole.out) == to_hex(pieces.out));
  BOOST_TEST(pieces.handshake.agreed().base_allocation);
}

BOOST_AUTO_TEST_CASE(requests_behind_go_are_left_in_the_input) {
  Haggling h;
  h.say(option(Option::go, info_data("vol")) + request(Command::flush, 1, 0, 0));
  BOOST_TEST(h.input.size() == request_header_bytes);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(text)

BOOST_AUTO_TEST_CASE(protocol_strings_are_utf8_without_nul) {
  BOOST_TEST(is_protocol_string(""));
  BOOST_TEST(is_protocol_string("vol \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xb3"));
  using namespace std::string_view_literals;
  for (const auto bad :
       {"\0"sv, "\x80"sv, "\xc3"sv, "\xc1\xbf"sv, "\xe0\x80\x80"sv, "\xed\xa0\x80"sv,
        "\xf0\x80\x80\x80"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv}) {
    BOOST_TEST(!is_protocol_string(bad));
  }
}

BOOST_AUTO_TEST_CASE(strangers_text_is_shown_without_control_characters_and_bounded) {
  BOOST_TEST(presentable("a\n\x1b[31mb\xff\x7f") == "a??[31mb??");
  std::string eurosigns;
  for (int i = 0; i < 1000; ++i) eurosigns += "\xe2\x82\xac";
  const auto shown = presentable(eurosigns);
  BOOST_TEST(shown.size() == 1023u);  // whole characters only
  BOOST_TEST(is_protocol_string(shown));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::nbd
