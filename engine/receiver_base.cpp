// The base lane of a rebuild at the replica: it asks for what is missing, takes the runs of blocks that come, and says
// when nothing is missing any more.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "engine/check.hpp"
#include "engine/receiver.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine::inflow {

void Receiver::said(LinkNumber link, BaseBlocks& blocks, ReceiverEffects& out) {
  if (!authorised(link, blocks.volume, blocks.epoch, blocks.session, out)) return;
  if (blocks.sums.size() != blocks.range.count ||
      blocks.data.size() != blocks.range.count * block_bytes) {
    return refuse(link, RefusalCode::bad_data,
                  fmt::format("base blocks {} of another size", blocks.range), out);
  }
  take_base(link, {blocks.range, std::move(blocks.sums), std::move(blocks.data), blocks.flush_lsn},
            out);
}

void Receiver::said(LinkNumber link, BaseZeroes& zeroes, ReceiverEffects& out) {
  if (!authorised(link, zeroes.volume, zeroes.epoch, zeroes.session, out)) return;
  take_base(link, {zeroes.range, {}, {}, zeroes.flush_lsn}, out);
}

void Receiver::take_base(LinkNumber link, WriteBaseRun run, ReceiverEffects& out) {
  if (link != bulk_link_ || !intake_) {
    return refuse(link, RefusalCode::protocol, "base blocks out of place", out);
  }
  if (const auto taken = intake_->accept(run.range, run.flush_lsn); !taken) {
    return refuse(link, RefusalCode::bad_data, taken.error().text, out);
  }
  ++base_writes_;
  base_writes_session_ = session_;
  numbers_.rebuild->flush_lsn = intake_->flush_lsn();
  out.push_back(std::move(run));
}

ReceiverEffects Receiver::on(const BaseRunWritten& event) {
  ReceiverEffects out;
  CHECK(base_writes_ > 0);
  --base_writes_;
  const bool current = intake_ && base_writes_session_ == session_;
  if (sometimes(!event.status, Mark::base_write_failed)) {
    reason_ = event.status.error().text;
    const bool full = event.status.error().code == Errc::no_space;
    if (current)
      refuse(records_link_, full ? RefusalCode::no_space : RefusalCode::store_failed, reason_, out);
  } else if (current) {
    auto& missing = numbers_.rebuild->missing_blocks;
    missing -= std::min(missing, intake_->written());
    pump_base(out);
  }
  after_store_work(out);
  return out;
}

ReceiverEffects Receiver::on(const MissingFound& event) {
  ReceiverEffects out;
  if (!intake_ || event.session != session_ || bulk_link_ == 0) return out;
  intake_->found(event.ranges, event.next);
  for (std::size_t at = 0; at < event.ranges.size(); at += base_ask_ranges_max) {
    const auto first = event.ranges.begin() + static_cast<std::ptrdiff_t>(at);
    const auto count = std::min<std::size_t>(base_ask_ranges_max, event.ranges.size() - at);
    out.push_back(Answer{bulk_link_, AskBase{assignment_.spec.id,
                                             assignment_.epoch,
                                             session_,
                                             {first, first + static_cast<std::ptrdiff_t>(count)}}});
  }
  pump_base(out);
  return out;
}

/// Asks for more, or says that nothing is missing.
void Receiver::pump_base(ReceiverEffects& out) {
  if (!intake_ || bulk_link_ == 0 || state_ != ReceiverState::rebuilding) return;
  if (const auto search = intake_->begin_search()) {
    out.push_back(FindMissing{session_, search->from, search->blocks_max});
  }
  if (intake_->take_comparison()) {
    question_.emplace();
    out.push_back(PrepareComparison{session_});
  }
  if (!intake_->take_whole()) return;
  out.push_back(Answer{bulk_link_, BaseWhole{assignment_.spec.id, assignment_.epoch, session_,
                                             intake_->flush_lsn()}});
  check_barrier(out);
}

}  // namespace tidemark::engine::inflow
