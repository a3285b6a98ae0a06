// How many files a process may have open.
#pragma once

#include <sys/resource.h>

namespace tidemark {

/// Every log segment and every touched GiB of extents holds descriptors open; the soft limit is made
/// for programs that use select().
inline void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);  // With less, opening a file says so.
}

}  // namespace tidemark
