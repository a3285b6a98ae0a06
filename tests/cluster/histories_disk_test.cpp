// Histories of a disk that does what disks do, and of a store that trusted it.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "sim/checkers/damage.hpp"
#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;
using engine::FrontOp;

namespace {

const std::vector<std::string> wrong{"lost_answered", "lost_flushed",  "came_back",
                                     "corrupt",       "read_error",    "damaged_by_itself",
                                     "durable_lost",  "not_converged", "check"};

/// What is found damaged was not written as it was said to be.
void judge_damage(Stage& s) {
  for (std::uint32_t n = 0; n < s.size(); ++n) {
    s.node(n).on_event = [&s](const sim::SimNode&, const engine::Event& event) {
      if (sim::damaged_by_itself(event, s.rotten())) s.fail("damaged_by_itself", render(event));
    };
  }
}

void hold_files(Stage& s, std::uint32_t node, std::string ending, sim::LateWrites late) {
  auto& disk = s.node(node).disk();
  disk.late_writes = late;
  disk.holds = [ending = std::move(ending)](sim::DiskOp op, const std::string& path) {
    return op == sim::DiskOp::write && path.ends_with(ending);
  };
}

/// Every copy's machine loses power and comes back.
void all_lose_power(Stage& s) {
  for (std::uint32_t n = 0; n < s.size(); ++n) s.kill(n, Kill::power);
  for (std::uint32_t n = 0; n < s.size(); ++n) {
    s.let_go(n);
    s.node(n).disk().late_writes = sim::LateWrites::as_the_seed_says;
    s.boot(n);
  }
}

/// One block, in the primary's extents and no longer in its memory.
void flush_one(Stage& s) {
  s.write(5);
  s.flush();
  s.run_for(2 * second);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(histories_disk)

// C10. Power goes between the writing of blocks and the end of their sync. A checkpoint that says they are there would let
// recovery pass them over.
BOOST_AUTO_TEST_CASE(a_checkpoint_follows_the_sync_of_what_it_covers) {
  const Story story = [](Stage& s) {
    judge_damage(s);
    flush_one(s);
    hold_files(s, 1, ".sum", sim::LateWrites::all_lost);
    s.write(5, 1, true);
    s.run_for(1500 * millisecond);
    all_lose_power(s);
    s.read(5);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::checkpoint_before_sync, wrong, story, apart());
}

// C10. Power goes as a superblock is being written, of which one sector does not hold all: the state before it is in the
// other slot, whole.
BOOST_AUTO_TEST_CASE(a_torn_superblock_costs_nothing) {
  const Story story = [](Stage& s) {
    judge_damage(s);
    for (int reign = 0; reign < 12; ++reign) {
      s.promote_soon(reign % 2 == 0 ? 2 : 1);
      s.write(1, 1, true);
    }
    s.flood();
    hold_files(s, 3, "superblock", sim::LateWrites::all_torn);
    s.write(5, 1, true);
    s.run_for(1500 * millisecond);
    s.kill(3, Kill::power);
    s.let_go(3);
    s.node(3).disk().late_writes = sim::LateWrites::as_the_seed_says;
    s.boot(3);
    s.settle();
  };
  must_hold(story, apart(), 2);
  must_break(Bug::superblock_in_one_place, wrong, story, apart(), 8);
}

// C14. A block rotted where it lies. Read, it is the other copies' content or an error, and nothing else.
BOOST_AUTO_TEST_CASE(a_rotten_block_is_not_read_as_if_it_was_right) {
  const Story story = [](Stage& s) {
    flush_one(s);
    s.blocks_rot();
    sim::Random random(3);
    bool rotten = false;
    for (const auto& file : s.files(1, ".dat"))
      rotten = file->rot(0, file->written_end(), random) || rotten;
    s.must(rotten, "not_staged", "there is no block that could rot");
    s.read(5);
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::checksum_not_compared, {"corrupt"}, story, apart());
  must_break(Bug::unreadable_block_is_zeros, {"lost_answered", "lost_flushed"}, story, apart());
}

// C20. What a read shows is the newest, also where memory has let go of it and the extents do not have it yet.
BOOST_AUTO_TEST_CASE(a_read_finds_what_only_the_log_has) {
  const Story story = [](Stage& s) {
    s.write(5);
    for (std::uint64_t b = 10; b < 100; ++b) s.write(b);
    s.read(5);
  };
  auto options = apart();
  options.tune = [](actors::Settings& settings) {
    settings.flush_after = 3600 * second;
    settings.flush_bytes = 1u << 30;
    settings.memory_tail_bytes = 16u << 10;
  };
  must_hold(story, options);
  must_break(Bug::read_misses_the_log, {"lost_answered", "lost_flushed"}, story, options);
}

// C23. A sync fails. Its pages look clean or are gone, and the next sync has nothing to say of them.
BOOST_AUTO_TEST_CASE(a_sync_that_failed_is_not_asked_again) {
  const Story story = [](Stage& s) {
    judge_damage(s);
    flush_one(s);
    s.node(1).disk().fail_syncs = 1;
    s.write(5);
    s.flush();
    s.run_for(2 * second);
    s.kill(1, Kill::power);
    s.boot(1);
    s.read(5);
    s.settle();
  };
  must_hold(story, apart(), 4);
  must_break(Bug::failed_sync_is_tried_again, wrong, story, apart(), 12);
}

// C23. A segment is made, and then power goes: without its directory's sync its name goes too, and the log in it.
BOOST_AUTO_TEST_CASE(a_segment_has_its_name_before_it_is_used) {
  const Story story = [](Stage& s) {
    s.flood();
    s.write(5, 1, true);  // Not flushed to the extents yet.
    s.kill(3, Kill::power);
    s.boot(3);
    s.settle();
  };
  auto options = apart();
  options.tune =
      [](actors::Settings& settings) {  // Most of its segments are made behind its opening.
        settings.wal_retention_bytes = 16 * settings.segment_bytes;
      };
  must_hold(story, options);
  must_break(Bug::directory_not_synced, wrong, story, options, 4);
}

// C23. A disk is full as a segment is being made. Half of one is none: what its log is given a number for has its room.
BOOST_AUTO_TEST_CASE(half_a_segment_is_none) {
  const Story story = [](Stage& s) {
    s.node(3).on_event = [&s](const sim::SimNode&, const engine::Event& event) {
      const auto told = render(event);
      if (event.name == "store_lost" && told.find("no space left") != std::string::npos)
        s.fail("store_lost_to_full_disk", told);
    };
    s.wipe(3);
    s.run_for(500 * millisecond);
    auto& disk = s.node(3).disk();
    const auto met = std::make_shared<bool>(false);
    disk.fails = [&s, &disk, met](sim::DiskOp op, const std::string& path) {
      if (op != sim::DiskOp::write || !path.ends_with(".seg")) return std::optional<engine::Errc>();
      const auto inode = disk.inode(path);
      const bool half = inode && inode->size() > 0 && inode->size() < 4u << 20;
      if (!half || s.files(3, ".seg").size() <= 2) return std::optional<engine::Errc>();
      *met = true;
      return std::optional(engine::Errc::no_space);
    };
    s.boot(3);
    s.must(s.replace(3), "not_staged", "the new copy was not admitted");
    for (int look = 0; look < 100 && !s.in_set(3); ++look) s.run_for(100 * millisecond);
    s.must(*met, "not_staged", "no segment was made as the disk was full");
    for (int round = 0; round < 20; ++round) s.later(FrontOp::write, 0, false, 190);
    s.run_for(5 * second);
    disk.fails = nullptr;
    s.settle();
  };
  must_hold(story, apart());
  must_break(Bug::half_made_segment_is_used, {"store_lost_to_full_disk"}, story, apart());
}

// C23. Batches complete out of order. Durable is what has no gap before it, or a power cut makes a liar of it.
BOOST_AUTO_TEST_CASE(a_batch_does_not_count_before_those_in_front_of_it) {
  const Story story = [](Stage& s) {
    for (std::uint64_t round = 1; round <= 3 && !s.failed(); ++round) {
      s.node(2).disk().holds = [dice = sim::Random(round)](sim::DiskOp op,
                                                           const std::string& path) mutable {
        return op == sim::DiskOp::write && path.ends_with(".seg") && dice.chance(2, 3);
      };
      for (std::uint64_t b = 0; b < 40; ++b) {
        s.later_write(b);
        s.run_for(200'000);
      }
      s.kill(2, Kill::power);
      s.node(2).disk().holds = nullptr;
      s.boot(2);
      s.run_for(1 * second);
    }
    s.settle();
  };
  must_hold(story, apart(), 3);
  must_break(Bug::durable_passes_a_gap, wrong, story, apart(), 16);
}

// C24. A block is trimmed and then written. After a restart it is the log that tells the order.
BOOST_AUTO_TEST_CASE(a_trim_is_replayed_in_its_place) {
  const Story story = [](Stage& s) {
    s.write(5);
    s.trim(5);
    s.write(5, 1, true);
    s.kill(1);
    s.boot(1);
    s.read(5);
  };
  must_hold(story, lazy(apart()));
  must_break(Bug::trims_replayed_last, {"lost_answered", "lost_flushed"}, story, lazy(apart()));
}

BOOST_AUTO_TEST_SUITE_END()
