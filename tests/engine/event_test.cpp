#define BOOST_TEST_DYN_LINK
#include "engine/event.hpp"

#include <boost/test/unit_test.hpp>

#include "engine/types.hpp"

namespace tidemark::engine {
namespace {

std::string rendered(std::string_view value) {
  return render(Event(Level::info, "said").with("text", value));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(events)

BOOST_AUTO_TEST_CASE(an_event_reads_as_a_name_and_its_fields_in_order) {
  const auto event =
      Event(Level::warning, "replica_left").with("replica", ReplicaId(2)).with("lsn", Lsn(118));
  BOOST_TEST(render(event) == "replica_left replica=2 lsn=118");
  BOOST_TEST(to_string(event.level) == "warning");
}

BOOST_AUTO_TEST_CASE(what_is_no_plain_word_stands_in_quotes) {
  BOOST_TEST(rendered("127.0.0.1:9101") == "said text=127.0.0.1:9101");
  BOOST_TEST(rendered("link closed") == "said text=\"link closed\"");
  BOOST_TEST(rendered("") == "said text=\"\"");
  BOOST_TEST(rendered("a=b") == "said text=\"a=b\"");
}

BOOST_AUTO_TEST_CASE(a_peers_text_cannot_end_its_field_or_its_line) {
  BOOST_TEST(rendered("x\" level=\"error") == "said text=\"x\\\" level=\\\"error\"");
  BOOST_TEST(rendered("x\nreplica_left") == "said text=\"x\\nreplica_left\"");
  BOOST_TEST(rendered("\\") == "said text=\"\\\\\"");
  BOOST_TEST(rendered("\x1b[2J\r") == "said text=\"\\x1b[2J\\x0d\"");
  BOOST_TEST(rendered(std::string_view("a\0b", 3)) == "said text=\"a\\x00b\"");
  BOOST_TEST(rendered("\x9b\x7f\xc3\xa9") == "said text=\"\\x9b\\x7f\\xc3\\xa9\"");
}

// No byte of any text may leave the printable line.
BOOST_AUTO_TEST_CASE(every_byte_is_rendered_printable) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    for (const char c : rendered(text)) BOOST_REQUIRE(c >= ' ' && c <= '~');
  }
}

BOOST_AUTO_TEST_CASE(names_and_keys_stay_one_word_whatever_they_are_made_of) {
  Event event(Level::info, "a b\n");
  event.fields.emplace_back("k=\"", "v");
  BOOST_TEST(render(event) == "a_b_ k__=v");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
