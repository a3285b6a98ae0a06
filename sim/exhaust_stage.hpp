// The world of the exhaustive tier: two nodes with a copy each, the control plane on a third, a quiet network, and delays
// so short that a case is over within milliseconds.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cluster.hpp"

namespace tidemark::sim {

/// The nodes that hold copies; the first is primary at the beginning.
inline constexpr std::uint32_t primary_node = 1;
inline constexpr std::uint32_t replica_node = 2;

/// What both copies are when a case begins.
enum class Company : std::uint8_t {
  pair,   ///< Both count.
  alone,  ///< The replica is down, and was left out of the set.
};
std::string_view to_string(Company company);

/// A cluster that is at rest and has something written; null: it did not get there, and `why` says why.
std::unique_ptr<Cluster> quiet_cluster(Company company, std::string& why);

/// What a crash leaves of what was in flight to a disk.
enum class Loss : std::uint8_t {
  lost,    ///< The process is killed, and nothing in flight lands.
  lands,   ///< It is killed, and all of it lands after its death.
  power,   ///< The machine loses power: what was not synced is kept, lost or torn.
  power2,  ///< The same, and chance decides otherwise.
};
bool is_power(Loss loss);
std::string_view to_string(Loss loss);
void crash(Cluster& cluster, std::uint32_t node, Loss loss);

/// How it goes on behind a crash.
enum class Sequel : std::uint8_t {
  back,  ///< All come back at once.
  heir,  ///< The other one takes the volume, or has it, and writes; then all come back.
};
std::string_view to_string(Sequel sequel);

/// The one that did not crash goes on, and writes what it can.
void other_goes_on(Cluster& cluster, std::uint32_t crashed);

enum class Judgement : std::uint8_t {
  once,   ///< Everything comes back, converges, is read and compared.
  twice,  ///< And once more behind a power loss of all.
};
/// What is wrong is the cluster's failure().
void judge_case(Cluster& cluster, Judgement judgement);

/// A request of a workload, by its letter: w and x write block 0 and block 1, o writes half of each, u writes block 0
/// with FUA, f flushes, t trims block 0, r reads both.
Ask request_of(char letter);
inline constexpr std::string_view request_letters = "wxouftr";

}  // namespace tidemark::sim
