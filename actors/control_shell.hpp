// The control actor's inside: links of nodes, the queue of effects, operators' requests.
// Private to control_*.cpp.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/environment.hpp"
#include "actors/interfaces.hpp"
#include "actors/link_turns.hpp"
#include "engine/control/control_plane.hpp"
#include "engine/event_page.hpp"
#include "engine/scrub_round.hpp"

namespace tidemark::actors {

using ControlSelf =
    Control::extend<caf::reacts_to<ControlLinkSaid>, caf::reacts_to<ControlLinkEnded>,
                    caf::reacts_to<CatalogCommitted>, caf::reacts_to<BeatDue>,
                    caf::reacts_to<WaitOver>, caf::reacts_to<ChoiceDue>,
                    caf::reacts_to<AskTimedOut>>;

using AdminAnswer = std::function<void(engine::AdminReply)>;

inline constexpr std::size_t admin_requests_max =
    256;  ///< Forwarded or waiting at once; more are told to retry.
/// Links of nodes, and some that have not registered yet; one more pushes out the oldest of those.
inline constexpr std::size_t control_links_max = engine::control::nodes_max + 16;
inline constexpr std::uint64_t register_wait_max = 3 * engine::second;
inline constexpr std::uint64_t admin_wait_max =
    30 * engine::second;  ///< A command waits for its effect.
inline constexpr std::uint64_t admin_serving_max =
    10 * engine::second;  ///< ... and then for the volume to serve.
inline constexpr std::uint64_t admin_look_again = 100 * engine::millisecond;
inline constexpr std::uint64_t admin_ask_max =
    2 * engine::second;  ///< A node answers about itself.

/// What of a volume's copies is to be compared.
struct CompareWish {
  bool repair = false;         ///< Copies that the log contradicts are told so.
  bool logs = true;            ///< The retained logs are read again as well.
  engine::BlockRange range{};  ///< Empty: all.
};

class ControlShell {
 public:
  ControlShell(ControlSelf me, EnvironmentPtr env);
  ~ControlShell();

  /// Loads the catalog; without a readable one it takes no links and says why.
  void start();
  void stop();

  void linked(transport::Incoming incoming);
  void said(std::uint64_t key, engine::Message message);
  void timed_out(std::uint64_t ask);
  void ended(std::uint64_t key, const std::string& reason);
  void committed(const engine::Status& status);
  void beat();
  void look_again() { look_at_waiting(); }
  void choose();
  void admin(engine::AdminAsk ask, AdminAnswer answer);

  /// Compares copies; one comparison of a volume at a time, else the answer is 409.
  void compare(const engine::control::VolumeRecord& record, CompareWish wish, AdminAnswer answer);
  /// Reads all copies and compares them, in the background; goes on after a restart.
  void start_scrub(const engine::control::VolumeRecord& record, std::uint64_t rate);
  void stop_scrub(const engine::VolumeId& volume);
  /// Nothing where none was asked for.
  const engine::RoundStatus* scrub_status(const engine::VolumeId& volume) const;

  /// Asks a node something about itself; an unreachable or silent one is answered for with a 503.
  void ask_node(const std::string& node, engine::AdminAsk ask, std::uint64_t budget,
                AdminAnswer answer);

 private:
  struct Peer {
    transport::LinkPtr link;
    std::shared_ptr<transport::LinkEvents> relay;
    engine::NodeId node;  ///< Of its Hello: it registers as that and as nothing else.
    engine::Incarnation incarnation;
    engine::MonoTime since;
    engine::MonoTime heard;
  };
  struct Forwarded {
    AdminAnswer answer;
    std::uint64_t link = 0;
    std::string node;
    engine::TimerId timer = 0;
  };
  /// A command that is answered when what it asked for has happened.
  struct Waiting {
    engine::VolumeId volume;
    engine::MonoTime deadline;
    std::function<bool()> done;  ///< Looked at whenever something moved.
    std::function<void(bool in_time)> finish;
  };

  engine::control::Moment moment();
  void run(engine::control::Effects effects);
  void drain();
  void perform(engine::control::Persist& effect);
  void perform(engine::control::Send& effect);
  void perform(engine::control::Drop& effect);
  void perform(engine::control::Report& effect);
  void registers(std::uint64_t key, const engine::Register& m);
  void make_room();
  void refuse(std::uint64_t key, engine::RefusalCode code, const std::string& why);
  void forget(std::uint64_t key);
  void look_at_waiting();
  void load_scrubs();
  void save_scrub(const engine::VolumeId& volume, const engine::ScrubRound& round);
  void move_scrubs();
  void ask_scrubs(const engine::control::VolumeRecord& record);
  void compare_piece(const engine::control::VolumeRecord& record, engine::ComparePiece piece,
                     std::uint64_t round);
  void piece_compared(const engine::VolumeId& volume, std::uint64_t round,
                      const engine::AdminReply& reply);
  void round_moved(const engine::control::VolumeRecord& record, const engine::ScrubRound& round);
  void scrub_over(const engine::control::VolumeRecord& record, const engine::RoundStatus& status);
  void note_event(const engine::VolumeId& volume, const engine::Event& event);
  void arm_beat(std::uint64_t delay);
  void wake_in(std::uint64_t delay);
  void arm_choice();
  void reply(std::uint64_t key, engine::AdminReply reply);
  void finish(std::uint64_t ask, engine::AdminReply reply);

  friend struct ControlAdmin;  // One operator's request: control_admin.cpp, control_status.cpp,
                               // control_compare.cpp, control_events.cpp.

  ControlSelf me_;
  EnvironmentPtr env_;
  engine::control::ControlPlane plane_;
  std::string problem_;  ///< Why nothing is decided any more; empty: all is well.
  std::map<std::uint64_t, Peer> peers_;
  std::uint64_t next_key_ = 1;
  std::deque<engine::control::Effect> queue_;  ///< Behind a Persist that is being committed.
  bool committing_ = false;
  std::map<std::uint64_t, Forwarded> forwarded_;
  std::uint64_t next_ask_ = 1;
  std::uint64_t beats_ = 0;
  std::vector<Waiting> waiting_;
  std::map<engine::VolumeId, engine::RecoveryLog> logs_;
  std::set<engine::VolumeId> comparing_;  ///< One comparison of a volume at a time.
  std::map<engine::VolumeId, engine::ScrubRound> scrubs_;
  engine::TimerId beat_timer_ = 0;
  engine::TimerId choice_timer_ = 0;
  engine::MonoTime choice_due_;  ///< What choice_timer_ is armed for.
};

}  // namespace tidemark::actors
