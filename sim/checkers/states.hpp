// Holds what processes tell of their states against the tables of the design: a state is left for one that may follow
// it, from where its machine was, and a session is begun, completed and ended in this order and once.
//
// The machines CHECK their own tables (engine/sender.hpp, engine/receiver.hpp, engine/volume.hpp). These here are
// written down apart, so that an entry that is added there by mistake is missing here; and they hear of states that
// were left without a word.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "engine/event.hpp"
#include "sim/life.hpp"

namespace tidemark::sim {

class States {
 public:
  using OnFailure = std::function<void(std::string cls, std::string text)>;

  explicit States(OnFailure fail) : fail_(std::move(fail)) {}

  void happened(const Life& by, const engine::Event& event);

 private:
  /// A machine of a process, and which of them: a sender has its replica's.
  using Machine = std::tuple<std::uint32_t, std::string_view, std::string>;
  struct Table;

  void moved(const Life& by, const Table& table, const engine::Event& event);
  void session(const Life& by, const engine::Event& event);

  OnFailure fail_;
  std::map<Machine, std::string> states_;
  /// Of a process's sender, by replica: the session that runs, and whether it was completed.
  struct Session {
    std::string id;
    bool completed = false;
  };
  std::map<std::pair<std::uint32_t, std::string>, Session> sessions_;
};

}  // namespace tidemark::sim
