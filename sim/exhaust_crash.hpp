// Every crash point of every small workload.
//
// A workload is a word of request letters; each request is sent when the one before it is answered. Its crash points
// are those behind the sending of its last request: what came before is the same, message for message, in the word
// without it. A point is a moment at which a crash leaves something else than a moment before: an operation of the
// victim's disk or catalog was submitted or took effect (write, sync, rename, create, unlink, punch, resize, commit), it
// sent something, or its client heard something. So each operation has a point before its effect and one behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/exhaust.hpp"
#include "sim/exhaust_stage.hpp"

namespace tidemark::sim {

/// All workloads of `requests` at most that differ: none begins with what changes nothing, flushes or reads twice in a
/// row, or is another one with the two blocks exchanged.
std::vector<std::string> workloads(std::uint64_t requests);

/// Whether it is one of them, of any length.
bool is_workload(std::string_view word);

PartResult every_crash(const ExhaustOptions& options);
std::optional<CaseFailure> play_crash_case(const std::string& id, bool verbose);

}  // namespace tidemark::sim
