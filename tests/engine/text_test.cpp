#define BOOST_TEST_DYN_LINK
#include "engine/text.hpp"

#include <boost/test/unit_test.hpp>

using namespace tidemark::engine;

BOOST_AUTO_TEST_SUITE(text)

BOOST_AUTO_TEST_CASE(names_are_of_few_characters_and_begin_with_a_letter_or_digit) {
  for (const auto* good : {"a", "9", "node-1", "v.2_x", "Z"}) BOOST_TEST(is_name(good), good);
  for (const auto* bad : {"", ".a", "-a", "_a", "a b", "a/b", "a\n", "\xff", "\xc3\xa9"})
    BOOST_TEST(!is_name(bad), bad);
  BOOST_TEST(is_name(std::string(64, 'x')));
  BOOST_TEST(!is_name(std::string(65, 'x')));
}

BOOST_AUTO_TEST_CASE(a_text_is_cut_at_the_border_of_a_character) {
  const std::string euro = "\xe2\x82\xac";
  BOOST_TEST(front_of("a" + euro, 4) == "a" + euro);
  BOOST_TEST(front_of("a" + euro + "b", 4) == "a" + euro);
  BOOST_TEST(front_of("a" + euro, 3) == "a");
  BOOST_TEST(front_of("a" + euro, 2) == "a");
  BOOST_TEST(front_of("abc", 0) == "");
  // What is no text is cut where it must be.
  BOOST_TEST(front_of(std::string(9, '\x82'), 5).size() == 5u);
}

BOOST_AUTO_TEST_CASE(bytes_of_no_character_become_question_marks) {
  BOOST_TEST(well_formed("caf\xc3\xa9 \xff\xc3 x\xed\xa0\x80") == "caf\xc3\xa9 ?? x???");
  BOOST_TEST(well_formed("\xe2\x82") == "??");
}

BOOST_AUTO_TEST_SUITE_END()
