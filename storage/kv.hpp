// The catalog as a seam: a small ordered map from string to string whose batches are atomic
// and synced. RocksDB in daemons, a model in the simulator. Everything fits in memory, so
// reads are synchronous.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/result.hpp"

namespace tidemark::storage {

struct KvBatch {
  /// Key and value; no value removes the key.
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;

  void put(std::string key, std::string value) {
    changes.emplace_back(std::move(key), std::move(value));
  }
  void remove(std::string key) { changes.emplace_back(std::move(key), std::nullopt); }
};

class Kv {
 public:
  using OnStatus = std::function<void(engine::Status)>;

  virtual ~Kv() = default;
  /// What the last completed commit left.
  virtual std::optional<std::string> get(const std::string& key) const = 0;
  /// All (key, value) whose key begins with `prefix`, ordered by key.
  virtual std::vector<std::pair<std::string, std::string>> scan(
      const std::string& prefix) const = 0;
  /// Applies all of the batch or nothing, durably; `done` runs on the loop, in the order of the
  /// calls. After an error every later commit fails too (no auto-resume).
  virtual void commit(KvBatch batch, OnStatus done) = 0;
};

}  // namespace tidemark::storage
