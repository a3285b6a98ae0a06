// docs/PROTOCOL.md says what the code does: its table of bounds
// and its golden frames are read from the page.
#define BOOST_TEST_DYN_LINK
#include <fmt/format.h>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/transport/random_messages.hpp"
#include "transport/replication/codec.hpp"

namespace tidemark::transport {
namespace {

using namespace engine;
using namespace test;

std::string page() {
  const std::filesystem::path path = "docs/PROTOCOL.md";  // tests run at the root of the repository
  std::ifstream file(path);
  BOOST_REQUIRE_MESSAGE(file.good(), "cannot read " << path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const auto b : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(b));
  return text;
}

/// Name -> hex of header and head, from the block behind the heading.
std::map<std::string, std::string> golden_frames() {
  const auto text = page();
  const auto fence = text.find("```\n", text.find("### Golden frames"));
  BOOST_REQUIRE(fence != std::string::npos);
  std::istringstream lines(text.substr(fence + 4, text.find("```", fence + 4) - fence - 4));
  std::map<std::string, std::string> frames;
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  ")) {
      frames[name] += line.substr(2);
    } else {
      name = line;
    }
  }
  return frames;
}

BOOST_AUTO_TEST_SUITE(protocol_page)

BOOST_AUTO_TEST_CASE(golden_frames_are_what_is_sent) {
  const auto golden = golden_frames();
  BOOST_TEST(golden.size() == message_types);
  for (std::size_t type = 0; type < message_types; ++type) {
    const auto name = std::string(frame_rules[type].name);
    BOOST_REQUIRE_MESSAGE(golden.contains(name), name);
    const auto sent = hex(encode(sample_message(type)).head);
    BOOST_TEST(sent == golden.at(name), name << " is sent as " << sent);
  }
}

BOOST_AUTO_TEST_CASE(bounds_on_the_page_are_those_that_are_enforced) {
  const auto text = page();
  for (const auto& rule : frame_rules) {
    const auto row = fmt::format("| {} | {} | {} | {} | {} |\n", static_cast<unsigned>(rule.type),
                                 rule.name, rule.head_min, rule.head_max, rule.body_max);
    BOOST_TEST(text.find(row) != std::string::npos, "the page lacks " << row);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::transport
