// Damaged blocks on the simulated cluster: a client never sees wrong bytes, and what one copy lost
// comes back from another.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "sim/cluster.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::second;

namespace {

constexpr std::uint64_t written_blocks = 24;

/// A cluster whose copies have all that was written in their extents.
class Scene : public Cluster {
 public:
  Scene() : Cluster(ClusterOptions()) {
    BOOST_REQUIRE_MESSAGE(start(), why());
    BOOST_TEST(write(0, written_blocks));
    BOOST_TEST(flush());
    run_for(5 * second);
  }
  ~Scene() { BOOST_CHECK_MESSAGE(!failed(), why()); }
  std::string why() const {
    return failure() ? failure()->cls + ": " + failure()->text : std::string("it did not fail");
  }
  std::vector<InodePtr> extents_of(std::uint32_t n) {
    auto found = files(n, ".dat");
    BOOST_REQUIRE(!found.empty());
    return found;
  }
  /// One bit of every block that was written rots.
  void rot_all(std::uint32_t n) {
    Random random(n + 1);
    for (const auto& inode : extents_of(n)) {
      for (std::uint64_t at = 0; at < inode->written_end(); at += page_bytes)
        inode->rot(at, page_bytes, random);
    }
  }
  std::uint64_t told(std::uint32_t n, const std::string& name) {
    const auto body = admin("POST", "/v1/local/events/data", "{}", n).body;
    const auto event = "\"name\":\"" + name + "\"";
    std::uint64_t times = 0;
    for (auto at = body.find(event); at != std::string::npos; at = body.find(event, at + 1))
      ++times;
    return times;
  }
  /// The second write of block 0 is lost on these nodes, content and checksum: the disk says that it wrote.
  void lose_a_write(const std::vector<std::uint32_t>& liars) {
    std::vector<Snapshot> before;
    for (const auto n : liars) before.push_back(extents_now(n));
    BOOST_TEST(write(0));
    BOOST_TEST(flush());
    run_for(5 * second);
    for (std::size_t i = 0; i < liars.size(); ++i) {
      kill(liars[i]);
      before[i].restore();
      boot(liars[i]);
      BOOST_TEST(converge());
      run_for(5 * second);
    }
  }
  bool soon_told(std::uint32_t n, const std::string& name) {
    for (int look = 0; look < 240 && told(n, name) == 0 && !failed(); ++look) run_for(second / 2);
    return told(n, name) > 0;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(scrub)

BOOST_AUTO_TEST_CASE(a_client_reads_right_bytes_from_a_primary_whose_blocks_rotted) {
  Scene scene;
  const auto primary = scene.primary();
  scene.rot_all(primary);
  BOOST_TEST(scene.read(0, written_blocks));
  BOOST_TEST(scene.told(primary, "block_damaged") > 0u);
  BOOST_TEST(scene.told(primary, "block_repaired") == scene.told(primary, "block_damaged"));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(two_rotten_copies_of_three_are_repaired_from_the_third) {
  Scene scene;
  const auto primary = scene.primary();
  scene.rot_all(primary);
  scene.rot_all((primary + 1) % scene.size());
  BOOST_TEST(scene.read(0, written_blocks));
  BOOST_TEST(scene.settle());
}

// Seed 5070: copies refused to help with blocks beyond the size that the volume was made with.
BOOST_AUTO_TEST_CASE(blocks_that_a_volume_grew_by_are_repaired_like_others) {
  Scene scene;
  BOOST_TEST(scene.resize(512));
  BOOST_TEST(scene.write(300, 8));
  BOOST_TEST(scene.flush());
  scene.run_for(5 * second);
  scene.rot_all(scene.primary());
  BOOST_TEST(scene.read(300, 8));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(where_all_copies_of_a_block_are_bad_it_alone_gives_an_error) {
  Scene scene;
  scene.rot_was_injected();
  for (std::uint32_t n = 0; n < scene.size(); ++n) {
    Random random(7);
    BOOST_REQUIRE(scene.extents_of(n).front()->rot(3 * page_bytes, page_bytes, random));
  }
  BOOST_TEST(!scene.read(3));
  BOOST_TEST(scene.read(0, 3));
  BOOST_TEST(scene.read(4, written_blocks - 4));
  // Written anew, it is whole again, on every copy.
  BOOST_TEST(scene.write(3));
  BOOST_TEST(scene.read(3));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_replica_that_becomes_primary_with_rotten_blocks_asks_the_others) {
  Scene scene;
  const auto next = (scene.primary() + 1) % scene.size();
  scene.rot_all(next);
  BOOST_TEST(scene.promote_soon(next));
  BOOST_TEST(scene.read(0, written_blocks));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_scrub_finds_and_repairs_what_nobody_read) {
  Scene scene;
  const auto rotten = (scene.primary() + 1) % scene.size();
  scene.rot_all(rotten);
  const auto asked =
      scene.admin("POST", "/v1/volumes/data/scrub", "{\"action\":\"start\",\"rate\":1000000000}");
  BOOST_TEST(asked.status == 200);
  for (std::uint32_t n = 0; n < scene.size(); ++n) BOOST_TEST(scene.soon_told(n, "scrub_finished"));
  BOOST_TEST(scene.told(rotten, "block_damaged") >= written_blocks);
  BOOST_TEST(scene.told(rotten, "block_repaired") == scene.told(rotten, "block_damaged"));
  const auto compared = scene.admin("POST", "/v1/volumes/data/compare", "{}");
  BOOST_TEST(compared.body.find("\"equal\":true") != std::string::npos, compared.body);
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_scrub_that_a_restart_broke_off_goes_on) {
  Scene scene;
  const auto one = (scene.primary() + 1) % scene.size();
  // Slow enough to be under way for long.
  BOOST_TEST(scene.admin("POST", "/v1/volumes/data/scrub", "{\"action\":\"start\",\"rate\":65536}")
                 .status == 200);
  scene.run_for(1 * second);
  scene.kill(one);
  scene.boot(one);
  BOOST_TEST(scene.converge());
  BOOST_TEST(scene.soon_told(one, "scrub_finished"));
}

// The disk says that it wrote, content and checksum, and did not: what is there is right of an earlier
// time, and only the log knows better.
BOOST_AUTO_TEST_CASE(a_lost_write_is_found_by_comparing_and_repaired_as_the_log_says) {
  Scene scene;
  const auto liar = (scene.primary() + 1) % scene.size();
  scene.lose_a_write({liar});
  const auto compare = [&](const std::string& body) {
    return scene.admin("POST", "/v1/volumes/data/compare", body).body;
  };
  const auto found = compare("{\"repair\":true}");
  BOOST_TEST(found.find("\"equal\":false") != std::string::npos, found);
  BOOST_TEST(found.find("\"wrong_copies\":[{\"block\":0") != std::string::npos, found);
  BOOST_TEST(scene.soon_told(liar, "block_repaired"));
  const auto after = compare("{}");
  BOOST_TEST(after.find("\"equal\":true") != std::string::npos, after);
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_scrub_repairs_a_write_that_most_copies_have_lost) {
  Scene scene;
  const auto primary = scene.primary();
  const auto one = (primary + 1) % scene.size();
  const auto other = (primary + 2) % scene.size();
  scene.lose_a_write({one, other});
  BOOST_TEST(scene.begin_scrub(1'000'000'000));
  BOOST_TEST(scene.scrub_ended());
  for (const auto n : {one, other}) {
    BOOST_TEST(scene.told(n, "block_disproved") == 1u);
    BOOST_TEST(scene.told(n, "block_repaired") == 1u);
  }
  BOOST_TEST(scene.told(primary, "block_disproved") == 0u);
  BOOST_TEST(scene.copies_equal());
  BOOST_TEST(scene.settle());
}

// Seed 5824: only an opening reads a segment's header, and without it all that stands behind is lost.
BOOST_AUTO_TEST_CASE(a_scrub_mends_the_rotten_headers_of_a_log_before_a_restart_needs_them) {
  Scene scene;
  const auto replica = (scene.primary() + 1) % scene.size();
  BOOST_TEST(scene.write(0, 4, true));
  Random random(5);
  for (const auto& inode : scene.files(replica, ".seg")) inode->rot(0, page_bytes, random);
  BOOST_TEST(scene.begin_scrub(1'000'000'000));
  BOOST_TEST(scene.scrub_ended());
  BOOST_TEST(scene.told(replica, "log_header_rewritten") == 1u);
  scene.kill(replica, Kill::power);
  scene.boot(replica);
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_scrub_ends_where_no_copy_of_a_block_is_left_and_names_it) {
  Scene scene;
  scene.rot_was_injected();
  for (std::uint32_t n = 0; n < scene.size(); ++n) {
    Random random(7);
    BOOST_REQUIRE(scene.extents_of(n).front()->rot(3 * page_bytes, page_bytes, random));
  }
  BOOST_TEST(scene.begin_scrub(1'000'000'000));
  BOOST_TEST(scene.scrub_ended());
  const auto told = scene.admin("POST", "/v1/volumes/data/scrub", "{}").body;
  BOOST_TEST(told.find("\"block\":3,\"blocks\":1,\"cause\":\"") != std::string::npos, told);
  BOOST_TEST(scene.write(3));
  BOOST_TEST(scene.settle());
}

BOOST_AUTO_TEST_CASE(a_scrub_round_goes_on_when_the_host_of_the_control_plane_was_restarted) {
  Scene scene;
  BOOST_TEST(scene.admin("POST", "/v1/volumes/data/scrub", "{\"action\":\"start\",\"rate\":65536}")
                 .status == 200);
  scene.run_for(1 * second);
  scene.kill(0);
  scene.run_for(1 * second);
  scene.boot(0);
  BOOST_TEST(scene.converge());
  BOOST_TEST(scene.scrub_ended());
}

// It answers for the earlier one when it is in reach again.
BOOST_AUTO_TEST_CASE(a_copy_that_was_out_of_reach_when_a_scrub_began_is_read_for_it_all_the_same) {
  Scene scene;
  const auto away = scene.primary() == 1 ? 2u : 1u;
  const std::string wish = "{\"action\":\"start\",\"rate\":1000000000}";
  BOOST_TEST(scene.admin("POST", "/v1/volumes/data/scrub", wish).status == 200);
  BOOST_TEST(scene.scrub_ended());
  scene.isolate(away);
  scene.run_for(5 * second);
  BOOST_TEST(scene.admin("POST", "/v1/volumes/data/scrub", wish).status == 200);
  scene.run_for(1 * second);
  scene.heal();
  BOOST_TEST(scene.converge());
  BOOST_TEST(scene.scrub_ended());
  for (std::uint32_t n = 0; n < scene.size(); ++n)
    BOOST_TEST(scene.told(n, "scrub_finished") == 2u, "node " << n);
}

BOOST_AUTO_TEST_CASE(a_wish_for_a_scrub_that_makes_no_sense_changes_nothing) {
  Scene scene;
  const auto post = [&](const std::string& body) {
    return scene.admin("POST", "/v1/volumes/data/scrub", body).status;
  };
  BOOST_TEST(post("{\"action\":\"polish\"}") == 400);
  BOOST_TEST(post("{\"action\":\"start\",\"rate\":1}") == 400);
  BOOST_TEST(post("{\"speed\":1}") == 400);
  BOOST_TEST(scene.admin("POST", "/v1/volumes/other/scrub", "{}").status == 404);
  const auto status = scene.admin("POST", "/v1/volumes/data/scrub", "{}");
  BOOST_TEST(status.body.find("\"state\":\"idle\"") != std::string::npos, status.body);
}

BOOST_AUTO_TEST_SUITE_END()
