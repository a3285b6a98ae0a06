// Whether enough copies have what is numbered, or come nearer to it. Counted is what their disks do,
// not who is connected: a copy whose disk is stuck is no use, one that catches up is.
#include <algorithm>
#include <functional>

#include "engine/in_sync.hpp"
#include "engine/quorum.hpp"

namespace tidemark::engine {

bool InSync::lacks_nothing(const Peer& peer, Lsn head) {
  return !is_away(peer.state) && peer.proved && !peer.full && peer.durable >= head;
}

MonoTime InSync::too_few_since(const LogNumbers& log, MonoTime now) {
  head_ = log.head;
  for (auto& peer : peers_) {
    if (lacks_nothing(peer, head_)) peer.well_at = now;
  }
  if (log.own_durable > own_durable_ || log.own_durable >= log.head) own_well_at_ = now;
  own_durable_ = log.own_durable;
  auto since = now;
  for (const auto mode : modes_) since = std::min(since, fewer_since(mode, now));
  return since;
}

/// When the last of so many as are needed was well. In sync_all the others can be left out, and one that
/// is outside can come in.
MonoTime InSync::fewer_since(Mode mode, MonoTime now) const {
  if (mode == Mode::best_effort) return now;
  const bool any = mode_ == Mode::sync_all;
  const auto needed = mode == Mode::sync_quorum
                          ? required_voters(recorded_.size(), min_copies_)
                          : std::min<std::size_t>(min_copies_, recorded_.size());
  std::vector<MonoTime> well{own_well_at_};
  for (const auto& peer : peers_) {
    const bool recorded = std::any_of(recorded_.begin(), recorded_.end(), [&](const SetMember& m) {
      return m.replica == peer.replica;
    });
    if ((any || recorded) && !left(peer.replica)) well.push_back(peer.well_at);
  }
  if (well.size() < needed) return MonoTime{};  // However well they are.
  std::sort(well.begin(), well.end(), std::greater<>());
  return well[needed - 1];
}

}  // namespace tidemark::engine
