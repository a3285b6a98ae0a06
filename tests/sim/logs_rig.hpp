// A judge of logs and what its tests tell it: logs that are built, and the messages to and from stores.
#pragma once

#include <caf/all.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/record/record.hpp"
#include "sim/checkers/logs.hpp"

namespace tidemark::sim::logs_rig {

using engine::Digest;
using engine::Epoch;
using engine::Lsn;

inline const engine::VolumeKey key(engine::make_uuid(1, 2));

struct Log {
  engine::RecordBuilder builder;
  std::vector<engine::RecordPtr> records;

  explicit Log(Lsn end = {}, const Digest& digest = {}) : builder(key, end, digest) {}
  /// A reign's first record, then more of it.
  Log& reign(std::uint64_t epoch, int more) {
    engine::EpochBody body;
    body.nonce = epoch;
    records.push_back(builder.epoch(Epoch(epoch), body, {}));
    for (; more > 0; --more) records.push_back(builder.chunk_end(Epoch(epoch), {}));
    return *this;
  }
  Digest digest(std::uint64_t lsn) const { return records.at(lsn - 1)->header().digest; }
};

/// Only to have actors with numbers: none of them ever runs.
struct Listeners {
  struct Config : caf::actor_system_config {
    Config() { set("scheduler.policy", caf::atom("testing")); }
  };
  struct Nobody : caf::event_based_actor {
    using caf::event_based_actor::event_based_actor;
  };
  Listeners() { system.await_actors_before_shutdown(false); }
  Config config;
  caf::actor_system system{config};
};

struct Judge {
  std::optional<Listeners> listeners;
  std::string found;
  LifePtr life;  ///< Of all stores; null: nobody's.
  Logs logs;
  explicit Judge(bool ordered = true)
      : logs(ordered, [this](const std::string& cls, const std::string&) { found += cls + "\n"; }) {
  }

  template <class T>
  void step(caf::actor_id receiver, caf::actor_id sender, T message) {
    const auto said = caf::make_message(std::move(message));
    logs.observe(Step{life, receiver, sender, said.content()});
  }
  void opens(caf::actor_id store, Lsn end = {}, const Digest& digest = {}) {
    opens(store, store, end, digest);
  }
  /// A process that has the copy opens its store.
  void opens(caf::actor_id store, std::uint64_t replica, Lsn end, const Digest& digest,
             engine::BaseState base = engine::BaseState::complete) {
    actors::StoreFacts facts;
    facts.replica = engine::ReplicaId(replica);
    facts.end = end;
    facts.digest = digest;
    facts.base = base;
    step(0, store, actors::StoreOpened{facts});
  }
  /// The store's listener hears how far it has come.
  void progresses(caf::actor_id store, std::uint64_t durable, const Digest& digest,
                  std::uint64_t checkpoint = 0) {
    actors::StoreProgressed progress;
    progress.durable = Lsn(durable);
    progress.digest = digest;
    progress.checkpoint = Lsn(checkpoint);
    step(listener_of[store], store, progress);
  }
  /// Somebody is to hear of the store's progress from now on.
  void listens(caf::actor_id store) {
    if (!listeners) listeners.emplace();
    const auto listener = listeners->system.spawn<Listeners::Nobody>();
    listener_of[store] = listener.id();
    step(store, 0, actors::SetListener{caf::actor_cast<actors::StoreListener>(listener)});
  }
  std::map<caf::actor_id, caf::actor_id> listener_of;
  void appends(caf::actor_id store, const std::vector<engine::RecordPtr>& records,
               std::uint64_t committed) {
    step(store, 0,
         actors::AppendRecords{std::make_shared<const std::vector<engine::RecordPtr>>(records),
                               Lsn(committed)});
  }
  /// A primary's volume to one of its senders.
  void numbers(caf::actor_id volume, const std::vector<engine::RecordPtr>& records,
               std::uint64_t committed) {
    actors::RecordsNumbered said;
    if (!records.empty())
      said.batch = std::make_shared<const std::vector<engine::RecordPtr>>(records);
    said.committed = Lsn(committed);
    step(0, volume, said);
  }
  void hears(caf::actor_id store, std::uint64_t committed) {
    step(store, 0, actors::CommittedAdvanced{Lsn(committed)});
  }
};

inline std::vector<engine::RecordPtr> part(const std::vector<engine::RecordPtr>& records,
                                           std::size_t n) {
  return {records.begin(), records.begin() + static_cast<std::ptrdiff_t>(n)};
}

}  // namespace tidemark::sim::logs_rig
