// 200 random damages to a running cluster, in every kind of file that a copy has: all are found by read
// or scrub, all are made good, and no client ever sees a wrong byte.
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <map>
#include <string>
#include <vector>

#include "actors/admin_json.hpp"
#include "sim/cluster.hpp"

using namespace tidemark;
using namespace tidemark::sim;
using engine::second;
namespace json = boost::json;

namespace {

constexpr std::uint64_t volume_blocks = 256;

enum class Damage : std::uint8_t {
  flip,         ///< A bit of the extents.
  misdirected,  ///< A block's write landed on another block.
  lost,         ///< A block's write never landed.
  checksum,     ///< A bit of a checksum file.
  log,          ///< A bit of the log.
  superblock,   ///< A bit of a slot.
  catalog,      ///< Of the node, with the touched index.
  count_,
};

class Rotting : public Cluster {
 public:
  explicit Rotting(std::uint64_t seed) : Cluster(options(seed)), dice_(seed) {
    BOOST_REQUIRE_MESSAGE(start(), why());
    write_some(200);
  }
  ~Rotting() { BOOST_CHECK_MESSAGE(!failed(), why()); }
  static ClusterOptions options(std::uint64_t seed) {
    ClusterOptions o;
    o.seed = seed;
    return o;
  }
  std::string why() const {
    return failure() ? failure()->cls + ": " + failure()->text : std::string("it did not fail");
  }

  void write_some(int writes) {
    for (int i = 0; i < writes; ++i)
      BOOST_REQUIRE(write(dice_.below(volume_blocks - 8), dice_.between(1, 8)));
    BOOST_REQUIRE(flush());
    run_for(5 * second);
  }
  std::vector<InodePtr> written(std::uint32_t n, const std::string& ending) {
    auto found = files(n, ending);
    std::erase_if(found, [](const InodePtr& inode) { return inode->written_end() == 0; });
    return found;
  }
  Inode& any(const std::vector<InodePtr>& files) {
    BOOST_REQUIRE(!files.empty());
    return *files[static_cast<std::size_t>(dice_.below(files.size()))];
  }
  /// What the extents of a node hold now, to be put back as if what follows had been lost.
  void remember(std::uint32_t n) {
    for (const auto& inode : written(n, ".dat")) {
      for (std::uint64_t at = 0; at < inode->written_end(); at += page_bytes)
        before_[{inode, at}] = inode->read(at, page_bytes).freeze();
    }
  }
  void damage(std::uint32_t n, Damage what) {
    ++damages_[what];
    switch (what) {
      case Damage::flip:
        return flip(any(written(n, ".dat")));
      case Damage::misdirected: {
        auto& inode = any(written(n, ".dat"));
        const auto pages = inode.written_end() / page_bytes;
        const auto page = inode.read(dice_.below(pages) * page_bytes, page_bytes).freeze();
        return inode.apply(inode.prepare(dice_.below(pages) * page_bytes, {page}), true);
      }
      case Damage::lost: {
        BOOST_REQUIRE(!before_.empty());
        auto it = before_.begin();
        std::advance(it, static_cast<std::ptrdiff_t>(dice_.below(before_.size())));
        const auto& [inode, at] = it->first;
        return inode->apply(inode->prepare(at, {it->second}), true);
      }
      case Damage::checksum:
        return flip(any(written(n, ".sum")));
      case Damage::log:
        return flip(any(written(n, ".seg")));
      case Damage::superblock:
        return flip(any(written(n, "superblock")));
      case Damage::catalog:
        node(n).kv().rotten = true;
        return;
      case Damage::count_:
        break;
    }
  }
  Damage any_damage() {
    return static_cast<Damage>(dice_.below(static_cast<std::uint64_t>(Damage::count_)));
  }
  /// All copies read themselves and are compared.
  void scrub() {
    BOOST_REQUIRE(
        admin("POST", "/v1/volumes/data/scrub", "{\"action\":\"start\",\"rate\":1000000000}")
            .status == 200);
    for (int look = 0; look < 120 && round() != "finished" && !failed(); ++look) {
      BOOST_REQUIRE(write(dice_.below(volume_blocks)));  // It runs.
      run_for(second);
    }
    BOOST_REQUIRE(round() == "finished");
  }
  json::object scrubbed() {
    const auto reply = admin("POST", "/v1/volumes/data/scrub", "{}");
    BOOST_REQUIRE(reply.status == 200);
    return json::parse(reply.body).as_object();
  }
  std::string round() {
    const auto said = scrubbed();
    const auto* round = said.if_contains("round");
    return round == nullptr ? "" : std::string(round->as_object().at("state").as_string());
  }
  /// What a node's copy counted: of its store, or of its scrub.
  std::uint64_t counted(std::uint32_t n, const char* key) {
    const auto said = scrubbed();
    for (const auto& copy : said.at("copies").as_array()) {
      const auto& fields = copy.as_object();
      if (fields.at("node").as_string() != node(n).name()) continue;
      const auto* value = fields.if_contains(key);
      if (value == nullptr) value = fields.at("scrub").as_object().if_contains(key);
      BOOST_REQUIRE(value != nullptr);
      return value->to_number<std::uint64_t>();
    }
    BOOST_FAIL("no such copy");
    return 0;
  }

  Random dice_;
  std::map<Damage, std::uint64_t> damages_;

 private:
  void flip(Inode& inode) { inode.rot(0, inode.written_end(), dice_); }

  std::map<std::pair<InodePtr, std::uint64_t>, engine::Slice> before_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(rot)

BOOST_AUTO_TEST_CASE(of_200_damages_to_one_copy_all_are_made_good_and_no_wrong_byte_is_read) {
  for (const bool of_the_primary : {false, true}) {
    Rotting c(of_the_primary ? 11 : 12);
    auto rotten = c.primary();
    if (!of_the_primary) rotten = (rotten + 1) % c.size();
    for (int round = 0; round < 10; ++round) {
      c.remember(rotten);
      c.write_some(20);
      for (int i = 0; i < 10; ++i) c.damage(rotten, c.any_damage());
      for (int i = 0; i < 5; ++i) BOOST_TEST(c.read(c.dice_.below(volume_blocks - 8), 8));
      c.scrub();
      BOOST_TEST(c.counted(rotten, "damaged_blocks") == 0u);
      BOOST_TEST(!c.node(rotten).kv().rotten);
    }
    BOOST_TEST(c.damages_.size() == static_cast<std::size_t>(Damage::count_));
    BOOST_TEST(c.counted(rotten, "blocks_repaired") > 0u);
    // Nothing is left to be found, also by a life that has nothing of it in memory.
    c.scrub();
    for (const auto* key : {"damaged_blocks", "checksums_rewritten", "superblock_slots_rewritten",
                            "catalogs_rewritten"})
      BOOST_TEST(c.counted(rotten, key) == 0u, key);
    BOOST_TEST(c.copies_equal());
    c.kill(rotten);
    c.boot(rotten);
    BOOST_TEST(c.converge());
    BOOST_TEST(c.copies_equal());
    BOOST_TEST(c.settle());
  }
}

BOOST_AUTO_TEST_CASE(of_200_damages_to_two_of_three_copies_no_wrong_byte_is_read) {
  Rotting c(13);
  c.blocks_rot();
  const auto first = c.primary();
  const auto second_one = (first + 1) % c.size();
  for (int round = 0; round < 10; ++round) {
    c.remember(first);
    c.remember(second_one);
    c.write_some(20);
    for (int i = 0; i < 20; ++i) c.damage(i % 2 == 0 ? first : second_one, c.any_damage());
    // Right or an error: the cluster's own judge fails it for anything else.
    for (int i = 0; i < 5; ++i) (void)c.read(c.dice_.below(volume_blocks - 8), 8);
    BOOST_TEST(!c.failed());
    c.scrub();
  }
  BOOST_TEST(c.copies_equal());
  BOOST_TEST(c.settle());
}

BOOST_AUTO_TEST_SUITE_END()
