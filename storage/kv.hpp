// The catalog as a seam: a small ordered map from string to string whose batches are atomic
// and synced. RocksDB in daemons, a model in the simulator. Everything fits in memory, so
// reads are synchronous.
#pragma once

#include <cstdint>
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

/// What reading the whole catalog from its disk again found.
struct KvCheck {
  std::uint64_t bytes = 0;
  std::string damage;  ///< What was not as it should be, and was written anew; empty: all was.
};

class Kv {
 public:
  using OnStatus = std::function<void(engine::Status)>;
  using OnCheck = std::function<void(engine::Result<KvCheck>)>;

  virtual ~Kv() = default;
  /// What the last completed commit left.
  virtual std::optional<std::string> get(const std::string& key) const = 0;
  /// All (key, value) whose key begins with `prefix`, ordered by key.
  virtual std::vector<std::pair<std::string, std::string>> scan(
      const std::string& prefix) const = 0;
  /// Applies all of the batch or nothing, durably; `done` runs on the loop, in the order of the
  /// calls. After an error every later commit fails too (no auto-resume).
  virtual void commit(KvBatch batch, OnStatus done) = 0;
  /// Reads all of it from the disk and holds it against what was committed; where that differs, or
  /// cannot be read, it is written anew from memory, durably. Commits wait meanwhile. An error: it is
  /// as it was, or it was about to be replaced: then every later commit fails too.
  virtual void check(OnCheck done) = 0;
};

}  // namespace tidemark::storage
