#include "storage/touched_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/record/checksum.hpp"
#include "engine/sometimes.hpp"
#include "storage/bytes.hpp"

namespace tidemark::storage {

using engine::Done;
using engine::Errc;
using engine::Error;
using engine::Lsn;
using engine::Result;
using engine::Status;

namespace {

constexpr std::uint8_t touched_format = 1;
constexpr std::size_t touched_head_bytes = 62;

Error no_run(std::string_view how) {
  return Error{Errc::corrupt, fmt::format("value of a run of touched blocks: {}", how)};
}

std::uint64_t bytes_of(const std::vector<TouchedRun>& runs) {
  return std::accumulate(runs.begin(), runs.end(), std::uint64_t{0},
                         [](std::uint64_t n, const TouchedRun& r) { return n + r.value_bytes; });
}

}  // namespace

std::string encode_touched(const TouchedRun& run, const BlockSet& blocks) {
  ByteWriter fields;
  fields.put(touched_format);
  fields.put(run.level);
  fields.put(run.before.lsn.value);
  fields.put(run.before.digest);
  fields.put(run.last.lsn.value);
  fields.put(run.last.digest);
  fields.put(run.payload_bytes);
  ByteWriter crc;
  crc.put(engine::crc32c(fields.bytes()));
  const auto set = blocks.serialise();
  std::string value;
  for (const auto part : {crc.bytes(), fields.bytes(), std::span<const std::byte>(set)})
    value.append(reinterpret_cast<const char*>(part.data()), part.size());
  CHECK(value.size() == touched_head_bytes + set.size());
  return value;
}

Result<DecodedTouched> decode_touched(std::uint64_t volume_blocks, const std::string& value) {
  const auto bytes = std::as_bytes(std::span(value));
  if (bytes.size() < touched_head_bytes) return no_run("too short");
  ByteReader in(bytes);
  if (in.get<std::uint32_t>() != engine::crc32c(bytes.first(touched_head_bytes).subspan(4)))
    return no_run("it does not match its checksum");
  if (in.get<std::uint8_t>() != touched_format) return no_run("of another format");
  TouchedRun run;
  run.level = in.get<std::uint8_t>();
  run.before.lsn = Lsn(in.get<std::uint64_t>());
  run.before.digest = in.digest();
  run.last.lsn = Lsn(in.get<std::uint64_t>());
  run.last.digest = in.digest();
  run.payload_bytes = in.get<std::uint64_t>();
  run.value_bytes = value.size();
  if (run.before.lsn >= run.last.lsn || run.level > touched_level_max) return no_run("impossible");
  auto blocks = BlockSet::deserialise(volume_blocks, bytes.subspan(touched_head_bytes));
  if (!blocks) return blocks.error();
  return DecodedTouched{run, std::move(*blocks)};
}

TouchedIndex::TouchedIndex(Kv& kv, engine::EventSink& events, const engine::VolumeSpec& spec,
                           engine::ReplicaId replica, TouchedLimits limits)
    : kv_(kv),
      events_(events),
      volume_(spec.name),
      volume_blocks_(engine::volume_blocks_max),
      prefix_(fmt::format("touched/{}/{}/", engine::to_string(spec.id), replica)),
      limits_(limits) {}

std::string TouchedIndex::key(const TouchedRun& run) const {
  return fmt::format("{}{:016x}", prefix_, run.before.lsn.next().value);
}

void TouchedIndex::open(TouchedBoundary checkpoint) {
  runs_.clear();
  ahead_.clear();
  useless_.clear();
  begin_ = checkpoint;
  if (lost_) return;
  std::string problem;
  const auto drop = [&](std::string why) {
    for (const auto& run : runs_) useless_.push_back(key(run));
    runs_.clear();
    problem = std::move(why);
  };
  for (const auto& [name, value] : kv_.scan(prefix_)) {
    auto found = decode_touched(volume_blocks_, value);
    // Its records were not yet all in the extents: they are flushed, and added, again.
    const bool beyond = found && found->run.before.lsn >= checkpoint.lsn;
    if (engine::sometimes(beyond, engine::Mark::touched_run_beyond_checkpoint) || !found ||
        key(found->run) != name) {
      useless_.push_back(name);
      if (!beyond)
        drop(found ? fmt::format("{} has another key's value", name) : found.error().text);
      continue;
    }
    if (!runs_.empty() && runs_.back().last != found->run.before)
      drop(fmt::format("{} does not begin where the run before ends", name));
    runs_.push_back(found->run);
  }
  if (!runs_.empty() && runs_.back().last != checkpoint)
    drop(fmt::format("it does not end at the checkpoint, lsn {}", checkpoint.lsn));
  if (!runs_.empty()) begin_ = runs_.front().before;
  if (!problem.empty()) shortened(problem);
}

/// One for each touched_piece_bytes of the records, which end at `to`.
std::vector<DecodedTouched> TouchedIndex::pieces(
    TouchedBoundary to, const std::vector<engine::RecordPtr>& records) const {
  std::vector<DecodedTouched> all;
  const auto begin = [&](TouchedBoundary before) {
    all.push_back({TouchedRun{before, to, 0, 0, 0}, BlockSet(volume_blocks_)});
  };
  begin(checkpoint());
  for (const auto& record : records) {
    const auto& header = record->header();
    auto& [run, blocks] = all.back();
    blocks.add(header.range);
    run.payload_bytes += header.payload_bytes;
    if (run.payload_bytes < touched_piece_bytes || header.lsn >= to.lsn) continue;
    run.last = {header.lsn, header.digest};
    begin(run.last);
  }
  return all;
}

Task<Done> TouchedIndex::add(TouchedBoundary to, const std::vector<engine::RecordPtr>& records) {
  CHECK(checkpoint().lsn < to.lsn);
  Change change{{}, runs_, begin_};
  for (const auto& run : ahead_) change.batch.remove(key(run));
  for (const auto& useless : useless_) change.batch.remove(useless);
  ahead_ = {TouchedRun{checkpoint(), to, 0, 0, 0}};
  skipped_ = false;
  if (lost_) co_return Done{};
  auto added = pieces(to, records);
  merge_small(change);
  merge_levels(change);
  std::uint64_t bytes = 0;
  std::vector<TouchedRun> ahead;
  for (auto& [run, blocks] : added) {
    auto value = encode_touched(run, blocks);
    run.value_bytes = value.size();
    bytes += value.size();
    ahead.push_back(run);
    change.batch.put(key(run), std::move(value));
  }
  keep_within_bounds(change, bytes);
  auto committed = co_await commit(std::move(change.batch));
  if (!committed) co_return Done{};
  runs_ = std::move(change.runs);
  begin_ = change.begin;
  ahead_ = std::move(ahead);
  useless_.clear();
  co_return Done{};
}

Task<Done> TouchedIndex::skip(TouchedBoundary to) {
  if (!runs_.empty() || !ahead_.empty()) (void)co_await clear();
  ahead_ = {TouchedRun{checkpoint(), to, 0, 0, 0}};
  skipped_ = true;
  co_return Done{};
}

void TouchedIndex::recorded() {
  CHECK(!ahead_.empty());
  if (lost_ || std::exchange(skipped_, false)) {
    begin_ = ahead_.back().last;
  } else {
    runs_.insert(runs_.end(), ahead_.begin(), ahead_.end());
  }
  ahead_.clear();
}

Task<Done> TouchedIndex::clear() {
  KvBatch batch;
  for (const auto& [name, value] : kv_.scan(prefix_)) batch.remove(name);
  // What a failure leaves does not lead to the next checkpoint: open() sees it by the digests.
  if (!lost_ && !batch.changes.empty()) (void)co_await commit(std::move(batch));
  begin_ = checkpoint();
  runs_.clear();
  useless_.clear();
  ahead_.clear();
  co_return Done{};
}

std::optional<TouchedBoundary> TouchedIndex::boundary(Lsn at) const {
  if (at < begin_.lsn) return std::nullopt;
  auto found = begin_;
  for (const auto& run : runs_) {
    if (run.last.lsn <= at) found = run.last;
  }
  return found;
}

Result<BlockSet> TouchedIndex::since(Lsn after) {
  if (after < begin_.lsn) return not_covered(after);
  BlockSet all(volume_blocks_);
  // From the youngest on: what is behind a damaged one is still good.
  for (auto i = runs_.size(); i > 0 && runs_[i - 1].last.lsn > after; --i) {
    auto loaded = load(runs_[i - 1]);
    if (loaded) {
      all.merge(loaded->blocks);
      continue;
    }
    shortened(loaded.error().text);
    Change change{{}, runs_, begin_};
    drop_oldest(change, i);
    for (const auto& [name, gone] : change.batch.changes) useless_.push_back(name);
    runs_ = std::move(change.runs);
    begin_ = change.begin;
    return not_covered(after);
  }
  return all;
}

Error TouchedIndex::not_covered(Lsn after) const {
  return {Errc::out_of_window,
          fmt::format("blocks touched behind lsn {}: they are known from lsn {} on", after,
                      begin_.lsn)};
}

Result<DecodedTouched> TouchedIndex::load(const TouchedRun& run) const {
  const auto value = kv_.get(key(run));
  if (!value) return no_run("it is gone");
  auto found = decode_touched(volume_blocks_, *value);
  if (found && found->run != run) return no_run("it is another run's");
  return found;
}

Result<DecodedTouched> TouchedIndex::load(const Change& change, const TouchedRun& run) const {
  const auto merged = change.merged.find(key(run));
  if (merged != change.merged.end()) return merged->second;
  return load(run);
}

/// Of the two youngest. Both end at or below the recorded checkpoint: no crash takes them back.
void TouchedIndex::merge_small(Change& change) const {
  const auto n = change.runs.size();
  if (n < 2) return;
  const auto& older = change.runs[n - 2];
  const auto& younger = change.runs[n - 1];
  const bool small = older.payload_bytes + younger.payload_bytes <= touched_small_bytes;
  if (small && older.level == 0 && younger.level == 0) (void)merge(change, n - 2, 0);
}

void TouchedIndex::merge_levels(Change& change) const {
  for (std::uint8_t level = 0; level < touched_level_max; ++level) {
    const auto of_level = [level](const TouchedRun& run) { return run.level == level; };
    auto count = std::count_if(change.runs.begin(), change.runs.end(), of_level);
    for (; count > static_cast<std::ptrdiff_t>(touched_runs_per_level); count -= 2) {
      const auto oldest = std::find_if(change.runs.begin(), change.runs.end(), of_level);
      const auto at = static_cast<std::size_t>(oldest - change.runs.begin());
      if (!merge(change, at, static_cast<std::uint8_t>(level + 1))) return;
    }
  }
}

/// A run and the next become one of `level`; false when they remain as they are.
bool TouchedIndex::merge(Change& change, std::size_t older, std::uint8_t level) const {
  const auto first = change.runs[older];
  const auto second = change.runs[older + 1];
  if (first.value_bytes + second.value_bytes > limits_.merge_bytes) return false;
  auto a = load(change, first);
  auto b = load(change, second);
  if (!a || !b) {
    shortened(a ? b.error().text : a.error().text);
    drop_oldest(change, b ? older + 1 : older + 2);
    return false;
  }
  a->blocks.merge(b->blocks);
  TouchedRun both{first.before, second.last, level, first.payload_bytes + second.payload_bytes, 0};
  auto value = encode_touched(both, a->blocks);
  both.value_bytes = value.size();
  change.batch.remove(key(second));
  change.batch.put(key(both), std::move(value));
  change.merged.erase(key(second));
  change.merged.insert_or_assign(key(both), DecodedTouched{both, std::move(a->blocks)});
  const auto at = change.runs.begin() + static_cast<std::ptrdiff_t>(older);
  *at = both;
  change.runs.erase(at + 1);
  return true;
}

void TouchedIndex::keep_within_bounds(Change& change, std::uint64_t new_bytes) const {
  auto bytes = bytes_of(change.runs) + new_bytes;
  std::size_t count = 0;
  while (bytes > limits_.all_bytes && count < change.runs.size())
    bytes -= change.runs[count++].value_bytes;
  drop_oldest(change, count);
}

void TouchedIndex::drop_oldest(Change& change, std::size_t count) const {
  if (count == 0) return;
  for (std::size_t i = 0; i < count; ++i) change.batch.remove(key(change.runs[i]));
  change.begin = change.runs[count - 1].last;
  change.runs.erase(change.runs.begin(), change.runs.begin() + static_cast<std::ptrdiff_t>(count));
}

Task<Status> TouchedIndex::commit(KvBatch batch) {
  auto status = co_await callback<Status>(
      [this, &batch](auto done) { kv_.commit(std::move(batch), std::move(done)); });
  if (!status) give_up(status.error());
  co_return status;
}

void TouchedIndex::give_up(const Error& error) {
  engine::sometimes(engine::Mark::touched_index_lost);
  lost_ = true;
  begin_ = checkpoint();
  runs_.clear();
  events_.event(engine::Event(engine::Level::warning, "touched_index_lost")
                    .with("volume", volume_)
                    .with("problem", error.text));
}

void TouchedIndex::shortened(const std::string& problem) const {
  engine::sometimes(engine::Mark::touched_index_shortened);
  events_.event(engine::Event(engine::Level::warning, "touched_index_shortened")
                    .with("volume", volume_)
                    .with("problem", problem));
}

}  // namespace tidemark::storage
