#include "transport/replication/greeting.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tidemark::transport {
namespace {

using namespace engine;

Refused refuse(RefusalCode code, std::string text) { return {code, std::move(text), Epoch{}}; }

bool versions_meet(const Hello& hello) {
  return hello.protocol_min <= protocol_version && protocol_version <= hello.protocol_max;
}

/// What a Hello of this purpose has to name and does not.
const char* missing(const Hello& hello) {
  if (!is_name(hello.node.name)) return "a node name";
  if (!hello.node.uuid) return "a node uuid";
  if (!hello.incarnation) return "an incarnation";
  if (hello.purpose == Purpose::control) return nullptr;
  if (!hello.volume) return "a volume";
  if (!hello.from || !hello.to) return "both replicas";
  if (!hello.epoch) return "an epoch";
  if (hello.purpose == Purpose::bulk && !hello.session) return "a session";
  return nullptr;
}

}  // namespace

std::optional<Refused> flaw_of(const Hello& hello, const ClusterId& cluster) {
  if (!versions_meet(hello)) {
    return refuse(RefusalCode::protocol,
                  fmt::format("hello offers protocol {} to {}, this node speaks {}",
                              hello.protocol_min, hello.protocol_max, protocol_version));
  }
  if (hello.cluster != cluster) {
    // Ours stays unsaid: whoever knows it is believed to be of this cluster.
    return refuse(RefusalCode::wrong_cluster,
                  fmt::format("hello is of cluster {}, this node belongs to another cluster",
                              to_string(hello.cluster)));
  }
  if (const char* what = missing(hello)) {
    return refuse(RefusalCode::protocol,
                  fmt::format("hello for {} does not name {}", to_string(hello.purpose), what));
  }
  return std::nullopt;
}

std::optional<Error> flaw_of(const HelloOk& answer, const Hello& hello) {
  if (answer.protocol < hello.protocol_min || answer.protocol > hello.protocol_max) {
    return Error{Errc::invalid,
                 fmt::format("the answer chose protocol {}, {} to {} was offered", answer.protocol,
                             hello.protocol_min, hello.protocol_max)};
  }
  if (!is_name(answer.node.name) || !answer.node.uuid || !answer.incarnation) {
    return Error{Errc::invalid, "the answer does not name its node, uuid and incarnation"};
  }
  return std::nullopt;
}

std::string printable(std::string_view text) {
  std::string clean(text);
  std::replace_if(
      clean.begin(), clean.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return clean;
}

}  // namespace tidemark::transport
