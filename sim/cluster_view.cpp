// A volume and its nodes as their status shows them.
#include <algorithm>
#include <boost/json.hpp>

#include "sim/cluster.hpp"

namespace tidemark::sim {

bool VolumeView::whole(std::size_t copies_wanted) const {
  if (!serving || pending || phase != "settled" || copies.size() != copies_wanted) return false;
  return std::all_of(copies.begin(), copies.end(), [&](const CopyView& c) {
    return c.in_set && (c.node == primary || (c.state == "streaming" && c.durable >= committed));
  });
}

bool VolumeView::alone() const { return mode == to_string(engine::Mode::best_effort); }

bool Cluster::admitted(std::uint32_t n) {
  if (!alive(n)) return false;
  const auto reply = admin("GET", "/v1/nodes");
  boost::json::error_code bad;
  const auto all = boost::json::parse(reply.body, bad);
  if (bad || reply.status != 200) return false;
  const auto& listed = all.at("nodes").as_array();
  return std::any_of(listed.begin(), listed.end(), [&](const auto& one) {
    return one.at("name").as_string() == nodes_[n]->name() && one.at("connected").as_bool() &&
           one.at("replication").as_string() == nodes_[n]->address() &&
           one.at("incarnation").template to_number<std::uint64_t>() ==
               nodes_[n]->incarnation().value;
  });
}

}  // namespace tidemark::sim
