// A volume actor among actors that only write down what they hear: store, two senders, node. One
// thread, CAF's testing scheduler, a clock and timers that move when told.
#pragma once

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/front_desk.hpp"
#include "actors/volume_actor.hpp"
#include "engine/check.hpp"

namespace tidemark::actors {

struct ManualTime final : engine::Clock, engine::Timers {
  engine::MonoTime now() const override { return engine::MonoTime(1'000'000'000 + passed); }
  engine::WallTime wall() const override {
    return engine::WallTime(1'700'000'000 * engine::second + passed);
  }
  engine::TimerId after(std::uint64_t delay, std::function<void()> due) override {
    armed[++last] = {passed + delay, std::move(due)};
    return last;
  }
  void cancel(engine::TimerId id) override { armed.erase(id); }
  /// Fires what is due within `milliseconds`, in order of arming.
  void pass(std::uint64_t milliseconds) {
    passed += milliseconds * engine::millisecond;
    auto due = std::exchange(armed, {});
    for (auto& [id, timer] : due) {
      if (timer.first <= passed) {
        timer.second();
      } else {
        armed.emplace(id, std::move(timer));
      }
    }
  }
  std::uint64_t passed = 0;
  engine::TimerId last = 0;
  std::map<engine::TimerId, std::pair<std::uint64_t, std::function<void()>>> armed;
};

struct Events final : engine::EventSink {
  void event(const engine::Event& event) override { names.push_back(event.name); }
  std::vector<std::string> names;
};

struct NoRandom final : engine::Rng {
  std::uint64_t next() override { return ++last; }
  std::uint64_t last = 0;
};

// A volume touches no disk, catalog or network itself.
struct NoDisk final : storage::Disk {
  using Status = OnStatus;
  void open(const std::string&, storage::OpenOptions, OnOpen) override { never(); }
  void write(const storage::FilePtr&, std::uint64_t, std::vector<engine::Slice>, Status) override {
    never();
  }
  void read(const storage::FilePtr&, std::uint64_t, std::size_t, OnRead) override { never(); }
  void sync(const storage::FilePtr&, Status) override { never(); }
  void punch(const storage::FilePtr&, std::uint64_t, std::uint64_t, Status) override { never(); }
  void resize(const storage::FilePtr&, std::uint64_t, Status) override { never(); }
  void rename(const std::string&, const std::string&, Status) override { never(); }
  void remove(const std::string&, Status) override { never(); }
  void make_directory(const std::string&, Status) override { never(); }
  void sync_directory(const std::string&, Status) override { never(); }
  void list(const std::string&,
            std::function<void(engine::Result<std::vector<std::string>>)>) override {
    never();
  }
  engine::Result<std::uint64_t> size(const storage::FilePtr&) override { never(); }
  engine::Result<storage::SpaceInfo> space(const std::string&) override { never(); }
  [[noreturn]] static void never() { engine::check_failed("the volume touched the disk"); }
};
struct NoKv final : storage::Kv {
  std::optional<std::string> get(const std::string&) const override { return std::nullopt; }
  std::vector<std::pair<std::string, std::string>> scan(const std::string&) const override {
    return {};
  }
  void commit(storage::KvBatch, OnStatus) override { NoDisk::never(); }
  void check(OnCheck) override { NoDisk::never(); }
};
struct NoNetwork final : transport::Network {
  void connect(const engine::Endpoint&, engine::Hello, std::function<void(Outcome)>) override {
    NoDisk::never();
  }
  void on_incoming(std::function<void(transport::Incoming)>) override {}
};

/// What the store was told, and the blocks it would read.
struct StoreNotes {
  std::vector<std::string> heard;  ///< `append 1..3 committed 0`, `committed 3`
  std::map<std::uint64_t, std::string> blocks;
  std::optional<StoreListener> listener;
  std::vector<caf::typed_response_promise<BlocksRead>> held;  ///< While `hold_reads`.
  bool hold_reads = false;
};
/// What one sender was told.
struct SenderNotes {
  std::vector<std::string> heard;
  bool stopped = false;
  /// What its replica has of a block that is asked for.
  engine::Result<engine::BlockCopy> has =
      engine::Error{engine::Errc::unavailable, "it is not in line"};
};
struct NodeNotes {
  std::vector<engine::ProposeSet> proposals;
  std::vector<engine::Configured> configured;
  std::vector<std::string> ended;
};

inline std::string run_of(const engine::RecordBatch& batch) {
  return fmt::format("{}..{}", batch->front()->lsn(), batch->back()->lsn());
}

inline BlocksRead read_notes(const StoreNotes& notes, engine::BlockRange range) {
  std::vector<engine::FrontReply::Piece> pieces;
  for (std::uint64_t i = 0; i < range.count; ++i) {
    engine::FrontReply::Piece piece;
    const auto at = notes.blocks.find((range.first + i).value);
    if (at == notes.blocks.end()) {
      piece.zero_bytes = engine::block_bytes;
    } else {
      piece.data = engine::Buffer::copy_of(std::as_bytes(std::span(at->second))).freeze();
    }
    pieces.push_back(std::move(piece));
  }
  return BlocksRead{std::move(pieces)};
}

inline Store::behavior_type store_behavior(Store::pointer self, std::shared_ptr<StoreNotes> notes) {
  const engine::Error no{engine::Errc::not_yet, "not in this world"};
  return {
      [notes](const AppendRecords& m) {
        notes->heard.push_back(fmt::format("append {} committed {}", run_of(m.batch), m.committed));
        for (const auto& record : *m.batch) {
          const auto& h = record->header();
          for (std::uint64_t i = 0; i < h.range.count; ++i) {
            std::string content(engine::block_bytes, '\0');
            if (h.kind == engine::RecordKind::write) {
              std::memcpy(content.data(), record->payload().data() + i * engine::block_bytes,
                          engine::block_bytes);
            }
            notes->blocks[(h.range.first + i).value] = content;
          }
        }
      },
      [notes](const CommittedAdvanced& m) {
        notes->heard.push_back(fmt::format("committed {}", m.committed));
      },
      [notes, self](const ReadBlocks& m) -> caf::result<BlocksRead> {
        if (!notes->hold_reads) return read_notes(*notes, m.range);
        auto promise = self->make_response_promise<BlocksRead>();
        notes->held.push_back(promise);
        return promise;
      },
      [no](const ReadLog&) { return LogRead{no}; },
      [notes](const SetListener& m) { notes->listener = m.listener; },
      [](const AskAllocation& m) {
        engine::Allocation all{m.range.count * engine::block_bytes, false, false};
        return AllocationIs{std::vector<engine::Allocation>{all}};
      },
      [](const AskLogDigest&) { return LogDigestIs{}; },
      [](const AskLogDigests&) { return LogDigestsAre{}; },
      [no](const TruncateLog&) { return StoreDone{no}; },
      [](const NoteTouched&) {},
      [no](const BeginBase&) { return BaseBegun{no}; },
      [no](const FindMissing&) {
        return MissingIs{no, {}};
      },
      [no](const WriteBase&) { return StoreDone{no}; },
      [](const FindTouched&) { return TouchedFound{}; },
      [no](const ReadTouched&) { return TouchedRead{no}; },
      [no](const FinishRebuild&) { return StoreDone{no}; },
      [no](const ReadBase&) { return BaseRead{no}; },
      [no](const ReadCopy&) { return CopyRead{no}; },
      [no](const StartScrub&) { return StoreDone{no}; },
      [](const StopScrub&) {},
      [no](const FindWritten&) { return WrittenFound{no}; },
      [no](const DisproveBlock&) { return StoreDone{no}; },
      [notes](const RepairBlock& m) {
        notes->heard.push_back(fmt::format("repair {}", m.copy.block));
        return StoreDone{engine::Done{}};
      },
      [notes](const GiveUpBlock& m) { notes->heard.push_back(fmt::format("give up {}", m.block)); },
      [no](const PinLog&) { return StoreDone{no}; },
      [](const UnpinLog&) {},
      [no](const HoldFlush&) { return FlushHeld{no}; },
      [no](const HashCopy&) {
        return CopyHash{no, {}, {}};
      },
      // In this world: lets go of the reads that it held (a promise is kept by its own actor only).
      [notes](const ReleaseFlush&) {
        const engine::Error late{engine::Errc::unavailable, "too late"};
        for (auto& promise : std::exchange(notes->held, {})) promise.deliver(BlocksRead{late});
      },
      [](const AskStoreStatus&) { return engine::StoreStatus{}; },
      [no](const StopStore&) { return StoreDone{no}; },
      [no](const DestroyStore&) { return StoreDone{no}; },
      [no](const OpenStore&) { return StoreOpened{no}; },
      [](const AskMoveCost& m) {
        return MoveCostIs{
            engine::MoveCost{m.question.log_to - m.question.log_after, 0, 0, 0, false}};
      },
      [no](const PrepareComparison&) { return ComparisonPrepared{no}; },
      [no](const SumGroups&) { return GroupsSummed{no}; },
      [no](const CompareBase&) { return BaseCompared{no}; },
  };
}

inline Sender::behavior_type sender_behavior(Sender::pointer self, engine::ReplicaId peer,
                                             std::shared_ptr<SenderNotes> notes) {
  return {
      [notes](const RecordsNumbered& m) {
        notes->heard.push_back(m.batch ? fmt::format("records {}{}", run_of(m.batch),
                                                     m.receipt_wanted ? "" : " no_receipt")
                                       : fmt::format("committed {}", m.committed));
      },
      [notes](const PeerReassigned& m) {
        notes->heard.push_back(fmt::format("reassigned {}", m.assignment.version));
      },
      [notes](const FetchBlock& m) {
        notes->heard.push_back(fmt::format("fetch {} at {}", m.damaged.block, m.damaged.at));
        return BlockFetched{notes->has};
      },
      [peer](const AskPeerStatus&) {
        engine::PeerStatus status;
        status.replica = peer;
        status.state = engine::PeerState::streaming;
        return status;
      },
      [notes, self](const StopSender&) {
        notes->stopped = true;
        self->quit();
      },
      [peer](const AskPreview& m) {
        BOOST_TEST((m.replica == peer));
        engine::RecoveryPreview preview;
        preview.replica = peer;
        preview.says = "nothing to do";
        return PreviewIs{preview};
      },
  };
}

inline Node::behavior_type node_behavior(std::shared_ptr<NodeNotes> notes) {
  return {
      [](const LinkAccepted&) {},
      [notes](const SetProposed& m) { notes->proposals.push_back(m.proposal); },
      [notes](const ConfigurationCommitted& m) { notes->configured.push_back(m.configured); },
      [notes](const RoleEnded& m) { notes->ended.push_back(m.reason); },
      [](const StoreLost&) {},
      [](const AdminRequest&) { return AdminAnswered{}; },
      [](const StopNode&) { return NodeStopped{}; },
  };
}

/// A front-end client that writes down what it is told.
struct Client final : engine::FrontClient {
  void on_replies(std::vector<engine::FrontReply> replies) override {
    std::string line;
    for (auto& reply : replies) {
      line += fmt::format("{}{}", line.empty() ? "" : " ", reply.cookie);
      if (reply.error) line += fmt::format(":{}", to_string(reply.error->code));
      for (const auto& piece : reply.pieces) {
        data.append(reinterpret_cast<const char*>(piece.data.data()), piece.data.size());
        data.append(piece.zero_bytes, '\0');
      }
    }
    deliveries.push_back(line);
  }
  void on_cut(const std::string& reason) override { cuts.push_back(reason); }

  std::vector<std::string> deliveries;  ///< Cookies of each on_replies.
  std::string data;
  std::vector<std::string> cuts;
};

struct VolumeWorld {
  struct Config : caf::actor_system_config {
    Config() { set("scheduler.policy", caf::atom("testing")); }
  };

  VolumeWorld() {
    assignment.spec.id = engine::make_uuid(1, 2);
    assignment.spec.name = "vol";
    assignment.spec.size_bytes = 64 * engine::block_bytes;
    assignment.epoch = engine::Epoch(1);
    assignment.version = engine::Version(1);
    assignment.self = assignment.primary = engine::ReplicaId(1);
    assignment.primary_incarnation = engine::Incarnation(1);
    assignment.role = engine::Role::primary;
    for (std::uint64_t id = 1; id <= 3; ++id) {
      engine::Member member;
      member.replica = engine::ReplicaId(id);
      member.node.name = fmt::format("node{}", id);
      assignment.members.push_back(member);
      assignment.in_sync.push_back({engine::ReplicaId(id), engine::Incarnation(1)});
    }
    VolumeSeed seed;
    seed.env = std::make_shared<Environment>(Environment{
        time, time, random, disk, kv, network, events, {}, {}, {}, {}, {}, {}, {}, {}, false, {}});
    seed.assignment = assignment;
    seed.facts.chunk_bytes_max = 60u << 20;
    seed.facts.wal_free_bytes = 1u << 30;
    store = system.spawn(store_behavior, store_notes);
    seed.store = store;
    node = system.spawn(node_behavior, node_notes);
    seed.node = node;
    volume = spawn_volume_with(system, std::move(seed), [this](caf::actor_system& s, SenderSeed x) {
      heads[x.peer] = x.head;
      auto& notes = senders[x.peer];
      notes = std::make_shared<SenderNotes>();
      const Sender sender(s.spawn(sender_behavior, x.peer, notes));
      lives[x.peer].push_back(sender.address());
      return sender;
    });
    run();
    desk.add({"vol", assignment.spec.size_bytes, false}, assignment.spec.id, volume);
  }
  ~VolumeWorld() {
    for (const auto& actor :
         {caf::actor_cast<caf::actor>(volume), caf::actor_cast<caf::actor>(node),
          caf::actor_cast<caf::actor>(store)}) {
      caf::anon_send_exit(actor, caf::exit_reason::kill);
    }
    run();
  }

  void run() {
    auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
    scheduler.run();
  }
  void pass(std::uint64_t milliseconds) {
    time.pass(milliseconds);
    run();
  }
  void disk_has(std::uint64_t durable) {
    StoreProgressed m;
    m.durable = engine::Lsn(durable);
    m.wal_free_bytes = 1u << 30;
    caf::anon_send(volume, m);
    run();
  }
  void peer_has(std::uint64_t replica, std::uint64_t received, std::uint64_t durable) {
    caf::anon_send(volume, peer(replica, engine::PeerState::streaming, received, durable));
    run();
  }
  PeerProgressed peer(std::uint64_t replica, engine::PeerState state, std::uint64_t received = 0,
                      std::uint64_t durable = 0) {
    PeerProgressed m;
    m.replica = engine::ReplicaId(replica);
    m.incarnation = engine::Incarnation(1);
    m.state = state;
    m.proved = state == engine::PeerState::streaming;
    m.received = engine::Lsn(received);
    m.durable = engine::Lsn(durable);
    m.wal_free_bytes = 1u << 30;
    return m;
  }
  /// All copies have all of the log.
  void everybody_has(std::uint64_t lsn) {
    caf::anon_send(volume, peer(2, engine::PeerState::streaming, lsn, lsn));
    caf::anon_send(volume, peer(3, engine::PeerState::streaming, lsn, lsn));
    disk_has(lsn);
  }
  std::unique_ptr<engine::FrontPort> open(const std::shared_ptr<Client>& client) {
    auto port = desk.open("vol", client);
    CHECK(port.has_value());
    return std::move(*port);
  }
  SenderNotes& sender(std::uint64_t replica) { return *senders.at(engine::ReplicaId(replica)); }
  /// How many senders a replica has had.
  std::size_t senders_of(std::uint64_t replica) const {
    return lives.at(engine::ReplicaId(replica)).size();
  }
  void kill_sender(std::uint64_t replica) {
    caf::anon_send_exit(lives.at(engine::ReplicaId(replica)).back(), caf::exit_reason::kill);
    run();
  }
  engine::VolumeStatus status() {
    engine::VolumeStatus status;
    caf::scoped_actor self{system};
    auto asked = self->request(volume, caf::infinite, AskVolumeStatus{});
    run();
    asked.receive([&](const engine::VolumeStatus& s) { status = s; },
                  [](const caf::error&) { engine::check_failed("no status"); });
    return status;
  }

  ManualTime time;
  NoRandom random;
  NoDisk disk;
  NoKv kv;
  NoNetwork network;
  Events events;
  Config config;
  caf::actor_system system{config};
  engine::Assignment assignment;
  std::shared_ptr<StoreNotes> store_notes = std::make_shared<StoreNotes>();
  std::shared_ptr<NodeNotes> node_notes = std::make_shared<NodeNotes>();
  std::map<engine::ReplicaId, std::shared_ptr<SenderNotes>> senders;
  std::map<engine::ReplicaId, std::vector<caf::actor_addr>> lives;  ///< Of senders, by replica.
  std::map<engine::ReplicaId, engine::Lsn> heads;
  Store store;
  Node node;
  Volume volume;
  FrontDesk desk;
};

inline engine::FrontRequest write_of(std::uint64_t cookie, std::uint64_t offset,
                                     std::uint64_t length, char fill) {
  engine::FrontRequest r;
  r.cookie = cookie;
  r.op = engine::FrontOp::write;
  r.offset = offset;
  r.length = length;
  const auto first = offset / engine::block_bytes * engine::block_bytes;
  r.data = engine::Buffer::zeroed(engine::whole_blocks(offset + length - first));
  std::memset(r.data.data() + (offset - first), fill, length);
  return r;
}

inline engine::FrontRequest plain(std::uint64_t cookie, engine::FrontOp op,
                                  std::uint64_t offset = 0, std::uint64_t length = 0) {
  engine::FrontRequest r;
  r.cookie = cookie;
  r.op = op;
  r.offset = offset;
  r.length = length;
  return r;
}

template <class... Requests>
void submit(engine::FrontPort& port, Requests... requests) {
  std::vector<engine::FrontRequest> batch;
  (batch.push_back(std::move(requests)), ...);
  port.submit(std::move(batch));
}

}  // namespace tidemark::actors
