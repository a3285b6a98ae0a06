// Another size, mode or min_copies: a record of the log, in force once it is committed (C12, C24).
//
//   wanted ──numbered──► head says it ──committed──► in force ──told──► the assignment says it
//             |                                         |
//             shrink: no request beyond the new end     grow: requests up to the new end
//
// The primary alone begins it, and only where nothing of the kind is under way. A successor finds the
// wish in its assignment and the record in its log, or does it again. Another mode or min_copies may have
// to wait for copies; a size that is wanted beside them then gets a record of its own.
//
// A forced reign may lack the record of the size. What lies within the recorded one waits until it is in
// force again.
//
// A mode is in force alone when the assignment says it: from the record's number until then the old
// mode's rule and the new one's must both be met (in_sync_mode.cpp).
#include <algorithm>

#include "engine/planted.hpp"
#include "engine/sometimes.hpp"
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

/// No less than size_bytes(), and more where the log lost what the control plane has recorded: that is
/// numbered again, unless a smaller size is wanted by now.
std::uint64_t VolumeMachine::size_to_come() const {
  const auto recorded = assignment_.spec.size_bytes;
  return std::max(size_bytes(), std::min(recorded, assignment_.configuration().size_bytes));
}

bool VolumeMachine::waits_for_size(const FrontRequest& request) const {
  return !request.within(size_bytes()) && request.within(size_to_come());
}

/// Reads and the like; changes wait in their order, among the queued.
void VolumeMachine::take_early(ClientKey client, FrontRequest request) {
  if (failing_) {
    const auto error = too_few_copies();
    return refuse(client, request.cookie, error.code, error.text);
  }
  if (early_.size() >= limits_.waiting_requests_max) {
    return refuse(
        client, request.cookie, Errc::unavailable,
        fmt::format("request for {} bytes at {}: {} requests wait for the size {} already",
                    request.length, request.offset, early_.size(), size_to_come()));
  }
  sometimes(Mark::request_waits_for_size);
  early_.emplace_back(client, std::move(request));
}

void VolumeMachine::admit_early(Moment at) {
  while (!early_.empty() && !waits_for_size(early_.front().second)) {
    auto [client, request] = std::move(early_.front());
    early_.pop_front();
    take(client, std::move(request), at);
  }
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
  auto next = assignment_.configuration();
  const auto& last = configurations_.last();
  if (last.configuration == next || planted(Bug::resize_outside_log)) {
    if (last.first <= committed_ && rules_hold()) tell_configured(next, at);
    return;
  }
  if (last.first > committed_) return;  // One at a time.
  note_not_ready(in_sync_->not_ready_for(next));
  if (!not_ready_.empty()) {
    const bool untold = next.size_bytes != assignment_.spec.size_bytes;
    next = size_alone(next);
    sometimes(last.configuration.size_bytes != next.size_bytes, Mark::size_alone_numbered);
    if (last.configuration.size_bytes == next.size_bytes) {
      if (untold) tell_configured(next, at);
      return;
    }
  }
  const auto cost = log_->cost_max(0, 1);
  const auto reserved = log_->cost_after(reported_durable_) + merging_cost_;
  const bool full = reserved + cost + LogHead::slack() > wal_free_bytes_;
  if (sometimes(full, Mark::configuration_waits_for_room)) return;  // When there is room again.
  number_configuration(next, at);
}

void VolumeMachine::number_configuration(const Configuration& next, Moment at) {
  const auto before = configurations_.current();
  const auto lsn = log_->number_configure(next, cut_blocks(before, next), at.wall);
  configurations_.begin(lsn, next);
  history_.configured(next.mode);
  take_rules();
  refuse_beyond_end();
  sometimes(next.size_bytes < before.size_bytes, Mark::shrink_cuts_blocks);
  effects_.push_back(Log{Event(Level::info, "configuration_numbered")
                             .with("from", before.size_bytes)
                             .with("to", next.size_bytes)
                             .with("mode", to_string(next.mode))
                             .with("min_copies", next.min_copies)
                             .with("lsn", lsn)});
}

/// By the rules that are recorded: those that are wanted cannot be met yet.
Configuration VolumeMachine::size_alone(const Configuration& wanted) const {
  auto next = assignment_.spec.configuration();
  next.size_bytes = wanted.size_bytes;
  return next;
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
    const bool behind =
        engine::committed(in) < committed_ || answerable(in, committed_) < answerable_;
    if (sometimes(behind, Mark::rules_not_met_yet)) return false;
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
    sometimes(Mark::shrank_under_merging_write);
    const auto error = beyond_end(change.request);
    refuse(change.client, change.request.cookie, error.code, error.text);
    change.done = true;
  }
}

void VolumeMachine::tell_configured(const Configuration& in_force, Moment at) {
  if (!assignment_.wanted) return;
  const bool told = told_version_ == assignment_.version && at.now - told_at_ < tell_again_after;
  if (told) return;
  told_version_ = assignment_.version;
  told_at_ = at.now;
  effects_.push_back(
      TellConfigured{Configured{assignment_.spec.id, assignment_.epoch, assignment_.version,
                                in_force, configurations_.last().first}});
}

}  // namespace tidemark::engine
