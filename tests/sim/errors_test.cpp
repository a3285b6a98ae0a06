// The judge of errors: what a client may be told, of which request, and when.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <string>

#include "sim/checkers/errors.hpp"
#include "tests/sim/judged.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::Errc;
using engine::FrontOp;
using engine::MonoTime;
using engine::second;

namespace {

struct Refusing : Found {
  Errors errors{fail};
  Errors::World trouble{1 * second, false, false};
  Errors::World calm{60 * second, false, false};

  void refused(FrontOp op, Errc code, const std::string& text, const Errors::World& world) {
    errors.refused(op, engine::Error{code, text}, world);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(errors)

BOOST_FIXTURE_TEST_CASE(errors_that_have_their_reason_pass, Refusing) {
  refused(FrontOp::write, Errc::no_space, "write: the volume ends at 8192", calm);
  refused(FrontOp::read, Errc::invalid, "read: the volume ends at 8192", calm);
  refused(FrontOp::trim, Errc::invalid, "trim: the volume ends at 8192", calm);
  refused(FrontOp::write, Errc::no_space, "write: the log of volume data has no space left",
          trouble);
  refused(FrontOp::flush, Errc::io_failed, "volume data has too few copies, and is to fail then: x",
          {1 * second, true, false});
  refused(FrontOp::read, Errc::corrupt, "block 7 is damaged", {60 * second, false, true});
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(zeros_and_trims_need_space_as_writes_do, Refusing) {
  refused(FrontOp::write_zeroes, Errc::no_space, "write: the volume ends at 8192", calm);
  refused(FrontOp::write_zeroes, Errc::no_space, "volume data has a full disk", trouble);
  refused(FrontOp::trim, Errc::no_space, "the log of volume data has no space left", trouble);
  BOOST_TEST(found == "");
}

BOOST_FIXTURE_TEST_CASE(damage_is_told_to_those_who_need_what_is_there, Refusing) {
  const Errors::World rotten{60 * second, false, true};
  refused(FrontOp::write, Errc::corrupt, "block 7 is damaged", rotten);
  BOOST_TEST(found == "");
  refused(FrontOp::trim, Errc::corrupt, "block 7 is damaged", rotten);
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(an_error_that_is_not_known_is_noticed, Refusing) {
  refused(FrontOp::write, Errc::cancelled, "cancelled", trouble);
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(the_wrong_code_for_a_request_is_noticed, Refusing) {
  refused(FrontOp::write, Errc::invalid, "write: the volume ends at 8192", calm);
  refused(FrontOp::read, Errc::no_space, "read: the volume ends at 8192", calm);
  BOOST_TEST(found == "dishonest_error\ndishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(an_error_without_a_reason_is_noticed, Refusing) {
  refused(FrontOp::flush, Errc::io_failed,
          "volume data has too few copies, and is to fail then: ", {1 * second, true, false});
  BOOST_TEST(found == "dishonest_error\n");
  refused(FrontOp::read, Errc::corrupt, "", {1 * second, false, true});
  BOOST_TEST(found == "dishonest_error\ndishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(a_full_log_where_nothing_was_wrong_is_noticed, Refusing) {
  refused(FrontOp::write, Errc::no_space, "write: the log of volume data has no space left", calm);
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(a_read_that_fails_for_want_of_space_is_noticed, Refusing) {
  refused(FrontOp::read, Errc::no_space, "read: the log of volume data has no space left", trouble);
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(a_volume_that_fails_though_it_is_to_wait_is_noticed, Refusing) {
  refused(FrontOp::write, Errc::io_failed, "volume data has too few copies, and is to fail then: x",
          trouble);
  BOOST_TEST(found == "dishonest_error\n");
}

// An operator changes it under load; who was told first answers by it first, and is heard a little later.
BOOST_FIXTURE_TEST_CASE(a_volume_fails_as_long_as_any_node_was_told_so_and_a_little_longer,
                        Refusing) {
  const auto at = [](std::uint64_t s) { return MonoTime(s * second); };
  BOOST_TEST(!errors.may_fail(at(1)));
  errors.told(1, false, at(1));
  BOOST_TEST(!errors.may_fail(at(1)));
  errors.told(1, true, at(2));
  errors.told(2, true, at(2));
  errors.told(1, false, at(30));
  BOOST_TEST(errors.may_fail(at(50)));
  errors.told(2, false, at(60));
  errors.told(2, false, at(65));
  BOOST_TEST(errors.may_fail(at(70)));
  BOOST_TEST(!errors.may_fail(at(71)));
}

BOOST_FIXTURE_TEST_CASE(a_copy_that_is_made_again_takes_its_time, Refusing) {
  const std::string few =
      "volume data has too few copies, and is to fail then: 2 of the 1 voters {2} must have it";
  refused(FrontOp::write, Errc::io_failed, few, {20 * second, true, false});
  BOOST_TEST(found == "");
  refused(FrontOp::write, Errc::io_failed, few, {20 * second + 1, true, false});
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_FIXTURE_TEST_CASE(damage_that_nobody_did_is_noticed, Refusing) {
  refused(FrontOp::read, Errc::corrupt, "block 7 is damaged", trouble);
  BOOST_TEST(found == "dishonest_error\n");
}

BOOST_AUTO_TEST_SUITE_END()
