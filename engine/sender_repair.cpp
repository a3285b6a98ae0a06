// The sender carries what is needed for repair: the replica's questions to the own store, and the
// primary's questions to the replica. On the records link, which is there: one block at a time.
#include <fmt/format.h>

#include <utility>

#include "engine/sender.hpp"

namespace tidemark::engine::outflow {

SenderEffects Sender::on(const BlockWanted& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  const bool can = state_ == PeerState::streaming && !asked_block_;
  if (!can) {
    const auto why = asked_block_ ? "it is asked for another" : "it is not in line";
    out.push_back(
        AnswerBlock{Error{Errc::unavailable, fmt::format("asking {} for block {}: {}", peer_text(),
                                                         event.damaged.block, why)}});
    return out;
  }
  asked_block_ = {event.damaged.block, at.now};
  // The answer takes as long as its disk: it is not owed like an acknowledgement.
  out.push_back(
      SendMessage{Lane::records, AskBlock{config_.assignment.spec.id, session_->epoch(),
                                          session_->id(), event.damaged.block, event.damaged.at}});
  return out;
}

void Sender::heard(const BlockIs& answer, Moment, SenderEffects& out) {
  if (!authorised(answer.session, answer.epoch, "block_is", out)) return;
  // One that comes after its time is not waited for any more.
  if (!asked_block_ || asked_block_->block != answer.copy.block) return;
  answer_block(answer.copy, out);
}

void Sender::answer_block(Result<BlockCopy> copy, SenderEffects& out) {
  if (!asked_block_) return;
  asked_block_.reset();
  out.push_back(AnswerBlock{std::move(copy)});
}

void Sender::heard(const AskBlock& ask, Moment at, SenderEffects& out) {
  if (!authorised(ask.session, ask.epoch, "ask_block", out)) return;
  if (!flowing() || ask.block.value >= volume_blocks_max) {
    return disconnect(EndCause::bad_answer,
                      fmt::format("{} asked for block {} out of place", peer_text(), ask.block), at,
                      out);
  }
  if (std::exchange(reading_copy_, true)) return;  // It is asking again: one answer is on its way.
  out.push_back(ReadCopy{session_->id(), ask.block, ask.at});
}

SenderEffects Sender::on(const CopyRead& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "copy_read", out)) return out;
  reading_copy_ = false;
  if (!flowing()) return out;
  BlockCopy none;
  none.block = event.block;
  out.push_back(
      SendMessage{Lane::records, BlockIs{config_.assignment.spec.id, session_->epoch(),
                                         session_->id(), event.copy ? *event.copy : none}});
  return out;
}

}  // namespace tidemark::engine::outflow
