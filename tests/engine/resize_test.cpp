// Another size as a record of the log: who numbers it, when it holds, and who may say so (C12, C24).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "engine/planted.hpp"
#include "tests/engine/control_world.hpp"
#include "tests/engine/receiver_rig.hpp"
#include "tests/engine/volume_support.hpp"

using namespace tidemark::engine;

namespace {

constexpr std::uint64_t kib4 = block_bytes;
constexpr std::uint64_t mib = 1u << 20;

Assignment of_size(std::uint64_t bytes) {
  auto a = volume_assignment();
  a.spec.size_bytes = bytes;
  return a;
}

/// A volume of 2 MiB that serves, and is told of another size.
struct Resized : VolumeStory {
  explicit Resized(Assignment a = of_size(2 * mib)) : VolumeStory(std::move(a)) { serve(); }
  std::string want(std::uint64_t bytes) {
    auto next = volume.assignment();
    next.version = Version(next.version.value + 1);
    next.wanted = next.spec.configuration();
    next.wanted->size_bytes = bytes;
    return told(next);
  }
  /// Senders are told of every assignment; that is left out.
  std::string told(const Assignment& next) {
    VolumeEffects kept;
    for (auto& effect : volume.on(AssignmentArrived{next, at})) {
      if (!std::holds_alternative<ChangeSender>(effect)) kept.push_back(std::move(effect));
    }
    return quiet(kept);
  }
  /// Everybody has all there is.
  std::string all() {
    const auto end = volume.head().value;
    auto text = peer(2, end, end) + peer(3, end, end);
    return text + disk(end);
  }
};

std::string why(const VolumeEffects& effects) {
  for (const auto& effect : effects) {
    if (const auto* r = std::get_if<Reply>(&effect); r && r->reply.error)
      return r->reply.error->text;
  }
  return "";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(resize)

// --- the history ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_size_is_a_property_of_a_place_in_the_log) {
  ConfigurationHistory h(Configuration{2 * mib, Mode::sync_all, 2});
  h.begin(Lsn(5), {4 * mib, Mode::sync_all, 2});
  h.begin(Lsn(9), {1 * mib, Mode::sync_all, 2});
  BOOST_TEST(h.at(Lsn(4))->size_bytes == 2 * mib);
  BOOST_TEST(h.at(Lsn(5))->size_bytes == 4 * mib);
  BOOST_TEST(h.at(Lsn(100))->size_bytes == 1 * mib);
  BOOST_TEST(h.blocks_from(Lsn(4)) == mib / kib4);
  h.truncate(Lsn(8));
  BOOST_TEST(h.current().size_bytes == 4 * mib);
  BOOST_TEST(h.blocks_from(Lsn(4)) == 2 * mib / kib4);
  h.truncate(Lsn());
  BOOST_TEST(h.current().size_bytes == 2 * mib);
}

BOOST_AUTO_TEST_CASE(what_is_in_force_already_is_no_change) {
  ConfigurationHistory h(Configuration{2 * mib, Mode::sync_all, 2});
  h.begin(Lsn(7), {2 * mib, Mode::sync_all, 2});
  BOOST_TEST(h.starts().size() == 1u);
  BOOST_TEST(h.last().first == Lsn());
}

/// Says `count` sizes, one every ten LSNs.
ConfigurationHistory sizes(std::uint64_t count) {
  ConfigurationHistory h(Configuration{mib, Mode::sync_all, 2});
  for (std::uint64_t i = 1; i <= count; ++i)
    h.begin(Lsn(i * 10), {mib + i * kib4, Mode::sync_all, 2});
  return h;
}

BOOST_AUTO_TEST_CASE(a_history_that_is_full_forgets_the_oldest_and_says_so) {
  auto h = sizes(configuration_history_max);
  h.forget_before(Lsn(1000));
  BOOST_TEST(h.starts().size() == configuration_history_max);
  BOOST_TEST(!h.at(Lsn(9)).has_value());
  BOOST_TEST(h.at(Lsn(10))->size_bytes == mib + kib4);
}

// More changes than a superblock holds between two checkpoints: a start reads them from the log again.
BOOST_AUTO_TEST_CASE(nothing_is_forgotten_that_is_in_force_at_a_checkpoint_or_behind_it) {
  auto h = sizes(3 * configuration_history_max);
  h.forget_before(Lsn(25));
  BOOST_TEST(!h.at(Lsn(19)).has_value());
  BOOST_TEST(h.at(Lsn(25))->size_bytes == mib + 2 * kib4);
  BOOST_TEST(h.starts().size() == 3 * configuration_history_max - 1);
  h.truncate(Lsn(25));
  BOOST_TEST(h.starts().size() == 1u);
  auto early = sizes(3 * configuration_history_max);
  early.forget_before(Lsn(9));
  BOOST_TEST(early.starts().size() == 3 * configuration_history_max + 1);
}

BOOST_AUTO_TEST_CASE(a_shrink_cuts_what_lies_behind_the_new_end_and_a_grow_nothing) {
  const Configuration small{1 * mib, Mode::sync_all, 2};
  const Configuration large{2 * mib, Mode::sync_all, 2};
  BOOST_TEST((cut_blocks(large, small) == BlockRange{BlockIndex(256), 256}));
  BOOST_TEST(cut_blocks(small, large).empty());
}

// --- the record ----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_configuration_reads_back_with_what_it_cuts) {
  const VolumeKey key(of_size(mib).spec.id);
  RecordBuilder builder(key, Lsn(3), Digest{});
  const Configuration next{mib, Mode::best_effort, 1};
  const auto record = builder.configure(Epoch(2), next, {BlockIndex(256), 44}, {});
  const auto read = decode_record(key, record->head(), {});
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST((configuration_of(**read) == next));
  BOOST_TEST(((*read)->header().range == BlockRange{BlockIndex(256), 44}));
  BOOST_TEST((*read)->bytes() == record_header_bytes + 16);
}

BOOST_AUTO_TEST_CASE(an_epoch_record_says_again_what_is_in_force) {
  RecordBuilder builder(VolumeKey(of_size(mib).spec.id), Lsn(), Digest{});
  EpochBody body;
  BOOST_TEST(!configuration_of(*builder.epoch(Epoch(1), body, {})).has_value());
  body.size_bytes = 3 * mib;
  body.min_copies = 2;
  const auto said = configuration_of(*builder.epoch(Epoch(2), body, {}));
  BOOST_TEST((said == Configuration{3 * mib, Mode::sync_all, 2}));
}

// --- the primary ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_grow_is_numbered_and_holds_once_it_is_committed) {
  Resized s;
  BOOST_TEST(s.want(4 * mib) == "append 2:configure\n");
  // Numbered, not committed: a failover could still take it back.
  BOOST_TEST(s.ask(write_request(1, 3 * mib, kib4)) == "reply client 1 cookie 1 no_space\n");
  BOOST_TEST(s.all() == "committed 2\ntell that 4194304 bytes are in force since 2\n");
  BOOST_TEST(s.ask(write_request(2, 3 * mib, kib4)) == "append 3:write[768,769)\n");
}

BOOST_AUTO_TEST_CASE(a_shrink_holds_from_the_moment_it_is_numbered) {
  Resized s;
  BOOST_TEST(s.want(1 * mib) == "append 2:configure[256,512)\n");
  BOOST_TEST(s.ask(write_request(1, mib, kib4)) == "reply client 1 cookie 1 no_space\n");
  BOOST_TEST(s.ask(request(2, FrontOp::read, mib, kib4)) == "reply client 1 cookie 2 invalid\n");
  BOOST_TEST(s.ask(request(3, FrontOp::trim, mib, kib4)) == "reply client 1 cookie 3 invalid\n");
  BOOST_TEST(s.ask(write_request(4, mib - kib4, kib4)) == "append 3:write[255,256)\n");
}

BOOST_AUTO_TEST_CASE(a_refusal_names_the_end_as_it_is_now) {
  Resized s;
  s.want(1 * mib);
  std::vector<FrontRequest> requests;
  requests.push_back(write_request(1, mib, kib4));
  const auto effects = s.volume.on(Requested{ClientKey(1), std::move(requests), s.at});
  BOOST_TEST(why(effects) == "request for 4096 bytes at 1048576: the volume ends at 1048576");
}

BOOST_AUTO_TEST_CASE(what_waits_for_its_edges_is_refused_by_a_shrink) {
  Resized s;
  BOOST_TEST(s.ask(write_request(1, 2 * mib - 1024, 512)) == "read #1 [511,512)\n");
  BOOST_TEST(s.want(1 * mib) == "append 2:configure[256,512)\nreply client 1 cookie 1 no_space\n");
  BOOST_TEST(s.arrives(1, 'x') == "");
  s.all();
  BOOST_TEST(s.volume.head() == Lsn(2));
}

BOOST_AUTO_TEST_CASE(what_waits_for_room_is_looked_at_again_when_it_is_numbered) {
  VolumeLimits limits;
  limits.uncommitted_bytes_max = 2 * kib4;
  VolumeStory s(of_size(2 * mib), opened_log(), limits);
  s.serve();
  s.ask(write_request(1, 0, 2 * kib4));
  BOOST_TEST(s.ask(write_request(2, 2 * mib - kib4, kib4)) == "");
  auto next = s.volume.assignment();
  next.version = Version(next.version.value + 1);
  next.wanted = next.spec.configuration();
  next.wanted->size_bytes = mib;
  s.volume.on(AssignmentArrived{next, s.at});
  s.peer(2, 3, 3);
  s.peer(3, 3, 3);
  BOOST_TEST(s.disk(3).find("reply client 1 cookie 2 no_space") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(one_change_at_a_time_is_under_way) {
  Resized s;
  s.want(4 * mib);
  BOOST_TEST(s.want(1 * mib) == "");
  BOOST_TEST(s.all() == "append 3:configure[256,1024)\ncommitted 2\n");
}

BOOST_AUTO_TEST_CASE(the_control_plane_is_told_until_an_assignment_says_so) {
  Resized s;
  s.want(4 * mib);
  s.all();
  BOOST_TEST(s.tick(100) == "");
  BOOST_TEST(s.tick(500) == "tell that 4194304 bytes are in force since 2\n");
  auto settled = of_size(4 * mib);
  settled.version = Version(s.volume.assignment().version.value + 1);
  BOOST_TEST(s.told(settled) == "");
  BOOST_TEST(s.tick(1000) == "");
  BOOST_TEST(s.ask(write_request(2, 3 * mib, kib4)) == "append 3:write[768,769)\n");
}

BOOST_AUTO_TEST_CASE(a_successor_finds_the_record_in_its_log_and_only_tells) {
  auto a = of_size(2 * mib);
  a.wanted = Configuration{4 * mib, a.spec.mode, a.spec.min_copies};
  auto log = opened_log();
  log.end = Lsn(7);
  log.configurations = ConfigurationHistory(a.spec.configuration());
  log.configurations.begin(Lsn(6), *a.wanted);
  VolumeStory s(a, log);
  s.peer(2, 8, 8);
  s.peer(3, 8, 8);
  BOOST_TEST(s.disk(8) == "committed 8\ntell that 4194304 bytes are in force since 6\n");
  BOOST_TEST(s.ask(write_request(1, 3 * mib, kib4)) == "append 9:write[768,769)\n");
}

// Its own log may not say yet that the record is committed, though the size was in force before.
BOOST_AUTO_TEST_CASE(a_successor_refuses_nothing_within_the_size_that_it_found) {
  auto log = opened_log();
  log.end = Lsn(7);
  log.committed = Lsn(3);
  log.configurations = ConfigurationHistory(of_size(2 * mib).spec.configuration());
  log.configurations.begin(Lsn(6), of_size(4 * mib).spec.configuration());
  VolumeStory s(of_size(4 * mib), log);
  BOOST_TEST(s.ask(write_request(1, 3 * mib, kib4)) == "append 9:write[768,769)\n");
}

BOOST_AUTO_TEST_CASE(a_successor_without_the_record_numbers_it) {
  auto a = of_size(2 * mib);
  a.wanted = Configuration{4 * mib, a.spec.mode, a.spec.min_copies};
  VolumeStory s(a);
  s.peer(2, 1, 1);
  s.peer(3, 1, 1);
  BOOST_TEST(s.disk(1) == "append 2:configure\ncommitted 1\n");
}

BOOST_AUTO_TEST_CASE(a_log_that_lost_a_size_that_was_in_force_is_given_it_again) {
  auto log = opened_log();
  log.end = Lsn(4);
  log.configurations = ConfigurationHistory(of_size(2 * mib).spec.configuration());
  VolumeStory s(of_size(1 * mib), log);
  s.peer(2, 5, 5);
  s.peer(3, 5, 5);
  BOOST_TEST(s.disk(5) == "append 6:configure[256,512)\ncommitted 5\n");
}

/// A forced reign: 4 MiB are recorded, the log says 2 MiB.
struct Lost : VolumeStory {
  explicit Lost(VolumeLimits limits = {}) : VolumeStory(of_size(4 * mib), log(), limits) {}
  static OpenedLog log() {
    auto log = opened_log();
    log.end = Lsn(4);
    log.configurations = ConfigurationHistory(of_size(2 * mib).spec.configuration());
    return log;
  }
  std::string all() {
    const auto end = volume.head().value;
    auto text = peer(2, end, end) + peer(3, end, end);
    return text + disk(end);
  }
};

// It was in force: clients saw it, and wrote there.
BOOST_AUTO_TEST_CASE(what_lies_within_a_recorded_size_waits_until_the_log_says_it_again) {
  Lost s;
  BOOST_TEST(s.ask(write_request(1, 3 * mib, kib4)) == "");
  BOOST_TEST(s.ask(request(2, FrontOp::read, 3 * mib, kib4)) == "");
  BOOST_TEST(s.ask(request(3, FrontOp::trim, 3 * mib, kib4)) == "");
  BOOST_TEST(s.ask(write_request(4, 4 * mib, kib4)) == "reply client 1 cookie 4 no_space\n");
  BOOST_TEST(s.ask(request(5, FrontOp::read, 4 * mib, kib4)) ==
             "reply client 1 cookie 5 invalid\n");
  BOOST_TEST(s.ask(request(6, FrontOp::read, mib, kib4)).starts_with("read"));
  BOOST_TEST(s.ask(write_request(7, 0, kib4)) == "");  // In the order in which they came.
  BOOST_TEST(s.volume.waits());
  BOOST_TEST(s.all() == "append 6:configure\ncommitted 5\n");
  const auto again = s.all();
  BOOST_TEST(again.find("7:write[768,769) 8:trim[768,769) 9:write[0,1)") != std::string::npos,
             again);
  BOOST_TEST(again.find("read #2 [768,769)") != std::string::npos, again);
}

BOOST_AUTO_TEST_CASE(no_more_wait_for_a_size_than_for_anything_else) {
  VolumeLimits limits;
  limits.waiting_requests_max = 2;
  Lost s(limits);
  for (std::uint64_t cookie = 1; cookie <= 2; ++cookie) {
    BOOST_TEST(s.ask(write_request(cookie, 3 * mib, kib4)) == "");
    BOOST_TEST(s.ask(request(10 + cookie, FrontOp::read, 3 * mib, kib4)) == "");
  }
  BOOST_TEST(s.ask(write_request(3, 3 * mib, kib4)) == "reply client 1 cookie 3 unavailable\n");
  BOOST_TEST(s.ask(request(13, FrontOp::read, 3 * mib, kib4)) ==
             "reply client 1 cookie 13 unavailable\n");
}

BOOST_AUTO_TEST_CASE(who_goes_waits_for_no_size) {
  Lost s;
  s.ask(write_request(1, 3 * mib, kib4), 8);
  s.ask(request(2, FrontOp::read, 3 * mib, kib4), 8);
  s.volume.on(ClientGone{ClientKey(8), s.at});
  s.all();
  BOOST_TEST(s.all() == "committed 6\n");
}

BOOST_AUTO_TEST_CASE(a_smaller_size_that_is_wanted_by_now_ends_the_wait) {
  Lost s;
  s.ask(write_request(1, 3 * mib, kib4));
  auto next = s.volume.assignment();
  next.version = Version(8);
  next.wanted = next.spec.configuration();
  next.wanted->size_bytes = mib;
  VolumeEffects kept;
  for (auto& effect : s.volume.on(AssignmentArrived{next, s.at})) {
    if (!std::holds_alternative<ChangeSender>(effect)) kept.push_back(std::move(effect));
  }
  BOOST_TEST(quiet(kept) == "reply client 1 cookie 1 no_space\n");
}

BOOST_AUTO_TEST_CASE(a_change_waits_for_room_in_the_log) {
  Resized s;
  s.disk(1, 1000);
  BOOST_TEST(s.want(4 * mib) == "");
  BOOST_TEST(s.disk(1) == "append 2:configure\n");
}

// --- the replica ---------------------------------------------------------------------------------

namespace replica {
using namespace tidemark::engine::inflow;

struct Other : Rig {
  Records configured(std::uint64_t blocks, BlockRange cut = {}) {
    const auto record = log.configure({blocks * block_bytes, Mode::sync_all, 2}, cut);
    return {replication::volume(), epoch, SessionId(7), Lsn(), {record}};
  }
  Records written(std::uint64_t block) {
    const auto record = log.write(block, 1);
    return {replication::volume(), epoch, SessionId(7), Lsn(), {record}};
  }
};

BOOST_AUTO_TEST_CASE(a_replica_that_has_not_heard_takes_a_write_beyond_the_old_end) {
  Other r;
  r.follow();
  r.say(r.configured(16));
  BOOST_TEST(has(r.say(r.written(15)), "append"));
  BOOST_TEST(r.receiver->numbers().configurations.current().blocks() == 16u);
}

BOOST_AUTO_TEST_CASE(planted_a_size_outside_the_log_refuses_it) {
  Other r;
  r.follow();
  plant(Bug::resize_outside_log);
  r.say(r.configured(16));
  BOOST_TEST(has(r.say(r.written(15)), "bad_data"));
  plant(Bug::none);
}

BOOST_AUTO_TEST_CASE(a_write_beyond_the_end_that_the_log_says_is_refused) {
  Other r;
  r.follow();
  r.say(r.configured(4, {BlockIndex(4), 4}));
  BOOST_TEST(has(r.say(r.written(4)), "bad_data"));
}

BOOST_AUTO_TEST_CASE(a_shrink_that_does_not_cut_what_it_takes_away_is_refused) {
  Other r;
  r.follow();
  BOOST_TEST(has(r.say(r.configured(4)), "bad_data"));
}

BOOST_AUTO_TEST_CASE(a_base_has_the_size_of_its_place_in_the_log) {
  Other r;
  r.arrive();
  auto start = r.start(3, 5, SessionKind::rebuild);
  start.configuration = {32 * block_bytes, Mode::sync_all, 2};
  r.say(start);
  r.on(BaseBegun{BaseProgress{}});
  BOOST_TEST(r.receiver->numbers().configurations.current().blocks() == 32u);
}
}  // namespace replica

// --- the control plane ---------------------------------------------------------------------------

namespace plane {
using namespace tidemark::engine::control;
using namespace tidemark::engine::control::test;

std::string why(const Result<Effects>& refused) {
  return refused ? std::string("granted") : refused.error().text;
}
bool says(const Result<Effects>& refused, std::string_view what) {
  return why(refused).find(what) != std::string::npos;
}

Configured in_force(const World& w) {
  return {w.v().spec.id, w.v().epoch, w.v().version, *w.v().wish, Lsn(9)};
}

BOOST_AUTO_TEST_CASE(a_wish_is_durable_and_told_and_the_spec_stays) {
  auto w = three_nodes_and_a_volume();
  const auto told = w.play(*w.plane.resize("v", 2 * mib, false));
  BOOST_TEST(told.starts_with("persist volume\nto 1: assign"));
  BOOST_TEST(w.v().spec.size_bytes == mib);
  w.restart();
  BOOST_TEST(w.v().wish->size_bytes == 2 * mib);
  const auto a = assignment_for(w.v(), w.v().members[0], {});
  BOOST_TEST(a.wanted->size_bytes == 2 * mib);
  BOOST_TEST(w.plane.pending(w.v().spec.id).front().find("under way") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_same_wish_twice_is_the_same_and_another_waits_its_turn) {
  auto w = three_nodes_and_a_volume();
  w.play(*w.plane.resize("v", 2 * mib, false));
  const auto version = w.v().version;
  BOOST_TEST(w.play(*w.plane.resize("v", 2 * mib, false)) == "");
  BOOST_TEST(says(w.plane.resize("v", 3 * mib, false),
                  "a change of its size from 1048576 to 2097152 bytes is under way"));
  BOOST_TEST(w.v().version == version);
}

BOOST_AUTO_TEST_CASE(an_impossible_size_changes_nothing) {
  auto w = three_nodes_and_a_volume();
  BOOST_TEST(says(w.plane.resize("v", 2 * mib + 512, false), "not a multiple"));
  BOOST_TEST(says(w.plane.resize("v", mib / 2, true), "between 1 MiB and 16 TiB"));
  BOOST_TEST(says(w.plane.resize("v", 17ull << 40, false), "between 1 MiB and 16 TiB"));
  BOOST_TEST(says(w.plane.resize("w", 2 * mib, false), "no volume w"));
  BOOST_TEST(w.play(*w.plane.resize("v", mib, false)) == "");
  BOOST_TEST(!w.v().wish.has_value());
}

BOOST_AUTO_TEST_CASE(nothing_is_cut_off_by_mistake) {
  auto w = three_nodes_and_a_volume();
  w.play(*w.plane.resize("v", 2 * mib, false));
  w.play(w.plane.on_message(1, in_force(w)));
  BOOST_TEST(w.v().spec.size_bytes == 2 * mib);
  BOOST_TEST(says(w.plane.resize("v", mib, false), "the last 1048576 would be gone for good"));
  BOOST_TEST(why(w.plane.resize("v", mib, true)) == "granted");
}

BOOST_AUTO_TEST_CASE(what_the_primary_has_in_force_becomes_the_spec) {
  auto w = three_nodes_and_a_volume();
  w.play(*w.plane.resize("v", 2 * mib, false));
  const auto told = w.play(w.plane.on_message(1, in_force(w)));
  BOOST_TEST(told.starts_with("persist volume\nto 1: assign"));
  BOOST_TEST(w.v().spec.size_bytes == 2 * mib);
  BOOST_TEST(!w.v().wish.has_value());
}

BOOST_AUTO_TEST_CASE(only_the_primary_on_what_stands_is_believed) {
  auto w = three_nodes_and_a_volume();
  w.play(*w.plane.resize("v", 2 * mib, false));
  const auto good = in_force(w);
  auto old = good;
  old.version = Version(good.version.value - 1);
  auto other = good;
  other.configuration.size_bytes = 3 * mib;
  auto later = good;
  later.epoch = Epoch(good.epoch.value + 1);
  for (const auto& m : {old, other, later}) BOOST_TEST(w.play(w.plane.on_message(1, m)) == "");
  BOOST_TEST(w.play(w.plane.on_message(2, good)) == "");
  BOOST_TEST(w.v().wish.has_value());
  w.play(w.plane.on_message(1, good));
  BOOST_TEST(w.play(w.plane.on_message(1, good)) == "");  // Heard twice.
}
}  // namespace plane

BOOST_AUTO_TEST_SUITE_END()
