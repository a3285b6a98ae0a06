// Who may send what, walked whole: purpose x direction x phase x type.
#define BOOST_TEST_DYN_LINK
#include "transport/replication/phase.hpp"

#include <boost/test/unit_test.hpp>
#include <set>
#include <string>

namespace tidemark::transport {
namespace {

using engine::Purpose;

/// The names that may travel, written out a second time, by hand, from the protocol's description.
std::set<std::string_view> expected(Purpose purpose, Direction from, Phase phase) {
  const bool connector = from == Direction::from_connector;
  if (phase == Phase::greeting)
    return connector ? std::set<std::string_view>{"hello"} : std::set<std::string_view>{"refused"};
  if (phase == Phase::answering) {
    if (connector) return {};
    return {"hello_ok", "refused"};
  }
  switch (purpose) {
    case Purpose::records:
      if (connector)
        return {"probe",   "ask_digest",  "start_session", "touched",  "records", "progress",
                "barrier", "ask_digests", "ask_block",     "block_is", "refused"};
      return {"facts",           "digest_is", "touched_noted", "session_ready", "ack",
              "barrier_reached", "digests",   "ask_block",     "block_is",      "refused"};
    case Purpose::bulk:
      if (connector) return {"base_blocks", "base_zeroes", "base_sums", "refused"};
      return {"ask_base", "ask_base_sums", "base_whole", "refused"};
    case Purpose::control:
      if (connector) {
        return {"register", "assign_ack", "unassign_ack", "heartbeat",  "propose_set",
                "promise",  "admin_ask",  "admin_reply",  "configured", "refused"};
      }
      return {"registered", "assign",    "unassign",    "heartbeat", "set_decided",
              "fence",      "admin_ask", "admin_reply", "refused"};
  }
  return {};
}

BOOST_AUTO_TEST_SUITE(phase)

BOOST_AUTO_TEST_CASE(the_table_allows_what_the_protocol_says_and_nothing_else) {
  std::size_t walked = 0;
  for (const auto purpose : {Purpose::records, Purpose::bulk, Purpose::control}) {
    for (const auto from : {Direction::from_connector, Direction::from_acceptor}) {
      for (const auto when : {Phase::greeting, Phase::answering, Phase::open}) {
        const auto names = expected(purpose, from, when);
        for (const auto& rule : frame_rules) {
          BOOST_TEST(allowed(purpose, from, when, rule.type) == names.contains(rule.name),
                     to_string(purpose) << " " << static_cast<int>(from) << " "
                                        << static_cast<int>(when) << " " << rule.name);
          ++walked;
        }
      }
    }
  }
  BOOST_TEST(walked == 3 * 2 * 3 * frame_rules.size());
}

BOOST_AUTO_TEST_CASE(every_type_may_travel_somewhere) {
  for (const auto& rule : frame_rules) BOOST_TEST(rule.travels != 0, rule.name);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tidemark::transport
