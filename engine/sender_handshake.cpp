// The handshake of the sender: two rounds of questions, one decision, one plan.
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sender.hpp"
#include "engine/sometimes.hpp"
#include "engine/walked.hpp"

namespace tidemark::engine::outflow {
namespace {

// Of docs/PROTOCOL.md, for the numbers in status.
constexpr std::uint64_t touched_frame_overhead = 67;
constexpr std::uint64_t touched_range_bytes = 16;
constexpr std::uint64_t digests_frame_overhead = 65;

}  // namespace

SenderEffects Sender::on(const OwnFactsRead& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "own_facts", out)) return out;
  if (session_->phase() != SessionPhase::probing || handshake_.own) return out;
  handshake_.own = event;
  find_common_point(out);
  return out;
}

void Sender::heard(const Facts& facts, Moment, SenderEffects& out) {
  if (!authorised(facts.session, facts.epoch, "facts", out)) return;
  if (session_->phase() != SessionPhase::probing || handshake_.facts) return;
  handshake_.facts = facts;
  peer_incarnation_ = facts.incarnation;
  find_common_point(out);
}

/// Where our log no longer reaches back to it, what it touched since may still be known, from there
/// or from a little earlier: logs that are equal at the common point are equal below it.
void Sender::find_common_point(SenderEffects& out) {
  auto& h = handshake_;
  if (!h.facts || !h.own) return;
  h.common_point = common_point(config_.history, head_, h.facts->history, h.facts->received);
  h.compared = h.common_point;
  if (h.own->retained <= h.common_point.next()) return ask_digests(out);
  sometimes(Mark::log_begins_behind_replica);
  out.push_back(FindTouched{session_->id(), h.common_point});
}

SenderEffects Sender::on(const TouchedFound& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "touched_found", out)) return out;
  auto& h = handshake_;
  if (session_->phase() != SessionPhase::probing || h.digests_asked) return out;
  if (event.lsn && *event.lsn <= h.common_point) {
    sometimes(Mark::delta_in_place_of_whole_copy);
    h.compared = *event.lsn;
    h.touched_known = true;
    h.our_digest_known = true;
    h.our_digest = event.digest;
  }
  ask_digests(out);
  return out;
}

void Sender::ask_digests(SenderEffects& out) {
  auto& h = handshake_;
  h.digests_asked = true;
  const auto id = session_->id();
  const auto at = planted(Bug::digest_asked_at_its_end) ? h.facts->received : h.compared;
  send(Lane::records, AskDigest{config_.assignment.spec.id, session_->epoch(), id, at}, 72, out);
  if (!h.our_digest_known) out.push_back(ReadOwnDigest{id, h.compared});
  if (h.our_digest_known || h.own->checkpoint != h.compared) {
    out.push_back(ReadOwnDigest{id, h.own->checkpoint});
  }
}

SenderEffects Sender::on(const OwnDigestRead& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "own_digest", out)) return out;
  auto& h = handshake_;
  if (session_->phase() != SessionPhase::probing || !h.digests_asked) return out;
  if (event.lsn == h.compared && !h.our_digest_known) {
    h.our_digest_known = true;
    h.our_digest = event.digest;
  }
  if (event.lsn == h.own->checkpoint) {
    h.base_digest_known = true;
    h.base_digest = event.digest;
  }
  decide_outcome(at, out);
  return out;
}

void Sender::heard(const DigestIs& answer, Moment at, SenderEffects& out) {
  if (!authorised(answer.session, answer.epoch, "digest", out)) return;
  auto& h = handshake_;
  if (session_->phase() != SessionPhase::probing || !h.digests_asked || h.their_digest_known)
    return;
  if (answer.lsn != h.compared) return;
  h.their_digest_known = true;
  h.their_digest = answer.digest;
  decide_outcome(at, out);
}

OutcomeFacts Sender::outcome_facts() const {
  const auto& h = handshake_;
  OutcomeFacts facts;
  facts.epoch = session_->epoch();
  facts.history = config_.history;
  facts.head = head_;
  facts.retained = h.own->retained;
  facts.common_point = h.common_point;
  facts.compared = h.compared;
  facts.touched_known = h.touched_known;
  facts.our_digest = h.our_digest;
  facts.their_digest = h.their_digest;
  facts.witnessed = witnessed_;
  facts.replica = *h.facts;
  if (const auto equal = h.search ? h.search->equal() : std::nullopt) {
    facts.equal_at = equal->lsn;
    facts.both_touched_known =
        h.our_touched_from <= equal->lsn && h.their_touched_from <= equal->lsn;
  }
  return facts;
}

/// The next question of the search for the place where the logs part.
void Sender::search_on(Moment at, SenderEffects& out) {
  const auto& search = *handshake_.search;
  const auto id = session_->id();
  if (search.over()) return decide_outcome(at, out);
  if (auto lsns = search.ask_ours(); !lsns.empty()) {
    out.push_back(ReadOwnDigests{id, std::move(lsns)});
    return;
  }
  auto lsns = search.ask_theirs();
  const auto bytes = digests_frame_overhead + lsns.size() * sizeof(std::uint64_t);
  send(Lane::records,
       AskDigests{config_.assignment.spec.id, session_->epoch(), id, std::move(lsns)}, bytes, out);
}

SenderEffects Sender::on(const OwnDigestsRead& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "own_digests", out)) return out;
  auto& search = handshake_.search;
  if (session_->phase() != SessionPhase::probing || !search || search->ask_ours().empty())
    return out;
  handshake_.our_touched_from = event.touched_from;
  search->ours(event.points);
  search_on(at, out);
  return out;
}

void Sender::heard(const Digests& answer, Moment at, SenderEffects& out) {
  if (!authorised(answer.session, answer.epoch, "digests", out)) return;
  auto& search = handshake_.search;
  if (session_->phase() != SessionPhase::probing || !search || search->ask_theirs().empty()) return;
  handshake_.their_touched_from = answer.touched_from;
  search->theirs(answer.points);
  search_on(at, out);
}

/// Equal histories name other records: one of the two logs was damaged (C21).
void Sender::log_divergence(SenderEffects& out) const {
  const auto& h = handshake_;
  const auto found = h.search->unequal();
  const auto equal = h.search->equal();
  out.push_back(Log{Event(Level::error, "log_diverged")
                        .with("replica", config_.peer)
                        .with("session", session_->id())
                        .with("equal_at", equal ? equal->lsn : Lsn{})
                        .with("unequal_at", found ? found->lsn : h.compared)
                        .with("ours", to_string(found ? found->ours : *h.our_digest))
                        .with("theirs", to_string(found ? found->theirs : *h.their_digest))
                        .with("lost_from", equal ? equal->lsn.next() : Lsn(1))
                        .with("lost_to", h.facts->received)});
}

void Sender::decide_outcome(Moment at, SenderEffects& out) {
  auto& h = handshake_;
  if (!h.their_digest_known || !h.our_digest_known || !h.base_digest_known) return;
  const auto outcome = decide(outcome_facts());
  if (wants_search(outcome.row) && !h.search) {
    sometimes(Mark::digest_search_begun);
    h.search.emplace(h.common_point);
    return search_on(at, out);
  }
  const bool diverged = outcome.row == OutcomeRow::digests_unequal_touched ||
                        outcome.row == OutcomeRow::digests_unequal;
  if (sometimes(diverged, Mark::logs_diverged)) log_divergence(out);
  const bool refuses = outcome.kind == OutcomeKind::refuse || outcome.kind == OutcomeKind::not_yet;
  if (!refuses || refused_for_ != outcome.row) refused_for_.reset();
  if (outcome_ != outcome.proof) {
    out.push_back(Log{Event(refused_for_ ? Level::debug : Level::info, "outcome_decided")
                          .with("replica", config_.peer)
                          .with("session", session_->id())
                          .with("kind", to_string(outcome.kind))
                          .with("proof", outcome.proof)});
  }
  outcome_ = outcome.proof;
  decided_ = outcome;
  decided(outcome.row);
  const bool equal = h.their_digest && h.their_digest == h.our_digest;
  known_ = KnownFacts{*h.facts, at.now, false, h.compared, h.their_digest, true, equal};
  if (h.facts->promised > session_->epoch()) promised_ = h.facts->promised;

  PlanSource source{config_.history, head_,      h.own->checkpoint, h.own->checkpoint_time,
                    h.base_digest,   h.compared, h.our_digest,      config_.configurations};
  const auto equal_at = h.search ? h.search->equal() : std::nullopt;
  if (equal_at && outcome.parts_at) {
    source.compared = equal_at->lsn;
    source.digest_at_compared = equal_at->digest;
  }
  auto plan = make_plan(outcome, source, config_.budget);
  if (plan) {
    begin_plan(std::move(*plan), at, out);
    return;
  }
  switch (plan.error().code) {
    case Errc::refused:
      fail(EndCause::outcome_refused, plan.error().text, PeerState::refused, at, out);
      refused_for_ = outcome.row;
      return;
    case Errc::not_yet:
      fail(EndCause::outcome_not_yet, plan.error().text, PeerState::refused, at, out);
      refused_for_ = outcome.row;
      return;
    case Errc::stale:
      return disconnect(EndCause::promised_higher, plan.error().text, at, out);
    default:
      return disconnect(EndCause::source_failed, plan.error().text, at, out);
  }
}

void Sender::begin_plan(Plan plan, Moment at, SenderEffects& out) {
  const auto id = session_->id();
  if (plan.kind == SessionKind::catch_up) {
    executor_.emplace<CatchUp>(plan);
  } else {
    // What was named may lie beyond the end as it is now: then it reads as zeros.
    executor_.emplace<Rebuild>(plan, volume_blocks_max);
  }
  pinned_from_ = plan.pin_from;
  bytes_since_pin_ = 0;
  touched_upto_.reset();
  sent_bytes_.reset();
  moved_.reset();
  session_->bind(std::move(plan), at.now);
  reason_ = session_->plan()->reason;
  become(PeerState::preparing, out);
  out.push_back(Pin{id, pinned_from_});
}

SenderEffects Sender::on(const SourceFailed& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "source_failed", out)) return out;
  disconnect(EndCause::source_failed, event.error.text, at, out);
  return out;
}

SenderEffects Sender::on(const LogPinned& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "log_pinned", out)) return out;
  if (sometimes(session_->done(), Mark::pin_answered_late))
    return out;  // A step of the pin that was answered after the pin was given back.
  if (sometimes(!event.status, Mark::pin_refused)) {
    disconnect(EndCause::pin_failed, event.status.error().text, at, out);
    return out;
  }
  if (session_->phase() != SessionPhase::pinning) return out;
  session_->pinned(at.now);
  const auto& plan = *session_->plan();
  // From here on the replica may forget what it proved durable: it counts for nothing until it
  // proves it anew (C13).
  if (plan.kind == SessionKind::rebuild) witnessed_ = Lsn{};
  out.push_back(
      Log{Event(Level::info, "session_started")
              .with("replica", config_.peer)
              .with("session", session_->id())
              .with("kind", to_string(plan.kind))
              .with("scope", plan.kind == SessionKind::rebuild ? to_string(plan.scope) : "")
              .with("from", plan.common_point)
              .with("target", plan.target)});
  report_due_ = true;
  send(Lane::records, start_of(plan, config_.assignment.spec.id, session_->epoch(), session_->id()),
       256, out);
  // Truncation and reset take as long as the replica's disk does;
  // the stall budget watches over them.
  owed_since_.reset();
  if (plan.kind == SessionKind::rebuild && plan.scope == BaseScope::touched) {
    out.push_back(ReadTouched{session_->id(), plan.touched_from, BlockIndex()});
  }
  return out;
}

SenderEffects Sender::on(const TouchedRead& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "touched_read", out)) return out;
  if (session_->phase() != SessionPhase::preparing) return out;
  if (!event.ranges) {
    disconnect(EndCause::source_failed, event.ranges.error().text, at, out);
    return out;
  }
  const auto& ranges = *event.ranges;
  const bool last = ranges.size() < touched_ranges_max;
  session_->progressed(at.now);
  send(Lane::records,
       Touched{config_.assignment.spec.id, session_->epoch(), session_->id(), last, ranges},
       touched_frame_overhead + ranges.size() * touched_range_bytes, out);
  owed_since_.reset();
  touched_upto_ = last ? std::nullopt : std::optional(ranges.back().end());
  return out;
}

void Sender::heard(const TouchedNoted& noted, Moment at, SenderEffects& out) {
  if (!authorised(noted.session, noted.epoch, "touched_noted", out)) return;
  if (session_->phase() != SessionPhase::preparing || !touched_upto_) {
    return disconnect(EndCause::bad_answer,
                      fmt::format("{} noted touched blocks out of place", peer_text()), at, out);
  }
  session_->progressed(at.now);
  out.push_back(ReadTouched{session_->id(), session_->plan()->touched_from,
                            *std::exchange(touched_upto_, std::nullopt)});
}

}  // namespace tidemark::engine::outflow
