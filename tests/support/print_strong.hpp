// Lets Boost.Test print the engine's strong types: `BOOST_TEST(lsn == Lsn(7))` says both numbers.
#pragma once

#include <ostream>

#include "engine/strong.hpp"

namespace tidemark::engine {

template <class Tag>
std::ostream& boost_test_print_type(std::ostream& out, const Position<Tag>& position) {
  return out << position.value;
}
template <class Tag>
std::ostream& boost_test_print_type(std::ostream& out, const Id<Tag>& id) {
  return out << id.value;
}

}  // namespace tidemark::engine
