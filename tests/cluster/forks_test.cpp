// Committed records that are lost on purpose: the copies that have them are brought back to the log
// that goes on, by what was touched on both sides (C6, C18, C21).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "engine/planted.hpp"
#include "sim/cluster.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::millisecond;
using engine::second;

namespace {

/// Three copies on nodes 2 to 4; the first node only hosts the control plane.
class Forked : public Cluster {
 public:
  Forked() : Cluster(options()) {
    for (std::uint32_t n = 0; n < size(); ++n) {
      node(n).on_event = [this](const SimNode&, const engine::Event& event) {
        if (event.name == "outcome_decided" || event.name == "log_diverged" ||
            event.name == "fork_sealed")
          told += engine::render(event) + "\n";
      };
    }
    BOOST_REQUIRE_MESSAGE(start(), why());
  }
  static ClusterOptions options() {
    ClusterOptions o;
    o.nodes = 4;
    o.min_copies = 1;
    o.hosts = {1, 2, 3};
    return o;
  }
  std::string why() const {
    return failure() ? failure()->cls + ": " + failure()->text : std::string("it did not fail");
  }
  std::uint32_t copy(std::uint32_t n) { return 1 + (primary() - 1 + n) % 3; }

  /// What all have; then what the primary alone commits and flushes, and dies with.
  void part() {
    BOOST_TEST(write(0, 100));
    BOOST_TEST(flush());
    run_for(1 * second);
    lost = primary();
    next = copy(1);
    const auto other = copy(2);
    kill(next);
    kill(other);
    BOOST_TEST(write(10, 5));
    BOOST_TEST(write(200, 3));
    BOOST_TEST(flush());
    run_for(2 * second);
    kill(lost);
    boot(next);
    boot(other);
    run_for(1 * second);
    BOOST_TEST(!promote(next));
    BOOST_TEST(promote(next, true));
    BOOST_TEST(write(40, 4));
    BOOST_TEST(flush());
    told.clear();
    boot(lost);
  }

  std::string told;
  std::uint32_t lost = 0, next = 0;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(forks)

BOOST_AUTO_TEST_CASE(a_copy_of_an_abandoned_past_gets_back_what_either_side_touched) {
  Forked f;
  f.part();
  BOOST_TEST(f.settle());
  BOOST_TEST(f.told.find("forked_touched") != std::string::npos, f.told);
  BOOST_TEST(f.told.find("rebuild_full") == std::string::npos, f.told);
  BOOST_TEST(f.copies_equal());
  BOOST_CHECK_MESSAGE(!f.failed(), f.why());
}

// H(a) of C6: "the index covers (cp,H]" names none of what the replica itself had flushed.
BOOST_AUTO_TEST_CASE(without_its_own_past_such_a_copy_stays_divergent_for_ever) {
  Forked f;
  f.part();
  engine::plant(engine::Bug::delta_forgets_own_past);
  BOOST_TEST(f.converge());
  BOOST_TEST(!f.copies_equal());
  engine::plant(engine::Bug::none);
}

// H(b) of C6: it crashes when its log is cut and nothing has been fetched yet.
BOOST_AUTO_TEST_CASE(a_copy_that_dies_amid_its_delta_goes_on_with_all_that_was_missing) {
  for (const std::uint64_t after : {1u, 5u, 20u, 60u, 200u, 500u}) {
    Forked f;
    f.part();
    f.run_for(after * millisecond);
    f.kill(f.lost, Kill::power);
    f.run_for(100 * millisecond);
    f.boot(f.lost);
    BOOST_TEST(f.settle());
    BOOST_CHECK_MESSAGE(!f.failed(), f.why());
  }
}

// C18: no control plane's word makes a copy give up what it knows committed, without a mark for it.
BOOST_AUTO_TEST_CASE(a_copy_behind_is_promoted_by_force_only) {
  Forked f;
  const auto late = f.copy(1);
  f.kill(late);
  BOOST_TEST(f.write(3));
  BOOST_TEST(f.flush());
  const auto reply = f.admin("POST", "/v1/volumes/data/promote",
                             R"({"node":")" + f.node(late).name() + R"(","force":1})");
  BOOST_TEST(reply.status == 400);
  BOOST_TEST(!f.promote(late, true));  // It is not connected.
  BOOST_TEST(f.settle());
  BOOST_TEST(f.read(3));
  BOOST_CHECK_MESSAGE(!f.failed(), f.why());
}

BOOST_AUTO_TEST_SUITE_END()
