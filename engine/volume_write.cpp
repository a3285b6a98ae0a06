// Admission and numbering: a change is refused, waits for room, waits for its edges,
// or gets its LSN at once.
#include <algorithm>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "engine/volume.hpp"

namespace tidemark::engine {
namespace {

BlockRange blocks_touched(std::uint64_t offset, std::uint64_t length) {
  const auto first = offset / block_bytes;
  const auto end = (offset + length + block_bytes - 1) / block_bytes;
  return {BlockIndex(first), end - first};
}

BlockRange blocks_within(std::uint64_t offset, std::uint64_t length) {
  const auto first = (offset + block_bytes - 1) / block_bytes;
  const auto end = (offset + length) / block_bytes;
  return {BlockIndex(first), end > first ? end - first : 0};
}

std::string_view name(FrontOp op) {
  switch (op) {
    case FrontOp::trim:
      return "trim";
    case FrontOp::write_zeroes:
      return "write of zeroes";
    default:
      return "write";
  }
}

std::string describe(const FrontRequest& request) {
  return fmt::format("{} of {} bytes at {}", name(request.op), request.length, request.offset);
}

/// The last that a client waits for.
template <class Waiting>
Lsn last_of(ClientKey client, const Ring<Waiting>& waiting) {
  for (auto i = waiting.size(); i > 0; --i) {
    if (waiting[i - 1].client == client) return waiting[i - 1].at;
  }
  return Lsn{};
}

std::uint64_t edge_count(const FrontRequest& request) {
  return std::uint64_t{request.offset % block_bytes != 0} +
         std::uint64_t{(request.offset + request.length) % block_bytes != 0};
}

}  // namespace

void VolumeMachine::take(ClientKey client, FrontRequest request, Moment at) {
  if (request.op == FrontOp::flush) return take_flush(client, request, at.now);
  const bool early = !request.within(size_bytes());
  if (early && !request.within(size_to_come())) {
    const auto error = beyond_end(request);
    return refuse(client, request.cookie, error.code, error.text);
  }
  const bool reads = request.op == FrontOp::read || request.op == FrontOp::block_status;
  const bool nothing = request.length == 0 || request.op == FrontOp::cache;
  if (early && (reads || nothing)) return take_early(client, std::move(request));
  if (nothing) return reply(client, request.cookie);
  if (reads) return take_read(client, request);
  Change change;
  change.client = client;
  change.since = at.now;
  change.request = std::move(request);
  take_change(std::move(change), at);
}

void VolumeMachine::take_flush(ClientKey client, const FrontRequest& request, MonoTime now) {
  ++counters_.flushes;
  // The head, not the last answered LSN: nobody after a failover could know what was answered (C4).
  auto target = log_->end();
  if (planted(Bug::flush_covers_own_connection)) {
    target = std::max(last_of(client, on_received_), last_of(client, on_commit_));
  }
  if (in_reign() && committed_ >= target) return reply(client, request.cookie);
  if (failing_) {
    const auto error = too_few_copies();
    return refuse(client, request.cookie, error.code, error.text);
  }
  on_commit_.push_back({target, client, request.cookie, now});
}

void VolumeMachine::take_change(Change change, Moment at) {
  const auto& request = change.request;
  if (failing_) {
    const auto error = too_few_copies();
    return refuse(change.client, request.cookie, error.code, error.text);
  }
  if (request.op == FrontOp::write) {
    change.blocks = blocks_touched(request.offset, request.length);
    if (request.data.size() != change.blocks.count * block_bytes) {
      return refuse(change.client, request.cookie, Errc::invalid,
                    fmt::format("{}: {} bytes of data for {} blocks", describe(request),
                                request.data.size(), change.blocks.count));
    }
    const auto records = (change.blocks.count + record_blocks_max - 1) / record_blocks_max;
    change.bytes = request.data.size();
    change.cost = log_->cost_max(change.blocks.count, records);
  } else {
    const bool trim = request.op == FrontOp::trim;
    // A trim is advice: the parts of blocks at its edges keep their content.
    change.blocks = trim ? blocks_within(request.offset, request.length)
                         : blocks_touched(request.offset, request.length);
    if (change.blocks.empty()) return reply(change.client, request.cookie);
    const auto edges = trim ? 0 : edge_count(request);
    change.bytes = record_header_bytes + edges * block_bytes;
    change.cost = log_->cost_max(edges, 1 + edges);
  }
  if (queued_.empty() && room_for(change)) return enter(std::move(change), at);
  if (queued_.size() >= limits_.waiting_requests_max ||
      queued_bytes_ + change.bytes > limits_.waiting_bytes_max) {
    sometimes(Mark::waiting_limit_hit);
    return refuse(change.client, request.cookie, Errc::unavailable,
                  fmt::format("{}: {} requests with {} bytes wait already; {}", describe(request),
                              queued_.size(), queued_bytes_, in_sync_->waiting_for(numbers())));
  }
  queued_bytes_ += change.bytes;
  queued_.push_back(std::move(change));
}

void VolumeMachine::admit_waiting(Moment at) {
  while (!queued_.empty() && room_for(queued_.front())) {
    auto change = std::move(queued_.front());
    queued_.pop_front();
    queued_bytes_ -= change.bytes;
    enter(std::move(change), at);
  }
}

bool VolumeMachine::room_for(const Change& change) const {
  if (merging_.size() >= limits_.merging_max || waits_for_size(change.request)) return false;
  // What a quorum committed before the own disk has it is still held in memory for that disk.
  const auto uncommitted = log_->bytes_after(std::min(committed_, durable_)) + merging_bytes_;
  // One request may always pass: the cap bounds memory, it must not forbid a large write for ever.
  const bool too_much =
      uncommitted != 0 && uncommitted + change.bytes > limits_.uncommitted_bytes_max;
  return !sometimes(too_much, Mark::uncommitted_limit_hit);
}

void VolumeMachine::enter(Change change, Moment at) {
  const bool beyond = change.blocks.end().value * block_bytes > size_bytes();
  if (sometimes(beyond, Mark::shrank_under_waiting_write)) {  // It shrank meanwhile.
    const auto error = beyond_end(change.request);
    return refuse(change.client, change.request.cookie, error.code, error.text);
  }
  if (auto error = why_no_space(change)) {
    return refuse(change.client, change.request.cookie, error->code, std::move(error->text));
  }
  const bool behind = overlaps_earlier(change, merging_.size());
  sometimes(behind, Mark::write_waits_behind_merge);
  if (!behind && !has_edges(change)) return number(change, at.wall);
  if (!behind) read_edges(change);
  merging_bytes_ += change.bytes;
  merging_cost_ += change.cost;
  merging_.push_back(std::move(change));
}

/// Log space is reserved before numbering: a numbered record can't be taken back (C23).
std::optional<Error> VolumeMachine::why_no_space(const Change& change) const {
  const auto reserved = log_->cost_after(reported_durable_) + merging_cost_;
  if (sometimes(reserved + change.cost + LogHead::slack() > wal_free_bytes_,
                Mark::primary_log_full)) {
    return Error{
        Errc::no_space,
        fmt::format("{}: the log of volume {} has no space left ({} bytes free, {} reserved)",
                    describe(change.request), assignment_.spec.name, wal_free_bytes_, reserved)};
  }
  if (sometimes(in_sync_->full_member_stays(), Mark::full_member_refuses_writes)) {
    return Error{Errc::no_space,
                 fmt::format("{}: {}", describe(change.request), in_sync_->waiting_for(numbers()))};
  }
  return std::nullopt;
}

void VolumeMachine::number(Change& change, WallTime wall) {
  ++sequence_;
  const auto& request = change.request;
  const auto before = log_->end();
  if (request.op == FrontOp::write) {
    ++counters_.writes;
    counters_.written_bytes += request.length;
    number_write(change, wall);
  } else {
    ++counters_.trims;
    number_zeroes(change, wall);
  }
  const bool split = log_->end() > before.next();
  const bool forgotten = split && planted(Bug::split_fua_is_forgotten);
  auto& answers = request.fua && !forgotten ? on_commit_ : on_received_;
  answers.push_back({log_->end(), change.client, request.cookie, change.since});
}

void VolumeMachine::number_write(Change& change, WallTime wall) {
  auto& request = change.request;
  auto& data = request.data;
  const auto left = request.offset % block_bytes;
  const auto right = (request.offset + request.length) % block_bytes;
  if (left != 0) std::memcpy(data.data(), change.first_base.data(), left);
  if (right != 0) {
    std::memcpy(data.data() + data.size() - block_bytes + right, change.last_base.data() + right,
                block_bytes - right);
  }
  const auto payload = std::move(data).freeze();
  for (std::uint64_t at = 0; at < change.blocks.count; at += record_blocks_max) {
    const auto count = std::min<std::uint64_t>(record_blocks_max, change.blocks.count - at);
    log_->number_write({change.blocks.first + at, count},
                       payload.part(at * block_bytes, count * block_bytes), session_, sequence_,
                       wall);
  }
}

void VolumeMachine::number_zeroes(Change& change, WallTime wall) {
  const auto& request = change.request;
  const auto kind = request.op == FrontOp::trim ? RecordKind::trim : RecordKind::write_zeroes;
  const std::uint8_t flags =
      kind == RecordKind::write_zeroes && request.no_hole ? flag_no_hole : std::uint8_t{0};
  const auto inner = blocks_within(request.offset, request.length);
  if (kind == RecordKind::write_zeroes) {
    const auto end = request.offset + request.length;
    // Edges become whole blocks with content: a record holds nothing less (C22).
    const auto edge = [&](BlockIndex block, const Slice& base) {
      const auto begins = block.value * block_bytes;
      const auto from = std::max(request.offset, begins) - begins;
      const auto to = std::min(end, begins + block_bytes) - begins;
      auto image = Buffer::copy_of(base.bytes());
      std::memset(image.data() + from, 0, to - from);
      log_->number_write({block, 1}, std::move(image).freeze(), session_, sequence_, wall);
    };
    const auto last = BlockIndex(change.blocks.end().value - 1);
    if (request.offset % block_bytes != 0) edge(change.blocks.first, change.first_base);
    const bool one_edge = request.offset % block_bytes != 0 && last == change.blocks.first;
    if (end % block_bytes != 0 && !one_edge) edge(last, change.last_base);
  }
  if (!inner.empty()) log_->number_zero(kind, flags, inner, session_, sequence_, wall);
}

}  // namespace tidemark::engine
