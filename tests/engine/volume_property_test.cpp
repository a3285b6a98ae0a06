// Random requests of three clients against a model: an array of bytes to which each request is
// applied when it is submitted. Store and peers answer late and in any order; the rules of
// answering are computed anew here.
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "engine/planted.hpp"
#include "tests/engine/volume_support.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t volume_bytes = test_blocks * block_bytes;

/// splitmix64 (Steele, Lea, Flood 2014).
struct Random {
  std::uint64_t state;
  std::uint64_t next() {
    auto z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
};

using Image = std::string;  // of one block

class World {
 public:
  explicit World(std::uint64_t seed)
      : random_{seed}, model_(volume_bytes, '\0'), disk_(volume_bytes, '\0') {
    for (std::uint64_t b = 0; b < test_blocks; ++b) versions_[b].push_back({0, image(disk_, b)});
    take(story_.opened);
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
    for (int i = 0; i < 10'000 && (!pending_.empty() || !reads_.empty()); ++i) settle();
    if (!pending_.empty()) fail(fmt::format("{} requests were never answered", pending_.size()));
    if (disk_ != model_) fail("the log's content is not that of the requests in order");
  }
  const std::string& failure() const { return failure_; }
  std::uint64_t answered() const { return answered_; }

 private:
  struct Pending {
    FrontOp op = FrontOp::read;
    bool fua = false;
    std::uint64_t first = 0;  ///< Blocks, for reads.
    std::uint64_t count = 0;
    bool changes = false;  ///< It gets a number.
    std::uint64_t flush_target = 0;
    std::map<std::uint64_t, std::uint64_t>
        not_before;  ///< Block -> newest LSN answered when asked.
  };
  struct StoreRead {
    std::uint64_t id = 0;
    BlockRange range;
    bool sampled = false;
    Image content;
  };

  static Image image(const Image& all, std::uint64_t block) {
    return all.substr(block * block_bytes, block_bytes);
  }
  void fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
  }

  void step() {
    const auto dice = random_.below(10);
    if (dice < 4) return submit();
    if (dice < 6) return store_answers();
    if (dice < 8) return peer_moves();
    if (dice == 8) return disk_moves();
    take(story_.volume.on(Ticked{story_.at}));
  }
  void settle() {
    store_answers();
    const auto head = story_.volume.head().value;
    received_[0] = received_[1] = durable_[0] = durable_[1] = own_ = head;
    report(0);
    report(1);
    take(story_.volume.on(StoreAdvanced{Lsn(own_), 1u << 30, story_.at}));
  }

  void submit() {
    std::vector<FrontRequest> batch;
    for (auto n = 1 + random_.below(3); n > 0; --n) batch.push_back(make());
    take(story_.volume.on(Requested{ClientKey(1 + random_.below(3)), std::move(batch), story_.at}));
  }

  FrontRequest make() {
    const auto cookie = ++last_cookie_;
    auto& pending = pending_[cookie];
    const auto dice = random_.below(12);
    if (dice == 0) {
      // Whatever is submitted in the same batch before it may get its number first.
      pending.op = FrontOp::flush;
      pending.flush_target = story_.volume.head().value;
      return request(cookie, FrontOp::flush);
    }
    // Few blocks and short ranges, so that requests overlap most of the time.
    auto offset = random_.below(4 * block_bytes);
    auto length = 1 + random_.below(2 * block_bytes);
    if (random_.one_in(3)) {
      offset = offset / block_bytes * block_bytes;
      length = (1 + random_.below(3)) * block_bytes;
    }
    if (dice < 4) {
      offset = offset / block_bytes * block_bytes;
      length = (1 + random_.below(2)) * block_bytes;
      return make_read(cookie, pending, offset, length);
    }
    pending.changes = true;
    if (dice < 6) {
      pending.op = dice == 4 ? FrontOp::trim : FrontOp::write_zeroes;
      auto from = offset;
      auto to = offset + length;
      if (dice == 4) {
        from = (from + block_bytes - 1) / block_bytes * block_bytes;
        to = to / block_bytes * block_bytes;
        pending.changes = from < to;
      }
      if (from < to) std::fill(at(from), at(to), '\0');
      return request(cookie, pending.op, offset, length);
    }
    pending.op = FrontOp::write;
    pending.fua = random_.one_in(4);
    const auto fill = static_cast<char>('!' + random_.below(90));
    std::fill(at(offset), at(offset + length), fill);
    return write_request(cookie, offset, length, fill, pending.fua);
  }
  Image::iterator at(std::uint64_t offset) {
    return model_.begin() + static_cast<std::ptrdiff_t>(offset);
  }

  FrontRequest make_read(std::uint64_t cookie, Pending& pending, std::uint64_t offset,
                         std::uint64_t length) {
    pending.op = FrontOp::read;
    pending.first = offset / block_bytes;
    pending.count = length / block_bytes;
    for (auto b = pending.first; b < pending.first + pending.count; ++b) {
      for (const auto& [lsn, content] : versions_[b]) {
        if (lsn <= answered_upto_) pending.not_before[b] = lsn;
      }
    }
    return request(cookie, FrontOp::read, offset, length);
  }

  void store_answers() {
    if (reads_.empty()) return;
    const auto i = random_.below(reads_.size());
    auto& chosen = reads_[i];
    if (!chosen.sampled && random_.one_in(2)) return sample(chosen);  // seen now, told later
    if (!chosen.sampled) sample(chosen);
    const auto read = chosen;
    reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(i));
    FrontReply::Piece piece;
    piece.data = Buffer::copy_of(std::as_bytes(std::span(read.content))).freeze();
    std::vector<FrontReply::Piece> pieces;
    pieces.push_back(std::move(piece));
    take(story_.volume.on(BlocksArrived{ReadId(read.id), std::move(pieces), story_.at}));
  }
  void sample(StoreRead& read) {
    read.sampled = true;
    read.content =
        disk_.substr(read.range.first.value * block_bytes, read.range.count * block_bytes);
  }

  void peer_moves() {
    const auto i = random_.below(2);
    const auto head = story_.volume.head().value;
    received_[i] += random_.below(head - received_[i] + 1);
    durable_[i] += random_.below(received_[i] - durable_[i] + 1);
    report(i);
  }
  void report(std::uint64_t i) {
    PeerSeen seen;
    seen.replica = ReplicaId(2 + i);
    seen.incarnation = Incarnation(10 * (2 + i));
    seen.state = PeerState::streaming;
    seen.proved = true;
    seen.received = Lsn(received_[i]);
    seen.durable = Lsn(durable_[i]);
    seen.wal_free_bytes = 1u << 30;
    take(story_.volume.on(PeerReported{seen, story_.at}));
  }
  void disk_moves() {
    own_ += random_.below(story_.volume.head().value - own_ + 1);
    take(story_.volume.on(StoreAdvanced{Lsn(own_), 1u << 30, story_.at}));
  }

  std::uint64_t committed() const {
    const auto least = std::min({own_, durable_[0], durable_[1]});
    return committed_max_ = std::max(committed_max_, least);
  }
  std::uint64_t answerable() const {
    if (committed() == 0) return 0;
    return std::max(committed(), std::min(received_[0], received_[1]));
  }

  void take(const VolumeEffects& effects) {
    for (const auto& effect : effects) {
      if (const auto* e = std::get_if<Append>(&effect)) apply(*e);
      if (const auto* e = std::get_if<ReadFromStore>(&effect)) {
        reads_.push_back({e->id.value, e->range, false, {}});
      }
      if (const auto* e = std::get_if<Reply>(&effect)) check(e->reply);
    }
  }
  void apply(const Append& e) {
    for (const auto& record : *e.batch) {
      const auto& h = record->header();
      for (std::uint64_t i = 0; i < h.range.count; ++i) {
        const auto block = (h.range.first + i).value;
        Image content(block_bytes, '\0');
        if (h.kind == RecordKind::write) {
          std::memcpy(content.data(), record->payload().data() + i * block_bytes, block_bytes);
        }
        disk_.replace(block * block_bytes, block_bytes, content);
        versions_[block].push_back({h.lsn.value, content});
      }
    }
  }

  void check(const FrontReply& reply) {
    const auto found = pending_.find(reply.cookie);
    if (found == pending_.end()) return fail(fmt::format("cookie {} answered twice", reply.cookie));
    const auto pending = found->second;
    pending_.erase(found);
    ++answered_;
    if (reply.error) return fail(reply.error->text);
    if (pending.op == FrontOp::read) return check_read(pending, reply);
    if (pending.op == FrontOp::flush) {
      if (committed() < pending.flush_target) fail("flush answered before all was committed");
      return;
    }
    if (!pending.changes) return;
    // All up to here is answered now: a later read may show nothing older.
    answered_upto_ = std::max(answered_upto_, answerable());
    if (pending.fua && committed() == 0) fail("FUA answered before anything was committed");
    if (answerable() == 0) fail("answered before the epoch record was committed");
  }

  /// Each block shows one of its versions: none that could not be answered,
  /// none older than was answered.
  void check_read(const Pending& pending, const FrontReply& reply) {
    Image got;
    for (const auto& piece : reply.pieces) {
      got.append(reinterpret_cast<const char*>(piece.data.data()), piece.data.size());
      got.append(piece.zero_bytes, '\0');
    }
    if (got.size() != pending.count * block_bytes) return fail("a read has the wrong length");
    for (std::uint64_t i = 0; i < pending.count; ++i) {
      const auto block = pending.first + i;
      const auto oldest = pending.not_before.contains(block) ? pending.not_before.at(block) : 0;
      const auto& versions = versions_[block];
      const bool shown = std::any_of(versions.begin(), versions.end(), [&](const auto& v) {
        return v.first <= answerable() && v.first >= oldest && v.second == image(got, i);
      });
      if (!shown) return fail(fmt::format("block {} shows what could not be answered", block));
    }
  }

  Random random_;
  VolumeStory story_;
  Image model_;  ///< Requests applied in the order submitted.
  Image disk_;   ///< Records applied in the order numbered.
  std::map<std::uint64_t, std::vector<std::pair<std::uint64_t, Image>>> versions_;
  std::map<std::uint64_t, Pending> pending_;
  std::vector<StoreRead> reads_;
  std::uint64_t received_[2] = {0, 0};
  std::uint64_t durable_[2] = {0, 0};
  std::uint64_t own_ = 0;
  mutable std::uint64_t committed_max_ = 0;
  std::uint64_t answered_upto_ = 0;
  std::uint64_t last_cookie_ = 0;
  std::uint64_t answered_ = 0;
  std::string failure_;
};

/// The first failure within `seeds` seeds, or nothing.
std::string first_failure(std::uint64_t seeds) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    World world(seed);
    world.run(400);
    if (!world.failure().empty()) return fmt::format("seed {}: {}", seed, world.failure());
  }
  return {};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(volume_property)

BOOST_AUTO_TEST_CASE(random_requests_take_effect_in_order_and_show_only_what_could_be_answered) {
  BOOST_TEST(first_failure(150) == "");
}

BOOST_AUTO_TEST_CASE(the_world_notices_a_merge_on_a_stale_base) {
  plant(Bug::unaligned_merge_on_stale_base);
  const auto failure = first_failure(20);
  plant(Bug::none);
  BOOST_TEST(failure != "");
}

BOOST_AUTO_TEST_CASE(the_world_notices_a_read_of_what_could_not_be_answered) {
  plant(Bug::read_unanswerable);
  const auto failure = first_failure(20);
  plant(Bug::none);
  BOOST_TEST(failure != "");
}

BOOST_AUTO_TEST_CASE(the_world_notices_a_flush_answered_before_the_local_sync) {
  plant(Bug::flush_acked_before_local_sync);
  const auto failure = first_failure(20);
  plant(Bug::none);
  BOOST_TEST(failure != "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tidemark::engine
