// storage::Kv for one life of a node: an ordered map whose batches are applied whole, in
// order, after a while. What was not completed when the process died landed as a prefix of
// what was submitted.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/crash_points.hpp"
#include "sim/events.hpp"
#include "sim/life.hpp"
#include "sim/trace.hpp"
#include "storage/kv.hpp"

namespace tidemark::sim {

/// What survives processes and power losses: batches are synced.
struct KvImage {
  std::map<std::string, std::string> pairs;
  std::uint64_t fail_commits = 0;  ///< So many next batches end with an error.
  bool rotten = false;             ///< What is on the disk; memory is right until the process ends.
  EndsAt ends_at;                  ///< As of a disk.
  /// Told of each batch as it is submitted and as it takes effect; null: nobody.
  std::function<void(const char* kind)> on_effect;
  void effect(const char* kind) const {
    if (on_effect) on_effect(kind);
  }
};

class SimKv final : public storage::Kv {
 public:
  SimKv(Events& events, Trace& trace, Random random, KvImage& image, LifePtr life)
      : events_(events), trace_(trace), random_(random), image_(image), life_(std::move(life)) {}

  std::optional<std::string> get(const std::string& key) const override;
  std::vector<std::pair<std::string, std::string>> scan(const std::string& prefix) const override;
  void commit(storage::KvBatch batch, OnStatus done) override;
  void check(OnCheck done) override;

  /// Call once, after life->alive became false.
  void process_ended();

 private:
  void complete_next();
  /// As SimDisk::ends.
  bool ends(const storage::KvBatch& batch, StepMoment moment);
  static void apply(KvImage& image, const storage::KvBatch& batch);

  Events& events_;
  Trace& trace_;
  Random random_;
  KvImage& image_;
  LifePtr life_;
  std::deque<std::pair<storage::KvBatch, OnStatus>> pending_;
  bool failed_ = false;
};

}  // namespace tidemark::sim
