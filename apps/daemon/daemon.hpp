// One node as a process: the seams made real, the actors spawned, the doors opened, in the order
// parse, bind, lock, bind the admin socket, bump, listen (an incarnation is spent only by a start that can go on).
#pragma once

#include "apps/daemon/config.hpp"
#include "apps/daemon/identity.hpp"

namespace tidemark::daemon {

/// Runs until SIGTERM or SIGINT: drains, flushes, marks a clean stop, returns 0. A second signal
/// ends the process at once. Returns 1 after printing why it could not start.
int run(const Config& config);

struct InitWish {
  std::string directory;
  std::string node;
  std::string token;  ///< Empty: this node hosts the control plane and mints the cluster.
  bool json = false;
};
/// Creates a data directory and prints the cluster's join token. Returns the exit code.
int init(const InitWish& wish);

}  // namespace tidemark::daemon
