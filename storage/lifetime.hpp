// Completions that outlive the one who asked are no-ops.
//
// An object that hands callbacks to a Disk or a timer may be destroyed while they are under way (a
// simulated crash destroys everything at once). It holds a Lifetime as its last member and wraps
// each callback: when the object is gone, the wrapped callback does nothing.
#pragma once

#include <memory>
#include <utility>

namespace tidemark::storage {

class Lifetime {
 public:
  Lifetime() : alive_(std::make_shared<char>()) {}
  Lifetime(const Lifetime&) = delete;
  Lifetime& operator=(const Lifetime&) = delete;

  template <class Function>
  auto guard(Function f) const {
    return [weak = std::weak_ptr<char>(alive_), f = std::move(f)](auto&&... args) mutable {
      if (!weak.expired()) f(std::forward<decltype(args)>(args)...);
    };
  }

 private:
  std::shared_ptr<char> alive_;
};

}  // namespace tidemark::storage
