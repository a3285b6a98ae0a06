// The sender machine's shell: messages become events, effects are performed in order.
// Decides nothing.
#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <utility>
#include <variant>

#include "actors/interfaces.hpp"
#include "actors/link_relay.hpp"
#include "actors/preview_turns.hpp"
#include "actors/spawn.hpp"
#include "engine/check.hpp"
#include "engine/sender.hpp"

namespace tidemark::actors::sender_turns {

/// A connection attempt came to its end.
struct Connected {
  engine::Lane lane = engine::Lane::records;
  engine::LinkNumber link = 0;
  transport::Network::Outcome result;
};
struct Said {
  engine::LinkNumber link = 0;
  engine::Message message;
};
struct Gone {
  engine::LinkNumber link = 0;
  std::string reason;
};
struct Woken {
  std::uint64_t arming = 0;
};
/// Sent to oneself behind everything else that this turn brought.
struct TurnOver {};

}  // namespace tidemark::actors::sender_turns

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::sender_turns::Connected)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::sender_turns::Said)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::sender_turns::Gone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::sender_turns::Woken)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tidemark::actors::sender_turns::TurnOver)

namespace tidemark::actors {
namespace {

using namespace sender_turns;
namespace outflow = engine::outflow;
using SenderShell =
    Sender::extend<caf::reacts_to<Said>, caf::reacts_to<TurnOver>, caf::reacts_to<Connected>,
                   caf::reacts_to<Gone>, caf::reacts_to<Woken>, caf::reacts_to<PaceTold>>;
using Relay = LinkRelay<SenderShell, Said, Gone>;

struct OpenLink {
  engine::LinkNumber number = 0;  ///< Wanted or open.
  transport::LinkPtr link;        ///< Null while connecting.
  std::shared_ptr<Relay> relay;
};

struct SenderState {
  EnvironmentPtr env;
  Store store;
  std::optional<Pace> pace;
  caf::actor_addr volume;  ///< Weak: the volume owns its senders.
  std::optional<engine::Sender> machine;
  std::array<OpenLink, 2> links;  ///< By lane.
  /// By block, those that are asked for.
  std::vector<std::pair<engine::BlockIndex, caf::typed_response_promise<BlockFetched>>> fetching;
  engine::TimerId timer = 0;
  std::optional<engine::MonoTime> armed_for;
  std::uint64_t arming = 0;
  bool turn_over_sent = false;

  static inline const char* name = "sender";

  SenderState() = default;
  SenderState(const SenderState&) = delete;
  SenderState& operator=(const SenderState&) = delete;
  ~SenderState() {
    if (env) env->timers.cancel(timer);
  }
  OpenLink& at(engine::Lane lane) { return links[static_cast<std::size_t>(lane)]; }
  engine::Lane lane_of(engine::LinkNumber number) const {
    return links[1].number == number ? engine::Lane::bulk : engine::Lane::records;
  }
  outflow::Moment moment() { return {env->clock.now(), env->rng.next()}; }
};

using Self = SenderShell::stateful_pointer<SenderState>;

template <class Event>
void run(Self self, const Event& event);

engine::Error source_error(const Self& self, std::string_view what, const caf::error& error) {
  return {engine::Errc::io_failed,
          fmt::format("{}: the store does not answer: {}", what, self->system().render(error))};
}

/// Asks the store; the answer comes back as the event that `to_event` makes of it.
template <class Question, class Answered, class ToEvent>
void ask_store(Self self, engine::SessionId session, std::string_view what, Question question,
               ToEvent to_event) {
  self->request(self->state.store, caf::infinite, std::move(question))
      .then([self, to_event](Answered& answer) { run(self, to_event(answer)); },
            [self, session, what](const caf::error& error) {
              run(self, outflow::SourceFailed{session, source_error(self, what, error)});
            });
}

void perform(Self self, outflow::Connect& e) {
  auto& open = self->state.at(e.lane);
  open = {e.link, nullptr, nullptr};
  self->state.env->network.connect(
      e.endpoint, std::move(e.hello),
      [owner = self->address(), lane = e.lane, link = e.link](transport::Network::Outcome result) {
        tell<SenderShell>(owner, Connected{lane, link, std::move(result)});
      });
}

void perform(Self self, outflow::CloseLink& e) {
  auto& open = self->state.at(e.lane);
  if (open.number != e.link) return;
  if (open.link) open.link->close();
  open = {};
}

void perform(Self self, outflow::SendMessage& e) {
  if (auto& link = self->state.at(e.lane).link) link->send(std::move(e.message));
}

void perform(Self self, outflow::ReadOwnFacts& e) {
  ask_store<AskStoreStatus, engine::StoreStatus>(
      self, e.session, "asking what the log retains", AskStoreStatus{},
      [id = e.session](engine::StoreStatus& s) {
        return outflow::OwnFactsRead{id, s.retained, s.checkpoint, s.checkpoint_time};
      });
}

void perform(Self self, outflow::ReadOwnDigest& e) {
  ask_store<AskLogDigest, LogDigestIs>(self, e.session, "asking for a digest", AskLogDigest{e.lsn},
                                       [id = e.session, lsn = e.lsn](LogDigestIs& a) {
                                         return outflow::OwnDigestRead{id, lsn, a.digest};
                                       });
}

void perform(Self self, outflow::ReadOwnDigests& e) {
  ask_store<AskLogDigests, LogDigestsAre>(
      self, e.session, "asking for digests", AskLogDigests{std::move(e.lsns)},
      [id = e.session](LogDigestsAre& known) {
        return outflow::OwnDigestsRead{id, known.touched_from, std::move(known.points)};
      });
}

void perform(Self self, outflow::Pin& e) {
  ask_store<PinLog, StoreDone>(self, e.session, "pinning the log", PinLog{e.session.value, e.from},
                               [id = e.session](StoreDone& d) {
                                 return outflow::LogPinned{id, d.status};
                               });
}

void perform(Self self, outflow::Unpin& e) {
  self->send(self->state.store, UnpinLog{e.session.value});
}

void perform(Self self, outflow::ReadRecords& e) {
  ask_store<ReadLog, LogRead>(self, e.session, "reading the log",
                              ReadLog{e.from, e.to, e.bytes_max},
                              [id = e.session, from = e.from](LogRead& r) {
                                return outflow::LogRecordsRead{id, from, std::move(r.batch)};
                              });
}

void perform(Self self, outflow::ReadBaseRun& e) {
  const auto answered = [id = e.session, range = e.range](BaseRead& r) {
    if (!r.run) return outflow::BaseRunRead{id, range, r.run.error()};
    auto& run = *r.run;
    return outflow::BaseRunRead{
        id, range,
        engine::BasePiece{run.range, std::move(run.sums), std::move(run.data), run.flush_lsn}};
  };
  const auto blocks = std::min<std::uint64_t>(e.range.count, e.blocks_max);
  ask_store<ReadBase, BaseRead>(self, e.session, "reading base blocks",
                                ReadBase{e.range.first, static_cast<std::uint32_t>(blocks)},
                                answered);
}

void perform(Self self, outflow::ReadGroupSums& e) {
  ask_store<SumGroups, GroupsSummed>(self, e.session, "summing groups of blocks",
                                     SumGroups{std::move(e.question)},
                                     [id = e.session](GroupsSummed& s) {
                                       return outflow::GroupSumsRead{id, std::move(s.sums)};
                                     });
}

void perform(Self self, outflow::FindTouched& e) {
  ask_store<FindTouched, TouchedFound>(self, e.session, "asking what was touched",
                                       FindTouched{e.at}, [id = e.session](TouchedFound& t) {
                                         return outflow::TouchedFound{id, t.lsn, t.digest};
                                       });
}

void perform(Self self, outflow::ReadTouched& e) {
  ask_store<ReadTouched, TouchedRead>(self, e.session, "reading what was touched",
                                      ReadTouched{e.behind, e.from},
                                      [id = e.session](TouchedRead& t) {
                                        return outflow::TouchedRead{id, std::move(t.ranges)};
                                      });
}

void perform(Self self, outflow::ReadCopy& e) {
  const auto answer = [self, session = e.session,
                       block = e.block](engine::Result<engine::BlockCopy> copy) {
    run(self, outflow::CopyRead{session, block, std::move(copy)});
  };
  self->request(self->state.store, caf::infinite, ReadCopy{e.block, e.at})
      .then([answer](CopyRead& read) { answer(std::move(read.copy)); },
            [self, answer](const caf::error& error) {
              answer(source_error(self, "reading a block for repair", error));
            });
}

void perform(Self self, outflow::AnswerBlock& e) {
  auto& fetching = self->state.fetching;
  const auto found = std::find_if(fetching.begin(), fetching.end(),
                                  [&e](const auto& one) { return one.first == e.block; });
  CHECK(found != fetching.end());
  auto promise = std::move(found->second);
  fetching.erase(found);
  promise.deliver(BlockFetched{std::move(e.copy)});
}

void perform(Self self, outflow::ReportPeer& e) {
  if (auto volume = caf::actor_cast<caf::strong_actor_ptr>(self->state.volume)) {
    self->send(caf::actor_cast<Volume>(std::move(volume)),
               PeerProgressed{e.replica, e.incarnation, e.state, e.session, e.proved, e.received,
                              e.durable, e.wal_free_bytes, e.promised});
  }
}

void perform(Self self, outflow::AskPace& e) {
  self->send(*self->state.pace, PaceAsked{PaceListener{SenderShell{self}}, e.session, e.bytes});
}

void perform(Self self, outflow::TellPaceUsed& e) {
  if (self->state.pace) self->send(*self->state.pace, PaceUsed{e.granted, e.used});
}

void perform(Self self, outflow::LeavePace&) {
  if (self->state.pace) self->send(*self->state.pace, PaceLeft{self->address()});
}

void perform(Self self, outflow::Log& e) { self->state.env->events.event(e.event); }

void rearm(Self self) {
  auto& s = self->state;
  const auto wake = s.machine->wake_at();
  // A timer that rings too early asks again; only one that would ring too late is replaced.
  if (!wake || (s.armed_for && *s.armed_for <= *wake)) return;
  s.env->timers.cancel(s.timer);
  s.armed_for = wake;
  s.timer = s.env->timers.after(
      *wake - s.env->clock.now(),
      [owner = self->address(), arming = ++s.arming] { tell<SenderShell>(owner, Woken{arming}); });
}

template <class Event>
void run(Self self, const Event& event) {
  auto& s = self->state;
  for (auto& effect : s.machine->on(event, s.moment())) {
    std::visit([self](auto& e) { perform(self, e); }, effect);
  }
  if (s.machine->wants_turn_end() && !std::exchange(s.turn_over_sent, true)) {
    caf::anon_send(SenderShell{self}, TurnOver{});
  }
  rearm(self);
}

void link_ready(Self self, Connected& turn) {
  auto& open = self->state.at(turn.lane);
  if (open.number != turn.link) return;  // Given up meanwhile; dropping the link closes it.
  if (!turn.result) {
    open = {};
    const auto& refused = turn.result.refused;
    const bool stale = refused && refused->code == engine::RefusalCode::stale_epoch;
    return run(self, outflow::ConnectFailed{turn.lane, turn.link, turn.result.error(),
                                            stale ? refused->promised : engine::Epoch{}});
  }
  open.link = std::move(turn.result->link);
  open.relay = std::make_shared<Relay>(self->address(), turn.link);
  open.link->attach(open.relay);
  run(self, outflow::LinkOpened{turn.lane, turn.link, turn.result->peer.node,
                                turn.result->peer.incarnation});
}

outflow::SenderConfig config_of(SenderSeed& seed) {
  const auto& env = *seed.env;
  outflow::SenderConfig config;
  config.cluster = env.cluster;
  config.node = env.node;
  config.incarnation = env.incarnation;
  config.assignment = std::move(seed.assignment);
  config.peer = seed.peer;
  config.head = seed.head;
  config.committed = seed.committed;
  config.history = std::move(seed.history);
  config.configurations = std::move(seed.configurations);
  config.credit_bytes = env.settings.sender_credit_bytes;
  config.paced = seed.pace.has_value();
  config.retry_min = env.settings.retry_min;
  config.retry_max = env.settings.retry_max;
  return config;
}

SenderShell::behavior_type sender(Self self, SenderSeed& seed) {
  auto& s = self->state;
  s.env = seed.env;
  s.store = seed.store;
  s.pace = seed.pace;
  s.volume = seed.volume.address();
  s.machine.emplace(config_of(seed));
  run(self, outflow::Started{});
  return {
      [self](const RecordsNumbered& m) {
        run(self, outflow::RecordsAdded{m.batch, m.committed, m.receipt_wanted});
      },
      [self](const PeerReassigned& m) { run(self, outflow::AssignmentChanged{m.assignment}); },
      [self](const PaceTold& m) {
        run(self, outflow::PaceTold{m.session, m.bytes, m.standing});
      },
      [self](const FetchBlock& m) -> caf::result<BlockFetched> {
        auto promise = self->make_response_promise<BlockFetched>();
        self->state.fetching.emplace_back(m.damaged.block, promise);
        run(self, outflow::BlockWanted{m.damaged});
        return promise;
      },
      [self](const AskPeerStatus&) {
        return self->state.machine->status(self->state.env->clock.now());
      },
      [self](const StopSender&) {
        run(self, outflow::StopRequested{});
        self->quit();
      },
      [self](Said& m) {
        run(self,
            outflow::MessageArrived{self->state.lane_of(m.link), m.link, std::move(m.message)});
      },
      [self](const TurnOver&) {
        self->state.turn_over_sent = false;
        run(self, outflow::TurnEnded{});
      },
      [self](Connected& m) { link_ready(self, m); },
      [self](const Gone& m) {
        run(self, outflow::LinkClosed{self->state.lane_of(m.link), m.link, m.reason});
      },
      [self](const Woken& m) {
        if (m.arming != self->state.arming) return;
        self->state.armed_for.reset();
        run(self, outflow::Ticked{});
      },
      [self](const AskPreview&) {
        const auto& now = self->state;
        return preview_with(self, now.store,
                            engine::Preview(now.machine->view(), now.env->clock.now()));
      },
  };
}

}  // namespace

Sender spawn_sender(caf::actor_system& system, SenderSeed seed) {
  return system.spawn([](Self self, SenderSeed s) { return sender(self, s); }, std::move(seed));
}

}  // namespace tidemark::actors
