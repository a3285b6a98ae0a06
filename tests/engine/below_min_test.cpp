// Fewer copies than min_copies take what is numbered: writes wait, or fail where an operator wants that.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "tests/engine/mode_change_rig.hpp"

using namespace tidemark::engine;
using namespace tidemark::engine::mode_change;

BOOST_AUTO_TEST_SUITE(below_min)

namespace {
Assignment failing(Mode mode) {
  auto a = in_mode(mode);
  a.spec.below_min = BelowMin::fail;
  return a;
}
}  // namespace

BOOST_AUTO_TEST_CASE(with_too_few_copies_writes_fail_after_a_while_and_reads_go_on) {
  for (const auto mode : {Mode::sync_all, Mode::sync_quorum}) {
    Changing s(failing(mode));
    s.closes(2);
    s.closes(3);
    s.tick(200);
    if (mode == Mode::sync_all) s.decide(8, {1, 2});
    s.tick(200);
    s.fua(1);
    s.ask(request(2, FrontOp::flush));
    BOOST_TEST(s.has({1}) == "");
    BOOST_TEST(s.tick(1500).find("reply") == std::string::npos);
    const auto text = s.tick(1000);
    BOOST_TEST(text.find("cookie 1 io_failed") != std::string::npos);
    BOOST_TEST(text.find("cookie 2 io_failed") != std::string::npos);
    BOOST_TEST(s.fua(3).find("cookie 3 io_failed") != std::string::npos);
    BOOST_TEST(s.ask(request(4, FrontOp::read, 8 * kib4, kib4)).find("read") != std::string::npos);
    BOOST_TEST(done(s.arrives(1, 'r'), 4));
    // A copy is back: what was numbered is committed after all, and writes are answered again.
    BOOST_TEST(s.has({2}).starts_with("committed 2"));
    s.tick(200);
    const auto fourth = s.fua(5);
    BOOST_TEST(!done(fourth, 5));
    BOOST_TEST(s.has({1, 2}).find("cookie 5") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(with_too_few_copies_writes_wait_where_nothing_else_is_wanted) {
  Changing s(in_mode(Mode::sync_quorum));
  s.closes(2);
  s.closes(3);
  s.fua(1);
  BOOST_TEST(s.tick(60'000).find("reply") == std::string::npos);
  auto other = s.volume.assignment();
  other.version = Version(other.version.value + 1);
  other.spec.below_min = BelowMin::fail;
  BOOST_TEST(s.tell(other).find("cookie 1 io_failed") != std::string::npos);
}

// What is connected and takes nothing is no copy.
BOOST_AUTO_TEST_CASE(a_copy_whose_disk_is_stuck_is_none_to_wait_for) {
  for (const auto mode : {Mode::sync_all, Mode::sync_quorum}) {
    Changing s(failing(mode));
    s.closes(3);
    s.tick(200);
    if (mode == Mode::sync_all) s.decide(8, {1, 2});
    s.tick(500);
    s.fua(1);
    s.has({1});
    s.peer(2, 2, 1);
    BOOST_TEST(s.tick(1'900).find("reply") == std::string::npos);
    BOOST_TEST(done(s.tick(100), 1));
    BOOST_TEST(s.fua(2).find("cookie 2 io_failed") != std::string::npos);
    s.has({2});  // It moves again.
    s.fua(3);
    BOOST_TEST(done(s.has({1, 2}), 3));
  }
}

// The copies that count have all there is, and nothing is committed: then it is none of them.
BOOST_AUTO_TEST_CASE(an_error_names_the_primarys_own_disk_where_that_is_what_is_short) {
  for (const auto mode : {Mode::sync_all, Mode::sync_quorum}) {
    auto a = failing(mode);
    a.spec.min_copies = 3;
    Changing s(a);
    s.fua(1);
    s.has({2, 3});
    std::string reason;
    s.at.now = s.at.now + 2'500 * millisecond;
    for (const auto& effect : s.volume.on(Ticked{s.at})) {
      if (const auto* answer = std::get_if<Reply>(&effect)) reason = answer->reply.error->text;
    }
    BOOST_TEST(reason.find("the primary's disk has 1 of 2") != std::string::npos, reason);
  }
}

// However long it takes: committed follows it, or will in one step.
BOOST_AUTO_TEST_CASE(a_copy_that_catches_up_is_waited_for_while_it_comes_nearer) {
  for (const auto mode : {Mode::sync_all, Mode::sync_quorum}) {
    Changing s(failing(mode));
    s.closes(3);
    s.tick(200);
    if (mode == Mode::sync_all) s.decide(8, {1, 2});
    s.closes(2);
    for (std::uint64_t cookie = 1; cookie <= 10; ++cookie) s.fua(cookie);
    s.has({1});
    std::string told;
    for (std::uint64_t durable = 2; durable <= 10; ++durable) {
      PeerSeen seen;
      seen.replica = ReplicaId(2);
      seen.incarnation = Incarnation(20);
      seen.state = PeerState::catching_up;
      seen.received = seen.durable = Lsn(durable);
      seen.wal_free_bytes = 1u << 30;
      told += quiet(s.volume.on(PeerReported{seen, s.at}));
      told += s.tick(1'000);
    }
    BOOST_TEST(told.find("io_failed") == std::string::npos, told);
    BOOST_TEST(s.tick(900).find("reply") == std::string::npos);
    BOOST_TEST(s.tick(100).find("cookie 1 io_failed") != std::string::npos);
  }
}

// A copy that has less than what is committed is far behind the others and still comes nearer to nothing.
BOOST_AUTO_TEST_CASE(while_committed_moves_nothing_fails) {
  auto a = failing(Mode::sync_quorum);
  for (std::uint64_t id = 4; id <= 5; ++id) {
    Member member;
    member.replica = ReplicaId(id);
    member.node.name = fmt::format("node{}", id);
    a.members.push_back(member);
    a.in_sync.push_back({ReplicaId(id), Incarnation(10 * id)});
  }
  Changing s(a);
  s.closes(4);
  s.closes(5);
  for (std::uint64_t cookie = 1; cookie <= 20; ++cookie) s.fua(cookie);
  s.has({1});
  s.peer(2, 21, 20);  // It has nearly all, and its disk is stuck.
  std::string told;
  for (std::uint64_t durable = 2; durable <= 11; ++durable) {
    told += s.peer(3, 21, durable);
    told += s.tick(1'000);
  }
  BOOST_TEST(told.find("io_failed") == std::string::npos, told);
  BOOST_TEST(s.tick(1'000).find("cookie 20 io_failed") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
