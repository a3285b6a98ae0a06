// The replies of a node as people read them.
#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace tidemark::cli {

/// Words from the other side of a socket, fit for a terminal: what is not printable ASCII is
/// escaped.
std::string printable(std::string_view text);

std::string render_nodes(const boost::json::value& reply);
std::string render_volumes(const boost::json::value& reply);
/// One volume with its replicas.
std::string render_volume(const boost::json::value& reply);
/// The cluster: nodes, then volumes with their replicas.
std::string render_status(const boost::json::value& reply);
/// The sessions of a status that are not over, or whose replica can't be brought in line.
std::string render_sessions(const boost::json::value& reply);
std::string render_compare(const boost::json::value& reply);
std::string render_scrub(const boost::json::value& reply);

}  // namespace tidemark::cli
