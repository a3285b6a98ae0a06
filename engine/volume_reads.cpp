// Reads: the data first, then the answer once all it may show could be answered (C20).
#include <algorithm>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "engine/volume.hpp"

namespace tidemark::engine {
namespace {

BlockRange blocks_of(std::uint64_t offset, std::uint64_t length) {
  const auto first = offset / block_bytes;
  return {BlockIndex(first), (offset + length + block_bytes - 1) / block_bytes - first};
}

/// The bytes [skip, skip + length) of what the pieces hold.
std::vector<FrontReply::Piece> cut(std::vector<FrontReply::Piece> pieces, std::uint64_t skip,
                                   std::uint64_t length) {
  std::vector<FrontReply::Piece> out;
  out.reserve(pieces.size());
  for (auto& piece : pieces) {
    const auto size = piece.data.size() + piece.zero_bytes;
    const auto from = std::min<std::uint64_t>(skip, size);
    const auto take = std::min(size - from, length);
    skip -= from;
    length -= take;
    if (take == 0) continue;
    FrontReply::Piece part;
    if (piece.data.empty()) {
      part.zero_bytes = take;
    } else {
      part.data = piece.data.part(from, take);
    }
    out.push_back(std::move(part));
  }
  CHECK(length == 0);
  return out;
}

std::vector<Allocation> cut(std::vector<Allocation> runs, std::uint64_t skip,
                            std::uint64_t length) {
  std::vector<Allocation> out;
  for (auto& run : runs) {
    const auto from = std::min(skip, run.length);
    const auto take = std::min(run.length - from, length);
    skip -= from;
    length -= take;
    if (take == 0) continue;
    run.length = take;
    out.push_back(run);
  }
  return out;
}

}  // namespace

void VolumeMachine::take_read(ClientKey client, const FrontRequest& request) {
  const ReadId id(++last_read_id_);
  const auto blocks = blocks_of(request.offset, request.length);
  reading_[id] = {client, request.cookie, request.offset, request.length};
  if (request.op == FrontOp::block_status) {
    effects_.push_back(AskStoreAllocation{id, blocks});
    return;
  }
  ++counters_.reads;
  counters_.read_bytes += request.length;
  effects_.push_back(ReadFromStore{id, blocks});
}

VolumeEffects VolumeMachine::on(BlocksArrived event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  if (take_edge(event.id, event.pieces)) {
    advance_merges(event.at);
    settle(event.at);
    return finish(event.at);
  }
  const auto at = reading_.find(event.id);
  if (at == reading_.end()) return {};  // its client is gone
  const auto reading = at->second;
  reading_.erase(at);
  FrontReply reply;
  reply.cookie = reading.cookie;
  if (event.pieces) {
    reply.pieces = cut(std::move(*event.pieces), reading.offset % block_bytes, reading.length);
  } else {
    sometimes(Mark::read_failed);
    reply.error = event.pieces.error();
  }
  hold(reading, std::move(reply));
  return finish(event.at);
}

VolumeEffects VolumeMachine::on(AllocationArrived event) {
  if (!log_ || state_ == VolumeState::ended) return {};
  const auto at = reading_.find(event.id);
  if (at == reading_.end()) return {};  // its client is gone
  const auto reading = at->second;
  reading_.erase(at);
  FrontReply reply;
  reply.cookie = reading.cookie;
  if (event.runs) {
    reply.allocations = cut(std::move(*event.runs), reading.offset % block_bytes, reading.length);
    CHECK(!reply.allocations.empty());
  } else {
    reply.error = event.runs.error();
  }
  hold(reading, std::move(reply));
  return finish(event.at);
}

/// What the store answered may hold anything numbered up to now in these blocks, and nothing newer.
void VolumeMachine::hold(const Reading& reading, FrontReply reply) {
  auto shows = log_->newest(blocks_of(reading.offset, reading.length), answerable_);
  if (planted(Bug::read_unanswerable)) shows = Lsn{};
  if (!planted(Bug::answers_before_epoch_record)) shows = std::max(shows, epoch_record_);
  if (shows <= answerable_) {
    effects_.push_back(Reply{reading.client, std::move(reply)});
    return;
  }
  sometimes(Mark::read_held_back);
  held_.emplace(shows, Held{reading.client, std::move(reply)});
}

void VolumeMachine::release_held() {
  const auto end = held_.upper_bound(answerable_);
  for (auto at = held_.begin(); at != end; ++at) {
    effects_.push_back(Reply{at->second.client, std::move(at->second.reply)});
  }
  held_.erase(held_.begin(), end);
}

}  // namespace tidemark::engine
