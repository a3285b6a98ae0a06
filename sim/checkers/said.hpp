// What an actor is about to be told, as a judge asks for it.
#pragma once

#include "sim/scheduler.hpp"

namespace tidemark::sim {

/// The step's message if it is one T and nothing else; null if not.
template <class T>
const T* said(const Step& step) {
  const auto& content = step.content;
  return content.size() == 1 && content.match_element<T>(0) ? &content.get_as<T>(0) : nullptr;
}

}  // namespace tidemark::sim
