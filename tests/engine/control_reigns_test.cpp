// What the control plane remembers of a volume's reigns, and tells its members.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/control_world.hpp"

using namespace tidemark::engine;
using namespace tidemark::engine::control;
using namespace tidemark::engine::control::test;

BOOST_AUTO_TEST_SUITE(control_reigns)

// C18: what members were told of, a reign that knows of it begins behind.
BOOST_AUTO_TEST_CASE(the_last_reigns_are_named_with_the_versions_at_which_they_began) {
  auto w = three_nodes_and_a_volume();
  const auto reign_of = [&](int n, bool force) {
    w.play(*w.plane.promote("v", fmt::format("node{}", n), w.at(), force));
    const auto epoch = w.v().fencing;
    for (int each = 1; each <= 3; ++each) {
      // Forced: the wanted one's log is the worst, and it was started again.
      const bool worst = force && each == n;
      w.promised(each, w.promise(each, epoch, Epoch(epoch.value - 1), Lsn(worst ? 1 : 100),
                                 worst ? 2 : 1));
    }
    BOOST_REQUIRE(w.v().settled());
  };
  BOOST_CHECK((w.v().reigns == std::vector<Reign>{{Epoch(1), Version(1), false}}));
  reign_of(2, false);
  w.node_in(3, 2);
  reign_of(3, true);
  const std::vector<Reign> three{
      {Epoch(1), Version(1), false}, {Epoch(2), Version(2), false}, {Epoch(3), Version(3), true}};
  BOOST_CHECK((w.v().reigns == three));
  w.restart();
  BOOST_CHECK((w.v().reigns == three));
  const auto told = assignment_for(w.v(), w.v().members.front(), {});
  BOOST_CHECK((told.reigns == three));
}

BOOST_AUTO_TEST_CASE(so_many_reigns_are_named_and_no_more) {
  VolumeRecord volume;
  for (std::uint64_t e = 1; e <= reigns_max + 2; ++e) {
    volume.epoch = Epoch(e);
    volume.version = Version(e * 3);
    volume.begin_reign(false);
  }
  BOOST_TEST(volume.reigns.size() == reigns_max);
  BOOST_CHECK((volume.reigns.front() == Reign{Epoch(3), Version(9), false}));
  BOOST_CHECK((volume.reigns.back() == Reign{volume.epoch, volume.version, false}));
}

BOOST_AUTO_TEST_SUITE_END()
