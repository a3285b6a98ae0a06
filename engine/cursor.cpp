#include "engine/cursor.hpp"

#include <algorithm>

#include "engine/check.hpp"
#include "engine/messages.hpp"
#include "engine/planted.hpp"

namespace tidemark::engine {

Cursor::Cursor(std::uint64_t credit_bytes) : credit_bytes_(credit_bytes) {
  CHECK(credit_bytes > 0);
}

void Cursor::begin(Lsn common_point, Digest digest) {
  next_ = common_point.next();
  received_ = common_point;
  durable_ = common_point;
  digest_ = digest;
  proved_ = false;
  in_flight_bytes_ = undurable_bytes_ = 0;
  sent_.clear();
}

std::vector<std::vector<RecordPtr>> Cursor::take(const std::vector<RecordPtr>& batch) {
  std::vector<std::vector<RecordPtr>> frames;
  if (batch.empty() || batch.front()->lsn() > next_ || batch.back()->lsn() < next_) return frames;
  std::uint64_t frame_bytes = 0;
  for (auto i = next_ - batch.front()->lsn(); i < batch.size() && room_bytes() > 0; ++i) {
    const auto& record = batch[i];
    CHECK(record->lsn() == next_);
    const bool full = !frames.empty() && (frames.back().size() == records_per_frame_max ||
                                          frame_bytes + record->bytes() > records_frame_bytes_max);
    if (frames.empty() || full) {
      frames.emplace_back().reserve(std::min<std::size_t>(batch.size() - i, records_per_frame_max));
      frame_bytes = 0;
    }
    frames.back().push_back(record);
    frame_bytes += record->bytes();
    in_flight_bytes_ += record->bytes();
    undurable_bytes_ += record->bytes();
    sent_.push_back({next_, record->bytes(), record->header().digest});
    next_ = next_.next();
  }
  return frames;
}

AckVerdict Cursor::acked(Lsn received, Lsn durable, const Digest& digest) {
  if (received >= next_ || durable > received) return AckVerdict::impossible;
  if (received < received_ && durable < durable_) return AckVerdict::old;
  // Below durable_ the digest is no longer known, and nothing new is claimed. `received` lies in
  // this session's records, which the replica took only where they chained to what it has.
  if (durable >= durable_) {
    const auto& ours = durable == durable_ ? digest_ : sent_[durable - durable_ - 1].digest;
    if (ours != digest && !planted(Bug::ack_of_other_session)) return AckVerdict::other_digest;
    proved_ = true;
  }
  while (received_ < received) {
    received_ = received_.next();
    in_flight_bytes_ -= sent_[received_ - durable_ - 1].bytes;
  }
  while (durable_ < durable) {
    CHECK(sent_.front().lsn == durable_.next());
    durable_ = durable_.next();
    digest_ = sent_.front().digest;
    undurable_bytes_ -= sent_.front().bytes;
    sent_.pop_front();
  }
  return AckVerdict::counted;
}

std::uint64_t Cursor::room_bytes() const {
  if (sent_.size() >= unacknowledged_records_max) return 0;
  if (undurable_bytes_ >= unacknowledged_bytes_max) return 0;
  const auto credit = in_flight_bytes_ < credit_bytes_ ? credit_bytes_ - in_flight_bytes_ : 0;
  return std::min(credit, unacknowledged_bytes_max - undurable_bytes_);
}

bool Cursor::worth_reading() const {
  if (room_bytes() == 0) return false;
  return in_flight_bytes_ == 0 || room_bytes() >= credit_bytes_ / 4;
}

}  // namespace tidemark::engine
