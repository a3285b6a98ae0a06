#include "actors/metrics.hpp"

#include <functional>
#include <iterator>
#include <string_view>
#include <utility>

namespace tidemark::actors {
namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string sample(std::string_view name, const Labels& labels, std::uint64_t value) {
  std::string list;
  for (const auto& [key, text] : labels) {
    list += fmt::format("{}{}=\"{}\"", list.empty() ? "" : ",", key, escaped(text));
  }
  return fmt::format("{}{{{}}} {}\n", name, list, value);
}

enum class Kind { gauge, counter };

/// A metric: its help once, then a sample for everything that has it.
template <class From>
struct Metric {
  std::string_view name;
  Kind kind;
  std::string_view help;
  std::uint64_t (*value)(const From&);
};

std::string head(std::string_view name, Kind kind, std::string_view help) {
  return fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                     kind == Kind::gauge ? "gauge" : "counter");
}

using engine::PeerState;
using engine::PeerStatus;
using engine::StoreStatus;
using engine::VolumeStatus;

constexpr Metric<StoreStatus> of_store[] = {
    {"tidemark_store_end_lsn", Kind::gauge, "Last record of the log.",
     [](const auto& s) { return s.end.value; }},
    {"tidemark_store_durable_lsn", Kind::gauge, "Last durable record.",
     [](const auto& s) { return s.durable.value; }},
    {"tidemark_store_committed_lsn", Kind::gauge, "Last record known committed here.",
     [](const auto& s) { return s.committed.value; }},
    {"tidemark_store_checkpoint_lsn", Kind::gauge, "Last record in the extents.",
     [](const auto& s) { return s.checkpoint.value; }},
    {"tidemark_store_retained_lsn", Kind::gauge, "Oldest record that can be read.",
     [](const auto& s) { return s.retained.value; }},
    {"tidemark_store_healthy", Kind::gauge, "1 while nothing is wrong with the store.",
     [](const auto& s) {
       return std::uint64_t{s.problem.empty() && s.base == engine::BaseState::complete};
     }},
    {"tidemark_store_wal_bytes", Kind::gauge, "Log segments on disk.",
     [](const auto& s) { return s.wal_bytes; }},
    {"tidemark_store_wal_free_bytes", Kind::gauge, "What the log can still take.",
     [](const auto& s) { return s.wal_free_bytes; }},
    {"tidemark_store_dirty_blocks", Kind::gauge, "Blocks in the log but not in the extents.",
     [](const auto& s) { return s.dirty_blocks; }},
    {"tidemark_store_memory_bytes", Kind::gauge, "Record payload kept in memory.",
     [](const auto& s) { return s.memory_bytes; }},
    {"tidemark_store_wal_written_bytes_total", Kind::counter, "Bytes written to the log.",
     [](const auto& s) { return s.wal_bytes_written; }},
    {"tidemark_store_extent_written_bytes_total", Kind::counter, "Bytes written to the extents.",
     [](const auto& s) { return s.extent_bytes_written; }},
    {"tidemark_store_group_commits_total", Kind::counter, "Synced writes to the log.",
     [](const auto& s) { return s.wal_writes; }},
    {"tidemark_store_flushes_total", Kind::counter, "Checkpoints of the extents.",
     [](const auto& s) { return s.flushes; }},
    {"tidemark_store_damaged_blocks", Kind::gauge, "Blocks whose content is not what was written.",
     [](const auto& s) { return s.damaged_blocks; }},
    {"tidemark_store_unrepairable_blocks", Kind::gauge,
     "Damaged blocks that no copy could help with.",
     [](const auto& s) { return s.unrepairable_blocks; }},
    {"tidemark_store_damage_found_total", Kind::counter, "Damaged blocks that were found.",
     [](const auto& s) { return s.damage_found; }},
    {"tidemark_store_blocks_repaired_total", Kind::counter, "Blocks taken from another copy.",
     [](const auto& s) { return s.blocks_repaired; }},
    {"tidemark_store_scrub_read_bytes_total", Kind::counter, "Bytes read by scrubs.",
     [](const auto& s) { return s.scrub.read_bytes; }},
};

constexpr Metric<VolumeStatus> of_volume[] = {
    {"tidemark_volume_serving", Kind::gauge, "1 while this primary answers.",
     [](const auto& s) { return std::uint64_t{s.serving}; }},
    {"tidemark_volume_head_lsn", Kind::gauge, "Last numbered record.",
     [](const auto& s) { return s.head.value; }},
    {"tidemark_volume_committed_lsn", Kind::gauge, "Last committed record.",
     [](const auto& s) { return s.committed.value; }},
    {"tidemark_volume_in_sync_copies", Kind::gauge, "Size of the in-sync set.",
     [](const auto& s) { return std::uint64_t{s.assignment.in_sync.size()}; }},
    {"tidemark_volume_waiting_requests", Kind::gauge, "Requests that are not answered yet.",
     [](const auto& s) { return s.waiting_requests; }},
    {"tidemark_volume_stall_max_milliseconds", Kind::gauge,
     "Longest wait of a request for its commit.",
     [](const auto& s) { return s.stall_milliseconds_max; }},
    {"tidemark_volume_reads_total", Kind::counter, "Read requests.",
     [](const auto& s) { return s.reads; }},
    {"tidemark_volume_writes_total", Kind::counter, "Write requests.",
     [](const auto& s) { return s.writes; }},
    {"tidemark_volume_flushes_total", Kind::counter, "Flush requests.",
     [](const auto& s) { return s.flushes; }},
    {"tidemark_volume_trims_total", Kind::counter, "Trim requests.",
     [](const auto& s) { return s.trims; }},
    {"tidemark_volume_read_bytes_total", Kind::counter, "Bytes read.",
     [](const auto& s) { return s.read_bytes; }},
    {"tidemark_volume_written_bytes_total", Kind::counter, "Bytes written.",
     [](const auto& s) { return s.written_bytes; }},
};

constexpr Metric<PeerStatus> of_peer[] = {
    {"tidemark_peer_streaming", Kind::gauge, "1 while the replica is in line.",
     [](const auto& s) { return std::uint64_t{s.state == PeerState::streaming}; }},
    {"tidemark_peer_in_set", Kind::gauge, "1 while the replica counts.",
     [](const auto& s) { return std::uint64_t{s.in_set}; }},
    {"tidemark_peer_lag_records", Kind::gauge, "Records that the replica lacks.",
     [](const auto& s) { return s.lag_lsns; }},
    {"tidemark_peer_lag_bytes", Kind::gauge, "Bytes that the replica lacks.",
     [](const auto& s) { return s.lag_bytes; }},
    {"tidemark_peer_lag_milliseconds", Kind::gauge,
     "Age of the oldest record that the replica lacks.",
     [](const auto& s) { return s.lag_milliseconds; }},
    {"tidemark_peer_session_bytes", Kind::gauge,
     "Sent in the current or last session, frames included.",
     [](const auto& s) { return s.session_bytes; }},
    {"tidemark_peer_session_base_blocks", Kind::gauge,
     "Base blocks sent in the current or last session.",
     [](const auto& s) { return s.session_base_blocks; }},
    {"tidemark_peer_session_milliseconds", Kind::gauge,
     "How long the current or last session has run or took.",
     [](const auto& s) { return s.session_milliseconds; }},
    {"tidemark_peer_session_rate_bytes_per_second", Kind::gauge,
     "Sent in the session that runs, over the last seconds.",
     [](const auto& s) { return s.session_rate; }},
    {"tidemark_peer_pins", Kind::gauge, "Pins that the session holds.",
     [](const auto& s) { return std::uint64_t{s.pins.size()}; }},
    {"tidemark_peer_failed_sessions", Kind::gauge,
     "Sessions of one kind that failed in a row and got nowhere.",
     [](const auto& s) { return std::uint64_t{s.failed_in_a_row}; }},
    {"tidemark_recovery_escalations_total", Kind::counter,
     "How often recovery was found to fail again and again.",
     [](const auto& s) { return s.counts.escalations; }},
    {"tidemark_recovery_sent_bytes_total", Kind::counter,
     "Sent in sessions that are over, frames included.",
     [](const auto& s) { return s.counts.bytes; }},
    {"tidemark_recovery_base_blocks_total", Kind::counter,
     "Base blocks sent in sessions that are over.",
     [](const auto& s) { return s.counts.base_blocks; }},
    {"tidemark_recovery_milliseconds_total", Kind::counter,
     "Time that sessions took that are over.", [](const auto& s) { return s.counts.milliseconds; }},
};

using engine::RecoveryCounts;
constexpr std::string_view session_kinds[] = {"handshake", "catch_up", "rebuild"};
constexpr std::string_view session_results[] = {"completed", "failed", "superseded"};
static_assert(std::size(session_kinds) == RecoveryCounts::kinds);
static_assert(std::size(session_results) == RecoveryCounts::results);

/// One sample for each kind and result of a peer's sessions.
std::string session_samples(const Labels& peer, const RecoveryCounts& counts) {
  std::string text;
  for (std::size_t kind = 0; kind < RecoveryCounts::kinds; ++kind) {
    for (std::size_t result = 0; result < RecoveryCounts::results; ++result) {
      auto labels = peer;
      labels.emplace_back("kind", std::string(session_kinds[kind]));
      labels.emplace_back("result", std::string(session_results[result]));
      text += sample("tidemark_recovery_sessions_total", labels, counts.sessions[kind][result]);
    }
  }
  return text;
}

}  // namespace

std::string metrics_text(const engine::NodeId& node, engine::Incarnation incarnation,
                         bool registered, const std::vector<LocalView>& volumes) {
  std::string text =
      head("tidemark_node_incarnation", Kind::gauge, "How often the node was started.");
  text += sample("tidemark_node_incarnation", {{"node", node.name}}, incarnation.value);
  text +=
      head("tidemark_node_registered", Kind::gauge, "1 while the control plane knows the node.");
  text += sample("tidemark_node_registered", {{"node", node.name}}, registered ? 1 : 0);
  const auto labels = [&](const LocalView& v) {
    return Labels{{"node", node.name}, {"volume", v.local.assignment.spec.name}};
  };
  for (const auto& metric : of_store) {
    text += head(metric.name, metric.kind, metric.help);
    for (const auto& v : volumes) {
      if (v.store) text += sample(metric.name, labels(v), metric.value(*v.store));
    }
  }
  for (const auto& metric : of_volume) {
    text += head(metric.name, metric.kind, metric.help);
    for (const auto& v : volumes) {
      if (v.volume) text += sample(metric.name, labels(v), metric.value(*v.volume));
    }
  }
  for (const auto& metric : of_peer) {
    text += head(metric.name, metric.kind, metric.help);
    for (const auto& v : volumes) {
      if (!v.volume) continue;
      for (const auto& peer : v.volume->peers) {
        auto with_peer = labels(v);
        with_peer.emplace_back("peer", peer.node.name);
        text += sample(metric.name, with_peer, metric.value(peer));
      }
    }
  }
  text += head("tidemark_recovery_sessions_total", Kind::counter,
               "Sessions that are over, by what they did and how they ended.");
  for (const auto& v : volumes) {
    if (!v.volume) continue;
    for (const auto& peer : v.volume->peers) {
      auto with_peer = labels(v);
      with_peer.emplace_back("peer", peer.node.name);
      text += session_samples(with_peer, peer.counts);
    }
  }
  return text;
}

}  // namespace tidemark::actors
