// Everything that a node's actors may touch of the world, as seams. One per node incarnation; the
// owner (a daemon's main, or the simulator) outlives the actors.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "engine/event.hpp"
#include "engine/timer.hpp"
#include "engine/types.hpp"
#include "storage/disk.hpp"
#include "storage/kv.hpp"
#include "transport/link.hpp"

namespace tidemark::actors {

/// Limits and delays, all configurable; the defaults are those of packaging/tidemark.toml.
struct Settings {
  std::uint64_t segment_bytes = 64ull << 20;          ///< One WAL segment = one chunk.
  std::uint64_t wal_retention_bytes = 1024ull << 20;  ///< Log kept per volume, at least 4 segments.
  std::uint64_t reserve_bytes = 64ull << 20;          ///< Kept free for catalog and superblocks.
  std::uint64_t extent_file_bytes = 1ull << 30;       ///< Size of one extent file.
  std::uint64_t memory_tail_bytes = 64ull << 20;      ///< Record payload kept in memory per volume.
  std::uint64_t uncommitted_bytes_max =
      64ull << 20;  ///< Numbered but uncommitted; beyond it requests wait.
  std::uint64_t sender_credit_bytes =
      16ull << 20;  ///< In flight to one replica; beyond it its sender reads the WAL.
  std::uint64_t leave_after_closed =
      100 * engine::millisecond;  ///< Connection gone -> leave the set.
  std::uint64_t leave_after_stalled =
      2 * engine::second;                   ///< No durable progress -> leave the set.
  std::uint64_t flush_bytes = 16ull << 20;  ///< Dirty payload that starts a flush to the extents.
  std::uint64_t flush_after = 1 * engine::second;      ///< Age that starts one.
  std::uint64_t retry_min = 10 * engine::millisecond;  ///< Back-off of links, and of dying senders.
  std::uint64_t retry_max = 1 * engine::second;
  std::uint32_t rebuild_lanes = 2;  ///< Copies rebuilt from this node at once; others wait.
  std::uint64_t rebuild_rate = 0;   ///< Bytes per second of all of them; 0: no cap.
  std::uint64_t disk_degraded_after =
      2 * engine::second;  ///< An operation of the disk takes so long: it is said to be stuck.
  std::uint64_t disk_eject_after = 30 * engine::second;  ///< So long: the replica gives itself up.
  std::uint64_t promise_wait =
      1 * engine::second;  ///< How long a promotion waits for reachable members.
};

struct Environment {
  engine::Clock& clock;
  engine::Timers& timers;
  engine::Rng& rng;
  storage::Disk& disk;
  storage::Kv& kv;
  transport::Network& network;
  engine::EventSink& events;
  Settings settings;
  engine::ClusterId cluster;
  engine::NodeId node;
  engine::Incarnation incarnation;
  std::string directory;         ///< Root of the node's data.
  engine::Endpoint replication;  ///< What others reach it by.
  engine::Endpoint nbd;
  engine::Endpoint control;  ///< Where the control plane's host listens; its own on that host.
  bool hosts_control;
  /// More lines for /metrics: what the seams counted. May be empty.
  std::function<std::string()> more_metrics;
};
using EnvironmentPtr = std::shared_ptr<Environment>;

}  // namespace tidemark::actors
