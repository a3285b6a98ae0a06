// What happens to machines and their disks, as stories: what the product notices, mends or refuses.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/cluster/stage.hpp"

using namespace tidemark;
using namespace tidemark::cluster_tests;
using sim::DiskOp;
using sim::FailedSync;

namespace {

/// Everything written is in the extents of all copies, and in nobody's memory that matters.
void fill(Stage& s, std::uint64_t blocks = 64) {
  for (std::uint64_t b = 0; b < blocks; b += 8) s.write(b, 8);
  s.flush();
  s.run_for(5 * second);
}

bool becomes_whole(Stage& s) {
  for (int look = 0; look < 600 && !s.failed(); ++look) {
    const auto v = s.view();
    if (v && v->whole(s.options().copies)) return true;
    s.run_for(100 * millisecond);
  }
  return false;
}

void spoil_all(Stage& s, std::uint32_t node, const char* ending) {
  for (const auto& file : s.files(node, ending)) {
    const auto pages = file->written_end() / sim::page_bytes;
    for (std::uint64_t page = 0; page < pages; ++page) file->spoil(page);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(machines)

// --- disks

BOOST_AUTO_TEST_CASE(blocks_that_cannot_be_read_are_read_from_another_copy_and_written_again) {
  must_hold(
      [](Stage& s) {
        fill(s);
        spoil_all(s, 1, ".dat");
        s.kill(1);  // Nothing of it is in memory.
        s.boot(1);
        s.must(becomes_whole(s) && s.promote_soon(1), "not_whole", "node2 is no primary");
        s.must(s.read_all(), "not_read", "the others have what it cannot read");
        s.begin_scrub(1'000'000'000);
        s.must(s.scrub_ended(), "not_scrubbed", "the scrub does not end");
        bool readable = true;
        for (const auto& file : s.files(1, ".dat"))
          readable = readable && file->readable(0, file->written_end());
        s.must(readable, "not_written", "sectors were not written again");
        s.settle();
      },
      apart(), 3);
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_read_is_no_torn_tail) {
  must_hold(
      [](Stage& s) {
        fill(s);
        s.write(0, 8);
        s.flush();
        s.kill(2);
        for (const auto& file : s.files(2, ".seg")) {
          const auto pages = file->written_end() / sim::page_bytes;
          if (pages > 1) file->spoil(pages - 1);
        }
        s.write(8, 8);
        s.boot(2);
        s.run_for(3 * second);
        s.must(!s.in_set(2), "counts", "a copy that cannot be read counts");
        s.replace(2);
        s.must(becomes_whole(s), "not_whole", "what replaces it does not come to count");
        s.settle();
      },
      lazy(apart()), 3);
}

BOOST_AUTO_TEST_CASE(behind_a_failed_sync_a_store_ends_and_what_it_says_later_is_on_its_disk) {
  for (const auto kind : {FailedSync::reverts, FailedSync::looks_clean, FailedSync::stays_dirty}) {
    for (const std::uint32_t node : {1u, 2u}) {
      must_hold(
          [=](Stage& s) {
            s.node(node).disk().failed_sync = kind;
            s.node(node).disk().fail_syncs = 1;
            for (int i = 0; i < 40 && s.node(node).disk().fail_syncs > 0; ++i) s.write(0, 64);
            s.run_until([&] { return s.node(node).disk().fail_syncs == 0; }, 10 * second);
            s.must(s.node(node).disk().fail_syncs == 0, "no_sync", "nothing was synced");
            s.run_for(1 * second);
            s.must(!s.serves(node), "serves", "a primary goes on behind a failed sync");
            s.kill(node);  // The page cache stays.
            s.boot(node);
            s.must(becomes_whole(s), "not_whole", "a restart does not bring it back");
            s.write(64, 8, true);
            for (std::uint32_t n = 0; n < s.size(); ++n) s.kill(n, Kill::power);
            for (std::uint32_t n = 0; n < s.size(); ++n) s.boot(n);
            s.settle();
          },
          apart());
    }
  }
}

BOOST_AUTO_TEST_CASE(writes_that_landed_elsewhere_are_found_by_a_scrub_and_both_places_mended) {
  must_hold(
      [](Stage& s) {
        fill(s);
        auto& disk = s.node(2).disk();
        int landed = 0;
        disk.misdirects = [&](const std::string& path, std::uint64_t offset, std::uint64_t bytes) {
          if (!path.ends_with(".dat") || landed == 3 || offset < bytes)
            return std::optional<std::uint64_t>();
          ++landed;
          return std::optional<std::uint64_t>(offset - bytes);
        };
        for (std::uint64_t b = 1; b < 60; b += 4) s.write(b, 1);
        s.flush();
        s.run_for(5 * second);
        disk.misdirects = nullptr;
        s.must(landed == 3, "not_landed", "no write was misdirected");
        s.begin_scrub(1'000'000'000);
        s.must(s.scrub_ended(), "not_scrubbed", "the scrub does not end");
        s.must(s.copies_equal(), "not_mended", "copies differ behind a scrub");
        s.must(becomes_whole(s) && s.promote_soon(2) && s.read_all(), "not_read",
               "what was misdirected is not what is read");
        s.settle();
      },
      apart(), 3);
}

BOOST_AUTO_TEST_CASE(
    a_disk_that_is_full_to_the_last_byte_loses_nothing_and_serves_again_when_it_is_not) {
  for (const std::uint32_t node : {1u, 2u}) {
    must_hold(
        [=](Stage& s) {
          fill(s);
          auto& disk = s.node(node).disk();
          disk.capacity_bytes = disk.used_bytes();
          for (int i = 0; i < 4; ++i) s.later_write(static_cast<std::uint64_t>(i) * 8);
          s.run_for(6 * second);
          s.must(s.read(0, 8), "not_read", "reads do not go on");
          disk.capacity_bytes = sim::DiskImage::no_quota;
          s.must(becomes_whole(s), "not_whole", "space came back, the copy did not");
          s.must(s.write(0, 64), "not_written", "space came back, writes did not");
          s.settle();
        },
        apart());
  }
}

BOOST_AUTO_TEST_CASE(a_catalog_that_failed_takes_nothing_until_its_node_is_started_again) {
  must_hold(
      [](Stage& s) {
        fill(s, 8);
        s.node(2).kv().fail_commits = 1;
        s.wish(2);  // It has to note what it promises.
        s.run_for(3 * second);
        s.must(!s.serves(2), "serves", "a node reigns that could not note its promise");
        s.must(s.write(0, 8), "not_written", "the others do not go on");
        s.kill(2);
        s.boot(2);
        s.must(becomes_whole(s) && s.promote_soon(2), "not_promoted", "a restart does not help");
        s.settle();
      },
      apart(), 3);
}

// Its catalog calls the process by a number that an earlier one had, by which the set names the copy.
BOOST_AUTO_TEST_CASE(a_disk_that_was_put_back_is_no_primary_however_its_process_is_called) {
  for (const int restarts : {0, 1, 2}) {
    must_hold(
        [=](Stage& s) {
          fill(s, 8);
          const auto before = s.node(2).image();
          for (int i = 0; i < restarts; ++i) {
            s.kill(2);
            s.boot(2);
            s.must(becomes_whole(s), "not_whole", "a restart is no reason to stay away");
          }
          s.write(0, 64);
          s.flush();
          s.run_for(2 * second);
          s.roll_back(2, before);
          s.part_from_control(2);  // Asked before a primary meets it.
          s.hold_records(1, 2);
          s.boot(2);
          s.heal();
          for (int i = 0; i < 20; ++i) {
            s.wish(2);
            s.run_for(50 * millisecond);
          }
          s.pass_all();
          s.run_for(1 * second);
          // Called as one before the last was, it is not let in: an operator starts it again.
          for (int i = 0; i < 3 && !becomes_whole(s); ++i) {
            s.kill(2);
            s.boot(2);
          }
          s.must(becomes_whole(s), "not_whole", "it is not healed");
          s.settle();
        },
        apart(), 3);
  }
}

// --- processes

BOOST_AUTO_TEST_CASE(a_replica_that_stands_still_is_left_out_and_comes_back_by_itself) {
  must_hold(
      [](Stage& s) {
        fill(s, 8);
        s.pause(2);
        const auto answered = s.later_write(0, true);
        s.run_for(4 * second);
        s.must(*answered, "waits", "a replica that stands still holds up a write for ever");
        s.must(!s.in_set(2), "counts", "it counts though it stands still");
        s.go_on(2);
        s.must(becomes_whole(s), "not_whole", "it goes on and does not come back");
        s.settle();
      },
      apart(), 3);
}

BOOST_AUTO_TEST_CASE(a_primary_that_stood_still_answers_no_write_of_a_reign_that_is_over) {
  must_hold(
      [](Stage& s) {
        fill(s, 8);
        s.must(s.serves(1), "story", "node2 is primary");
        s.pause(1);
        s.admit_nobody_new(1);
        const auto late = s.later_write(1);
        s.wish(2);
        s.run_until([&] { return s.serves(2); }, 10 * second);
        s.must(s.serves(2), "not_promoted", "nobody takes the place of who stands still");
        s.go_on(1);
        s.run_for(5 * second);
        s.must(!*late, "answered", "a write is answered by a reign that is over");
        s.must(!s.serves(1), "serves", "it goes on as if nothing had been");
        s.settle();
      },
      apart(), 3);
}

BOOST_AUTO_TEST_CASE(a_clock_that_is_set_back_by_a_year_changes_no_order) {
  must_hold(
      [](Stage& s) {
        constexpr std::int64_t year = 365LL * 24 * 3600 * 1'000'000'000;
        fill(s, 8);
        s.node(1).wall_clock().set(s.now(), year, 500);
        s.write(0, 8);
        s.node(1).wall_clock().set(s.now(), -2 * year, -500);
        s.write(8, 8);
        s.must(s.promote_soon(2), "not_promoted", "a clock is no reason");
        s.write(16, 8);
        s.settle();
      },
      apart());
}

BOOST_AUTO_TEST_CASE(starts_that_are_cut_off_in_the_middle_leave_a_log_as_whole_as_the_first_one) {
  must_hold(
      [](Stage& s) {
        fill(s, 8);
        for (int i = 0; i < 20; ++i) s.later_write(static_cast<std::uint64_t>(i));
        s.run_for(2 * millisecond);
        for (std::uint64_t i = 0; i < 12; ++i) {
          for (std::uint32_t n = 0; n < s.size(); ++n)
            s.kill(n, i % 2 == 0 ? Kill::power : Kill::process);
          for (std::uint32_t n = 0; n < s.size(); ++n) s.boot(n);
          s.run_for(i * millisecond);
        }
        s.settle();
      },
      apart(), 10);
}

BOOST_AUTO_TEST_CASE(nodes_that_come_back_under_each_others_addresses_are_told_apart) {
  must_hold(
      [](Stage& s) {
        fill(s, 8);
        s.kill(2);
        s.kill(3);
        const auto two = s.node(2).place();
        s.node(2).move(s.node(3).place());
        s.node(3).move(two);
        s.write(0, 8);
        s.boot(2);
        s.run_for(2 * second);  // Alone at the address of the other.
        s.boot(3);
        s.must(becomes_whole(s), "not_whole", "they are not found where they are");
        s.settle();
      },
      apart(), 3);
}

BOOST_AUTO_TEST_CASE(a_directory_that_was_copied_is_one_node_at_a_time) {
  must_hold(
      [](Stage& s) {
        fill(s, 8);
        const auto copied = s.node(2).image();
        s.kill(2);
        s.boot(2);
        s.must(becomes_whole(s), "not_whole", "a restart is no reason to stay away");
        s.run_for(3 * second);  // What the set says of it is as it will be.
        const auto versions = s.view()->version;
        s.begin_twin(2, copied);  // Both would be of one incarnation.
        for (int i = 0; i < 20; ++i) s.must(s.write(0, 8), "not_written", "a twin stops writes");
        s.run_for(5 * second);
        s.must(s.view()->version == versions, "in_line", "a twin changes who counts");
        s.must(s.in_set(2), "left_out", "the first one is left out");
        s.end_twin();
        s.settle();
      },
      apart(), 3);
}

// --- operators

BOOST_AUTO_TEST_CASE(another_volume_comes_and_goes_and_only_by_its_name) {
  must_hold(
      [](Stage& s) {
        const auto made =
            s.admin("POST", "/v1/volumes",
                    R"({"name":"other","size_bytes":2097152,"nodes":["node2","node3","node4"]})");
        s.must(made.status == 201, "operator", made.body);
        s.write(0, 8);
        const auto wrong = s.admin("DELETE", "/v1/volumes/other", R"({"name":"data"})");
        s.must(wrong.status == 400, "operator", wrong.body);
        s.must(s.admin("GET", "/v1/volumes/other").status == 200, "operator", "it is gone");
        const auto gone = s.admin("DELETE", "/v1/volumes/other", R"({"name":"other"})");
        s.must(gone.status == 200, "operator", gone.body);
        s.run_for(2 * second);
        s.must(s.admin("GET", "/v1/volumes/other").status == 404, "operator", "it is there");
        s.must(s.admin("GET", "/v1/volumes/data").status == 200, "operator", "data is gone");
        s.settle();
      },
      apart());
}

BOOST_AUTO_TEST_CASE(verify_finds_nothing_wrong_with_what_a_kill_left_and_finds_rot) {
  must_hold(
      [](Stage& s) {
        fill(s);
        for (int i = 0; i < 20; ++i) s.later_write(static_cast<std::uint64_t>(i));
        s.run_for(3 * millisecond);
        s.kill(2);
        s.run_for(50 * millisecond);
        const auto sound = s.verify(2);
        s.must(sound.empty(), "verify", sound.empty() ? "" : sound.front());
        sim::Random dice(3);
        s.rot_was_injected();
        for (const auto& file : s.files(2, ".dat"))
          if (file->rot(40 * sim::page_bytes, 16 * sim::page_bytes, dice)) break;
        s.must(!s.verify(2).empty(), "verify", "it does not find what rotted");
        s.boot(2);
        s.begin_scrub(1'000'000'000);
        s.must(s.scrub_ended(), "not_scrubbed", "the scrub does not end");
        s.settle();
      },
      apart(), 3);
}

BOOST_AUTO_TEST_SUITE_END()
