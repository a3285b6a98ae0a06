// The sender's share of the comparison that ends a copy: what our extents come to, group by group.
#include <utility>

#include <fmt/format.h>

#include "engine/sender.hpp"

namespace tidemark::engine::outflow {
namespace {

// Frame header and fields of docs/PROTOCOL.md, for the numbers in status.
constexpr std::uint64_t sums_frame_overhead = 76;

}  // namespace

void Sender::heard(const AskBaseSums& ask, Moment at, SenderEffects& out) {
  if (!authorised(ask.session, ask.epoch, "ask_base_sums", out)) return;
  const auto* rebuild = std::get_if<Rebuild>(&executor_);
  if (rebuild == nullptr || !rebuild->comparable()) {
    return disconnect(EndCause::bad_answer,
                      fmt::format("{} asked for sums of a base that is not copied", peer_text()),
                      at, out);
  }
  session_->progressed(at.now);
  leave_pace(out);  // Others may have its place; who finds blocks unequal asks for one again.
  out.push_back(ReadGroupSums{session_->id(), {ask.at, ask.group_blocks, ask.groups}});
}

SenderEffects Sender::on(const GroupSumsRead& event, Moment at) {
  now_ = at.now;
  SenderEffects out;
  if (!session_ || !authorised(event.session, session_->epoch(), "group_sums", out)) return out;
  const auto* rebuild = std::get_if<Rebuild>(&executor_);
  if (rebuild == nullptr || !rebuild->comparable()) return out;
  session_->progressed(at.now);
  BaseSums sums{config_.assignment.spec.id, session_->epoch(), session_->id(), {}, {}, {}};
  if (event.sums) {
    sums.lsn = event.sums->lsn;
    sums.sums = event.sums->sums;
  } else {
    sums.problem = event.sums.error().text;
  }
  const auto bytes = sums_frame_overhead + sums.sums.size() * sizeof(std::uint64_t);
  send(Lane::bulk, std::move(sums), bytes, out);
  return out;
}

}  // namespace tidemark::engine::outflow
