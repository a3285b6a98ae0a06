// The catalog in RocksDB. Small, synced batch by batch, held in memory as well, so that reads cost
// nothing; one worker thread does what blocks.
//
// After a failed write the database is dead until it is opened again: no automatic resume (a failed
// sync may leave bytes that come back), and a damaged record in the middle of its log refuses to
// open instead of being dropped silently. The same where a catalog that rotted was to be replaced by
// a new one and it is not known which of them a restart would find.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/result.hpp"
#include "storage/kv.hpp"

namespace rocksdb {
class Env;
}

namespace tidemark::storage {

class RocksKv final : public Kv {
 public:
  /// Runs a function on the loop; given by the owner, called from the worker thread.
  using Post = std::function<void(std::function<void()>)>;
  /// Two directories change their names in one step, durably when it is done.
  using Exchange = std::function<engine::Status(const std::string&, const std::string&)>;
  enum Mode { existing, create };

  /// Blocks (milliseconds). `existing` never creates: Errc::not_found when there is no database;
  /// `create` refuses one that is there. `files` is how the database comes to its files, and outlives it; null: by
  /// the operating system.
  static engine::Result<std::unique_ptr<RocksKv>> open(const std::string& directory, Mode mode,
                                                       Post post, Exchange exchange = nullptr,
                                                       rocksdb::Env* files = nullptr);
  /// Waits for commits under way; their completions are dropped.
  ~RocksKv() override;

  std::optional<std::string> get(const std::string& key) const override;
  std::vector<std::pair<std::string, std::string>> scan(const std::string& prefix) const override;
  void commit(KvBatch batch, OnStatus done) override;
  void check(OnCheck done) override;

 private:
  class Impl;
  explicit RocksKv(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

/// All of a catalog that nobody has open, without writing a byte. Blocks (milliseconds).
/// Errc::not_found: there is none; Errc::corrupt: it cannot be read.
engine::Result<std::map<std::string, std::string>> read_catalog(const std::string& directory);

}  // namespace tidemark::storage
