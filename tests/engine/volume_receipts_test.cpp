// When a volume asks its replicas to tell that they have received.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/volume_support.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t kib4 = block_bytes;

}  // namespace

BOOST_AUTO_TEST_SUITE(volume_receipts)

BOOST_AUTO_TEST_CASE(a_receipt_is_wanted_only_while_an_answer_waits_for_one) {
  VolumeStory s;
  s.serve();
  BOOST_TEST(!s.volume.receipt_wanted());
  s.ask(write_request(1, 0, kib4, 'w', true));
  s.ask(request(2, FrontOp::flush));
  BOOST_TEST(!s.volume.receipt_wanted());
  s.ask(write_request(3, kib4, kib4));
  BOOST_TEST(s.volume.receipt_wanted());
  s.peer(2, 3, 1);
  s.peer(3, 3, 1);
  BOOST_TEST(!s.volume.receipt_wanted());

  // A copy that is not in the set joins by what it has received.
  auto two = volume_assignment();
  two.in_sync.pop_back();
  VolumeStory t(two);
  t.serve();
  t.ask(write_request(1, 0, kib4, 'w', true));
  BOOST_TEST(t.volume.receipt_wanted());

  auto durable = volume_assignment();
  durable.spec.ack = AckPolicy::durable;
  VolumeStory d(durable);
  d.serve();
  d.ask(write_request(1, 0, kib4));
  BOOST_TEST(!d.volume.receipt_wanted());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
