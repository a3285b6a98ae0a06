// The catalog in memory: batches complete one by one among the operations of the disk, and a crash in
// between leaves a prefix of those under way.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/kv.hpp"
#include "tests/storage/memory_disk.hpp"

namespace tidemark::tests {

class MemoryKv final : public storage::Kv {
 public:
  /// Runs a function in its turn, unless a crash comes first.
  using Later = std::function<void(std::function<void()>)>;
  explicit MemoryKv(Later later) : later_(std::move(later)) {}

  std::optional<std::string> get(const std::string& key) const override {
    const auto found = pairs.find(key);
    if (found == pairs.end()) return std::nullopt;
    return found->second;
  }
  std::vector<std::pair<std::string, std::string>> scan(const std::string& prefix) const override {
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& pair : pairs) {
      if (pair.first.starts_with(prefix)) found.push_back(pair);
    }
    return found;
  }
  void commit(storage::KvBatch batch, OnStatus done) override {
    under_way_.push_back(std::move(batch));
    later_([this, done = std::move(done)] {
      auto next = std::move(under_way_.front());
      under_way_.pop_front();
      if (failing) {
        return done(engine::Error{engine::Errc::io_failed, "commit to the catalog: no luck"});
      }
      apply(next);
      done(engine::Done{});
    });
  }

  void check(OnCheck done) override {
    later_([this, done = std::move(done)] {
      done(storage::KvCheck{4096, std::exchange(rot, "")});
    });
  }

  void crash(Dice& dice) {
    for (auto landed = dice.below(under_way_.size() + 1); landed > 0 && !failing; --landed) {
      apply(under_way_.front());
      under_way_.pop_front();
    }
    under_way_.clear();
  }

  std::map<std::string, std::string> pairs;
  bool failing = false;  ///< Every commit from now on.
  std::string rot;       ///< What the next check finds.
  std::uint64_t commits = 0;

 private:
  void apply(const storage::KvBatch& batch) {
    ++commits;
    for (const auto& [key, value] : batch.changes) {
      if (value) {
        pairs[key] = *value;
      } else {
        pairs.erase(key);
      }
    }
  }

  Later later_;
  std::deque<storage::KvBatch> under_way_;
};

}  // namespace tidemark::tests
