#define BOOST_TEST_DYN_LINK
#include "engine/messages.hpp"

#include <boost/test/unit_test.hpp>
#include <set>

namespace tidemark::engine {

BOOST_AUTO_TEST_SUITE(messages)

// The names stand in a table in the order of the variant;
// a message put between others would shift it.
BOOST_AUTO_TEST_CASE(every_message_goes_by_its_own_name) {
  const std::pair<Message, std::string_view> expected[] = {
      {Hello{}, "hello"},
      {HelloOk{}, "hello_ok"},
      {Refused{}, "refused"},
      {Probe{}, "probe"},
      {Facts{}, "facts"},
      {AskDigest{}, "ask_digest"},
      {DigestIs{}, "digest_is"},
      {StartSession{}, "start_session"},
      {Touched{}, "touched"},
      {TouchedNoted{}, "touched_noted"},
      {SessionReady{}, "session_ready"},
      {Records{}, "records"},
      {Progress{}, "progress"},
      {Ack{}, "ack"},
      {Barrier{}, "barrier"},
      {BarrierReached{}, "barrier_reached"},
      {AskBlock{}, "ask_block"},
      {BlockIs{}, "block_is"},
      {AskBase{}, "ask_base"},
      {BaseBlocks{}, "base_blocks"},
      {BaseZeroes{}, "base_zeroes"},
      {BaseWhole{}, "base_whole"},
      {Register{}, "register"},
      {Registered{}, "registered"},
      {Assign{}, "assign"},
      {AssignAck{}, "assign_ack"},
      {Unassign{}, "unassign"},
      {UnassignAck{}, "unassign_ack"},
      {Heartbeat{}, "heartbeat"},
      {ProposeSet{}, "propose_set"},
      {SetDecided{}, "set_decided"},
      {Fence{}, "fence"},
      {Promise{}, "promise"},
      {AdminAsk{}, "admin_ask"},
      {AdminReply{}, "admin_reply"},
      {Configured{}, "configured"},
      {AskDigests{}, "ask_digests"},
      {Digests{}, "digests"},
      {AskBaseSums{}, "ask_base_sums"},
      {BaseSums{}, "base_sums"},
  };
  BOOST_TEST(std::size(expected) == std::variant_size_v<Message>);
  for (const auto& [message, called] : expected) BOOST_TEST(name(message) == called);
}

// Refusal codes are printed and compared by people: none may share a name or lack one.
BOOST_AUTO_TEST_CASE(every_refusal_has_a_name_of_its_own) {
  std::set<std::string_view> names;
  for (auto code = 1; code <= static_cast<int>(RefusalCode::not_yet); ++code) {
    names.insert(to_string(static_cast<RefusalCode>(code)));
  }
  BOOST_TEST(names.size() == static_cast<std::size_t>(RefusalCode::not_yet));
  BOOST_TEST(!names.contains("unknown"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
