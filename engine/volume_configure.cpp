// Another size, mode or min_copies: a record of the log, in force once it is committed (C12, C24).
//
//   wanted ──numbered──► head says it ──committed──► in force ──told──► the assignment says it
//             |                                         |
//             shrink: no request beyond the new end     grow: requests up to the new end
//
// The primary alone begins it, and only where nothing of the kind is under way. A successor finds the
// wish in its assignment and the record in its log, or does it again.
//
// A mode is in force alone when the assignment says it: from the record's number until then the old
// mode's rule and the new one's must both be met (in_sync_mode.cpp).
#include <algorithm>

#include "engine/planted.hpp"
#include "engine/volume.hpp"

namespace tidemark::engine {
namespace {

constexpr std::uint64_t tell_again_after = 500 * millisecond;

}  // namespace

std::uint64_t VolumeMachine::size_bytes() const {
  if (planted(Bug::resize_outside_log)) return assignment_.spec.size_bytes;
  // A shrink holds from the moment it is numbered, a grow from when it is committed. What the log held
  // when the reign began is committed before anything is answered: it holds from the beginning.
  const auto inherited = epoch_record_.previous();
  return configurations_.blocks_from(std::max(committed_, inherited)) * block_bytes;
}

/// As NBD demands: no space for what would change the volume there, invalid else.
Error VolumeMachine::beyond_end(const FrontRequest& request) const {
  const bool needs_space = request.op == FrontOp::write || request.op == FrontOp::write_zeroes;
  return {needs_space ? Errc::no_space : Errc::invalid,
          fmt::format("request for {} bytes at {}: the volume ends at {}", request.length,
                      request.offset, size_bytes())};
}

void VolumeMachine::configure(Moment at) {
  if (!in_reign()) return;
  const auto next = assignment_.configuration();
  const auto& last = configurations_.last();
  if (last.configuration == next || planted(Bug::resize_outside_log)) {
    if (last.first <= committed_ && rules_hold()) tell_configured(at);
    return;
  }
  if (last.first > committed_) return;  // One at a time.
  note_not_ready(in_sync_->not_ready_for(next));
  if (!not_ready_.empty()) return;
  const auto cost = log_->cost_max(0, 1);
  const auto reserved = log_->cost_after(reported_durable_) + merging_cost_;
  if (reserved + cost + LogHead::slack() > wal_free_bytes_) return;  // When there is room again.
  number_configuration(next, at);
}

void VolumeMachine::number_configuration(const Configuration& next, Moment at) {
  const auto before = configurations_.current();
  const auto lsn = log_->number_configure(next, cut_blocks(before, next), at.wall);
  configurations_.begin(lsn, next);
  take_rules();
  refuse_beyond_end();
  effects_.push_back(Log{Event(Level::info, "configuration_numbered")
                             .with("from", before.size_bytes)
                             .with("to", next.size_bytes)
                             .with("mode", to_string(next.mode))
                             .with("min_copies", next.min_copies)
                             .with("lsn", lsn)});
}

void VolumeMachine::take_rules() {
  const auto& wanted = assignment_.wanted;
  const bool numbered = wanted && configurations_.current() == *wanted;
  in_sync_->take_rules(assignment_.spec, wanted, numbered);
}

/// Told once all that was committed and answered is so by every rule that stands. An operator may have
/// wanted something else in between, when this one's rule did not stand.
bool VolumeMachine::rules_hold() const {
  const auto next = assignment_.configuration();
  const auto& spec = assignment_.spec;
  if (next.mode == spec.mode && next.min_copies == spec.min_copies) return true;
  for (const auto mode : in_sync_->modes()) {
    const auto in = commit_inputs(mode);
    if (engine::committed(in) < committed_ || answerable(in, committed_) < answerable_)
      return false;
  }
  return true;
}

/// Says it once for each reason.
void VolumeMachine::note_not_ready(std::string why) {
  if (why == not_ready_) return;
  not_ready_ = std::move(why);
  if (not_ready_.empty()) return;
  effects_.push_back(Log{Event(Level::info, "configuration_waits").with("reason", not_ready_)});
}

/// What waits for its edges would be numbered behind the record that takes its blocks away.
void VolumeMachine::refuse_beyond_end() {
  for (auto& change : merging_) {
    if (change.done || change.blocks.end().value * block_bytes <= size_bytes()) continue;
    const auto error = beyond_end(change.request);
    refuse(change.client, change.request.cookie, error.code, error.text);
    change.done = true;
  }
}

void VolumeMachine::tell_configured(Moment at) {
  if (!assignment_.wanted) return;
  const bool told = told_version_ == assignment_.version && at.now - told_at_ < tell_again_after;
  if (told) return;
  told_version_ = assignment_.version;
  told_at_ = at.now;
  effects_.push_back(
      TellConfigured{Configured{assignment_.spec.id, assignment_.epoch, assignment_.version,
                                *assignment_.wanted, configurations_.last().first}});
}

}  // namespace tidemark::engine
