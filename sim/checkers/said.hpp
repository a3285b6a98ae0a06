// What an actor is about to be told, as a judge asks for it.
#pragma once

#include <typeinfo>

#include "sim/scheduler.hpp"

namespace tidemark::sim {

/// The step's message if it is one T and nothing else; null if not. Judges ask so several times a step: one program has one
/// description of each type, so its address is enough.
template <class T>
const T* said(const Step& step) {
  static_assert(caf::type_nr<T>::value == 0, "CAF's own types have numbers, and no description");
  return step.type == &typeid(T) ? &step.content.get_as<T>(0) : nullptr;
}

}  // namespace tidemark::sim
