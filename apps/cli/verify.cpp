#include "apps/cli/verify.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>

#include "apps/cli/client.hpp"
#include "apps/cli/directory.hpp"
#include "apps/cli/render.hpp"
#include "apps/descriptor_limit.hpp"
#include "engine/catalog_codec.hpp"
#include "engine/node_roles.hpp"
#include "engine/units.hpp"
#include "storage/rocks_kv.hpp"

namespace tidemark::cli {

namespace json = boost::json;
using storage::Finding;

namespace {

/// One line that is rewritten on a terminal; elsewhere a line every few seconds.
class ProgressLine {
 public:
  explicit ProgressLine(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) != 0) {}
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const std::string& what, const storage::Checked& checked) {
    const auto now = std::chrono::steady_clock::now();
    if (quiet_ || now - shown_ < (terminal_ ? std::chrono::milliseconds(100) : every)) return;
    shown_ = now;
    fmt::print(stderr, "{}{}: {} checked{}", terminal_ ? "\r\x1b[K" : "", what,
               engine::format_size(checked.bytes), terminal_ ? "" : "\n");
    dirty_ = terminal_;
  }
  void clear() {
    if (dirty_) fmt::print(stderr, "\r\x1b[K");
    dirty_ = false;
  }

 private:
  static constexpr std::chrono::milliseconds every{5000};
  bool quiet_;
  bool terminal_;
  bool dirty_ = false;
  std::chrono::steady_clock::time_point shown_ = std::chrono::steady_clock::now();
};

json::object to_json(const Finding& f) {
  json::object o{{"file", f.file}};
  if (f.offset) o["offset"] = *f.offset;
  if (f.lsn) o["lsn"] = f.lsn->value;
  if (f.block) o["block"] = f.block->value;
  o["what"] = f.what;
  return o;
}

json::object to_json(const storage::ReplicaVerdict& v) {
  json::object o{{"directory", v.directory}};
  if (v.superblock) {
    const auto& b = *v.superblock;
    o["volume"] = b.spec.name;
    o["replica"] = b.replica.value;
    o["base"] = engine::to_string(b.base);
    o["checkpoint"] = b.checkpoint.value;
    o["retained"] = v.retained.value;
    o["end"] = v.end.value;
  }
  const auto& c = v.checked;
  o["segments"] = c.segments;
  o["batches"] = c.batches;
  o["records"] = c.records;
  o["log_blocks"] = c.log_blocks;
  o["extent_files"] = c.extent_files;
  o["blocks"] = c.blocks;
  o["bytes"] = c.bytes;
  o["findings"] = v.count(false);
  return o;
}

std::string outcome(std::uint64_t findings) {
  if (findings == 0) return "sound";
  return fmt::format("{} finding{}", findings, findings == 1 ? "" : "s");
}

std::string summary(const storage::ReplicaVerdict& v) {
  const auto findings = v.count(false);
  const auto name =
      v.superblock ? fmt::format("{} (replica {})", v.superblock->spec.name, v.superblock->replica)
                   : v.directory;
  const auto& c = v.checked;
  std::string log = "nothing of the log is known";
  if (v.superblock) {
    log = fmt::format("log from lsn {} to {}, checkpoint {}", v.retained, v.end,
                      v.superblock->checkpoint);
  }
  return fmt::format(
      "{}: {}; {} segments, {} batches, {} records with {} blocks; extents: {} files, {} blocks; "
      "{} checked; {}\n",
      name, log, c.segments, c.batches, c.records, c.log_blocks, c.extent_files, c.blocks,
      engine::format_size(c.bytes), outcome(findings));
}

/// One run of `tidemark verify`.
class Verify {
 public:
  Verify(const NodeDirectory& node, bool as_json)
      : node_(node), json_(as_json), progress_(as_json) {}

  int run() {
    read_catalog();
    for (const auto& path : node_.replicas) check(path);
    if (!node_.one_replica) miss();
    return conclude();
  }

 private:
  void found(const Finding& f) {
    (f.information ? information_ : findings_).push_back(to_json(f));
    if (json_) return;
    progress_.clear();
    fmt::print("{}: {}\n", f.information ? "info" : "FOUND", printable(to_string(f)));
  }
  void wrong(const std::string& file, const std::string& what) {
    found({false, file, {}, {}, {}, what});
  }

  void read_catalog() {
    const auto path = node_.path + "/catalog";
    const auto catalog = storage::read_catalog(path);
    catalog_read_ = catalog.has_value();
    if (!catalog) return wrong(path, catalog.error().text);
    const auto pinned = catalog->find(daemon::identity_key);
    const auto ours = daemon::identity_text(node_.identity);
    const auto theirs = pinned == catalog->end() ? "nothing" : pinned->second;
    if (theirs != ours) {
      wrong(path, fmt::format("identity.json says {}, the catalog says {}; one of them belongs to "
                              "another node",
                              ours, theirs));
    }
    for (const auto& [key, value] : *catalog) {
      if (!key.starts_with(engine::roles::local_prefix)) continue;
      const auto readable = engine::check_catalog_format(key, value);
      auto local = engine::decode_local_volume(value);
      if (!local) {
        wrong(path, readable ? fmt::format("the value of {} makes no sense", key)
                             : readable.error().text);
      } else {
        auto directory = node_.path + "/" + local->directory;
        known_.emplace(std::move(directory), std::move(*local));
      }
    }
  }

  void check(const std::string& path) {
    std::optional<storage::ExpectedReplica> expected;
    const auto known = known_.find(path);
    if (known != known_.end()) {
      const auto& local = known->second;
      expected = {node_.identity.cluster, local.assignment.spec, local.replica};
      if (!local.damage.empty())
        wrong(path, "the catalog has withdrawn the copy's vote: " + local.damage);
    } else if (catalog_read_) {
      wrong(path, "the catalog does not know it: no daemon opens it");
    }
    const auto verdict = disk_.run(
        storage::verify_replica(disk_, disk_, path, expected,
                                {[this](const Finding& f) { found(f); },
                                 [this](const std::string& what, const storage::Checked& checked) {
                                   progress_.show(what, checked);
                                 }}));
    progress_.clear();
    replicas_.push_back(to_json(verdict));
    summaries_ += printable_lines(summary(verdict));
  }

  /// What the catalog knows and is not there.
  void miss() {
    for (const auto& [path, local] : known_) {
      const bool there =
          std::find(node_.replicas.begin(), node_.replicas.end(), path) != node_.replicas.end();
      if (there) continue;
      if (local.created) {
        wrong(path, fmt::format("the copy of volume {} is missing", local.assignment.spec.name));
      } else {
        found({true, path, {}, {}, {}, "not made yet: the daemon makes it at its next start"});
      }
    }
  }

  int conclude() {
    const bool sound = findings_.empty();
    if (json_) {
      fmt::print("{}\n", json::serialize(
                             json::object{{"directory", node_.path},
                                          {"node", node_.identity.node.name},
                                          {"cluster", engine::to_string(node_.identity.cluster)},
                                          {"sound", sound},
                                          {"findings", findings_},
                                          {"information", information_},
                                          {"replicas", replicas_}}));
    } else {
      fmt::print("{}{}, {} {} checked: {}\n", summaries_, node_.identity.node.name,
                 replicas_.size(), replicas_.size() == 1 ? "copy" : "copies",
                 outcome(findings_.size()));
    }
    return sound ? ok : failed;
  }

  static std::string printable_lines(std::string line) {
    line.pop_back();
    return printable(line) + "\n";
  }

  const NodeDirectory& node_;
  bool json_;
  ProgressLine progress_;
  storage::ReadOnlyDisk disk_;
  bool catalog_read_ = false;
  std::map<std::string, engine::LocalVolume> known_;  ///< By path.
  json::array findings_, information_, replicas_;
  std::string summaries_;
};

}  // namespace

int verify(const std::string& directory, bool as_json) {
  raise_descriptor_limit();
  const auto node = open_directory(directory);
  if (!node) return cannot(as_json, node.error());
  return Verify(*node, as_json).run();
}

}  // namespace tidemark::cli
