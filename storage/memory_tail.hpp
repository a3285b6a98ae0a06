// The newest records of the log, in memory: what is not durable yet,
// and behind it as much as the budget keeps.
//
//    first ......... durable | ......... end          only what is durable may be forgotten
#pragma once

#include <cstdint>
#include <deque>

#include "engine/record/record.hpp"

namespace tidemark::storage {

class MemoryTail {
 public:
  MemoryTail(engine::Lsn end, std::uint64_t bytes_max)
      : first_(end.next()), bytes_max_(bytes_max) {}

  void append(engine::RecordPtr record) {
    CHECK(record->lsn() == end().next());
    bytes_ += record->bytes();
    records_.push_back(std::move(record));
  }
  /// Nothing when `lsn` is older or newer than what is kept.
  engine::RecordPtr find(engine::Lsn lsn) const {
    if (lsn < first_ || lsn > end()) return {};
    return records_[lsn - first_];
  }
  /// Forgets the oldest durable records until the budget holds.
  void forget(engine::Lsn durable) {
    while (bytes_ > bytes_max_ && !records_.empty() && first_ <= durable) {
      bytes_ -= records_.front()->bytes();
      records_.pop_front();
      first_ = first_.next();
    }
  }
  /// Drops what lies behind `to`.
  void truncate(engine::Lsn to) {
    while (!records_.empty() && end() > to) {
      bytes_ -= records_.back()->bytes();
      records_.pop_back();
    }
    if (records_.empty()) first_ = to.next();
  }

  engine::Lsn first() const { return first_; }
  engine::Lsn end() const { return (first_ + records_.size()).previous(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::deque<engine::RecordPtr> records_;
  engine::Lsn first_;  ///< Of records_.front(); end + 1 when empty.
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_max_;
};

}  // namespace tidemark::storage
