// A sender actor and a receiver actor over stores that live in memory and a network whose messages
// move when told. One thread, CAF's testing scheduler.
#pragma once

#include <caf/all.hpp>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/spawn.hpp"
#include "engine/chunk.hpp"
#include "tests/actors/control_world.hpp"
#include "tests/engine/replication_support.hpp"

namespace tidemark::actors {

/// A replica's disk: what is appended is durable at once.
struct MemoryLog {
  std::vector<engine::RecordPtr> log;
  engine::Lsn base;
  engine::Digest base_digest;
  engine::Lsn checkpoint;
  engine::Lsn retained{1};
  engine::BaseState state = engine::BaseState::complete;
  std::uint64_t blocks = 8;
  std::set<engine::BlockIndex> copied;    ///< By the base lane.
  std::map<std::uint64_t, char> extents;  ///< Block -> its first byte.
  std::map<std::uint64_t, engine::Lsn> pins;
  std::vector<std::string> heard;
  std::optional<StoreListener> listener;
  std::uint64_t sum = 1;  ///< What its extents come to.
  bool sluggish = false;  ///< Appends become durable only when told.

  engine::Lsn end() const { return base + log.size(); }
  std::optional<engine::Digest> digest(engine::Lsn lsn) const {
    if (lsn == base) return base_digest;
    if (lsn < base || lsn > end()) return std::nullopt;
    return log.at(lsn - base - 1)->header().digest;
  }
  StoreProgressed progress() const {
    return {end(), *digest(end()), checkpoint, retained, 1ull << 30};
  }
};
using MemoryLogPtr = std::shared_ptr<MemoryLog>;

inline LogRead read_log(const MemoryLog& m, const ReadLog& ask) {
  if (ask.from < m.retained || ask.from <= m.base) {
    return {engine::Error{engine::Errc::out_of_window, "pruned"}};
  }
  auto records = std::make_shared<std::vector<engine::RecordPtr>>();
  for (auto lsn = ask.from; lsn <= ask.to && lsn <= m.end(); lsn = lsn.next()) {
    records->push_back(m.log.at(lsn - m.base - 1));
  }
  return {engine::RecordBatch(std::move(records))};
}

inline BaseRun read_base(const MemoryLog& m, engine::BlockIndex first) {
  BaseRun run;
  run.range = {first, 1};
  run.flush_lsn = m.checkpoint;
  if (const auto found = m.extents.find(first.value); found != m.extents.end()) {
    engine::Buffer content(engine::block_bytes);
    std::memset(content.data(), found->second, content.size());
    run.sums = {1};
    run.data = std::move(content).freeze();
  }
  return run;
}

inline Store::behavior_type memory_store(Store::pointer self, MemoryLogPtr m) {
  const engine::Error no{engine::Errc::not_yet, "not in this world"};
  const auto done = [] { return StoreDone{engine::Done{}}; };
  return {
      [self, m](const AppendRecords& a) {
        m->heard.push_back(fmt::format("append {}", run_of(a.batch)));
        for (const auto& record : *a.batch) {
          CHECK(record->lsn() == m->end().next());
          m->log.push_back(record);
          if (record->header().kind == engine::RecordKind::write) {
            m->extents[record->header().range.first.value] =
                static_cast<char>(record->payload().data()[0]);
          }
        }
        if (!m->sluggish) self->send(*m->listener, m->progress());
      },
      [m](const CommittedAdvanced& c) {
        m->heard.push_back(fmt::format("committed {}", c.committed));
      },
      [no](const ReadBlocks&) { return BlocksRead{no}; },
      [m](const ReadLog& ask) { return read_log(*m, ask); },
      [m](const SetListener& s) { m->listener = s.listener; },
      [no](const AskAllocation&) { return AllocationIs{no}; },
      [m](const AskLogDigest& ask) { return LogDigestIs{m->digest(ask.lsn)}; },
      [](const AskLogDigests&) { return LogDigestsAre{}; },
      [m, done](const TruncateLog& t) {
        m->heard.push_back(fmt::format("truncate {}", t.to));
        m->log.resize(t.to - m->base);
        return done();
      },
      [](const NoteTouched&) {},
      [m](const BeginBase& b) {
        m->heard.push_back(fmt::format("begin base {}", b.log.base));
        m->log.clear();
        m->extents.clear();
        m->base = m->checkpoint = b.log.base;
        m->base_digest = b.log.digest;
        m->retained = b.log.base.next();
        m->state = engine::BaseState::incomplete;
        m->copied.clear();
        return BaseBegun{engine::BaseProgress{b.epoch, {}, m->blocks}};
      },
      [m](const FindMissing& f) {
        std::vector<engine::BlockRange> missing;
        for (auto b = f.from; b.value < m->blocks; b = b.next()) {
          if (!m->copied.contains(b)) missing.push_back({b, 1});
        }
        return MissingIs{std::move(missing), {}};
      },
      [m, done](const WriteBase& w) {
        m->heard.push_back(fmt::format("base {}", w.range));
        for (auto b = w.range.first; b < w.range.end(); b = b.next()) m->copied.insert(b);
        if (!w.sums.empty()) m->extents[w.range.first.value] = static_cast<char>(w.data.data()[0]);
        return done();
      },
      [](const FindTouched&) { return TouchedFound{}; },
      [no](const ReadTouched&) { return TouchedRead{no}; },
      [m, done](const FinishRebuild& f) {
        m->heard.push_back(fmt::format("finish {}", f.at));
        m->state = engine::BaseState::complete;
        return done();
      },
      [m](const ReadBase& ask) { return BaseRead{read_base(*m, ask.first)}; },
      [no](const ReadCopy&) { return CopyRead{no}; },
      [no](const StartScrub&) { return StoreDone{no}; },
      [](const StopScrub&) {},
      [no](const FindWritten&) { return WrittenFound{no}; },
      [no](const DisproveBlock&) { return StoreDone{no}; },
      [no](const RepairBlock&) { return StoreDone{no}; },
      [](const GiveUpBlock&) {},
      [m, done](const PinLog& p) {
        m->pins[p.id] = p.from;
        return done();
      },
      [m](const UnpinLog& u) { m->pins.erase(u.id); },
      [no](const HoldFlush&) { return FlushHeld{no}; },
      [no](const HashCopy&) {
        return CopyHash{no, {}, {}};
      },
      // In this world: what was appended becomes durable.
      [self, m](const ReleaseFlush&) { self->send(*m->listener, m->progress()); },
      [m](const AskStoreStatus&) {
        engine::StoreStatus s;
        s.retained = m->retained;
        s.checkpoint = m->checkpoint;
        return s;
      },
      [done](const StopStore&) { return done(); },
      [done](const DestroyStore&) { return done(); },
      [no](const OpenStore&) { return StoreOpened{no}; },
      [](const AskMoveCost& asked) {
        return MoveCostIs{
            engine::MoveCost{asked.question.log_to - asked.question.log_after, 0, 0, 0, false}};
      },
      [m](const PrepareComparison&) {
        return ComparisonPrepared{
            engine::BaseQuestion{m->checkpoint, engine::base_group_blocks_min, {0}}};
      },
      [m](const SumGroups&) {
        return GroupsSummed{engine::GroupSums{m->checkpoint, {m->sum}}};
      },
      [m](const CompareBase& c) {
        std::vector<engine::BlockRange> unequal;
        if (c.sums.at(0) != m->sum) unequal.push_back({engine::BlockIndex(), m->blocks});
        return BaseCompared{std::move(unequal)};
      },
  };
}

/// Two ends of one connection; what is sent waits until the network moves it.
struct PairedLink final : transport::Link {
  void send(engine::Message message) override {
    if (!over) outgoing.push_back(std::move(message));
  }
  std::size_t queued_bytes() const override { return 0; }
  void close() override { over = true; }
  void attach(std::weak_ptr<transport::LinkEvents> events) override { owner = std::move(events); }
  const std::string& peer() const override { return name; }

  std::deque<engine::Message> outgoing;
  std::weak_ptr<transport::LinkEvents> owner;
  bool over = false;
  std::string name = "pair";
};

/// Brings connections to one receiver.
struct PairedNetwork final : transport::Network {
  struct Connection {
    std::shared_ptr<PairedLink> near, far;
    engine::Hello hello;
    std::function<void(Outcome)> done;  ///< Until it was answered.
  };
  void connect(const engine::Endpoint&, engine::Hello hello,
               std::function<void(Outcome)> done) override {
    if (unreachable) return done(engine::Error{engine::Errc::unavailable, "no route"});
    all.push_back(
        {std::make_shared<PairedLink>(), std::make_shared<PairedLink>(), hello, std::move(done)});
    auto incoming = std::make_shared<transport::Incoming>();
    incoming->hello = std::move(hello);
    incoming->link = all.back().far;
    accept(std::move(incoming));
  }
  void on_incoming(std::function<void(transport::Incoming)>) override {}

  /// Moves what waits; false when nothing did.
  bool move() {
    bool moved = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto& c = all[i];
      moved |= deliver(*c.near, *c.far, c);
      moved |= deliver(*c.far, *c.near, c);
    }
    return moved;
  }
  bool deliver(PairedLink& from, PairedLink& to, Connection& c) {
    if (from.outgoing.empty()) return false;
    auto message = std::move(from.outgoing.front());
    from.outgoing.pop_front();
    if (const auto* ok = std::get_if<engine::HelloOk>(&message)) {
      std::exchange(c.done, nullptr)(Connected{c.near, *ok});
    } else if (const auto* refused = std::get_if<engine::Refused>(&message); refused && c.done) {
      std::exchange(c.done, nullptr)(engine::Error{engine::Errc::refused, refused->text});
    } else if (const auto owner = to.owner.lock(); owner && !to.over) {
      owner->on_message(std::move(message));
    }
    return true;
  }
  void cut() {
    for (auto& c : all) {
      for (auto* end : {c.near.get(), c.far.get()}) {
        end->outgoing.clear();
        if (const auto owner = end->owner.lock(); owner && !std::exchange(end->over, true))
          owner->on_down("cut");
      }
    }
    all.clear();
  }

  bool unreachable = false;
  std::function<void(std::shared_ptr<transport::Incoming>)> accept;
  std::vector<Connection> all;
};

using VolumeHears = std::vector<PeerProgressed>;

inline Volume::behavior_type volume_notes(std::shared_ptr<VolumeHears> heard) {
  return {
      [](const Submit&) {},
      [](const StoreProgressed&) {},
      [heard](const PeerProgressed& m) { heard->push_back(m); },
      [](const StoreFailed&) {},
      [](const Reassigned&) {},
      [](const SetAnswered&) {},
      [](const AskVolumeStatus&) { return engine::VolumeStatus{}; },
      [](const StopRole&) { return RoleStopped{}; },
      [](const AskPreview&) {
        return PreviewIs{engine::Error{engine::Errc::not_yet, "no"}};
      },
  };
}

struct ReplicationWorld {
  explicit ReplicationWorld(std::uint64_t primary_end, std::uint64_t replica_end = 0) {
    namespace replication = engine::replication;
    log.epoch(1, 11);
    log.grow_to(primary_end);
    near_log->log = *log.batch(1, primary_end);
    if (replica_end > 0) far_log->log = *log.batch(1, replica_end);
    network.accept = [this](std::shared_ptr<transport::Incoming> incoming) {
      caf::anon_send(receiver, PeerConnected{std::move(incoming)});
    };
    near_store = system.spawn(memory_store, near_log);
    far_store = system.spawn(memory_store, far_log);
    volume = system.spawn(volume_notes, heard);
    node = system.spawn(node_behavior, node_notes);
  }
  ~ReplicationWorld() {
    for (const auto& actor :
         {caf::actor_cast<caf::actor>(sender), caf::actor_cast<caf::actor>(receiver),
          caf::actor_cast<caf::actor>(near_store), caf::actor_cast<caf::actor>(far_store),
          caf::actor_cast<caf::actor>(volume), caf::actor_cast<caf::actor>(node)}) {
      if (actor) caf::anon_send_exit(actor, caf::exit_reason::kill);
    }
    run();
  }

  EnvironmentPtr env(std::uint64_t n) {
    return std::make_shared<Environment>(Environment{time,
                                                     time,
                                                     random,
                                                     disk,
                                                     kv,
                                                     network,
                                                     events,
                                                     {},
                                                     {},
                                                     engine::replication::node(n),
                                                     engine::Incarnation(1),
                                                     {},
                                                     {},
                                                     {},
                                                     {},
                                                     false,
                                                     {}});
  }
  void spawn_both() {
    ReceiverSeed r;
    r.env = env(2);
    r.assignment = engine::replication::assignment(epoch, 1, 2);
    r.store = far_store;
    r.facts.end = r.facts.durable = far_log->end();
    r.facts.digest = *far_log->digest(far_log->end());
    r.facts.retained = far_log->retained;
    if (far_log->end()) r.facts.history = far_history.value_or(log.history());
    r.facts.base = far_log->state;
    r.facts.wal_free_bytes = 1ull << 30;
    r.promised = engine::Epoch(1);
    r.node = node;
    receiver = spawn_receiver(system, std::move(r));
    SenderSeed s;
    s.env = env(1);
    s.assignment = engine::replication::assignment(epoch);
    s.peer = engine::ReplicaId(2);
    s.store = near_store;
    s.volume = volume;
    s.head = log.end();
    s.history = log.history();
    sender = spawn_sender(system, std::move(s));
    run();
  }
  /// Until nothing moves any more.
  void run() {
    auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
    do {
      scheduler.run();
    } while (network.move());
  }
  void pass(std::uint64_t milliseconds) {
    time.pass(milliseconds);
    run();
  }
  void number(std::uint64_t to, std::uint64_t committed = 0) {
    const auto from = log.end().value + 1;
    log.grow_to(to);
    const auto batch = log.batch(from, to);
    near_log->log.insert(near_log->log.end(), batch->begin(), batch->end());
    caf::anon_send(sender, RecordsNumbered{batch, engine::Lsn(committed)});
    run();
  }
  template <class Answer, class Handle, class Question>
  std::optional<Answer> ask(const Handle& actor, Question question) {
    caf::scoped_actor self{system};
    auto asked = self->request(actor, caf::infinite, std::move(question));
    run();
    std::optional<Answer> answer;
    asked.receive([&](const Answer& a) { answer = a; }, [](const caf::error&) {});
    return answer;
  }
  bool equal() const {
    return near_log->end() == far_log->end() &&
           near_log->digest(near_log->end()) == far_log->digest(far_log->end());
  }

  PlainWorld::Config config;
  caf::actor_system system{config};
  ManualTime time;
  NoRandom random;
  NoDisk disk;
  ManualKv kv;
  PairedNetwork network;
  Events events;
  engine::replication::TestLog log;
  std::uint64_t epoch = 1;
  std::optional<engine::EpochHistory> far_history;  ///< The primary's unless set.
  MemoryLogPtr near_log = std::make_shared<MemoryLog>();
  MemoryLogPtr far_log = std::make_shared<MemoryLog>();
  std::shared_ptr<VolumeHears> heard = std::make_shared<VolumeHears>();
  std::shared_ptr<NodeNotes> node_notes = std::make_shared<NodeNotes>();
  Store near_store, far_store;
  Volume volume;
  Node node;
  Sender sender;
  Receiver receiver;
};

}  // namespace tidemark::actors
