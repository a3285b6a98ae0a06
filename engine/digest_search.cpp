#include "engine/digest_search.hpp"

#include <algorithm>
#include <set>

#include "engine/sometimes.hpp"

namespace tidemark::engine {
namespace {

/// Up to digests_max places in [low, above): half of them nearer and nearer to the end, where logs
/// that are all right part, and half of them evenly.
std::vector<Lsn> places(std::uint64_t low, std::uint64_t above) {
  constexpr std::uint64_t half = digests_max / 2;
  std::set<Lsn> found;
  const auto room = above - low;
  for (std::uint64_t n = 0; n < half; ++n) {
    const auto back = n == 0 ? 0 : std::uint64_t{1} << (n - 1);
    if (back < room) found.insert(Lsn(above - 1 - back));
    found.insert(Lsn(low + (room / half) * n + (room % half) * n / half));
  }
  return {found.begin(), found.end()};
}

}  // namespace

DigestSearch::DigestSearch(Lsn common_point) : above_(common_point.value + 1) { begin_round(); }

void DigestSearch::begin_round() {
  ours_.clear();
  theirs_.clear();
  moved_ = false;
  if (low() < above_ && rounds_++ < digest_search_rounds_max) asking_ours_ = places(low(), above_);
}

void DigestSearch::ours(const std::vector<DigestAt>& points) {
  asking_ours_.clear();
  for (const auto& point : points) {
    if (point.lsn.value < above_) ours_.insert({point.lsn, point.digest});
  }
  if (!theirs_.empty()) return compare();
  for (const auto& [lsn, digest] : ours_) {
    if (asking_theirs_.size() < digests_max) asking_theirs_.push_back(lsn);
  }
}

void DigestSearch::theirs(const std::vector<DigestAt>& points) {
  asking_theirs_.clear();
  for (const auto& point : points) {
    if (point.lsn.value >= above_) continue;
    theirs_.insert({point.lsn, point.digest});
    // They went further down than we did: what do we have there?
    if (sometimes(!ours_.contains(point.lsn), Mark::digest_search_goes_lower)) {
      asking_ours_.push_back(point.lsn);
    }
  }
  if (asking_ours_.empty()) compare();
}

void DigestSearch::compare() {
  for (const auto& [lsn, theirs] : theirs_) {
    const auto found = ours_.find(lsn);
    if (found == ours_.end()) continue;
    const auto ours = found->second;
    if (ours != theirs) {
      unequal_ = Difference{lsn, ours, theirs};
      above_ = lsn.value;
      moved_ = true;
      break;  // What is above it differs too.
    }
    if (!equal_ || equal_->lsn < lsn) {
      equal_ = DigestAt{lsn, ours};
      moved_ = true;
    }
  }
  if (sometimes(moved_, Mark::digest_search_next_round)) begin_round();
}

}  // namespace tidemark::engine
