// One in-flight write per block (C9): who reads or writes blocks of the extents holds their range
// meanwhile. First come, first served; readers share.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <utility>
#include <vector>

#include "engine/types.hpp"
#include "storage/task.hpp"

namespace tidemark::storage {

class RangeGuard {
  struct Entry;

 public:
  enum class Use : std::uint8_t { read, write };

  /// Held until destroyed.
  class Hold {
   public:
    Hold(Hold&& o) noexcept : guard_(std::exchange(o.guard_, nullptr)), id_(o.id_) {}
    Hold& operator=(Hold&&) = delete;
    ~Hold() {
      if (guard_ != nullptr) guard_->release(id_);
    }

   private:
    friend class RangeGuard;
    Hold(RangeGuard* guard, std::uint64_t id) : guard_(guard), id_(id) {}
    RangeGuard* guard_;
    std::uint64_t id_;
  };

  Task<Hold> acquire(engine::BlockRange range, Use use) {
    const auto id = ++last_;
    entries_.push_back({id, range, use, false, {}});
    auto& entry = entries_.back();
    entry.held = may_hold(entry);
    if (!entry.held) {
      co_await callback<engine::Done>([&entry](auto done) { entry.wake = std::move(done); });
    }
    co_return Hold(this, id);
  }
  /// Holders and those who wait.
  std::size_t size() const { return entries_.size(); }
  /// Nobody is let in any more: for the owner's destructor,
  /// where frames that hold or wait go in any order.
  void close() { closed_ = true; }

 private:
  struct Entry {
    std::uint64_t id;
    engine::BlockRange range;
    Use use;
    bool held;
    std::function<void(engine::Done)> wake;
  };

  bool may_hold(const Entry& entry) const {
    for (const auto& before : entries_) {
      if (&before == &entry) return true;
      const bool both_read = before.use == Use::read && entry.use == Use::read;
      if (!both_read && before.range.overlaps(entry.range)) return false;
    }
    return true;
  }

  void release(std::uint64_t id) {
    entries_.remove_if([id](const Entry& e) { return e.id == id; });
    if (closed_) return;
    std::vector<std::function<void(engine::Done)>> woken;
    for (auto& entry : entries_) {
      if (entry.held || !may_hold(entry)) continue;
      entry.held = true;
      woken.push_back(std::move(entry.wake));
    }
    for (auto& wake : woken) wake(engine::Done{});
  }

  std::list<Entry> entries_;
  std::uint64_t last_ = 0;
  bool closed_ = false;
};

}  // namespace tidemark::storage
