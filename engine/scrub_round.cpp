#include "engine/scrub_round.hpp"

#include <algorithm>
#include <utility>

#include "engine/sometimes.hpp"

namespace tidemark::engine {

std::string_view to_string(RoundState state) {
  switch (state) {
    case RoundState::reading:
      return "reading";
    case RoundState::comparing:
      return "comparing";
    case RoundState::finished:
      return "finished";
  }
  return "unknown";
}

ScrubRound::ScrubRound(ScrubPlace place) {
  status_.number = place.round;
  status_.rate = place.rate;
  status_.next = place.next;
  status_.differences = place.damaged;
  if (place.next > BlockIndex()) status_.state = RoundState::comparing;
}

bool ScrubRound::ask_copies(MonoTime now) {
  if (status_.state != RoundState::reading || busy_ || now < due_) return false;
  busy_ = true;
  return true;
}

std::vector<std::string> ScrubRound::heard(const std::vector<CopyScrub>& copies, MonoTime now) {
  busy_ = false;
  due_ = now + round_ask_again;
  std::vector<std::string> begin;
  status_.waiting_for.clear();
  for (const auto& copy : copies) {
    const bool own = copy.round == status_.number;
    // One that could not go on, or that an operator stopped, has said so: it is not waited for.
    if (own && (copy.state == ScrubState::finished || copy.state == ScrubState::stopped))
      done_.insert(copy.node);
    if (done_.contains(copy.node)) continue;
    status_.waiting_for.push_back(copy.node);
    // What it did, or does, for another one says nothing of what rotted since this one began.
    if (copy.state && (!own || copy.state == ScrubState::idle)) begin.push_back(copy.node);
  }
  if (!status_.waiting_for.empty()) return begin;
  status_.state = RoundState::comparing;
  due_ = now;
  return begin;
}

std::optional<ComparePiece> ScrubRound::piece(std::uint64_t blocks, MonoTime now) {
  if (status_.state != RoundState::comparing || busy_ || now < due_) return std::nullopt;
  if (status_.next.value >= blocks) {  // It shrank.
    status_.state = RoundState::finished;
    return std::nullopt;
  }
  busy_ = true;
  const auto count = std::min(round_piece_blocks, blocks - status_.next.value);
  return ComparePiece{{status_.next, count}, status_.next == BlockIndex()};
}

bool ScrubRound::compared(const PieceCompared& found, std::uint64_t blocks, MonoTime now) {
  status_.waiting_for = found.complete ? std::vector<std::string>() : found.away;
  if (!found.complete) {
    sometimes(Mark::scrub_waits_for_copy);
    put_off(now);
    return false;
  }
  if (looks_ == 0) note(found);  // The same is said of a piece that is looked at again.
  busy_ = false;
  const bool repairing = found.wrong > 0 || !found.damaged.empty();
  if (repairing && ++looks_ < round_looks_max) {
    due_ = now + round_repair_wait;
    return false;
  }
  looks_ = 0;
  note_damage(found.damaged);  // What nobody could repair by now does not hold the rest up.
  const auto count = std::min(round_piece_blocks, blocks - std::min(blocks, status_.next.value));
  status_.next = status_.next + count;
  due_ = now + scrub_pause(count * block_bytes, status_.rate);
  if (status_.next.value >= blocks) status_.state = RoundState::finished;
  return true;
}

void ScrubRound::put_off(MonoTime now) {
  busy_ = false;
  due_ = now + round_compare_again;
}

void ScrubRound::note(const PieceCompared& found) {
  status_.differences += found.differences;
  status_.disproved += found.wrong;
  for (const auto block : found.undecided) {
    const bool known = std::find(status_.undecided.begin(), status_.undecided.end(), block) !=
                       status_.undecided.end();
    if (!known && status_.undecided.size() < round_undecided_max)
      status_.undecided.push_back(block);
  }
}

/// Neighbours are one range, with the cause of the first.
void ScrubRound::note_damage(const std::vector<DamagedCopy>& damaged) {
  for (const auto& copy : damaged) {
    const auto before =
        std::find_if(status_.damaged.begin(), status_.damaged.end(), [&](const auto& known) {
          return known.node == copy.node && known.range.end() == copy.range.first;
        });
    if (before != status_.damaged.end()) {
      before->range.count += copy.range.count;
    } else if (status_.damaged.size() < round_damaged_max) {
      status_.damaged.push_back(copy);
    }
  }
}

}  // namespace tidemark::engine
