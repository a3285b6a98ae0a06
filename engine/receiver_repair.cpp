// Repair at the replica: it asks the primary for a block that its extents lost, and answers the
// primary's questions. One block at a time; the store says when to ask again.
#include <utility>

#include "engine/check.hpp"
#include "engine/receiver.hpp"

namespace tidemark::engine::inflow {

/// Asks for what the store wants help with, unless it is asked for already.
void Receiver::seek_repair(ReceiverEffects& out) {
  if (state_ != ReceiverState::following || !damaged_) return;
  const bool asked = asked_block_ && asked_block_->block == damaged_->block &&
                     asked_block_->attempt == damaged_->attempt;
  if (asked) return;
  asked_block_ = damaged_;
  out.push_back(Answer{records_link_, AskBlock{assignment_.spec.id, assignment_.epoch, session_,
                                               damaged_->block, damaged_->at}});
}

void Receiver::said(LinkNumber link, BlockIs& answer, ReceiverEffects& out) {
  if (!authorised(link, answer.volume, answer.epoch, answer.session, out)) return;
  // A late one: the block was asked for again, or another is wanted by now.
  if (link != records_link_ || !asked_block_ || asked_block_->block != answer.copy.block) return;
  if (!answer.copy.usable()) {
    out.push_back(GiveUpBlock{answer.copy.block});
    return;
  }
  out.push_back(RepairBlock{std::move(answer.copy), asked_block_->at});
}

void Receiver::said(LinkNumber link, AskBlock& ask, ReceiverEffects& out) {
  if (!authorised(link, ask.volume, ask.epoch, ask.session, out)) return;
  if (link != records_link_ || ask.block.value >= volume_blocks_max) {
    return refuse(link, RefusalCode::protocol, "a question for a block out of place", out);
  }
  if (state_ == ReceiverState::following && copies_reading_ < copies_read_max) {
    ++copies_reading_;
    out.push_back(ReadCopy{link, session_, ask.block, ask.at});
    return;
  }
  BlockCopy none;
  none.block = ask.block;
  out.push_back(Answer{link, BlockIs{assignment_.spec.id, assignment_.epoch, session_, none}});
}

ReceiverEffects Receiver::on(const CopyRead& event) {
  ReceiverEffects out;
  CHECK(copies_reading_ > 0);
  --copies_reading_;
  const bool current =
      event.link == records_link_ && event.link != 0 && event.session == session_ && in_session();
  if (!current) return out;
  BlockCopy none;
  none.block = event.block;
  out.push_back(Answer{event.link, BlockIs{assignment_.spec.id, assignment_.epoch, session_,
                                           event.copy ? *event.copy : none}});
  return out;
}

}  // namespace tidemark::engine::inflow
