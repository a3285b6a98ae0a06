#include "sim/checkers/errors.hpp"

#include <fmt/format.h>

#include <string_view>

namespace tidemark::sim {
namespace {

using engine::Errc;
using engine::FrontOp;

bool brings_bytes(FrontOp op) { return op == FrontOp::write || op == FrontOp::write_zeroes; }

enum class Asked : std::uint8_t {
  anything,
  bytes,     ///< Writes, be it of zeros.
  no_bytes,  ///< Trims among them: they are advice, as NBD has it.
  change,
  content,  ///< Reads, and changes of parts of blocks, which read the rest.
};

/// An error that a volume has for its clients.
struct Known {
  Errc code;
  std::string_view says;
  Asked asked;
  bool after_trouble;
  bool only_where_it_may_fail = false;
  bool only_where_rotten = false;
};
constexpr Known known_errors[] = {
    // Whether it does end there is the history's to judge.
    {Errc::no_space, "the volume ends at", Asked::bytes, false},
    {Errc::invalid, "the volume ends at", Asked::no_bytes, false},
    // Reads as well: those that would show what is not committed wait for it.
    {Errc::io_failed, "has too few copies, and is to fail then", Asked::anything, true, true},
    {Errc::no_space, "has no space left", Asked::change, true},
    {Errc::no_space, "has a full disk", Asked::change, true},
    {Errc::corrupt, "", Asked::content, false, false, true},
};

bool fits(Asked asked, FrontOp op) {
  switch (asked) {
    case Asked::anything:
      return true;
    case Asked::bytes:
      return brings_bytes(op);
    case Asked::no_bytes:
      return !brings_bytes(op);
    case Asked::change:
      return brings_bytes(op) || op == FrontOp::trim;
    case Asked::content:
      return op == FrontOp::read || brings_bytes(op);
  }
  return false;
}

}  // namespace

void Errors::told(std::uint32_t node, bool to_fail, engine::MonoTime now) {
  if (to_fail) {
    to_fail_.insert(node);
  } else if (to_fail_.erase(node) != 0) {
    changed_ = now;
  }
}

bool Errors::may_fail(engine::MonoTime now) const {
  return !to_fail_.empty() || (changed_ && now - *changed_ <= aftermath);
}

void Errors::refused(FrontOp op, const engine::Error& error, const World& world) {
  std::string why = "no such error is known";
  const bool reasoned = !error.text.empty() && !error.text.ends_with(": ");
  for (const auto& kind : known_errors) {
    if (kind.code != error.code || error.text.find(kind.says) == std::string::npos) continue;
    if (!fits(kind.asked, op)) {
      why = "it is none for this request";
    } else if (kind.only_where_it_may_fail && !world.may_fail) {
      why = "the volume is to wait then";
    } else if (kind.only_where_rotten && !world.rotten) {
      why = "nothing was damaged";
    } else if (kind.after_trouble && world.calm > recovery) {
      why = fmt::format("nothing was wrong for {} ms", world.calm / engine::millisecond);
    } else if (!reasoned) {
      why = "it gives no reason";
    } else {
      return;
    }
  }
  fail_("dishonest_error", fmt::format("{}: {} ({})", to_string(error.code), error.text, why));
}

}  // namespace tidemark::sim
