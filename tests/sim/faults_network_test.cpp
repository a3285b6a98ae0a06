// Each kind of trouble on the network leaves a cluster that serves, and whose copies are equal.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "sim/faults.hpp"
#include "sim/plan.hpp"

using namespace tidemark;
using namespace tidemark::sim;

namespace {

ClusterOptions options(std::uint64_t seed) {
  ClusterOptions o;
  o.seed = seed;
  o.weather.bytes = true;
  o.weather.fragment_one_in = 5;
  o.weather.drains = true;
  return o;
}

/// What the network counted.
NetworkCounts play(Fault fault, std::uint64_t seed) {
  Cluster cluster(options(seed));
  BOOST_REQUIRE(cluster.start());
  for (std::uint64_t block = 0; block < 20; ++block) cluster.write(block);
  Faults faults(cluster, Random(seed));
  faults.inject(fault);
  for (std::uint64_t block = 10; block < 30; ++block) cluster.write(block);
  const bool settled = cluster.settle();
  if (const auto& failure = cluster.failure()) {
    BOOST_ERROR(to_string(fault) << " seed " << seed << ": " << failure->cls << ": "
                                 << failure->text);
  }
  BOOST_TEST(settled);
  BOOST_TEST(faults.counts().at(std::string(to_string(fault))) == 1u);
  return cluster.world().net.counts();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(faults_network)

BOOST_AUTO_TEST_CASE(partitions_that_are_no_clean_cut_heal) {
  for (const auto fault : {Fault::ring, Fault::bridge, Fault::one_way_all, Fault::flapping}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) play(fault, seed);
  }
}

BOOST_AUTO_TEST_CASE(clogs_and_lags_pass) {
  for (const auto fault : {Fault::clog, Fault::late}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) play(fault, seed);
  }
}

BOOST_AUTO_TEST_CASE(flipped_bits_are_refused) {
  std::uint64_t refused = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) refused += play(Fault::flip, seed).refused;
  BOOST_TEST(refused > 0u);
}

BOOST_AUTO_TEST_CASE(half_open_connections_are_noticed) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    BOOST_TEST(play(Fault::half_open, seed).half_open > 0u);
  }
}

BOOST_AUTO_TEST_CASE(most_plans_carry_bytes_and_some_of_them_all_that_may_befall_these) {
  std::uint64_t bytes = 0, cut = 0, flips = 0, drains = 0, unheard = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto weather = cluster_options(expand(seed)).weather;
    bytes += weather.bytes ? 1 : 0;
    cut += weather.fragment_one_in != 0 ? 1 : 0;
    flips += weather.flip_one_in != 0 ? 1 : 0;
    drains += weather.drains ? 1 : 0;
    unheard += weather.unheard_one_in != 0 ? 1 : 0;
  }
  BOOST_TEST(bytes > 280u);
  BOOST_TEST(bytes < 360u);
  for (const auto some : {cut, flips, drains, unheard}) {
    BOOST_TEST(some > 40u);
    BOOST_TEST(some < 240u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
