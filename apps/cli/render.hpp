// The replies of a node as people read them.
#pragma once

#include <boost/json/value.hpp>

#include <string>

namespace tidemark::cli {

std::string render_nodes(const boost::json::value& reply);
std::string render_volumes(const boost::json::value& reply);
/// One volume with its replicas.
std::string render_volume(const boost::json::value& reply);
/// The cluster: nodes, then volumes with their replicas.
std::string render_status(const boost::json::value& reply);
std::string render_events(const boost::json::value& reply);
std::string render_compare(const boost::json::value& reply);

}  // namespace tidemark::cli
