// What goes wrong in a run. A fault is begun, lasts, and is repaired; the destroying ones
// (a wiped disk, rotten bytes) wait until every copy is whole, because only then the rest
// can carry the volume.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/cluster.hpp"
#include "sim/fault.hpp"
#include "sim/random.hpp"

namespace tidemark::sim {

class Faults {
 public:
  /// Whatever a fault leaves open is drawn from `random`.
  Faults(Cluster& cluster, Random random) : cluster_(cluster), random_(random) {}

  /// From here on drawn from another source.
  void draw_from(Random random) { random_ = random; }
  /// Does it and repairs it; the clients go on meanwhile. Takes virtual time.
  void inject(Fault fault);
  /// An operator gives the volume another size, if no other one is under way. Takes no time.
  void resize_anywhere();
  /// The same for mode and min_copies, in place of what was wanted before.
  void reconfigure_anyhow();
  /// Lets the clients send at full speed for a while, whatever they are ahead of.
  std::function<void()> make_busy;
  /// Lets them write what a log keeps and more, to a part of the volume.
  std::function<void()> flood;

  /// Damages a batch of a log that later ones prove durable; false: there is none.
  bool rot_proved_log(std::uint32_t node);

  const std::map<std::string, std::uint64_t>& counts() const { return counts_; }
  std::uint64_t crashes_and_cuts() const { return crashes_; }

 private:
  void look();
  void happen(Fault fault);
  std::uint32_t any_node();
  std::uint32_t primary_or_any();
  /// A copy's node that is not the primary's.
  std::uint32_t replica_node();
  /// That can be replaced: the control plane's host cannot.
  bool whole_soon();
  std::uint64_t pause();
  Kill how();
  void kill_and_boot(std::uint32_t node);
  void kill_several(std::size_t count, bool power);
  void partition(bool one_way);
  void wipe();
  void rebuilt_alone();
  void left_behind();
  void rotten_alone();
  void forced();
  void removed_copy();
  void alone_for_a_while();
  void rot();
  void rot_extents();
  void rot_running();
  void rot_ahead();
  void rot_changed(std::uint32_t node, const std::function<void()>& write);
  void lost_writes();
  void lose_writes(std::uint32_t primary, const std::vector<std::uint32_t>& liars);
  bool scrubbed(std::uint32_t node);
  bool others_have_all();
  bool may_rot();
  bool rot_a_file(std::uint32_t node);
  void fail_sync();
  void fill_disk();
  void shrink_and_grow();
  void reconfigure_twice();
  void reconfigure_unheard();
  void reconfigure_otherwise();
  void reconfigure_to(engine::Mode mode);
  void stick_disk();
  void stop_cleanly();
  void leaving_unheard();
  void joining_unheard();
  void brief_reign();
  void split_reign();
  void late_landing();
  void source_lost();
  void reconfigure_behind();
  void voteless();
  void older_epoch();
  void longest_log();
  bool begin_as_best_effort();
  void control_from_backup();
  void reign_out_of_a_backup();
  void forget_the_set_of(std::uint32_t primary, std::uint32_t old, std::uint32_t other, bool quiet);
  void core_alone();
  std::size_t core_size(const VolumeView& seen) const;
  void break_node(std::uint32_t node);
  void mend_nodes(const std::vector<std::uint32_t>& nodes);
  void crash_point();
  bool came_by();
  std::uint32_t node_to_end(Provocation by);
  void provoke(Provocation by, std::uint32_t node);
  void reign_of_who_lacks(std::uint32_t node);
  void recover_again(std::uint32_t node);
  engine::AdminReply ask_for_copy(std::string_view action, std::uint32_t node);
  void add_copy(std::uint32_t node);
  void part_as_ring();
  void part_as_bridge();
  void one_way_all();
  void flap();
  void clog();
  void flip_bits();
  void half_open();
  void late();
  std::vector<std::uint32_t> all_nodes();
  std::uint32_t hub();
  std::uint32_t another_node(std::uint32_t node);
  void operator_decides(const std::vector<std::uint32_t>& candidates);
  /// Those of disks, processes and operators.
  void happen_elsewhere(Fault fault);
  void unreadable();
  void unreadable_log();
  void brief_errors();
  void lost_sync();
  void misdirect(std::uint32_t node, bool (*which)(const std::string&), std::uint64_t count);
  void misdirected();
  void misdirected_log();
  void no_space();
  void catalog_fails();
  void slow_operations();
  void old_image();
  bool admitted_soon(std::uint32_t node);
  void healed_by_restarts(std::uint32_t node);
  void paused();
  void paused_reign();
  void clock_steps();
  void crash_loop();
  void moved();
  void twin();
  void ask(const std::string& path, const std::string& body, std::uint32_t at,
           const std::shared_ptr<std::uint64_t>& open);
  void senseless_commands();
  void asked_twice();
  void all_at_once();
  void second_volume();
  void verified();
  void several_reigns();
  void power_amid_writes();
  void cramped_copy();
  void emptied_copy();
  void foreign_copy();
  void shuffle(std::vector<std::uint32_t>& nodes);
  /// The nodes that hold copies, but for this one, in random order.
  std::vector<std::uint32_t> copies_beside(std::uint32_t node);
  void hold_log(std::uint32_t node, bool lands = false);
  /// Writes of such files wait, not so long that the copy gives itself up.
  void hold_writes(std::uint32_t node, bool (*such)(const std::string& path));
  void let_go(std::uint32_t node);
  /// Neither hears the other.
  void part(std::uint32_t a, std::uint32_t b);
  /// An operator asks for this primary, and does not wait.
  void wish(std::uint32_t node);
  bool in_set(std::uint32_t node);
  void until_left_out(std::uint32_t node);
  void until_made(std::uint32_t node);
  void interregnum(std::uint32_t heir);
  /// Nobody else asks for anything meanwhile; not done where what was asked for before is not answered soon.
  void in_quiet(const std::function<void()>& act);
  /// A few blocks, to the disks that count; whether that was answered within so long.
  bool write_few(std::uint64_t within);

  /// Time in which a volume that lacks nothing that it needs answers a write: some seconds for each that has to be
  /// given up first, and for a disk that hangs.
  static constexpr std::uint64_t progress_max = 60 * engine::second;

  Cluster& cluster_;
  Random random_;
  std::optional<std::uint32_t> rotting_;  ///< Whose blocks rot.
  std::map<std::string, std::uint64_t> counts_;
  std::uint64_t crashes_ = 0;
};

}  // namespace tidemark::sim
