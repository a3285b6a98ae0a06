// The commands that look at recovery: what would be done, what happened, what is going on.
#pragma once

#include <boost/json/value.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "apps/cli/client.hpp"

namespace tidemark::cli {

/// `tidemark plan`.
std::string render_plan(const boost::json::value& reply);

struct EventWords {
  std::string volume;
  std::vector<std::string> since;  ///< N, of every source, or SOURCE:N.
  bool follow = false;
};
/// `tidemark events`: once, or on until interrupted; then each event is a line, with `json` an
/// object. Returns the exit code.
int events(const Client& client, const EventWords& words, bool json);

/// `tidemark status --watch`: the picture again each `interval` seconds, until interrupted.
int watch(const Client& client, double interval, bool json);

/// The lines of one reply of POST .../events: gaps first, then events.
std::vector<std::string> event_lines(const boost::json::value& reply, bool json);
/// The body that asks on behind `reply`; what it does not name stays as in `before`.
boost::json::object next_question(const boost::json::object& before,
                                  const boost::json::value& reply);

}  // namespace tidemark::cli
