// How the receiver takes records: dense, chained to its own log by digest,
// and only where there is room.
#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/chunk.hpp"
#include "engine/planted.hpp"
#include "engine/receiver.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::inflow {

void Receiver::said(LinkNumber link, Records& records, ReceiverEffects& out) {
  if (!authorised(link, records.volume, records.epoch, records.session, out)) return;
  if (link != records_link_)
    return refuse(link, RefusalCode::protocol, "records on the bulk link", out);
  auto batch = std::make_shared<std::vector<RecordPtr>>();
  std::string why;
  bool refused = false;
  for (auto& record : records.records) {
    const auto taken = take(*record, why);
    refused = taken == Take::refused;
    if (refused) break;
    if (taken == Take::appended) batch->push_back(std::move(record));
  }
  // What was taken before a refusal is a proved part of the log and stays.
  note_committed(records.committed);
  const bool appended = !batch->empty();
  if (appended) {
    committed_due_ = false;  // The append tells it.
    out.push_back(AppendToLog{std::move(batch), numbers_.committed});
  }
  // Else the Ack follows when they are durable; duplicates never get there again.
  if (records.receipt_wanted || !appended) ack_due_ = true;
  if (!refused) return;
  const bool full = why.empty();
  if (full) {
    numbers_.wal_free_bytes = 0;
    send_ack(out);
    return refuse(link, RefusalCode::no_space,
                  fmt::format("no room in the log behind lsn {}", numbers_.received), out);
  }
  refuse(link, RefusalCode::bad_data, why, out);
}

/// `why` stays empty where only room is missing.
Receiver::Take Receiver::take(const Record& record, std::string& why) {
  const auto& header = record.header();
  const auto refused = [&](std::string text) {
    why = std::move(text);
    return Take::refused;
  };
  if (header.lsn <= numbers_.received) {
    const auto back = numbers_.received - header.lsn;
    if (back >= recent_.size())
      return refused(fmt::format("lsn {} again, too old to compare", header.lsn));
    const bool same = recent_[recent_.size() - 1 - back] == header.digest;
    if (sometimes(same, Mark::duplicate_record)) return Take::duplicate;
    return refused(fmt::format("lsn {} again, with another content", header.lsn));
  }
  if (sometimes(header.lsn != numbers_.received.next(), Mark::record_gap)) {
    return refused(fmt::format("lsn {} where {} is next", header.lsn, numbers_.received.next()));
  }
  if (header.epoch > assignment_.epoch) {
    return refused(fmt::format("lsn {} is of epoch {}, the link of {}", header.lsn, header.epoch,
                               assignment_.epoch));
  }
  const auto blocks = this->blocks();
  const auto& range = header.range;
  if (range.first.value > blocks || range.count > blocks - range.first.value) {
    return refused(fmt::format("lsn {} covers {} blocks from {}, the volume has {}", header.lsn,
                               range.count, range.first, blocks));
  }
  if (chain(numbers_.digest, record.head()) != header.digest) {
    return refused(fmt::format("lsn {} does not continue the log by digest", header.lsn));
  }
  const auto cost = chunk_cost(record);
  const bool full = undurable_cost_ + cost > numbers_.wal_free_bytes;
  if (sometimes(full, Mark::replica_log_full)) return Take::refused;
  if (header.kind == RecordKind::epoch) {
    const auto body = decode_epoch(record.inline_body());
    if (!body) return refused(fmt::format("lsn {}: {}", header.lsn, body.error().text));
    const EpochStart start{header.epoch, body->nonce, header.lsn, body->marks, body->mode};
    if (!numbers_.history.begin(start)) {
      return refused(fmt::format("lsn {} begins epoch {} out of order", header.lsn, header.epoch));
    }
  }
  if (const auto said = configuration_of(record)) {
    const bool shrinks = header.kind == RecordKind::configure;
    if (shrinks && header.range != cut_blocks(numbers_.configurations.current(), *said)) {
      return refused(fmt::format("lsn {} cuts {} blocks from {}, from {} to {} bytes", header.lsn,
                                 range.count, range.first,
                                 numbers_.configurations.current().size_bytes, said->size_bytes));
    }
    put_in_force(header, *said, numbers_.configurations, numbers_.history);
  }
  numbers_.received = header.lsn;
  numbers_.digest = header.digest;
  numbers_.mono_time = header.mono_time;
  undurable_.push_back({header.lsn, cost});
  undurable_cost_ += cost;
  recent_.push_back(header.digest);
  if (recent_.size() > recent_records_max) recent_.pop_front();
  return Take::appended;
}

/// The volume's size where the log ends now, whatever the control plane has said of it (C24).
std::uint64_t Receiver::blocks() const {
  if (planted(Bug::resize_outside_log)) return assignment_.spec.blocks();
  return numbers_.configurations.current().blocks();
}

/// Local committed: the primary's number, as far as this session proved
/// that the log is shared (C10).
void Receiver::note_committed(Lsn number) {
  const bool unbounded = planted(Bug::committed_beyond_log);
  const auto local = unbounded ? number : std::min(number, numbers_.received);
  if (local <= numbers_.committed) return;
  numbers_.committed = local;
  committed_due_ = true;
}

void Receiver::said(LinkNumber link, Progress& progress, ReceiverEffects& out) {
  if (!authorised(link, progress.volume, progress.epoch, progress.session, out)) return;
  if (link != records_link_)
    return refuse(link, RefusalCode::protocol, "progress on the bulk link", out);
  note_committed(progress.committed);
  ack_due_ = true;  // Also a sign of life.
}

}  // namespace tidemark::engine::inflow
