// The receiver machine's shell: messages become events, effects are performed in order.
// Decides nothing.
#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "actors/interfaces.hpp"
#include "actors/link_relay.hpp"
#include "actors/spawn.hpp"
#include "engine/receiver.hpp"

namespace tidemark::actors::receiver_turns {

struct Said {
  engine::LinkNumber link = 0;
  engine::Message message;
};
struct Gone {
  engine::LinkNumber link = 0;
  std::string reason;
};
/// Sent to oneself behind everything else that this turn brought.
struct TurnOver {};

}  // namespace tidemark::actors::receiver_turns

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::receiver_turns::Said)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::receiver_turns::Gone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::receiver_turns::TurnOver)

namespace tidemark::actors {
namespace {

using namespace receiver_turns;
namespace inflow = engine::inflow;
using ReceiverShell =
    Receiver::extend<caf::reacts_to<Said>, caf::reacts_to<TurnOver>, caf::reacts_to<Gone>>;
using Relay = LinkRelay<ReceiverShell, Said, Gone>;

struct OpenLink {
  transport::LinkPtr link;
  std::shared_ptr<Relay> relay;  ///< Null until the machine accepts.
};

struct ReceiverState {
  EnvironmentPtr env;
  Store store;
  caf::actor_addr node;  ///< Weak: the node owns its roles.
  StoreFacts facts;      ///< As opened; the machine's numbers are laid over it.
  std::optional<engine::Receiver> machine;
  std::map<engine::LinkNumber, OpenLink> links;
  engine::LinkNumber links_numbered = 0;
  std::vector<caf::typed_response_promise<ReceiverFenced>> fences;
  std::vector<caf::typed_response_promise<RoleStopped>> stops;
  bool turn_over_sent = false;
  bool over = false;

  static inline const char* name = "receiver";
};

using Self = ReceiverShell::stateful_pointer<ReceiverState>;

template <class Event>
void run(Self self, Event&& event);

engine::Status store_gone(Self self, const caf::error& error) {
  return engine::Error{engine::Errc::io_failed,
                       "the store does not answer: " + self->system().render(error)};
}

/// Asks the store for a step; the answer comes back as the event
/// that `to_event` makes of its status.
template <class Question, class ToEvent>
void ask_step(Self self, Question question, ToEvent to_event) {
  self->request(self->state.store, caf::infinite, std::move(question))
      .then([self, to_event](const StoreDone& done) { run(self, to_event(done.status)); },
            [self, to_event](const caf::error& error) {
              run(self, to_event(store_gone(self, error)));
            });
}

inflow::StoreStepEnded step_ended(engine::Status status) { return {std::move(status)}; }

StoreFacts facts_now(const ReceiverState& s) {
  const auto& n = s.machine->numbers();
  auto facts = s.facts;
  facts.end = n.received;
  facts.digest = n.digest;
  facts.durable = n.durable;
  facts.checkpoint = n.checkpoint;
  facts.retained = n.retained;
  facts.committed = n.committed;
  facts.history = n.history;
  facts.configurations = n.configurations;
  facts.mono_time = n.mono_time;
  // Whoever reigns next begins a chunk with its epoch record.
  facts.chunk_bytes = 0;
  facts.base = n.base;
  facts.rebuild = n.rebuild;
  facts.damage = n.damage;
  facts.wal_free_bytes = n.wal_free_bytes;
  return facts;
}

void perform(Self self, inflow::AcceptLink& e) {
  auto& s = self->state;
  auto& open = s.links.at(e.link);
  engine::HelloOk ok;
  ok.node = s.env->node;
  ok.incarnation = s.env->incarnation;
  open.link->send(std::move(ok));
  open.relay = std::make_shared<Relay>(self->address(), e.link);
  open.link->attach(open.relay);
}

void perform(Self self, inflow::RefuseLink& e) {
  auto& links = self->state.links;
  const auto found = links.find(e.link);
  if (found == links.end()) return;
  found->second.link->send(std::move(e.refused));
  found->second.link->close();
  links.erase(found);
}

void perform(Self self, inflow::Answer& e) {
  const auto& links = self->state.links;
  if (const auto found = links.find(e.link); found != links.end()) {
    found->second.link->send(std::move(e.message));
  }
}

void perform(Self self, inflow::AppendToLog& e) {
  self->send(self->state.store, AppendRecords{std::move(e.batch), e.committed});
}

void perform(Self self, inflow::TellCommitted& e) {
  self->send(self->state.store, CommittedAdvanced{e.committed});
}

void perform(Self self, inflow::ReadDigest& e) {
  const auto answer = [self, link = e.link, session = e.session,
                       lsn = e.lsn](std::optional<engine::Digest> digest) {
    run(self, inflow::DigestRead{link, session, lsn, digest});
  };
  self->request(self->state.store, caf::infinite, AskLogDigest{e.lsn})
      .then([answer](const LogDigestIs& is) { answer(is.digest); },
            [answer](const caf::error&) { answer(std::nullopt); });
}

void perform(Self self, inflow::ReadDigests& e) {
  const auto answer = [self, link = e.link, session = e.session](LogDigestsAre known) {
    run(self, inflow::DigestsRead{link, session, known.touched_from, std::move(known.points)});
  };
  self->request(self->state.store, caf::infinite, AskLogDigests{std::move(e.lsns)})
      .then([answer](LogDigestsAre& known) { answer(std::move(known)); },
            [answer](const caf::error&) { answer({}); });
}

void perform(Self self, inflow::TruncateTo& e) { ask_step(self, TruncateLog{e.to}, step_ended); }

void perform(Self self, inflow::NoteTouched& e) {
  self->send(self->state.store, NoteTouched{e.first, std::move(e.ranges)});
}

void perform(Self self, inflow::BeginBase& e) {
  self->request(self->state.store, caf::infinite, BeginBase{e.scope, e.epoch, std::move(e.log)})
      .then([self](const BaseBegun& m) { run(self, inflow::BaseBegun{m.progress}); },
            [self](const caf::error& error) {
              run(self, inflow::BaseBegun{store_gone(self, error).error()});
            });
}

void perform(Self self, inflow::FindMissing& e) {
  self->request(self->state.store, caf::infinite, FindMissing{e.from, e.blocks_max})
      .then(
          [self, session = e.session](MissingIs& m) {
            if (m.ranges) run(self, inflow::MissingFound{session, std::move(*m.ranges), m.next});
          },
          [](const caf::error&) {});  // The store has ended: that is told by itself.
}

void perform(Self self, inflow::WriteBaseRun& e) {
  ask_step(self, WriteBase{e.range, std::move(e.sums), std::move(e.data), e.flush_lsn},
           [](engine::Status status) { return inflow::BaseRunWritten{std::move(status)}; });
}

void perform(Self self, inflow::PrepareComparison& e) {
  const auto answer = [self, session = e.session](engine::Result<engine::BaseQuestion> question) {
    run(self, inflow::ComparisonPrepared{session, std::move(question)});
  };
  self->request(self->state.store, caf::infinite, PrepareComparison{})
      .then([answer](ComparisonPrepared& m) { answer(std::move(m.question)); },
            [self, answer](const caf::error& error) { answer(store_gone(self, error).error()); });
}

void perform(Self self, inflow::CompareBase& e) {
  const auto answer = [self, session = e.session](auto unequal) {
    run(self, inflow::BaseCompared{session, std::move(unequal)});
  };
  using Unequal = engine::Result<std::vector<engine::BlockRange>>;
  self->request(self->state.store, caf::infinite,
                CompareBase{e.lsn, std::move(e.question), std::move(e.sums)})
      .then([answer](BaseCompared& m) { answer(std::move(m.unequal)); },
            [self, answer](const caf::error& error) {
              answer(Unequal(store_gone(self, error).error()));
            });
}

void perform(Self self, inflow::ReleaseComparison&) {
  self->send(self->state.store, ReleaseFlush{});
}

void perform(Self self, inflow::FinishBase& e) { ask_step(self, FinishRebuild{e.at}, step_ended); }

void perform(Self self, inflow::ReadCopy& e) {
  const auto answer = [self, e](engine::Result<engine::BlockCopy> copy) {
    run(self, inflow::CopyRead{e.link, e.session, e.block, std::move(copy)});
  };
  self->request(self->state.store, caf::infinite, ReadCopy{e.block, e.at})
      .then([answer](CopyRead& read) { answer(std::move(read.copy)); },
            [self, answer](const caf::error& error) { answer(store_gone(self, error).error()); });
}

void perform(Self self, inflow::RepairBlock& e) {
  const auto block = e.copy.block;
  const auto give_up = [self, block] { self->send(self->state.store, GiveUpBlock{block}); };
  self->request(self->state.store, caf::infinite, RepairBlock{std::move(e.copy), e.at})
      .then(
          [give_up](const StoreDone& done) {
            if (!done.status) give_up();
          },
          [](const caf::error&) {});  // The store has ended: that is told by itself.
}

void perform(Self self, inflow::GiveUpBlock& e) {
  self->send(self->state.store, GiveUpBlock{e.block});
}

void perform(Self self, inflow::AnswerFence& e) {
  auto& s = self->state;
  const auto answer = e.status ? engine::Result<StoreFacts>(facts_now(s)) : e.status.error();
  for (auto& promise : std::exchange(s.fences, {})) promise.deliver(ReceiverFenced{answer});
}

void perform(Self self, inflow::AnswerStop& e) {
  for (auto& promise : std::exchange(self->state.stops, {}))
    promise.deliver(RoleStopped{e.committed});
  self->state.over = true;
}

void perform(Self self, inflow::EndRole& e) {
  auto& s = self->state;
  if (auto node = caf::actor_cast<caf::strong_actor_ptr>(s.node)) {
    self->send(caf::actor_cast<Node>(std::move(node)),
               RoleEnded{s.facts.spec.id, s.machine->epoch(), e.reason});
  }
}

void perform(Self self, inflow::Log& e) { self->state.env->events.event(e.event); }

template <class Event>
void run(Self self, Event&& event) {
  auto& s = self->state;
  for (auto& effect : s.machine->on(std::forward<Event>(event))) {
    std::visit([self](auto& e) { perform(self, e); }, effect);
  }
  if (s.machine->wants_turn_end() && !std::exchange(s.turn_over_sent, true)) {
    caf::anon_send(ReceiverShell{self}, TurnOver{});
  }
  if (s.over) self->quit();
}

inflow::ReceiverConfig config_of(const ReceiverSeed& seed) {
  const auto& f = seed.facts;
  inflow::ReceiverConfig config;
  config.assignment = seed.assignment;
  config.incarnation = seed.env->incarnation;
  config.promised = seed.promised;
  config.forgotten = seed.forgotten;
  auto& n = config.numbers;
  n.received = f.end;
  n.digest = f.digest;
  n.durable = f.durable;
  n.durable_digest = f.digest;
  n.checkpoint = f.checkpoint;
  n.retained = f.retained;
  n.committed = f.committed;
  n.history = f.history;
  n.configurations = f.configurations;
  n.mono_time = f.mono_time;
  n.base = f.base;
  n.rebuild = f.rebuild;
  n.clean = f.clean;
  n.damage = f.damage;
  n.wal_free_bytes = f.wal_free_bytes;
  return config;
}

void take_peer(Self self, const PeerConnected& m) {
  auto& s = self->state;
  const auto number = ++s.links_numbered;
  s.links[number] = {m.incoming->link, nullptr};
  run(self, inflow::PeerArrived{number, m.incoming->hello});
}

ReceiverShell::behavior_type receiver(Self self, ReceiverSeed& seed) {
  auto& s = self->state;
  s.env = seed.env;
  s.store = seed.store;
  s.node = seed.node.address();
  s.facts = seed.facts;
  s.machine.emplace(config_of(seed));
  self->send(s.store, SetListener{StoreListener{self}});
  return {
      [self](const StoreProgressed& m) {
        run(self, inflow::StoreMoved{m.durable, m.digest, m.checkpoint, m.retained,
                                     m.wal_free_bytes, m.damaged});
      },
      [self](const StoreFailed& m) { run(self, inflow::StoreBroke{m.error}); },
      [self](const PeerConnected& m) { take_peer(self, m); },
      [self](const Reassigned& m) { run(self, inflow::AssignmentChanged{m.assignment}); },
      [self](const FenceReceiver& m) {
        auto promise = self->make_response_promise<ReceiverFenced>();
        self->state.fences.push_back(promise);
        run(self, inflow::FenceAsked{m.epoch});
        return promise;
      },
      [self](const AskReceiverStatus&) {
        const auto& machine = *self->state.machine;
        return ReceiverStatus{machine.epoch(),
                              machine.promised(),
                              machine.session(),
                              std::string(to_string(machine.state())),
                              machine.reason(),
                              machine.numbers().received,
                              machine.numbers().committed};
      },
      [self](const StopRole& m) {
        auto promise = self->make_response_promise<RoleStopped>();
        self->state.stops.push_back(promise);
        run(self, inflow::StopAsked{m.reason});
        return promise;
      },
      [self](Said& m) {
        run(self, inflow::PeerSaid{m.link, std::move(m.message)});
      },
      [self](const TurnOver&) {
        self->state.turn_over_sent = false;
        run(self, inflow::TurnEnded{});
      },
      [self](const Gone& m) {
        self->state.links.erase(m.link);
        run(self, inflow::PeerGone{m.link, m.reason});
      },
  };
}

}  // namespace

Receiver spawn_receiver(caf::actor_system& system, ReceiverSeed seed) {
  return system.spawn([](Self self, ReceiverSeed s) { return receiver(self, s); }, std::move(seed));
}

}  // namespace tidemark::actors
