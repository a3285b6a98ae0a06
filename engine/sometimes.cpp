#include "engine/sometimes.hpp"

#ifdef TIDEMARK_PLANTED

namespace tidemark::engine {
namespace {

struct NamedMark {
  std::string_view name;
  std::string_view meaning;
};
constexpr std::array<NamedMark, static_cast<std::size_t>(Mark::count_)> named_marks = {{
#define TIDEMARK_MARK(name, meaning) {#name, meaning},
    TIDEMARK_MARKS(TIDEMARK_MARK)
#undef TIDEMARK_MARK
}};

std::array<std::uint64_t, named_marks.size()> times_reached{};

}  // namespace

void sometimes(Mark mark) { ++times_reached.at(static_cast<std::size_t>(mark)); }

bool sometimes(bool reached, Mark mark) {
  if (reached) sometimes(mark);
  return reached;
}

std::string_view to_string(Mark mark) {
  return named_marks.at(static_cast<std::size_t>(mark)).name;
}
std::string_view meaning(Mark mark) {
  return named_marks.at(static_cast<std::size_t>(mark)).meaning;
}

const std::array<std::uint64_t, named_marks.size()>& marks_reached() { return times_reached; }
void forget_marks() { times_reached.fill(0); }

}  // namespace tidemark::engine

#endif
