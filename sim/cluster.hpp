// Three or four nodes, one volume and its clients, in one thread and virtual time: what the random runs and
// the named scenarios both drive. A scenario reads like the story it tells:
//
//   Cluster cluster({.seed = 7});
//   cluster.start();
//   cluster.write(3);                       // waits for the answer
//   cluster.kill(cluster.primary());
//   cluster.boot(0);
//   BOOST_TEST(cluster.read(3));            // judged by the history of what clients were answered
//   BOOST_TEST(cluster.settle());           // heals, converges, compares every copy
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/assignment.hpp"
#include "sim/checkers/answers.hpp"
#include "sim/checkers/bystanders.hpp"
#include "sim/checkers/history.hpp"
#include "sim/checkers/judges.hpp"
#include "sim/checkers/leaks.hpp"
#include "sim/checkers/logs.hpp"
#include "sim/checkers/registers.hpp"
#include "sim/client.hpp"
#include "sim/crash_points.hpp"
#include "sim/node.hpp"
#include "sim/snapshot.hpp"
#include "sim/volume_view.hpp"

namespace tidemark::sim {

struct ClusterOptions {
  std::uint64_t seed = 1;
  std::uint32_t nodes = 3;
  std::uint32_t copies = 3;
  std::uint32_t min_copies = 2;
  engine::Mode mode = engine::Mode::sync_all;
  engine::AckPolicy ack = engine::AckPolicy::received;
  engine::BelowMin below_min = engine::BelowMin::block;
  std::vector<std::uint32_t> hosts;  ///< Nodes that hold the copies; empty: the control plane says.
  std::uint64_t blocks = 256;
  std::uint64_t blocks_max = 512;  ///< No resize goes beyond.
  bool verbose = false;
  NetworkWeather weather{};
  std::function<void(actors::Settings&)> tune;  ///< Changes the small defaults of the simulator.
};

/// The first thing that went wrong.
struct Failure {
  std::string cls;  ///< One word per kind of breach, for counting.
  std::string text;
};

class Cluster {
 public:
  static constexpr const char* volume = "data";
  /// Part of each stamp, so that another volume's bytes are told from this one's.
  static constexpr std::uint64_t volume_tag = 7;
  /// Virtual time in which a healed cluster must be whole again.
  static constexpr std::uint64_t converge_max = 120 * engine::second;

  explicit Cluster(ClusterOptions options);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // --- the world
  /// Boots all nodes, creates the volume, waits until every copy is in the set. False: it failed.
  bool start();
  void boot(std::uint32_t node);
  void kill(std::uint32_t node, Kill how = Kill::process);
  /// Ends the process as a service manager does: its stores are stopped first, then it goes. False: that took
  /// too long, and it was killed.
  bool stop(std::uint32_t node);
  /// Stopped as by SIGSTOP, or by the host of a virtual machine: it handles nothing until it goes on, and then
  /// everything at once. heal() lets all go on.
  void pause(std::uint32_t node) { nodes_[node]->pause(*system_); }
  void go_on(std::uint32_t node) { nodes_[node]->go_on(*system_); }
  /// Kills it, if it is alive, and gives its disks the content of then.
  void roll_back(std::uint32_t node, const SimNode::Image& image);
  /// A second machine starts on a copy of a node's directory, under an address of its own. One at a time.
  void begin_twin(std::uint32_t node, const SimNode::Image& image);
  void end_twin();
  const SimNode* twin() const { return twin_.get(); }
  /// What `tidemark verify` finds wrong with the copies of a dead node; information does not count.
  std::vector<std::string> verify(std::uint32_t node);
  /// Dead or alive: its data is gone; it comes back with a new identity.
  void wipe(std::uint32_t node);
  /// Nothing passes between a node and all others, clients included.
  void isolate(std::uint32_t node);
  /// Nothing passes from one node to another.
  void block(std::uint32_t from, std::uint32_t to) { world_.net.block(from, to); }
  void cut(std::uint32_t a, std::uint32_t b) {
    judges_->progress.trouble(now());
    world_.net.cut(a, b);
  }
  /// Its clients stay; who connects anew finds another node, until heal().
  void admit_nobody_new(std::uint32_t node) { isolated_[node] = true; }
  /// Removes every block.
  void heal();
  bool alive(std::uint32_t node) const { return nodes_[node]->alive(); }
  /// Where a process is to end between two durable steps. Whose came there is dead before the next event.
  CrashPoints& crash_points() { return crash_points_; }
  /// What the control plane remembers, and the same put back: a host restored from a backup. The
  /// host must be down.
  std::map<std::string, std::string> control_records() const;
  void restore_control(const std::map<std::string, std::string>& records);
  /// The last assignment that a node heard.
  const std::optional<engine::Assignment>& heard(std::uint32_t node) const { return heard_[node]; }
  SimNode& node(std::uint32_t index) { return *nodes_[index]; }
  /// Files of the node's copies whose names end so.
  std::vector<InodePtr> files(std::uint32_t node, std::string_view ending) const;
  /// Content and checksums of the node's copies.
  Snapshot extents_now(std::uint32_t node) const;
  std::uint32_t size() const { return static_cast<std::uint32_t>(nodes_.size()); }
  /// Whether the node is one of those that hold the copies.
  bool hosts_a_copy(std::uint32_t node) const;

  // --- time
  engine::MonoTime now() const { return world_.events.now(); }
  void run_for(std::uint64_t nanoseconds);
  /// Runs until `done` holds or the time is over; whether it held.
  bool run_until(const std::function<bool()>& done, std::uint64_t nanoseconds_max = converge_max);

  // --- a client that waits for its answers
  bool write(std::uint64_t block, std::uint64_t blocks = 1, bool fua = false);
  bool write_cells(CellRange cells, bool fua = false);
  bool flush();
  /// True when it was answered and found right.
  bool read(std::uint64_t block, std::uint64_t blocks = 1);
  bool trim(std::uint64_t block, std::uint64_t blocks = 1);
  bool read_all();
  bool ask(const Ask& ask);
  /// Sends without waiting; `done` as in Client::ask.
  bool send(const Ask& ask, Client::OnAnswer done = nullptr);

  // --- operators
  engine::AdminReply admin(const std::string& method, const std::string& path,
                           const std::string& body = "", std::uint32_t at = 0);
  /// Asks without waiting.
  void admin_later(const std::string& method, const std::string& path, const std::string& body,
                   std::function<void(engine::AdminReply)> done, std::uint32_t at = 0);
  std::optional<VolumeView> view();
  /// The control plane hears the node's present process, at its present address.
  bool admitted(std::uint32_t node);
  /// The node that serves the volume now.
  std::optional<std::uint32_t> serving() const;
  /// Waits for somebody to serve; CHECKs that somebody does.
  std::uint32_t primary();
  /// `force`: though it may lack committed records.
  bool promote(std::uint32_t node, bool force = false);
  /// The same, again and again while it is refused.
  bool promote_soon(std::uint32_t node);
  /// Asks for another size; false: it was refused, or another one is under way. In force when the
  /// history says that nothing is under way any more.
  bool begin_resize(std::uint64_t blocks);
  /// The same, and waits for it.
  bool resize(std::uint64_t blocks);
  /// Asks for other rules, in place of what was asked for before; in force when nothing is wanted any more.
  /// Nothing for `min_copies`: the mode alone is named.
  void begin_configure(engine::Mode mode, std::optional<std::uint32_t> min_copies);
  bool configuring() const { return rules_wanted_.has_value(); }
  /// The same, and waits for it.
  bool configure(engine::Mode mode, std::uint32_t min_copies);
  /// Admits a wiped node and puts a new replica on it.
  bool replace(std::uint32_t node);
  /// A scrub in place of one that is under way; does not wait for its end. False: it was refused.
  bool begin_scrub(std::uint64_t bytes_per_second);
  /// Waits until it has been through all copies and compared them; false: five minutes were not enough.
  bool scrub_ended();

  // --- the judges
  /// Boots what is down, heals, and waits until every copy is in the set and follows.
  bool converge();
  /// converge(), then reads everything, from each copy in turn as primary.
  bool settle();
  /// Every copy holds the same at one LSN, by the cluster's own comparison, which may have to wait for another one.
  bool copies_equal();
  /// At rest: everything that the control plane ever said is heard again, and nothing moves.
  bool stale_control_changes_nothing();
  /// At rest: some load, broken connections, and rest again leave nothing behind that was not there before.
  bool nothing_leaks();
  /// A scrub has every block that rotted written as it was, or it was overwritten meanwhile.
  bool rot_is_mended();
  const Judges& judges() const { return *judges_; }
  bool failed() const { return failure_.has_value(); }
  const std::optional<Failure>& failure() const { return failure_; }
  void fail(std::string cls, std::string text);
  std::uint64_t trace() const { return world_.trace.hash(); }

  World& world() { return world_; }
  SimScheduler& scheduler() { return *scheduler_; }
  History& history() { return *history_; }
  const Registers& registers() const { return *registers_; }
  Logs& logs() { return *logs_; }
  Counts& counts() { return counts_; }
  std::shared_ptr<Client> add_client() { return add_client(world_.random.fork()); }
  /// One whose pauses come from `random`.
  std::shared_ptr<Client> add_client(Random random);
  const std::vector<std::shared_ptr<Client>>& clients() const { return clients_; }
  /// Clients cannot reach these nodes.
  bool unreachable(std::uint32_t node) const { return isolated_[node]; }
  const ClusterOptions& options() const { return options_; }
  bool rotten() const { return client_world_->read_errors_excused; }
  /// Set when the volume's copies may be damaged on purpose: errors of reads are excused.
  void rot_was_injected() {
    rotted_ = true;
    damaged_ = true;
    copy_lost_ = true;
    client_world_->read_errors_excused = true;
    logs_->rot_was_injected();
  }

  /// As Logs::log_proves.
  void log_proves(std::uint32_t node, engine::Lsn lsn) { logs_->log_proves(node, lsn); }

  /// What a disk said to have written is not there, on purpose: it may be found, and nothing else is excused.
  void writes_were_lost() { damaged_ = true; }
  /// Ever: what nobody has read since may be found when all else is healed.
  bool damaged_on_purpose() const { return damaged_; }

  /// Blocks of one copy are damaged on purpose: until all is healed there may be nobody to repair
  /// them, and errors of reads are excused. Wrong bytes never are.
  void blocks_rot() {
    blocks_rot_ = true;
    damaged_ = true;
    client_world_->read_errors_excused = true;
  }

 private:
  void ask_resize(std::uint64_t blocks);
  void ask_resize_again(std::uint64_t blocks, std::uint64_t number);
  void watch_resize(std::uint64_t blocks, std::uint64_t number, std::uint32_t at,
                    std::uint32_t life);
  struct Rules {
    engine::Mode mode = engine::Mode::sync_all;
    std::optional<std::uint32_t> min_copies;
    std::uint64_t number = 0;  ///< Of the wish.
  };
  void ask_configure(const Rules& rules);
  bool wants(const Rules& rules) const;
  bool step(engine::MonoTime limit);
  void end_struck();
  void hook_judges();
  /// Nothing is wrong now: all run, hear each other and write to disks that are sound.
  bool well() const;
  void look();
  Census census();
  Census census_at_rest() const;
  void look_at_rest(Leaks& leaks, void (Leaks::*at)(const Census&));
  void hears(std::uint32_t node, const engine::Assignment& assignment);
  void delivered(const Life& receiver, const engine::Message& message);
  engine::Result<Door> open(std::uint32_t node, std::weak_ptr<engine::FrontClient> client);

  ClusterOptions options_;
  World world_;
  std::optional<Failure> failure_;
  bool rotted_ = false;
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  SimScheduler* scheduler_ = nullptr;
  std::unique_ptr<History> history_;
  std::unique_ptr<Registers> registers_;
  std::unique_ptr<Logs> logs_;
  std::unique_ptr<Answers> answers_;
  std::unique_ptr<Judges> judges_;
  std::unique_ptr<ClientWorld> client_world_;
  Counts counts_;
  CrashPoints crash_points_;
  std::unique_ptr<Bystanders> bystanders_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::unique_ptr<SimNode> twin_;
  std::vector<bool> isolated_;
  std::vector<std::shared_ptr<Client>> clients_;
  std::shared_ptr<Client> teller_;  ///< The scenario's own client.
  caf::actor asker_;
  std::uint64_t resizes_asked_ = 0;    ///< Only the last one's answer counts.
  std::optional<Rules> rules_wanted_;  ///< Of an operator, and not known to be in force.
  std::uint64_t rules_asked_ = 0;
  std::vector<std::optional<engine::Assignment>> heard_;
  std::optional<engine::VolumeId> volume_id_;  ///< Once it was assigned to anybody.
  bool blocks_rot_ = false;
  bool damaged_ = false;
  bool copy_lost_ = false;    ///< On purpose, and none has been seen in its place.
  bool forced_ = false;       ///< An operator let committed records go.
  engine::Epoch last_epoch_;  ///< Of any assignment that was delivered.
};

}  // namespace tidemark::sim
