// Repair at the replica: it asks the primary for blocks that its extents lost, and answers the
// primary's questions. A few blocks at a time; the store says which, and when to ask again.
#include <algorithm>
#include <utility>

#include "engine/check.hpp"
#include "engine/receiver.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::inflow {

/// Asks for what the store wants help with, unless it is asked for already. Every question is answered
/// while the session lasts, so none is asked again before.
void Receiver::seek_repair(ReceiverEffects& out) {
  if (state_ != ReceiverState::following) return;
  // What was answered is the store's affair until it wants help with it once more, or no more.
  std::erase_if(asked_blocks_, [this](const auto& asked) {
    const bool same =
        std::find(damaged_.begin(), damaged_.end(), asked.second.damaged) != damaged_.end();
    return asked.second.answered && !same;
  });
  auto open = static_cast<std::size_t>(
      std::count_if(asked_blocks_.begin(), asked_blocks_.end(),
                    [](const auto& asked) { return !asked.second.answered; }));
  for (const auto& wanted : damaged_) {
    if (open == repairs_at_once_max) return;
    if (!asked_blocks_.try_emplace(wanted.block, AskedBlock{wanted}).second) continue;
    ++open;
    out.push_back(Answer{records_link_, AskBlock{assignment_.spec.id, assignment_.epoch, session_,
                                                 wanted.block, wanted.at}});
  }
}

void Receiver::said(LinkNumber link, BlockIs& answer, ReceiverEffects& out) {
  if (!authorised(link, answer.volume, answer.epoch, answer.session, out)) return;
  const auto asked = asked_blocks_.find(answer.copy.block);
  // One that was not asked for, or was answered.
  if (link != records_link_ || asked == asked_blocks_.end() || asked->second.answered) return;
  asked->second.answered = true;
  if (answer.copy.usable()) {
    out.push_back(RepairBlock{std::move(answer.copy), asked->second.damaged.at});
  } else {
    sometimes(Mark::repair_helper_has_nothing);
    out.push_back(GiveUpBlock{answer.copy.block});
  }
  seek_repair(out);
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
