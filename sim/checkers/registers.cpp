#include "sim/checkers/registers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tidemark::sim {
namespace {

using engine::MonoTime;

/// Cuts are writes of zeros that no client asked for: their numbers are none of a client's.
constexpr OpId first_cut = OpId{1} << 63;

bool within(const CellRange& cells, std::uint64_t index) {
  return index - cells.first < cells.count;  // Before the first one, it wraps around.
}

}  // namespace

Registers::Registers(std::uint64_t cells, std::uint64_t cells_max, bool may_lose, OnFailure fail)
    : cells_(static_cast<std::size_t>(cells_max)),
      size_(cells),
      next_size_(cells),
      may_lose_(may_lose),
      fail_(std::move(fail)) {}

void Registers::opened(Reign reign, MonoTime at) {
  if (reign < stretch_of_.size()) return;
  for (const auto op : std::exchange(unanswered_, {})) {
    const auto& cells = ops_.at(op).cells;
    for (std::uint64_t i = 0; i < cells.count; ++i) {
      cell(cells.first + i).value.write_given_up(op, at);
    }
  }
  if (std::exchange(lost_, false) || may_lose_) {
    ++stretch_;
    since_ = at;
  }
  stretch_of_.push_back(stretch_);
  // What is under way is done by this reign, if it was not done before.
  if (cut_ != 0) cut_begun(at);
}

void Registers::waits(std::uint64_t client, std::optional<MonoTime> since) {
  waiting_[client] = since.value_or(Register::never);
  oldest_ = Register::never;
  for (const auto& waiting : waiting_) oldest_ = std::min(oldest_, waiting.second);
}

/// The cell as the stretch has it.
Registers::Cell& Registers::cell(std::uint64_t index) {
  auto& c = cells_[static_cast<std::size_t>(index)];
  if (c.stretch != stretch_) c = {stretch_, Register(since_)};
  return c;
}

void Registers::judge(std::uint64_t index, const Register::Verdict& verdict) {
  if (verdict) fail_(verdict->cls, fmt::format("cell {}: {}", index, verdict->text));
}

void Registers::write_begun(OpId id, Reign reign, MonoTime at, CellRange cells, bool zeros) {
  ops_[id] = {stretch_of_.at(reign), cells};
  unanswered_.push_back(id);
  for (std::uint64_t i = 0; i < cells.count; ++i) {
    auto& c = cell(cells.first + i);
    c.value.write_begun(id, zeros, at);
    held_max_ = std::max(held_max_, c.value.held());
  }
}

void Registers::write_answered(OpId id, MonoTime at) {
  const auto& op = ops_.at(id);
  std::erase(unanswered_, id);
  if (op.stretch != stretch_) return;
  const auto from = std::min(at, oldest_);
  for (std::uint64_t i = 0; i < op.cells.count; ++i) {
    const auto index = op.cells.first + i;
    auto& c = cell(index);
    judge(index, c.value.write_answered(id, at));
    judge(index, c.value.settle(from));
  }
}

bool Registers::known(Cell& c, std::uint64_t index, OpId value) {
  if (value == 0 || c.value.holds(value)) return true;
  const auto found = ops_.find(value);
  if (found == ops_.end() || !within(found->second.cells, index)) {
    fail_("register_unwritten",
          fmt::format("cell {}: op {} was read, which never wrote it", index, value));
    return false;
  }
  if (found->second.stretch == stretch_) {
    fail_("register_over", fmt::format("cell {}: op {} was over when it was read", index, value));
    return false;
  }
  c.value.inherited(value, since_);
  return true;
}

void Registers::cell_read(Reign reign, MonoTime began, MonoTime ended, std::uint64_t index,
                          std::optional<OpId> value) {
  if (stretch_of_.at(reign) != stretch_) return;
  if (!value) {
    return fail_("register_corrupt", fmt::format("cell {}: nobody wrote this", index));
  }
  auto& c = cell(index);
  if (!known(c, index, *value)) return;
  judge(index, c.value.read(*value, began, ended));
  judge(index, c.value.settle(std::min(ended, oldest_)));
  held_max_ = std::max(held_max_, c.value.held());
}

void Registers::cut_begun(MonoTime at) {
  cut_ = first_cut + ++cuts_;
  write_begun(cut_, static_cast<Reign>(stretch_of_.size() - 1), at,
              {next_size_, size_ - next_size_}, true);
}

void Registers::resize_begun(MonoTime at, std::uint64_t cells) {
  next_size_ = cells;
  if (cells < size_) cut_begun(at);
}

void Registers::resize_ended(MonoTime at) {
  if (cut_ != 0) write_answered(std::exchange(cut_, 0), at);
  size_ = next_size_;
}

}  // namespace tidemark::sim
