// The end of a copy: what the replica's tables of checksums come to, group by group, must be what the
// source's do at one LSN. A block that was lost between its arrival and its place is copied again;
// nobody takes the copy for whole before.
#include <utility>

#include <fmt/format.h>

#include "engine/planted.hpp"
#include "engine/receiver.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::inflow {
namespace {

/// It sees and mends what other rules about copies keep from happening: their mistakes are played
/// without it, or nothing would show that those rules are needed.
bool planted_without_comparison() {
  for (const auto bug :
       {Bug::base_never_compared, Bug::base_overwrites_newer_block, Bug::base_serves_memory,
        Bug::base_skips_holes, Bug::delta_without_own_blocks, Bug::delta_forgets_own_past}) {
    if (planted(bug)) return true;
  }
  return false;
}

}  // namespace

// Harmless when late: the session that asked has released what was held.
ReceiverEffects Receiver::on(const ComparisonPrepared& event) {
  ReceiverEffects out;
  if (!intake_ || !question_ || event.session != session_ || bulk_link_ == 0) return out;
  if (!event.question) {
    go_on_without_comparison(event.question.error().text, out);
    return out;
  }
  question_ = *event.question;
  if (question_->groups.empty() || planted_without_comparison()) {
    question_.reset();
    out.push_back(ReleaseComparison{});
    intake_->compared();
    pump_base(out);
    return out;
  }
  out.push_back(
      Answer{bulk_link_, AskBaseSums{assignment_.spec.id, assignment_.epoch, session_,
                                     question_->at, question_->group_blocks, question_->groups}});
  return out;
}

void Receiver::said(LinkNumber link, BaseSums& sums, ReceiverEffects& out) {
  if (!authorised(link, sums.volume, sums.epoch, sums.session, out)) return;
  if (link != bulk_link_ || !intake_ || !question_ || question_->groups.empty()) {
    return refuse(link, RefusalCode::protocol, "sums of a base out of place", out);
  }
  if (sums.sums.empty()) return go_on_without_comparison(sums.problem, out);
  if (sums.sums.size() != question_->groups.size() || sums.lsn < question_->at) {
    return refuse(link, RefusalCode::bad_data,
                  fmt::format("{} sums of a base at {}, {} were asked for at {}", sums.sums.size(),
                              sums.lsn, question_->groups.size(), question_->at),
                  out);
  }
  out.push_back(CompareBase{session_, sums.lsn, *question_, std::move(sums.sums)});
}

/// The copy is as good as it was: each block was verified when it arrived.
void Receiver::go_on_without_comparison(std::string_view why, ReceiverEffects& out) {
  sometimes(Mark::base_not_compared);
  question_.reset();
  out.push_back(ReleaseComparison{});
  out.push_back(Log{Event(Level::warning, "base_not_compared")
                        .with("replica", assignment_.self)
                        .with("session", session_)
                        .with("reason", why)});
  intake_->compared();
  pump_base(out);
}

ReceiverEffects Receiver::on(const BaseCompared& event) {
  ReceiverEffects out;
  if (!intake_ || !question_ || event.session != session_ || bulk_link_ == 0) return out;
  const auto groups = question_->groups.size();
  question_.reset();
  if (!event.unequal && event.unequal.error().code != Errc::refused) {
    const bool full = event.unequal.error().code == Errc::no_space;
    refuse(records_link_, full ? RefusalCode::no_space : RefusalCode::store_failed,
           event.unequal.error().text, out);
    return out;
  }
  if (event.unequal && event.unequal->empty()) {
    intake_->compared();
    pump_base(out);
    return out;
  }
  if (event.unequal) {
    sometimes(Mark::base_unequal);
    std::uint64_t blocks = 0;
    for (const auto& range : *event.unequal) blocks += range.count;
    numbers_.rebuild->missing_blocks += blocks;
    out.push_back(Log{Event(Level::error, "base_unequal")
                          .with("replica", assignment_.self)
                          .with("session", session_)
                          .with("groups", event.unequal->size())
                          .with("of", groups)
                          .with("first_block", event.unequal->front().first)
                          .with("blocks_again", blocks)});
    if (++unequal_ == base_unequal_max) {
      refuse(records_link_, RefusalCode::bad_data,
             fmt::format("blocks {} are not the source's after they were copied {} times",
                         event.unequal->front(), unequal_),
             out);
      return out;
    }
  }
  intake_->ask_again();
  pump_base(out);
  return out;
}

}  // namespace tidemark::engine::inflow
