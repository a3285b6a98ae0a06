// The sender carries what is needed for repair: the replica's questions to the own store, and the
// primary's questions to the replica. On the records link, which is there: a few blocks at a time. Each
// question has its answer, at once where it cannot be carried on.
#include <fmt/format.h>

#include <utility>

#include "engine/sender.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::outflow {
namespace {

BlockCopy nothing_of(BlockIndex block) {
  BlockCopy none;
  none.block = block;
  return none;
}

}  // namespace

SenderEffects Sender::on(const BlockWanted& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  const auto block = event.damaged.block;
  const bool room = asked_blocks_.size() < repairs_at_once_max && !asked_blocks_.contains(block);
  if (sometimes(state_ != PeerState::streaming, Mark::repair_asks_who_is_behind) || !room) {
    const auto why = room ? "it is not in line" : "it is asked for others";
    out.push_back(AnswerBlock{
        block, Error{Errc::unavailable,
                     fmt::format("asking {} for block {}: {}", peer_text(), block, why)}});
    return out;
  }
  asked_blocks_[block] = at.now;
  // The answer takes as long as its disk: it is not owed like an acknowledgement.
  out.push_back(SendMessage{Lane::records, AskBlock{config_.assignment.spec.id, session_->epoch(),
                                                    session_->id(), block, event.damaged.at}});
  return out;
}

void Sender::heard(const BlockIs& answer, Moment, SenderEffects& out) {
  if (!authorised(answer.session, answer.epoch, "block_is", out)) return;
  // One that comes after its time is not waited for any more.
  answer_block(answer.copy.block, answer.copy, out);
}

void Sender::answer_block(BlockIndex block, Result<BlockCopy> copy, SenderEffects& out) {
  if (asked_blocks_.erase(block) == 0) return;
  out.push_back(AnswerBlock{block, std::move(copy)});
}

void Sender::give_up_asking(Moment at, SenderEffects& out) {
  std::vector<BlockIndex> late;
  for (const auto& [block, since] : asked_blocks_) {
    if (sometimes(since + copy_wait_max <= at.now, Mark::repair_waited_too_long))
      late.push_back(block);
  }
  for (const auto block : late) {
    answer_block(block,
                 Error{Errc::unavailable,
                       fmt::format("{} is asked for block {} too long", peer_text(), block)},
                 out);
  }
}

void Sender::heard(const AskBlock& ask, Moment at, SenderEffects& out) {
  if (!authorised(ask.session, ask.epoch, "ask_block", out)) return;
  if (!flowing() || ask.block.value >= volume_blocks_max) {
    return disconnect(EndCause::bad_answer,
                      fmt::format("{} asked for block {} out of place", peer_text(), ask.block), at,
                      out);
  }
  if (copies_reading_ == repairs_at_once_max) return tell_copy(nothing_of(ask.block), out);
  ++copies_reading_;
  out.push_back(ReadCopy{session_->id(), ask.block, ask.at});
}

SenderEffects Sender::on(const CopyRead& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "copy_read", out)) return out;
  if (copies_reading_ > 0) --copies_reading_;
  if (flowing()) tell_copy(event.copy ? *event.copy : nothing_of(event.block), out);
  return out;
}

void Sender::tell_copy(BlockCopy copy, SenderEffects& out) {
  out.push_back(SendMessage{Lane::records, BlockIs{config_.assignment.spec.id, session_->epoch(),
                                                   session_->id(), std::move(copy)}});
}

}  // namespace tidemark::engine::outflow
