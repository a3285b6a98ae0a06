// The flow of the sender: records by the cursor, base blocks beside them, and what comes back.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sender.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::outflow {
namespace {

// Frame header and fields of docs/PROTOCOL.md, for the numbers in status; the heads of records and
// the checksums of blocks are added as they are.
constexpr std::uint64_t records_frame_overhead = 75;
constexpr std::uint64_t base_frame_overhead = 88;

std::uint64_t bytes_of(const std::vector<RecordPtr>& records) {
  std::uint64_t bytes = 0;
  for (const auto& record : records) bytes += record->bytes();
  return bytes;
}

std::uint64_t payload_of(const std::vector<RecordPtr>& records) {
  std::uint64_t bytes = 0;
  for (const auto& record : records) bytes += record->payload().size();
  return bytes;
}

}  // namespace

SenderEffects Sender::on(const RecordsAdded& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (event.batch) {
    const auto& batch = *event.batch;
    CHECK(!batch.empty());
    CHECK(batch.front()->lsn() == head_.next());
    head_ = batch.back()->lsn();
    lag_.numbered(head_, bytes_of(batch), at.now);
    for (const auto& record : batch) {
      if (const auto said = configuration_of(*record)) {
        put_in_force(record->header(), *said, config_.configurations, config_.history);
      }
      if (record->header().kind != RecordKind::epoch) continue;
      const auto body = decode_epoch(record->inline_body());
      CHECK(body.has_value());
      config_.history.begin(
          {record->header().epoch, body->nonce, record->lsn(), body->marks, body->mode});
    }
  }
  if (event.committed > committed_) {
    committed_ = event.committed;
    if (flowing() && !committed_due_) committed_due_ = at.now + committed_told_within;
  }
  if (event.batch && flowing()) send_records(*event.batch, event.receipt_wanted, at, out);
  sometimes(flowing() && cursor_.next() <= head_, Mark::sender_fell_behind);
  return out;
}

SenderEffects Sender::on(const LogRecordsRead& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "log_read", out)) return out;
  reading_records_ = false;
  if (!flowing()) return out;
  if (!event.batch) {
    const bool gone =
        sometimes(event.batch.error().code == Errc::out_of_window, Mark::log_read_out_of_window);
    disconnect(gone ? EndCause::log_gone : EndCause::source_failed,
               fmt::format("reading the log from {}: {}", event.from, event.batch.error().text), at,
               out);
    return out;
  }
  const auto& batch = **event.batch;
  if (batch.empty() || batch.front()->lsn() != cursor_.next()) {
    disconnect(EndCause::source_failed,
               fmt::format("reading the log from {}: other records came", event.from), at, out);
    return out;
  }
  send_records(batch, true, at, out);  // The receipt gives credit for more.
  pump_records(out);
  return out;
}

SenderEffects Sender::on(const BaseRunRead& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "base_read", out)) return out;
  auto* rebuild = std::get_if<Rebuild>(&executor_);
  if (rebuild == nullptr || rebuild->step() != Rebuild::Step::copying) return out;
  if (!event.piece) {
    disconnect(EndCause::source_failed, event.piece.error().text, at, out);
    return out;
  }
  auto piece = *event.piece;
  if (const auto taken = rebuild->read(event.range, piece); !taken) {
    disconnect(EndCause::source_failed, taken.error().text, at, out);
    return out;
  }
  const auto volume = config_.assignment.spec.id;
  const auto epoch = session_->epoch();
  base_read(event.range, piece, out);
  session_->progressed(at.now);
  session_->numbers.base_blocks += piece.range.count;
  moved_.note(session_->numbers.base_blocks, at.now);
  session_->numbers.payload_bytes += piece.data.size();
  if (sometimes(piece.sums.empty(), Mark::base_hole_sent)) {
    send(Lane::bulk, BaseZeroes{volume, epoch, session_->id(), piece.range, piece.flush_lsn},
         base_frame_overhead, out);
  } else {
    const auto bytes =
        base_frame_overhead + piece.sums.size() * sizeof(BlockSum) + piece.data.size();
    send(Lane::bulk,
         BaseBlocks{volume, epoch, session_->id(), piece.range, piece.flush_lsn,
                    std::move(piece.sums), std::move(piece.data)},
         bytes, out);
  }
  pump_base(out);
  return out;
}

SenderEffects Sender::on(const MessageArrived& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!current(event.lane, event.link)) return out;  // Said on a link that is over.
  if (event.lane == Lane::records) owed_since_.reset();
  std::visit([&](const auto& message) { heard(message, at, out); }, event.message);
  return out;
}

void Sender::heard(const SessionReady& ready, Moment at, SenderEffects& out) {
  if (!authorised(ready.session, ready.epoch, "session_ready", out)) return;
  const auto refuse = [&](std::string_view why) {
    disconnect(EndCause::bad_answer,
               fmt::format("{} is ready for {}: {}", peer_text(), ready.next, why), at, out);
  };
  if (session_->phase() != SessionPhase::preparing) return refuse("it was not asked");
  const auto& plan = *session_->plan();
  auto* rebuild = std::get_if<Rebuild>(&executor_);
  const bool agreed = rebuild != nullptr ? rebuild->ready(ready.next)
                                         : std::get<CatchUp>(executor_).ready(ready.next);
  if (!agreed) return refuse(fmt::format("the plan begins behind {}", plan.common_point));
  session_->ready(at.now);
  session_->numbers.base_blocks_all = ready.missing_blocks;
  if (rebuild != nullptr) escalation_.missing(ready.missing_blocks);
  cursor_.begin(plan.common_point, plan.digest);
  become(rebuild != nullptr ? PeerState::rebuilding : PeerState::catching_up, out);
  if (rebuild != nullptr) {
    bulk_link_ = ++links_;
    Hello hello;
    hello.purpose = Purpose::bulk;
    hello.cluster = config_.cluster;
    hello.node = config_.node;
    hello.incarnation = config_.incarnation;
    hello.volume = config_.assignment.spec.id;
    hello.from = config_.assignment.self;
    hello.to = config_.peer;
    hello.epoch = session_->epoch();
    hello.session = session_->id();
    out.push_back(
        Connect{Lane::bulk, bulk_link_, config_.assignment.member(config_.peer)->endpoint, hello});
  }
  progress_due_ =
      true;  // So that committed is known and an Ack comes, even where there is nothing to send.
  pump_records(out);
}

void Sender::heard(const Ack& ack, Moment at, SenderEffects& out) {
  if (planted(Bug::ack_of_other_session) && flowing()) {
    const auto last = cursor_.next().previous();
    cursor_.acked(std::min(ack.received, last), std::min({ack.durable, ack.received, last}),
                  ack.digest);
    return after_progress(at, out);
  }
  if (!authorised(ack.session, ack.epoch, "ack", out) || !flowing()) return;
  acked_ = at.now;
  const auto received = cursor_.received();
  const auto durable = cursor_.durable();
  const auto verdict = cursor_.acked(ack.received, ack.durable, ack.digest);
  switch (verdict) {
    case AckVerdict::old:
      sometimes(Mark::ack_out_of_order);
      return;
    case AckVerdict::impossible:
      return disconnect(EndCause::bad_answer,
                        fmt::format("{} acknowledged received {} durable {} where {} is next",
                                    peer_text(), ack.received, ack.durable, cursor_.next()),
                        at, out);
    case AckVerdict::other_digest:
      return disconnect(EndCause::digest_mismatch,
                        fmt::format("{} holds another record at lsn {}", peer_text(), ack.durable),
                        at, out);
    case AckVerdict::counted:
      break;
  }
  const bool moved = cursor_.received() != received || cursor_.durable() != durable;
  if (moved) session_->progressed(at.now);
  report_due_ = report_due_ || moved || wal_free_bytes_ != ack.wal_free_bytes;
  wal_free_bytes_ = ack.wal_free_bytes;
  if (moved) after_progress(at, out);
}

void Sender::heard(const BarrierReached& reached, Moment at, SenderEffects& out) {
  if (!authorised(reached.session, reached.epoch, "barrier_reached", out)) return;
  auto* rebuild = std::get_if<Rebuild>(&executor_);
  if (rebuild == nullptr || !rebuild->barrier_reached(reached.lsn, cursor_.durable())) {
    return disconnect(EndCause::bad_answer,
                      fmt::format("{} says it reached a barrier at {}, proved {}", peer_text(),
                                  reached.lsn, cursor_.durable()),
                      at, out);
  }
  complete(at, out);
}

void Sender::heard(const AskBase& ask, Moment at, SenderEffects& out) {
  if (!authorised(ask.session, ask.epoch, "ask_base", out)) return;
  auto* rebuild = std::get_if<Rebuild>(&executor_);
  const auto taken = rebuild == nullptr ? Status(Error{Errc::invalid, "nothing is rebuilt"})
                                        : rebuild->asked(ask.ranges);
  if (!taken) {
    return disconnect(EndCause::bad_answer, fmt::format("{}: {}", peer_text(), taken.error().text),
                      at, out);
  }
  session_->progressed(at.now);
  pump_base(out);
}

void Sender::heard(const BaseWhole& whole, Moment at, SenderEffects& out) {
  if (!authorised(whole.session, whole.epoch, "base_whole", out)) return;
  auto* rebuild = std::get_if<Rebuild>(&executor_);
  const auto barrier = rebuild == nullptr ? Result<Lsn>(Error{Errc::invalid, "nothing is rebuilt"})
                                          : rebuild->whole(whole.flush_lsn, head_);
  if (!barrier) {
    return disconnect(EndCause::bad_answer,
                      fmt::format("{}: {}", peer_text(), barrier.error().text), at, out);
  }
  session_->progressed(at.now);
  leave_pace(out);
  if (planted(Bug::in_sync_before_tail)) return complete(at, out);
  send(Lane::records,
       Barrier{config_.assignment.spec.id, session_->epoch(), session_->id(), *barrier}, 72, out);
  owed_since_
      .reset();  // Its records may still have to be read and written; the stall budget watches.
}

void Sender::heard(const Refused& refused, Moment at, SenderEffects& out) {
  const auto text =
      fmt::format("{} refused with {}: {}", peer_text(), to_string(refused.code), refused.text);
  if (sometimes(refused.code == RefusalCode::no_space, Mark::replica_has_no_space))
    wal_free_bytes_ = 0;
  const bool higher = refused.code == RefusalCode::stale_epoch && note_promise(refused.promised);
  disconnect(higher ? EndCause::promised_higher : EndCause::refused_by_peer, text, at, out);
}

template <class Other>
void Sender::heard(const Other& other, Moment at, SenderEffects& out) {
  disconnect(EndCause::bad_answer,
             fmt::format("{} sent a {}, which no replica sends", peer_text(), name(Message(other))),
             at, out);
}

void Sender::send(Lane lane, Message message, std::uint64_t bytes, SenderEffects& out) {
  if (session_) {
    session_->numbers.bytes += bytes;
    if (!session_->done()) sent_bytes_.note(session_->numbers.bytes, now_);
  }
  if (lane == Lane::records) {
    last_sent_ = now_;
    if (!owed_since_) owed_since_ = now_;
  }
  out.push_back(SendMessage{lane, std::move(message)});
}

void Sender::send_records(const std::vector<RecordPtr>& batch, bool receipt_wanted, Moment at,
                          SenderEffects& out) {
  auto frames = cursor_.take(batch);
  for (auto& records : frames) {
    auto& numbers = session_->numbers;
    numbers.records += records.size();
    numbers.payload_bytes += payload_of(records);
    const auto bytes = records_frame_overhead + bytes_of(records);
    const auto owed_since = owed_since_;
    send(Lane::records,
         Records{config_.assignment.spec.id, session_->epoch(), session_->id(), committed_,
                 std::move(records), receipt_wanted},
         bytes, out);
    // Without a receipt the answer takes as long as the replica's disk.
    if (!receipt_wanted) owed_since_ = owed_since;
    progress_due_ = false;
    committed_due_.reset();
  }
  if (const auto spent = frames.empty() ? std::nullopt : spent_budget(at)) {
    disconnect(*spent, fmt::format("after {} records", session_->numbers.records), at, out);
  }
}

void Sender::pump_records(SenderEffects& out) {
  if (!flowing() || reading_records_ || cursor_.next() > head_ || !cursor_.worth_reading()) return;
  reading_records_ = true;
  const auto bytes_max = std::min<std::uint64_t>(cursor_.room_bytes(), records_frame_bytes_max);
  out.push_back(ReadRecords{session_->id(), cursor_.next(), head_, bytes_max});
}

void Sender::pump_base(SenderEffects& out) {
  auto* rebuild = std::get_if<Rebuild>(&executor_);
  if (rebuild == nullptr || !flowing()) return;
  while (const auto bytes = pace_asked_ ? 0 : rebuild->next_read_bytes()) {
    if (!config_.paced) {
      begin_base_read(bytes, out);
      continue;
    }
    pace_asked_ = in_pace_ = true;
    out.push_back(AskPace{session_->id(), bytes});
  }
}

// The replica has more than before: count it, send on, and see whether the session is done.
void Sender::after_progress(Moment at, SenderEffects& out) {
  report_due_ = true;
  // What a replica holds beside an incomplete base counts for nothing (C13).
  if (state_ != PeerState::rebuilding) witnessed_ = std::max(witnessed_, cursor_.durable());
  lag_.forget(cursor_.durable());
  auto* catch_up = std::get_if<CatchUp>(&executor_);
  if (catch_up != nullptr && !session_->done()) {
    escalation_.durable(cursor_.durable());
    moved_.note(cursor_.durable().value, at.now);
  }
  if (catch_up != nullptr && cursor_.durable() && catch_up->durable(cursor_.durable()))
    complete(at, out);
  repin(out);
  pump_records(out);
}

// What the replica has on its disk need not be kept for this session any more.
void Sender::repin(SenderEffects& out) {
  if (!session_->holds_pin() || session_->done()) return;
  const auto from = cursor_.durable().next();
  if (from <= pinned_from_ || session_->numbers.bytes - bytes_since_pin_ < repin_bytes) return;
  sometimes(Mark::pin_moved);
  pinned_from_ = from;
  bytes_since_pin_ = session_->numbers.bytes;
  out.push_back(Pin{session_->id(), from});
}

void Sender::complete(Moment at, SenderEffects& out) {
  session_->complete(at.now);
  leave_pace(out);
  release_pin(out);
  backoff_ = 0;
  escalation_.clear();
  count_work(RecoveryCounts::completed);
  witnessed_ = std::max(witnessed_, cursor_.durable());
  if (planted(Bug::in_sync_before_tail)) witnessed_ = head_;  // "It has all, the base is whole."
  reason_ = fmt::format("in line since session {}", session_->id());
  const auto& numbers = session_->numbers;
  out.push_back(Log{Event(Level::info, "session_completed")
                        .with("replica", config_.peer)
                        .with("session", session_->id())
                        .with("kind", to_string(session_->plan()->kind))
                        .with("target", session_->plan()->target)
                        .with("records", numbers.records)
                        .with("bytes", numbers.bytes)
                        .with("base_blocks", numbers.base_blocks)});
  become(PeerState::streaming, out);
  if (bulk_link_ != 0) out.push_back(CloseLink{Lane::bulk, std::exchange(bulk_link_, 0)});
}

}  // namespace tidemark::engine::outflow
