// The life of a primary's volume, and its answers: what an event may change is settled here.
#include "engine/volume.hpp"

#include <algorithm>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "engine/walked.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t tick_idle = 500 * millisecond;
// A fifth of leave_after_closed: a member that is gone delays answers by that much more at most.
constexpr std::uint64_t tick_hurried = 20 * millisecond;

}  // namespace

std::string_view to_string(VolumeState state) {
  switch (state) {
    case VolumeState::opening:
      return "opening";
    case VolumeState::serving:
      return "serving";
    case VolumeState::ended:
      return "ended";
  }
  return "unknown";
}

VolumeEffects VolumeMachine::on(RoleOpened event) {
  CHECK(!log_);
  CHECK(event.assignment.role == Role::primary);
  CHECK(event.assignment.primary == event.assignment.self);

  assignment_ = std::move(event.assignment);
  session_ = event.session;
  history_ = std::move(event.log.history);
  configurations_ = std::move(event.log.configurations);
  if (configurations_.empty() || planted(Bug::resize_outside_log)) {
    configurations_ = ConfigurationHistory(assignment_.spec.configuration());
  }
  log_.emplace(VolumeKey(assignment_.spec.id), assignment_.epoch, event.log);
  in_sync_.emplace(assignment_, limits_.in_sync, event.at.now);
  durable_ = reported_durable_ = shipped_ = event.log.end;
  committed_ = std::min(event.log.committed, event.log.end);
  wal_free_bytes_ = event.log.wal_free_bytes;
  moved_at_ = event.at.now;

  EpochBody body;
  body.nonce = assignment_.nonce;
  body.primary = assignment_.self;
  body.incarnation = assignment_.primary_incarnation;
  // Said again by each reign, so that a log tells its size wherever one begins to read it.
  body.mode = configurations_.current().mode;
  body.size_bytes = configurations_.current().size_bytes;
  body.min_copies = configurations_.current().min_copies;
  body.marks = assignment_.marks;
  for (const auto& member : assignment_.members) body.members.push_back(member.replica);
  epoch_record_ = log_->number_epoch(body, event.at.wall);
  const bool begun =
      history_.begin({assignment_.epoch, body.nonce, epoch_record_, body.marks, body.mode});
  CHECK(begun);
  effects_.push_back(Log{Event(Level::info, "reign_began")
                             .with("epoch", assignment_.epoch)
                             .with("lsn", epoch_record_)
                             .with("set", set_text(assignment_.in_sync))
                             .with("marks", body.marks)});
  take_rules();
  change_senders(senders_.reconcile(assignment_));
  return finish(event.at);
}

VolumeEffects VolumeMachine::on(Requested event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  for (auto& request : event.requests) take(event.client, std::move(request), event.at);
  return finish(event.at);
}

// A repeat or a late report changes nothing: durable only rises.
VolumeEffects VolumeMachine::on(const StoreAdvanced& event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  CHECK(event.durable <= log_->end());
  durable_ = std::max(durable_, event.durable);
  reported_durable_ = event.durable;
  wal_free_bytes_ = event.wal_free_bytes;
  settle(event.at);
  return finish(event.at);
}

VolumeEffects VolumeMachine::on(const StoreEnded& event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  sometimes(Mark::primary_lost_its_store);
  end(fmt::format("the store failed: {}", event.error.text), true);
  return finish(event.at);
}

VolumeEffects VolumeMachine::on(const PeerReported& event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  const bool deposed =
      event.seen.promised > assignment_.epoch && !planted(Bug::higher_promise_ignored);
  if (sometimes(deposed, Mark::primary_deposed_by_promise)) {
    end(fmt::format("replica {} has promised epoch {}, above ours ({})", event.seen.replica,
                    event.seen.promised, assignment_.epoch),
        true);
    return finish(event.at);
  }
  in_sync_->see(event.seen, event.at.now);
  settle(event.at);
  return finish(event.at);
}

VolumeEffects VolumeMachine::on(const SetAnswerArrived& event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  if (in_sync_->decide(event.decided, event.at.now)) {
    assignment_.in_sync = in_sync_->recorded();
    assignment_.version = in_sync_->version();
  }
  settle(event.at);
  return finish(event.at);
}

VolumeEffects VolumeMachine::on(const AssignmentArrived& event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  const auto& arriving = event.assignment;
  const bool ours = arriving.epoch == assignment_.epoch && arriving.role == Role::primary &&
                    arriving.self == assignment_.self && arriving.spec.id == assignment_.spec.id;
  if (!ours && arriving.epoch >= assignment_.epoch) {
    effects_.push_back(Log{Event(Level::warning, "assignment_refused")
                               .with("epoch", arriving.epoch)
                               .with("version", arriving.version)
                               .with("in_force", assignment_.epoch)});
    return finish(event.at);
  }
  // Behind a decision whose assignment is still to come: that one brings these members too.
  const bool behind = ours && arriving.version < assignment_.version;
  sometimes(behind, Mark::assignment_behind_decision);
  if (behind && !planted(Bug::stale_assignment_removes_sender)) return finish(event.at);
  change_senders(senders_.reconcile(arriving));
  if (ours && !behind) {
    assignment_ = arriving;
    in_sync_->reassign(arriving, event.at.now);
    take_rules();
  }
  settle(event.at);
  return finish(event.at);
}

VolumeEffects VolumeMachine::on(const ClientGone& event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  std::erase_if(queued_, [&](const Change& c) {
    if (c.client != event.client) return false;
    sometimes(Mark::client_gone_with_requests);
    queued_bytes_ -= c.bytes;
    return true;
  });
  for (auto& change : merging_) change.done |= change.client == event.client;
  std::erase_if(early_, [&](const auto& waiting) { return waiting.first == event.client; });
  std::erase_if(reading_, [&](const auto& r) { return r.second.client == event.client; });
  const bool all = planted(Bug::gone_client_takes_others_along);
  std::erase_if(held_, [&](const auto& h) { return all || h.second.client == event.client; });
  advance_merges(event.at);
  settle(event.at);
  return finish(event.at);
}

VolumeEffects VolumeMachine::on(const Ticked& event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  settle(event.at);
  return finish(event.at);
}

VolumeEffects VolumeMachine::on(const RoleStopRequested& event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  end(event.reason, false);
  return finish(event.at);
}

void VolumeMachine::become(VolumeState to) {
  CHECK(allowed(state_, to));
  walked(state_, to);
  effects_.push_back(Log{Event(Level::info, "volume_became")
                             .with("from", to_string(state_))
                             .with("to", to_string(to))
                             .with("committed", committed_)
                             .with("head", head())});
  state_ = to;
}

/// What was numbered leaves first, so that a read behind it finds it in the store.
VolumeEffects VolumeMachine::finish(Moment at) {
  for (auto& event : in_sync_->take_events()) effects_.push_back(Log{std::move(event)});
  if (!log_->has_fresh()) return std::exchange(effects_, {});
  in_sync_->numbered(shipped_, at.now);
  shipped_ = log_->end();
  VolumeEffects out;
  out.reserve(1 + effects_.size());
  out.push_back(Append{std::make_shared<const std::vector<RecordPtr>>(log_->take())});
  std::move(effects_.begin(), effects_.end(), std::back_inserter(out));
  effects_.clear();
  return out;
}

/// Everything that may follow from moved numbers or a changed set.
void VolumeMachine::settle(Moment at) {
  advance();
  configure(at);
  answer_waiting(at.now);
  propose(at);
  watch_copies(at);
  admit_early(at);
  admit_waiting(at);
}

CommitInputs VolumeMachine::commit_inputs(Mode mode) const {
  CommitInputs in;
  in.mode = mode;
  in.ack = assignment_.spec.ack;
  in.epoch_record = epoch_record_;
  in.head = log_->end();
  in.own_durable = durable_;
  in.others = in_sync_->counted();
  in.rules = in_sync_->rules();
  return in;
}

/// While the mode changes both modes' rules stand, and what one lacks the other does not grant (C12).
void VolumeMachine::advance() {
  auto reached = log_->end();
  for (const auto mode : in_sync_->modes()) {
    reached = std::min(reached, engine::committed(commit_inputs(mode)));
  }
  if (reached > committed_) {
    committed_ = reached;
    effects_.push_back(MoveCommitted{committed_});
    log_->forget(std::min(committed_, durable_));
    if (state_ == VolumeState::opening && committed_ >= epoch_record_) {
      become(VolumeState::serving);
    }
  }
  reached = log_->end();
  for (const auto mode : in_sync_->modes()) {
    reached = std::min(reached, answerable(commit_inputs(mode), committed_));
  }
  answerable_ = std::max(answerable_, reached);
}

void VolumeMachine::answer_waiting(MonoTime now) {
  while (!on_received_.empty() && on_received_.front().at <= answerable_) {
    const auto waiting = on_received_.pop_front();
    note_stall(waiting.since, now);
    reply(waiting.client, waiting.cookie);
  }
  while (in_reign() && !on_commit_.empty() && on_commit_.front().at <= committed_) {
    const auto waiting = on_commit_.pop_front();
    note_stall(waiting.since, now);
    reply(waiting.client, waiting.cookie);
  }
  release_held();
}

void VolumeMachine::propose(Moment at) {
  if (auto proposal = in_sync_->propose(numbers(), at.now)) {
    effects_.push_back(Propose{std::move(*proposal)});
  }
}

void VolumeMachine::end(const std::string& reason, bool tell_node) {
  become(VolumeState::ended);
  ended_because_ = reason;
  effects_.push_back(CutClients{reason});
  change_senders(senders_.dissolve());
  if (tell_node) effects_.push_back(EndRole{reason});
  queued_.clear();
  early_.clear();
  merging_.clear();
  reading_.clear();
  held_.clear();
  on_received_.clear();
  on_commit_.clear();
}

void VolumeMachine::reply(ClientKey client, std::uint64_t cookie) {
  FrontReply reply;
  reply.cookie = cookie;
  effects_.push_back(Reply{client, std::move(reply)});
}

void VolumeMachine::refuse(ClientKey client, std::uint64_t cookie, Errc code, std::string text) {
  FrontReply reply;
  reply.cookie = cookie;
  reply.error = Error{code, std::move(text)};
  effects_.push_back(Reply{client, std::move(reply)});
}

void VolumeMachine::note_stall(MonoTime since, MonoTime now) {
  latency_.note(now - since);
  counters_.stall_milliseconds_max =
      std::max(counters_.stall_milliseconds_max, (now - since) / millisecond);
}

void VolumeMachine::change_senders(const std::vector<SenderChange>& changes) {
  for (const auto& change : changes) effects_.push_back(ChangeSender{change});
}

LogNumbers VolumeMachine::numbers() const {
  return {epoch_record_, log_->end(), committed_, answerable_, durable_};
}

std::uint64_t VolumeMachine::tick_after() const {
  return waits() || unsettled() ? tick_hurried : tick_idle;
}

bool VolumeMachine::waits() const {
  if (state_ == VolumeState::ended) return false;
  return state_ == VolumeState::opening || !on_received_.empty() || !on_commit_.empty() ||
         !queued_.empty() || !early_.empty() || !merging_.empty() || !held_.empty();
}

bool VolumeMachine::receipt_wanted() const {
  const auto& spec = assignment_.spec;
  if (spec.mode == Mode::best_effort) return false;
  // A copy that is to come in is measured by what it has received.
  for (const auto& member : assignment_.members) {
    if (member.replica != assignment_.self && !in_sync_->exact(member.replica)) return true;
  }
  return !on_received_.empty() && spec.ack == AckPolicy::received;
}

bool VolumeMachine::unsettled() const {
  return state_ != VolumeState::ended && in_sync_ && in_sync_->unsettled();
}

}  // namespace tidemark::engine
