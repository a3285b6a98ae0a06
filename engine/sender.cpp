#include "engine/sender.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "engine/walked.hpp"

namespace tidemark::engine::outflow {
namespace {

// Replicas are numbered by the control plane and never reuse a number,
// so neither does a reign a session's.
SessionId session_id(ReplicaId peer, std::uint64_t count) {
  return SessionId((peer.value << 32) | (count & 0xffff'ffff));
}

}  // namespace

Sender::Sender(SenderConfig config)
    : config_(std::move(config)),
      cursor_(config_.credit_bytes),
      head_(config_.head),
      committed_(config_.committed) {
  CHECK(config_.assignment.epoch);
  CHECK(config_.peer != config_.assignment.self);
  CHECK(config_.assignment.member(config_.peer) != nullptr);
  if (config_.configurations.empty()) {
    config_.configurations = ConfigurationHistory(config_.assignment.spec.configuration());
  }
  CHECK(config_.retry_min > 0 && config_.retry_min <= config_.retry_max);
}

SenderEffects Sender::on(const Started&, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (state_ == PeerState::disconnected && !retry_at_) connect(out);
  return out;
}

SenderEffects Sender::on(const LinkOpened& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (sometimes(!current(event.lane, event.link), Mark::stale_link_opened)) {
    out.push_back(CloseLink{event.lane, event.link});
    return out;
  }
  if (event.lane == Lane::bulk) return out;  // The replica asks there for what it wants.
  CHECK(state_ == PeerState::connecting);
  const auto count = planted(Bug::sessions_begin_anew) ? std::uint64_t{1} : ++sessions_;
  const auto id = session_id(config_.peer, count);
  session_.emplace(id, config_.assignment.epoch, at.now);
  handshake_ = {};
  connect_problem_.clear();
  peer_incarnation_ = event.incarnation;
  become(PeerState::probing, out);
  const auto& spec = config_.assignment.spec;
  send(Lane::records, Probe{spec.id, session_->epoch(), id}, 64, out);
  out.push_back(ReadOwnFacts{id});
  return out;
}

SenderEffects Sender::on(const ConnectFailed& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!current(event.lane, event.link)) return out;
  const bool told = std::exchange(connect_problem_, event.error.text) == event.error.text;
  if (!told) {
    out.push_back(Log{Event(Level::warning, "connect_failed")
                          .with("replica", config_.peer)
                          .with("lane", to_string(event.lane))
                          .with("reason", event.error.text)});
  }
  disconnect(
      note_promise(event.promised) ? EndCause::promised_higher : EndCause::link_down,
      fmt::format("connecting {} for {}: {}", peer_text(), to_string(event.lane), event.error.text),
      at, out);
  return out;
}

bool Sender::note_promise(Epoch promised) {
  if (promised <= config_.assignment.epoch) return false;
  sometimes(Mark::replica_promised_higher);
  promised_ = std::max(promised_, promised);
  return true;
}

SenderEffects Sender::on(const LinkClosed& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!current(event.lane, event.link)) return out;
  disconnect(
      EndCause::link_down,
      fmt::format("{} link of {} closed: {}", to_string(event.lane), peer_text(), event.reason), at,
      out);
  return out;
}

SenderEffects Sender::on(const AssignmentChanged& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  const auto& arriving = event.assignment;
  if (stopped() || order(config_.assignment, arriving) != AssignmentOrder::newer) return out;
  const auto before = *config_.assignment.member(config_.peer);
  const bool new_epoch = arriving.epoch != config_.assignment.epoch;
  const auto* member = arriving.member(config_.peer);
  if (member == nullptr) {
    fail(EndCause::removed, fmt::format("{} is no longer a member", peer_text()),
         PeerState::stopped, at, out);
    config_.assignment.version = arriving.version;
    return out;
  }
  config_.assignment = arriving;
  if (!new_epoch && member->endpoint == before.endpoint && member->node == before.node) return out;
  sometimes(!new_epoch, Mark::sender_reassigned);
  escalation_.clear();
  if (new_epoch) witnessed_ = Lsn{};  // What was proved was proved to another reign.
  const auto cause = new_epoch ? EndCause::reassigned_epoch : EndCause::reassigned_endpoint;
  disconnect(
      cause,
      fmt::format("epoch {} version {} at {}", arriving.epoch, arriving.version, member->endpoint),
      at, out);
  connect(out);  // News, not a failure: no back-off.
  return out;
}

SenderEffects Sender::on(const StopRequested&, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!stopped()) fail(EndCause::stopped, "stopped", PeerState::stopped, at, out);
  return out;
}

SenderEffects Sender::on(const Ticked&, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (stopped()) return out;
  if (retry_at_ && *retry_at_ <= at.now) {
    connect(out);
    return out;
  }
  if (owed_since_ && at.now - *owed_since_ >= silence_max) {
    disconnect(
        EndCause::link_silent,
        fmt::format("nothing heard from {} for {} ms", peer_text(), silence_max / millisecond), at,
        out);
    return out;
  }
  give_up_asking(at, out);
  if (const auto spent = session_ ? spent_budget(at) : std::nullopt) {
    disconnect(*spent,
               fmt::format("session {} in phase {}", session_->id(), to_string(session_->phase())),
               at, out);
    return out;
  }
  const bool tell = committed_due_ && *committed_due_ <= at.now;
  if (flowing() && (tell || at.now - last_sent_ >= progress_every)) progress_due_ = true;
  return out;
}

SenderEffects Sender::on(const TurnEnded&, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (std::exchange(progress_due_, false) && flowing()) {
    committed_due_.reset();
    send(Lane::records,
         Progress{config_.assignment.spec.id, session_->epoch(), session_->id(), committed_}, 72,
         out);
  }
  if (std::exchange(report_due_, false)) out.push_back(report());
  return out;
}

std::optional<MonoTime> Sender::wake_at() const {
  std::optional<MonoTime> due;
  const auto consider = [&due](std::optional<MonoTime> at) {
    if (at && (!due || *at < *due)) due = at;
  };
  if (stopped()) return due;
  consider(retry_at_);
  if (owed_since_) consider(*owed_since_ + silence_max);
  for (const auto& [block, since] : asked_blocks_) consider(since + copy_wait_max);
  if (session_) consider(session_->budget_due());
  if (flowing() && !progress_due_) {
    consider(last_sent_ + progress_every);
    consider(committed_due_);
  }
  return due;
}

bool Sender::current(Lane lane, LinkNumber link) const {
  return link != 0 && link == (lane == Lane::records ? records_link_ : bulk_link_);
}

bool Sender::authorised(SessionId id, Epoch epoch, std::string_view what,
                        SenderEffects& out) const {
  const auto found = authority(stopped(), session_, id, epoch);
  if (found == Authority::granted) return true;
  sometimes(Mark::stale_call_to_sender);
  out.push_back(Log{Event(Level::debug, "stale_call_ignored")
                        .with("replica", config_.peer)
                        .with("what", what)
                        .with("session", id)
                        .with("epoch", epoch)
                        .with("because", to_string(found))});
  return false;
}

void Sender::connect(SenderEffects& out) {
  const auto& assignment = config_.assignment;
  const auto* member = assignment.member(config_.peer);
  retry_at_.reset();
  records_link_ = ++links_;
  become(PeerState::connecting, out);
  Hello hello;
  hello.purpose = Purpose::records;
  hello.cluster = config_.cluster;
  hello.node = config_.node;
  hello.incarnation = config_.incarnation;
  hello.volume = assignment.spec.id;
  hello.from = assignment.self;
  hello.to = config_.peer;
  hello.epoch = assignment.epoch;
  out.push_back(Connect{Lane::records, records_link_, member->endpoint, std::move(hello)});
}

void Sender::disconnect(EndCause cause, std::string text, Moment at, SenderEffects& out) {
  fail(cause, std::move(text), PeerState::disconnected, at, out);
}

// Every way out of a link and its session, in one step:
// pins back, links closed, cause told, retry planned.
void Sender::fail(EndCause cause, std::string text, PeerState to, Moment at, SenderEffects& out) {
  end_session(cause, text, at, out);
  close_links(out);
  reason_ = fmt::format("{}: {}", to_string(cause), text);
  if (escalation_.escalated()) {
    reason_ += fmt::format("; {} sessions of this kind failed in a row and got nowhere",
                           escalation_.failed_in_a_row());
  }
  become(to, out);
  report_due_ = true;
  progress_due_ = false;
  committed_due_.reset();
  if (to == PeerState::stopped) {
    retry_at_.reset();
    out.push_back(report());
    report_due_ = false;
    return;
  }
  schedule_retry(at);
}

void Sender::end_session(EndCause cause, const std::string& text, Moment at, SenderEffects& out) {
  leave_pace(out);
  keep_what_acks_proved();
  executor_ = std::monostate{};
  handshake_ = {};
  reading_records_ = false;
  copies_reading_ = 0;
  sometimes(!asked_blocks_.empty(), Mark::session_ends_while_repairing);
  while (!asked_blocks_.empty())
    answer_block(asked_blocks_.begin()->first, Error{Errc::unavailable, text}, out);
  if (!session_ || !session_->active()) return;
  const bool alarm = cause == EndCause::digest_mismatch || cause == EndCause::outcome_refused ||
                     cause == EndCause::outcome_not_yet;
  const bool was_done = session_->done();
  session_->end(at.now);
  release_pin(out);
  const auto level = refused_for_ ? Level::debug : alarm ? Level::error : Level::info;
  out.push_back(Log{Event(level, "session_ended")
                        .with("replica", config_.peer)
                        .with("session", session_->id())
                        .with("cause", to_string(cause))
                        .with("text", text)
                        .with("records", session_->numbers.records)
                        .with("bytes", session_->numbers.bytes)});
  if (!was_done) count_end(cause, out);
}

void Sender::close_links(SenderEffects& out) {
  if (bulk_link_ != 0) out.push_back(CloseLink{Lane::bulk, std::exchange(bulk_link_, 0)});
  if (records_link_ != 0) out.push_back(CloseLink{Lane::records, std::exchange(records_link_, 0)});
  owed_since_.reset();
}

// Doubles up to the maximum; the second half of the delay is jitter,
// so that senders do not knock together.
void Sender::schedule_retry(Moment at) {
  backoff_ = std::clamp(backoff_ * 2, config_.retry_min, config_.retry_max);
  if (state_ == PeerState::refused) backoff_ = config_.retry_max;
  const auto delay = escalation_.escalated() ? config_.escalated_retry : backoff_;
  const auto half = delay / 2;
  retry_at_ = at.now + (half + at.random % (half + 1));
}

void Sender::release_pin(SenderEffects& out) {
  if (session_->take_pin_release()) out.push_back(Unpin{session_->id()});
}

void Sender::become(PeerState to, SenderEffects& out) {
  if (state_ == to) return;
  CHECK(allowed(state_, to));
  walked(state_, to);
  out.push_back(Log{Event(level_of_change(to), "peer_state_changed")
                        .with("replica", config_.peer)
                        .with("from", to_string(state_))
                        .with("to", to_string(to))
                        .with("at", cursor_.received())});
  state_ = to;
  report_due_ = true;
}

Level Sender::level_of_change(PeerState to) const {
  using S = PeerState;
  const bool knocking = (state_ == S::disconnected && to == S::connecting) ||
                        (state_ == S::connecting && to == S::disconnected);
  const bool again = refused_for_ || (knocking && !connect_problem_.empty());
  return again && to != S::stopped ? Level::debug : Level::info;
}

Lsn Sender::known_durable() const {
  if (flowing() && cursor_.durable()) return std::max(cursor_.durable(), witnessed_);
  return witnessed_;
}

ReportPeer Sender::report() const {
  ReportPeer r;
  r.replica = config_.peer;
  r.incarnation = peer_incarnation_;
  r.state = state_;
  r.session = session_ ? session_->id() : SessionId{};
  r.proved = session_ && session_->done();
  r.received = flowing() ? cursor_.received() : Lsn{};
  r.durable = state_ == PeerState::rebuilding ? witnessed_ : known_durable();
  if (planted(Bug::in_sync_before_tail)) r.received = std::max(r.received, r.durable);
  r.wal_free_bytes = wal_free_bytes_;
  r.promised = promised_;
  return r;
}

std::string Sender::peer_text() const {
  const auto* member = config_.assignment.member(config_.peer);
  return fmt::format("replica {} ({} at {})", config_.peer, member->node.name, member->endpoint);
}

PeerStatus Sender::status(MonoTime now) const {
  PeerStatus s;
  const auto& assignment = config_.assignment;
  s.replica = config_.peer;
  if (const auto* member = assignment.member(config_.peer)) {
    s.node = member->node;
    s.endpoint = member->endpoint;
  }
  s.state = state_;
  s.reason = reason_;
  s.outcome = outcome_;
  s.received = flowing() ? cursor_.received() : Lsn{};
  s.durable = known_durable();
  const auto* recorded = assignment.in_set(config_.peer);
  s.in_set = recorded != nullptr;
  s.exact =
      s.in_set && state_ == PeerState::streaming && recorded->incarnation == peer_incarnation_;
  s.lag_lsns = head_ - s.durable;
  s.lag_bytes = lag_.bytes_beyond(s.durable);
  s.lag_milliseconds = lag_.milliseconds_behind(s.durable, now);
  s.failed_in_a_row = escalation_.failed_in_a_row();
  s.escalated = escalation_.escalated();
  s.counts = counts_;
  if (!session_) return s;
  const auto& numbers = session_->work();
  s.session = session_->id();
  s.session_bytes = numbers.bytes;
  s.session_payload_bytes = numbers.payload_bytes;
  s.session_base_blocks = numbers.base_blocks;
  s.session_base_blocks_all = numbers.base_blocks_all;
  s.session_milliseconds = ((numbers.over ? numbers.over : now) - numbers.began) / millisecond;
  if (session_->plan()) {
    s.kind = session_->plan()->kind;
    s.target = session_->plan()->target;
  }
  tell_pace(s, now);
  tell_limits(s);
  if (session_->holds_pin()) s.pins.push_back(fmt::format("log from {}", pinned_from_));
  s.session_phase = to_string(session_->phase());
  return s;
}

}  // namespace tidemark::engine::outflow
