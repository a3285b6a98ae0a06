#include "engine/repair.hpp"

#include <algorithm>

#include "engine/planted.hpp"
#include "engine/sometimes.hpp"

namespace tidemark::engine {
namespace {

BlockSum commonest(const std::vector<CopySays>& said) {
  const auto times = [&](BlockSum sum) {
    return std::count_if(said.begin(), said.end(), [sum](const auto& s) { return s.sum == sum; });
  };
  const auto most = std::max_element(said.begin(), said.end(), [&](const auto& a, const auto& b) {
    return times(a.sum) < times(b.sum);
  });
  return most == said.end() ? no_block : most->sum;
}

}  // namespace

std::string_view to_string(CopyState state) {
  switch (state) {
    case CopyState::data:
      return "data";
    case CopyState::hole:
      return "hole";
    case CopyState::damaged:
      return "damaged";
    case CopyState::not_yet:
      return "not_yet";
  }
  return "unknown";
}

CopyVerdict judge_copy(const BlockCopy& copy, BlockSum own, Lsn at, Lsn limit) {
  const bool same = copy.state == CopyState::data && copy.sum == own;
  if (sometimes(same, Mark::copy_is_the_same)) return CopyVerdict::same;
  const bool older = copy.checkpoint < at && !planted(Bug::repair_takes_older_block);
  if (sometimes(older, Mark::copy_is_older)) return CopyVerdict::older;
  if (sometimes(copy.flush_lsn > limit, Mark::copy_is_ahead)) return CopyVerdict::ahead;
  return CopyVerdict::newest;
}

std::optional<Disproof> disprove(const std::vector<CopySays>& said,
                                 const std::vector<LastWritten>& proofs) {
  const auto newest = std::max_element(proofs.begin(), proofs.end(),
                                       [](const auto& a, const auto& b) { return a.lsn < b.lsn; });
  if (newest == proofs.end()) return std::nullopt;
  Disproof disproof{*newest, {}};
  if (planted(Bug::most_copies_decide)) disproof.proof.sum = commonest(said);
  for (const auto& copy : said) {
    if (!copy.damaged && copy.sum != disproof.proof.sum) disproof.wrong.push_back(copy.node);
  }
  sometimes(!disproof.wrong.empty(), Mark::copies_disproved_by_log);
  return disproof;
}

}  // namespace tidemark::engine
