#include "sim/kv.hpp"

#include "engine/check.hpp"

namespace tidemark::sim {

std::optional<std::string> SimKv::get(const std::string& key) const {
  const auto found = image_.pairs.find(key);
  if (found == image_.pairs.end()) return std::nullopt;
  return found->second;
}

std::vector<std::pair<std::string, std::string>> SimKv::scan(const std::string& prefix) const {
  std::vector<std::pair<std::string, std::string>> out;
  for (auto it = image_.pairs.lower_bound(prefix);
       it != image_.pairs.end() && it->first.starts_with(prefix); ++it) {
    out.push_back(*it);
  }
  return out;
}

void SimKv::commit(storage::KvBatch batch, OnStatus done) {
  if (!life_->alive || ends(batch, StepMoment::before)) return;
  trace_.mix(std::string_view("kv"));
  for (const auto& [key, value] : batch.changes) {
    trace_.mix(std::string_view(key));
    trace_.mix(std::string_view(value ? *value : "removed"));
  }
  image_.effect("submit");
  pending_.emplace_back(std::move(batch), std::move(done));
  if (pending_.size() == 1) {
    events_.after(random_.between(80, 600) * 1000, life_, "kv", [this] { complete_next(); });
  }
}

void SimKv::check(OnCheck done) {
  if (!life_->alive) return;
  trace_.mix(std::string_view("kv check"));
  events_.after(random_.between(1, 20) * 1'000'000, life_, "kv", [this, done = std::move(done)] {
    if (failed_)
      return done(engine::Error{engine::Errc::io_failed, "check of the catalog: failed"});
    const bool rotten = std::exchange(image_.rotten, false);
    done(storage::KvCheck{65536, rotten ? "a block of a table does not match its checksum" : ""});
  });
}

void SimKv::complete_next() {
  auto [batch, done] = std::move(pending_.front());
  pending_.pop_front();
  if (!pending_.empty()) {
    events_.after(random_.between(80, 600) * 1000, life_, "kv", [this] { complete_next(); });
  }
  if (image_.fail_commits > 0) {
    --image_.fail_commits;
    failed_ = true;
  }
  if (failed_) {
    done(engine::Error{engine::Errc::io_failed, "commit to the catalog: input/output error"});
    return;
  }
  apply(image_, batch);
  image_.effect("commit");
  if (ends(batch, StepMoment::after)) return;
  done(engine::Done{});
}

bool SimKv::ends(const storage::KvBatch& batch, StepMoment moment) {
  if (!image_.ends_at || batch.changes.empty()) return false;
  if (!image_.ends_at(DurableStep::commit, batch.changes.front().first, moment)) return false;
  life_->alive = false;
  return true;
}

void SimKv::apply(KvImage& image, const storage::KvBatch& batch) {
  for (const auto& [key, value] : batch.changes) {
    if (value) {
      image.pairs[key] = *value;
    } else {
      image.pairs.erase(key);
    }
  }
}

void SimKv::process_ended() {
  CHECK(!life_->alive);
  auto landed = random_.below(pending_.size() + 1);
  for (const auto& [batch, done] : std::exchange(pending_, {})) {
    if (landed == 0 || failed_) break;
    --landed;
    apply(image_, batch);
  }
}

}  // namespace tidemark::sim
