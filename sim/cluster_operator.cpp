// An operator of the simulated cluster chooses its volume's primary, has a lost copy replaced, and all scrubbed.
#include <fmt/format.h>

#include "sim/cluster.hpp"

namespace tidemark::sim {

using engine::millisecond;
using engine::second;

bool Cluster::promote_soon(std::uint32_t n) {
  for (int attempt = 0; attempt < 40 && !failed(); ++attempt) {
    if (promote(n)) return true;
    run_for(500 * millisecond);
  }
  return false;
}

bool Cluster::promote(std::uint32_t n, bool force) {
  const auto body =
      fmt::format("{{\"node\":\"{}\"{}}}", nodes_[n]->name(), force ? ",\"force\":true" : "");
  const auto reply = admin("POST", fmt::format("/v1/volumes/{}/promote", volume), body);
  if (reply.status != 200) {
    world_.trace.note(now(), fmt::format("promote answers {}: {}", reply.status, reply.body));
    return false;
  }
  return run_until([&] { return serving() == n; }, 10 * second);
}

bool Cluster::replace(std::uint32_t n) {
  const auto path = fmt::format("/v1/volumes/{}/replicas", volume);
  const auto body = fmt::format("{{\"action\":\"replace\",\"node\":\"{}\"}}", nodes_[n]->name());
  const auto readmit = fmt::format("/v1/nodes/{}/readmit", nodes_[n]->name());
  // As an operator would: the control plane may be away, or has not seen the new node yet.
  for (int attempt = 0; attempt < 80 && !failed(); ++attempt) {
    if (attempt == 0 || world_.random.chance(1, 4)) admin("POST", readmit, "{}");
    const auto reply = admin("POST", path, body);
    if (reply.status == 200 || reply.status == 202) {
      // Too early, while the old node still seemed to be there, the new copy is that one's: the new node then still
      // asks to be let in.
      run_for(500 * millisecond);
      if (admin("GET", "/v1/nodes").body.find("\"stranger\":\"") == std::string::npos) return true;
    }
    world_.trace.note(now(), fmt::format("replace answers {}: {}", reply.status, reply.body));
    // This operator adds none elsewhere: then fewer must do.
    if (reply.body.find(fmt::format("min_copies is {}", options_.copies)) != std::string::npos)
      admin("POST", fmt::format("/v1/volumes/{}/configure", volume),
            fmt::format("{{\"min_copies\":{}}}", options_.copies - 1));
    run_for(250 * millisecond);
  }
  return false;
}

bool Cluster::begin_scrub(std::uint64_t bytes_per_second) {
  const auto path = fmt::format("/v1/volumes/{}/scrub", volume);
  const auto start = fmt::format("{{\"action\":\"start\",\"rate\":{}}}", bytes_per_second);
  admin("POST", path, "{\"action\":\"stop\"}");
  const auto reply = admin("POST", path, start);
  if (reply.status == 200) return true;
  world_.trace.note(now(), fmt::format("scrub answers {}: {}", reply.status, reply.body));
  return false;
}

bool Cluster::scrub_ended() {
  const auto path = fmt::format("/v1/volumes/{}/scrub", volume);
  for (int look = 0; look < 600 && !failed(); ++look) {
    const auto body = admin("POST", path, "{}").body;
    const auto round = body.find("\"round\":{");
    if (round != std::string::npos &&
        body.find("\"state\":\"finished\"", round) != std::string::npos)
      return true;
    run_for(500 * millisecond);
  }
  return false;
}

}  // namespace tidemark::sim
