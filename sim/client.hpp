// A client of the volume: one connection at a time, requests in flight, reconnecting to whichever
// node is primary. It writes stamped blocks, tells the History what it asked and what it was
// answered, and has every read judged.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/front.hpp"
#include "sim/checkers/answers.hpp"
#include "sim/checkers/history.hpp"
#include "sim/checkers/judges.hpp"
#include "sim/checkers/registers.hpp"
#include "sim/events.hpp"
#include "sim/random.hpp"
#include "sim/trace.hpp"

namespace tidemark::sim {

/// One request as the workload thinks of it; cells are 512 bytes.
struct Ask {
  engine::FrontOp op = engine::FrontOp::read;
  CellRange cells;
  bool fua = false;
  bool no_hole = false;
};

/// A process that serves the volume, as a client finds it.
struct Door {
  std::uint32_t node = 0;
  std::uint32_t life = 0;
  std::unique_ptr<engine::FrontPort> port;
};

/// What the clients of one volume share.
struct ClientWorld {
  Events& events;
  Trace& trace;
  History& history;
  Registers& registers;
  Answers& answers;
  Judges& judges;
  std::uint64_t volume_tag = 0;
  std::string volume;
  /// Opens the volume at a node that is up, in reach of clients and serves it.
  std::function<engine::Result<Door>(std::uint32_t node, std::weak_ptr<engine::FrontClient>)> open;
  std::function<void(std::string cls, std::string text)> fail;
  std::uint32_t nodes = 3;
  /// Errors of reads are to be expected: rot was injected.
  bool read_errors_excused = false;
};

/// How many of what were asked and answered, over all clients.
struct Counts {
  std::map<std::string, std::uint64_t> asked;
  std::uint64_t answered = 0;
  std::uint64_t errors = 0;
  std::uint64_t unknown = 0;  ///< In flight when their connection ended.
  std::uint64_t connections = 0;
  std::uint64_t cuts = 0;
};

class Client final : public engine::FrontClient, public std::enable_shared_from_this<Client> {
 public:
  /// Called with the outcome of one request: no error, or its text.
  /// Not called when the connection ended first.
  using OnAnswer = std::function<void(const std::optional<engine::Error>&)>;

  Client(ClientWorld& world, Counts& counts, std::uint64_t id, Random random);

  /// Connects, and again whenever the connection ends.
  void start();
  /// No more requests; those in flight end by themselves.
  void stop() { stopped_ = true; }
  /// None until resume(): what is in flight ends by itself.
  void pause() { paused_ = true; }
  void resume();
  bool connected() const { return port_ != nullptr; }
  std::uint32_t node() const { return node_; }
  std::uint64_t connections() const { return connection_; }
  std::size_t in_flight() const { return pending_.size(); }
  /// Since when it waits for its oldest answer, or for a node that serves it.
  std::optional<engine::MonoTime> waiting_since() const;
  std::uint64_t answered() const { return answered_; }

  /// Sends one request. False when there is no connection.
  bool ask(const Ask& ask, OnAnswer done = nullptr);
  /// The process or the way to it is gone.
  void connection_lost(const std::string& why);
  /// The process that it is connected to died.
  void server_died();
  /// Who draws the next request; null: only ask() sends.
  std::function<std::optional<Ask>(Client&)> next;
  std::size_t depth = 1;        ///< Requests kept in flight.
  std::uint64_t think_max = 0;  ///< Longest pause between turns, nanoseconds.

  void on_replies(std::vector<engine::FrontReply> replies) override;
  void on_cut(const std::string& reason) override;

 private:
  struct Pending {
    Ask ask;
    OpId op = 0;
    engine::MonoTime began;
    OnAnswer done;
  };

  void connect_later(std::uint64_t delay);
  void connect();
  void turn_later();
  void turn();
  void received(std::uint64_t connection, const engine::FrontReply& reply);
  void note_answer(const engine::FrontReply& reply);
  void judge(const Pending& pending, const engine::FrontReply& reply);
  void judge_read(const Pending& pending, const engine::FrontReply& reply);
  engine::FrontRequest request(const Ask& ask, OpId op);
  /// Tells the judge since when the oldest request waits.
  void tell_waiting();

  ClientWorld& world_;
  Counts& counts_;
  std::uint64_t id_;
  Random random_;
  std::unique_ptr<engine::FrontPort> port_;
  std::uint32_t node_ = 0;
  Reign reign_ = 0;
  std::uint64_t connection_ = 0;  ///< Counts this client's connections.
  std::uint64_t last_cookie_ = 0;
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t answered_ = 0;
  engine::MonoTime unserved_since_{};  ///< Without a connection.
  bool connecting_ = false;
  bool turning_ = false;
  bool stopped_ = false;
  bool paused_ = false;
};

}  // namespace tidemark::sim
