// The commands on the directory of a stopped node: verify, wal, superblock and fork.
#pragma once

#include <functional>

#include "apps/cli/common.hpp"

namespace tidemark::cli {

/// Adds them to `app`; the one that was typed becomes `action`, which returns the exit code.
void directory_commands(CLI::App& app, Common& common, std::function<int()>& action);

}  // namespace tidemark::cli
