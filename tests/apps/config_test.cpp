#include "apps/daemon/config.hpp"

#define BOOST_TEST_DYN_LINK
#include <fmt/format.h>
#include <boost/test/unit_test.hpp>

#include <string>

using namespace tidemark;
using daemon::parse_config;

namespace {

const std::string good =
    "dir = \"/data/n1\"\n"
    "[listen]\n"
    "replication = \"127.0.0.1:9101\"\n"
    "nbd = \"127.0.0.1:10809\"\n"
    "[control]\n"
    "address = \"127.0.0.1:9101\"\n";

std::string mistake(const std::string& text) {
  const auto config = parse_config(text, "c.toml");
  return config ? "" : config.error().text;
}

bool says(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(config)

BOOST_AUTO_TEST_CASE(the_least_that_is_needed_is_accepted) {
  const auto config = parse_config(good, "c.toml");
  BOOST_REQUIRE(config.has_value());
  BOOST_TEST(config->admin == "/data/n1/admin.sock");
  BOOST_TEST(config->settings.segment_bytes == 64u << 20);
}

BOOST_AUTO_TEST_CASE(an_unknown_key_is_named_with_its_line_and_the_nearest_one) {
  const auto text = mistake(good + "[sizes]\nsegmnt = \"64MiB\"\n");
  BOOST_TEST(says(text, "c.toml:8:"), text);
  BOOST_TEST(says(text, "did you mean \"sizes.segment\"?"), text);
}

BOOST_AUTO_TEST_CASE(a_key_far_from_all_others_lists_what_is_known) {
  BOOST_TEST(says(mistake("wibblewobble = 1\n" + good), "known are dir, insecure"));
}

BOOST_AUTO_TEST_CASE(a_duplicate_is_refused_with_its_line) {
  BOOST_TEST(says(mistake("dir = \"/x\"\n" + good), "c.toml:2:"));
}

BOOST_AUTO_TEST_CASE(a_wrong_unit_says_what_would_be_right) {
  BOOST_TEST(says(mistake(good + "[sizes]\nsegment = \"64MB\"\n"), "64MiB"));
  BOOST_TEST(says(mistake(good + "[times]\nretry_min = \"5\"\n"), "100ms"));
  BOOST_TEST(says(mistake(good + "[times]\nretry_min = 5\n"), "string with a unit"));
}

BOOST_AUTO_TEST_CASE(missing_keys_are_all_named_at_once) {
  const auto text = mistake("insecure = false\n");
  for (auto key : {"dir", "listen.replication", "listen.nbd", "control.address"})
    BOOST_TEST(says(text, key), key);
}

BOOST_AUTO_TEST_CASE(contradictions_are_refused) {
  BOOST_TEST(says(mistake(good + "[sizes]\nwal_retention = \"128MiB\"\n"), "4 segments"));
  BOOST_TEST(says(mistake(good + "[times]\nretry_min = \"2s\"\n"), "retry_max"));
}

BOOST_AUTO_TEST_CASE(listening_beyond_loopback_needs_an_explicit_word) {
  auto open = good;
  open.replace(open.find("127.0.0.1:10809"), 15, "192.0.2.1:10809");
  BOOST_TEST(says(mistake(open), "insecure = true"));
  BOOST_TEST(parse_config("insecure = true\n" + open, "c.toml").has_value());
}

BOOST_AUTO_TEST_CASE(addresses_that_name_no_machine_are_refused_with_the_reason) {
  for (const auto* key : {"listen.replication", "listen.nbd", "control.address"}) {
    auto text = std::string("dir = \"/d\"\ninsecure = true\n");
    for (const auto* each : {"listen.replication", "listen.nbd", "control.address"}) {
      text += fmt::format("{} = \"{}\"\n", each,
                          std::string(each) == key ? "0.0.0.0:9101" : "10.0.0.1:9102");
      if (std::string(each) == "listen.nbd" && std::string(key) != each)
        text.replace(text.rfind("9102"), 4, "9103");
    }
    const auto config = parse_config(text, "c.toml");
    BOOST_REQUIRE(!config);
    BOOST_TEST(config.error().text.find(key) != std::string::npos, config.error().text);
    BOOST_TEST(config.error().text.find("names no machine") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_path_too_long_for_a_socket_is_refused) {
  const auto with = [](const std::string& dir) {
    return parse_config(
        "dir = \"" + dir +
            "\"\nlisten.replication = \"127.0.0.1:1\"\nlisten.nbd = \"127.0.0.1:2\"\n"
            "control.address = \"127.0.0.1:1\"\n",
        "c.toml");
  };
  BOOST_TEST(with("/" + std::string(95, 'd')).has_value());
  const auto refused = with("/" + std::string(96, 'd'));
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().text.find("108 bytes, the system takes 1 to 107") != std::string::npos,
             refused.error().text);
  BOOST_TEST(refused.error().text.find("listen.admin") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_credit_beyond_what_a_link_holds_is_refused) {
  const auto config = parse_config(
      "dir = \"/d\"\nlisten.replication = \"127.0.0.1:1\"\nlisten.nbd = \"127.0.0.1:2\"\n"
      "control.address = \"127.0.0.1:1\"\nsizes.sender_credit = \"64MiB\"\n",
      "c.toml");
  BOOST_REQUIRE(!config);
  BOOST_TEST(config.error().text.find("4 MiB to 32 MiB") != std::string::npos, config.error().text);
}

BOOST_AUTO_TEST_CASE(a_rebuild_has_a_rate_or_none_and_a_whole_number_of_lanes) {
  const auto set = parse_config(good + "[rebuild]\nrate = \"50MiB\"\nlanes = 1\n", "c.toml");
  BOOST_REQUIRE(set.has_value());
  BOOST_TEST(set->settings.rebuild_rate == 50u << 20);
  BOOST_TEST(set->settings.rebuild_lanes == 1u);
  const auto none = parse_config(good + "[rebuild]\nrate = \"none\"\n", "c.toml");
  BOOST_REQUIRE(none.has_value());
  BOOST_TEST(none->settings.rebuild_rate == 0u);
  BOOST_TEST(says(mistake(good + "[rebuild]\nrate = \"50KiB\"\n"), "or \"none\""));
  BOOST_TEST(says(mistake(good + "[rebuild]\nlanes = 0\n"), "a whole number from 1 to 64"));
  BOOST_TEST(says(mistake(good + "[rebuild]\nlanes = \"2\"\n"), "a whole number from 1 to 64"));
}

BOOST_AUTO_TEST_CASE(a_disk_is_said_to_be_stuck_before_it_is_given_up) {
  BOOST_TEST(says(mistake(good + "[times]\ndisk_degraded_after = \"60s\"\n"),
                  "times.disk_degraded_after is above times.disk_eject_after"));
}

BOOST_AUTO_TEST_CASE(endpoints_are_literal_addresses_with_a_port) {
  for (auto endpoint : {"127.0.0.1:1", "[::1]:9101", "10.0.0.1:65535"})
    BOOST_TEST(daemon::check_endpoint(endpoint).has_value(), endpoint);
  for (auto endpoint :
       {"", ":9101", "localhost:9101", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x",
        "::1:9101", "127.0.0.1:91 ", "[127.0.0.1]:9101"}) {
    BOOST_TEST(!daemon::check_endpoint(endpoint).has_value(), endpoint);
  }
}

BOOST_AUTO_TEST_CASE(every_key_of_the_shipped_file_is_known) {
  std::string shipped;
  if (auto* file = std::fopen("packaging/tidemark.toml", "rb")) {
    char buffer[8192];
    shipped.assign(buffer, std::fread(buffer, 1, sizeof buffer, file));
    std::fclose(file);
  }
  BOOST_REQUIRE(!shipped.empty());
  BOOST_TEST(mistake(shipped) == "");
}

BOOST_AUTO_TEST_SUITE_END()
