// Unaligned edges. A record holds whole blocks, so what surrounds a request's bytes is taken from
// the block's newest numbered version: read once everything before it is numbered and appended, and
// with whatever touches those blocks later queued behind (C22).
//
//   merging_:  W1 [5,6)  reading its edge
//              W2 [5,7)  behind W1
//              W3 [6,7)  behind W2
//              W4 [9,10) whole, numbered at once
#include <algorithm>
#include <cstring>

#include "engine/check.hpp"
#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
#include "engine/volume.hpp"

namespace tidemark::engine {
namespace {

/// One block of content out of what the store answered.
Slice one_block(std::vector<FrontReply::Piece>& pieces) {
  if (pieces.size() == 1 && pieces[0].data.size() == block_bytes) return std::move(pieces[0].data);
  auto block = Buffer::zeroed(block_bytes);
  std::size_t at = 0;
  for (const auto& piece : pieces) {
    const auto bytes = piece.data.size() + piece.zero_bytes;
    CHECK(at + bytes <= block_bytes);
    if (!piece.data.empty()) std::memcpy(block.data() + at, piece.data.data(), piece.data.size());
    at += bytes;
  }
  CHECK(at == block_bytes);
  return std::move(block).freeze();
}

}  // namespace

bool VolumeMachine::has_edges(const Change& change) {
  const auto& request = change.request;
  if (request.op == FrontOp::trim) return false;
  return request.offset % block_bytes != 0 || (request.offset + request.length) % block_bytes != 0;
}

/// Whether one of the first `before` changes that merge still has to be numbered ahead of this one.
bool VolumeMachine::overlaps_earlier(const Change& change, std::size_t before) const {
  if (planted(Bug::unaligned_merge_on_stale_base)) return false;
  return std::any_of(merging_.begin(), merging_.begin() + static_cast<std::ptrdiff_t>(before),
                     [&](const Change& earlier) {
                       return !earlier.done && earlier.blocks.overlaps(change.blocks);
                     });
}

void VolumeMachine::read_edges(Change& change) {
  const auto ask = [&](BlockIndex block) {
    const ReadId id(++last_read_id_);
    ++change.missing;
    effects_.push_back(ReadFromStore{id, {block, 1}});
    return id;
  };
  if (!has_edges(change)) return;
  CHECK(!change.reading);
  change.reading = true;
  const auto& request = change.request;
  const auto last = BlockIndex(change.blocks.end().value - 1);
  const bool left = request.offset % block_bytes != 0;
  const bool right = (request.offset + request.length) % block_bytes != 0;
  if (left) change.first_read = ask(change.blocks.first);
  if (right) change.last_read = left && last == change.blocks.first ? change.first_read : ask(last);
}

/// True when `id` was a merge read; its change is then nearer to its number, or refused.
bool VolumeMachine::take_edge(ReadId id, Result<std::vector<FrontReply::Piece>>& pieces) {
  const auto at = std::find_if(merging_.begin(), merging_.end(), [&](const Change& c) {
    return c.reading && (c.first_read == id || c.last_read == id);
  });
  if (at == merging_.end()) return false;
  --at->missing;
  if (at->done) return true;
  if (sometimes(!pieces, Mark::edge_unreadable)) {
    at->done = true;
    refuse(at->client, at->request.cookie, pieces.error().code,
           fmt::format("write of {} bytes at {}: its edges could not be read: {}",
                       at->request.length, at->request.offset, pieces.error().text));
    return true;
  }
  const auto base = one_block(*pieces);
  if (at->first_read == id) at->first_base = base;
  if (at->last_read == id) at->last_base = base;
  return true;
}

/// Numbers, in order, whatever has its edges and nothing before it;
/// asks for the edges of what got free.
void VolumeMachine::advance_merges(Moment at) {
  for (std::size_t i = 0; i < merging_.size(); ++i) {
    auto& change = merging_[i];
    if (change.done || overlaps_earlier(change, i)) continue;
    if (has_edges(change) && !change.reading) {
      read_edges(change);
    } else if (change.missing == 0) {
      number(change, at.wall);
      change.done = true;
    }
  }
  std::erase_if(merging_, [&](const Change& change) {
    if (!change.done) return false;
    merging_bytes_ -= change.bytes;
    merging_cost_ -= change.cost;
    return true;
  });
}

}  // namespace tidemark::engine
