// The Store actor: messages in, storage::ReplicaStore does, answers out. What storage completes
// outside of this actor's turn gathers and enters as one StoreTurn message; numbers that moved
// leave as one StoreProgressed per turn.
#include <functional>
#include <map>
#include <type_traits>
#include <utility>
#include <vector>

#include "actors/spawn.hpp"
#include "engine/sometimes.hpp"
#include "storage/replica_store.hpp"
#include "storage/watched_disk.hpp"

namespace tidemark::actors {

/// Store -> itself: something completed since the last turn.
struct StoreTurn {};

}  // namespace tidemark::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::StoreTurn)

namespace tidemark::actors {
namespace {

using engine::Errc;
using engine::Error;
using engine::Result;
using storage::Task;

using StoreActor = Store::extend<caf::reacts_to<StoreTurn>>;

storage::StoreConfig config_of(const StoreSeed& seed, storage::Disk& disk) {
  const auto& s = seed.env->settings;
  storage::StoreLimits limits;
  limits.segment_bytes = s.segment_bytes;
  limits.wal_retention_bytes = s.wal_retention_bytes;
  limits.reserve_bytes = s.reserve_bytes;
  limits.extent_file_bytes = s.extent_file_bytes;
  limits.memory_tail_bytes = s.memory_tail_bytes;
  limits.flush_bytes = s.flush_bytes;
  limits.flush_after = s.flush_after;
  return {disk,           seed.env->timers,  seed.env->events,    seed.env->kv,
          seed.directory, seed.env->cluster, seed.spec,           seed.replica,
          limits,         seed.create,       seed.base_incomplete};
}

StoreFacts facts_of(const storage::OpenedStore& o, engine::ReplicaId replica) {
  StoreFacts f;
  f.spec = o.spec;
  f.replica = replica;
  f.end = o.end.lsn;
  f.digest = o.end.digest;
  f.durable = o.end.lsn;
  f.checkpoint = o.checkpoint.lsn;
  f.retained = o.retained;
  f.committed = o.committed;
  f.history = o.history;
  f.configurations = o.configurations;
  f.mono_time = o.end.mono_time;
  f.chunk_bytes = o.end.chunk_bytes;
  f.chunk_bytes_max = o.chunk_bytes_max;
  f.base = o.base;
  f.rebuild = o.rebuild;
  f.clean = o.clean;
  f.damage = o.damage;
  f.wal_free_bytes = o.wal_free_bytes;
  return f;
}

/// How a question is answered when the store cannot.
template <class Reply>
Reply refusal(const Error& error) {
  if constexpr (std::is_same_v<Reply, LogDigestIs>) {
    return LogDigestIs{std::nullopt};
  } else if constexpr (std::is_same_v<Reply, LogDigestsAre>) {
    return LogDigestsAre{};
  } else if constexpr (std::is_same_v<Reply, CopyHash>) {
    return CopyHash{error, {}, {}};
  } else {
    return Reply{error};
  }
}

class StoreState {
 public:
  StoreState(StoreActor::pointer self, StoreSeed seed)
      : self_(self),
        seed_(std::move(seed)),
        disk_(seed_.env->disk, seed_.env->timers,
              {seed_.env->settings.disk_degraded_after, seed_.env->settings.disk_eject_after}),
        store_(config_of(seed_, disk_)) {
    disk_.on_stuck = [this](std::uint64_t age) {
      seed_.env->events.event(engine::Event(engine::Level::error, "disk_stuck")
                                  .with("volume", seed_.spec.name)
                                  .with("milliseconds", age / engine::millisecond));
    };
    disk_.on_recovered = [this] {
      seed_.env->events.event(
          engine::Event(engine::Level::info, "disk_recovered").with("volume", seed_.spec.name));
    };
    disk_.on_ejected = [this](std::uint64_t age) { eject(age); };
    store_.on_progress = [this] { note_progress(); };
    store_.on_failed = [this](Error error) { note_failure(std::move(error)); };
  }

  StoreActor::behavior_type behavior() {
    return {
        [this](const AppendRecords& m) {
          if (store_.opened()) store_.append(*m.batch, m.committed);
        },
        [this](const CommittedAdvanced& m) {
          if (store_.opened()) store_.set_committed(m.committed);
        },
        [this](const ReadBlocks& m) -> caf::result<BlocksRead> {
          if (auto now = store_.opened() ? store_.read_from_memory(m.range) : std::nullopt) {
            return BlocksRead{std::move(*now)};
          }
          return ask<BlocksRead>([&] { return store_.read_blocks(m.range); });
        },
        [this](const ReadLog& m) {
          return ask<LogRead>(
              [&] { return store_.read_log(m.from, m.to, m.bytes_max); },
              [](auto records) {
                if (!records) return LogRead{records.error()};
                return LogRead{
                    std::make_shared<const std::vector<engine::RecordPtr>>(std::move(*records))};
              });
        },
        [this](const SetListener& m) {
          listener_ = m.listener;
          if (store_.opened()) tell_progress();
        },
        [this](const AskAllocation& m) {
          return ask<AllocationIs>([&] { return store_.allocation(m.range); });
        },
        [this](const AskLogDigest& m) {
          return ask<LogDigestIs>([&] { return store_.log_digest(m.lsn); });
        },
        [this](const AskLogDigests& m) {
          return ask<LogDigestsAre>(
              [&] { return store_.log_digests(m.lsns); },
              [](auto known) {
                return LogDigestsAre{known.touched_from, std::move(known.points)};
              });
        },
        [this](const TruncateLog& m) {
          return ask<StoreDone>([&] { return store_.truncate(m.to); });
        },
        [this](const NoteTouched& m) {
          if (store_.opened()) store_.note_touched(m.first, m.ranges);
        },
        [this](const BeginBase& m) {
          return ask<BaseBegun>([&] { return store_.begin_base(m.scope, m.epoch, m.log); });
        },
        [this](const FindMissing& m) {
          if (!store_.opened()) return MissingIs{not_open(), {}};
          auto found = store_.missing_runs(m.from, m.blocks_max);
          return MissingIs{std::move(found.ranges), found.next};
        },
        [this](const WriteBase& m) {
          return ask<StoreDone>(
              [&] { return store_.write_base(m.range, m.sums, m.data, m.flush_lsn); });
        },
        [this](const FindTouched& m) {
          const auto found = store_.opened() ? store_.touched_boundary(m.at) : std::nullopt;
          return found ? TouchedFound{found->lsn, found->digest} : TouchedFound{};
        },
        [this](const ReadTouched& m) {
          if (!store_.opened()) return TouchedRead{not_open()};
          return TouchedRead{store_.touched_since(m.behind, m.from, engine::touched_ranges_max)};
        },
        [this](const FinishRebuild& m) {
          return ask<StoreDone>([&] { return store_.finish_rebuild(m.at); });
        },
        [this](const ReadBase& m) {
          return ask<BaseRead>([&] { return store_.read_base(m.first, m.blocks_max); },
                               [](auto run) {
                                 if (!run) return BaseRead{run.error()};
                                 auto& piece = run->piece;
                                 return BaseRead{BaseRun{piece.range, std::move(piece.sums),
                                                         std::move(piece.data), run->flush_lsn}};
                               });
        },
        [this](const ReadCopy& m) {
          return ask<CopyRead>([&] { return store_.copy_of(m.block, m.at); });
        },
        [this](const RepairBlock& m) {
          return ask<StoreDone>([&] { return store_.repair_block(m.copy, m.at); });
        },
        [this](const GiveUpBlock& m) { store_.repair_failed(m.block); },
        [this](const StartScrub& m) {
          return store_.opened() ? StoreDone{store_.start_scrub(m.rate, m.round)}
                                 : StoreDone{not_open()};
        },
        [this](const StopScrub&) {
          if (store_.opened()) store_.stop_scrub();
        },
        [this](const FindWritten& m) {
          return ask<WrittenFound>([&] { return store_.last_written(m.blocks, m.at); });
        },
        [this](const DisproveBlock& m) {
          return ask<StoreDone>([&] { return store_.disproved(m.proof, m.at); });
        },
        [this](const PinLog& m) {
          if (!store_.opened()) return StoreDone{not_open()};
          store_.pin(m.id, m.from);
          return StoreDone{engine::Done{}};
        },
        [this](const UnpinLog& m) {
          if (store_.opened()) store_.unpin(m.id);
        },
        [this](const HoldFlush&) { return ask<FlushHeld>([&] { return store_.hold_flush(); }); },
        [this](const HashCopy& m) {
          return ask<CopyHash>([&] { return store_.hash_copy(m.at, m.group_blocks, m.range); },
                               [](auto hashes) {
                                 return CopyHash{std::move(hashes.log), std::move(hashes.groups),
                                                 std::move(hashes.damaged)};
                               });
        },
        [this](const ReleaseFlush&) { store_.release_flush(); },
        [this](const AskStoreStatus&) { return status(); },
        [this](const StopStore& m) -> caf::result<StoreDone> {
          if (disk_.ejected()) return end_now();
          return run<StoreDone>(store_.stop(m.clean),
                                [this](auto status) { return ended(std::move(status)); });
        },
        [this](const DestroyStore&) -> caf::result<StoreDone> {
          if (disk_.ejected()) return end_now();
          return run<StoreDone>(store_.destroy(),
                                [this](auto status) { return ended(std::move(status)); });
        },
        [this](const OpenStore&) -> caf::result<StoreOpened> {
          if (store_.opened()) return facts_when_durable();
          return run<StoreOpened>(store_.open(), [this](auto opened) {
            if (!opened) return StoreOpened{opened.error()};
            return StoreOpened{facts_of(*opened, seed_.replica)};
          });
        },
        [this](const AskMoveCost& m) {
          if (!store_.opened()) return MoveCostIs{not_open()};
          return MoveCostIs{store_.cost_of(m.question)};
        },
        [this](const PrepareComparison&) {
          return ask<ComparisonPrepared>([&] { return store_.prepare_comparison(); });
        },
        [this](const SumGroups& m) {
          return ask<GroupsSummed>([&] { return store_.sum_groups(m.question); });
        },
        [this](const CompareBase& m) {
          return ask<BaseCompared>([&] { return store_.compare_base(m.lsn, m.question, m.sums); });
        },
        [this](const StoreTurn&) { take_turn(); },
    };
  }

 private:
  engine::StoreStatus status() const {
    auto s = store_.status();
    if (s.problem.empty() && disk_.stuck_for() > 0) s.problem = stuck_text(disk_.stuck_for());
    return s;
  }

  static std::string stuck_text(std::uint64_t age) {
    return fmt::format("disk stuck: an operation has taken {} ms", age / engine::millisecond);
  }

  /// What is under way may never end. Nobody is to wait for it: not the role, not the node's stop.
  void eject(std::uint64_t age) {
    seed_.env->events.event(engine::Event(engine::Level::error, "disk_ejected")
                                .with("volume", seed_.spec.name)
                                .with("milliseconds", age / engine::millisecond));
    engine::sometimes(engine::Mark::store_given_up_stuck);
    const Error error{Errc::io_failed, stuck_text(age)};
    store_.give_up(error);
    if (!failure_) failure_ = error;  // Also of a store that is still being opened.
    later([this] { refuse_unanswered(); });
  }

  /// As in a crash: what is under way has no effect any more but on the disk.
  caf::result<StoreDone> end_now() {
    ending_ = true;
    wake();
    return StoreDone{why_not()};
  }

  /// An open store that is asked again: what it holds, once all of it is durable.
  /// Nobody appends meanwhile.
  caf::result<StoreOpened> facts_when_durable() {
    if (ending_ || failure_) return StoreOpened{failure_ ? *failure_ : not_open()};
    if (store_.durable() == store_.facts().end.lsn)
      return StoreOpened{facts_of(store_.facts(), seed_.replica)};
    auto promise = self_->make_response_promise<StoreOpened>();
    asked_for_facts_.push_back(promise);
    return promise;
  }

  void answer_facts() {
    if (asked_for_facts_.empty()) return;
    const bool over = failure_ || ending_;
    if (!over && store_.durable() != store_.facts().end.lsn) return;
    for (auto& promise : std::exchange(asked_for_facts_, {})) {
      promise.deliver(over ? StoreOpened{failure_ ? *failure_ : not_open()}
                           : StoreOpened{facts_of(store_.facts(), seed_.replica)});
    }
  }

  Error why_not() const { return failure_ ? *failure_ : not_open(); }

  Error not_open() const {
    return {Errc::unavailable,
            fmt::format("replica {} in {}: its store is not open", seed_.replica, seed_.directory)};
  }

  template <class Reply, class Start>
  caf::result<Reply> ask(Start start) {
    return ask<Reply>(std::move(start), [](auto value) { return Reply{std::move(value)}; });
  }
  template <class Reply, class Start, class Convert>
  caf::result<Reply> ask(Start start, Convert convert) {
    if (!store_.opened() || ending_ || disk_.ejected()) return refusal<Reply>(why_not());
    return run<Reply>(start(), std::move(convert));
  }

  /// Runs a task and answers with what `convert` makes of its value, in a turn of this actor.
  template <class Reply, class T, class Convert>
  caf::result<Reply> run(Task<T> task, Convert convert) {
    auto promise = self_->template make_response_promise<Reply>();
    const auto id = ++last_question_;
    unanswered_.emplace(id,
                        [promise, this]() mutable { promise.deliver(refusal<Reply>(why_not())); });
    store_.run(std::move(task), [this, id, promise, convert = std::move(convert)](T value) {
      later([this, id, promise, reply = convert(std::move(value))]() mutable {
        if (unanswered_.erase(id) > 0) promise.deliver(std::move(reply));
      });
    });
    return promise;
  }

  StoreDone ended(engine::Status status) {
    ending_ = true;
    return StoreDone{std::move(status)};
  }

  void later(std::function<void()> deliver) {
    ready_.push_back(std::move(deliver));
    wake();
  }

  void wake() {
    if (turn_sent_) return;
    turn_sent_ = true;
    caf::anon_send(StoreActor(self_), StoreTurn{});
  }

  void note_progress() {
    progressed_ = true;
    wake();
  }

  void note_failure(Error error) {
    later([this, error = std::move(error)] {
      failure_ = error;
      if (listener_) caf::anon_send(*listener_, StoreFailed{error});
      if (seed_.parent) caf::anon_send(seed_.parent, StoreLost{seed_.spec.id, error});
    });
  }

  void take_turn() {
    turn_sent_ = false;
    auto ready = std::move(ready_);
    ready_.clear();
    for (auto& deliver : ready) deliver();
    answer_facts();
    if (std::exchange(progressed_, false) && !ending_) tell_progress();
    if (ending_) end();
  }

  void tell_progress() {
    if (!listener_ || failure_) return;
    caf::anon_send(*listener_, StoreProgressed{store_.durable(), store_.durable_digest(),
                                               store_.checkpoint(), store_.retained(),
                                               store_.free_bytes(), store_.damaged_blocks()});
  }

  // Nobody waits for an answer that will not come.
  void end() {
    refuse_unanswered();
    self_->quit();
  }

  void refuse_unanswered() {
    for (auto& [id, refuse] : std::exchange(unanswered_, {})) refuse();
  }

  StoreActor::pointer self_;
  StoreSeed seed_;
  std::optional<StoreListener> listener_;
  std::map<std::uint64_t, std::function<void()>> unanswered_;
  std::uint64_t last_question_ = 0;
  std::vector<std::function<void()>> ready_;
  std::vector<caf::typed_response_promise<StoreOpened>> asked_for_facts_;
  std::optional<Error> failure_;
  bool turn_sent_ = false;
  bool progressed_ = false;
  bool ending_ = false;
  storage::WatchedDisk disk_;
  storage::ReplicaStore store_;  ///< Last: its tasks speak to all of the above.
};

/// What CAF keeps for the actor: its name in logs and traces, and all the rest.
struct Kept {
  static inline const char* name = "store";
  std::unique_ptr<StoreState> state;
};

StoreActor::behavior_type run_store(StoreActor::stateful_pointer<Kept> self, StoreSeed seed) {
  self->state.state = std::make_unique<StoreState>(self, std::move(seed));
  return self->state.state->behavior();
}

}  // namespace

Store spawn_store(caf::actor_system& system, StoreSeed seed) {
  return system.spawn(run_store, std::move(seed));
}

}  // namespace tidemark::actors
