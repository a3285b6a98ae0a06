// The kinds of things that go wrong in a run, by name. What each does: sim/faults*.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/random.hpp"

namespace tidemark::sim {

enum class Fault : std::uint8_t {
  kill_primary,
  kill_replica,
  kill_two,
  kill_all,
  quick_restart,  ///< Any node, back within 10 ms.
  power_one,
  power_all,
  isolate,
  one_way,    ///< Frames of one node no longer reach another.
  cut_links,  ///< Connections between two nodes break.
  cut_client,
  promote,
  wipe_replica,
  rot_replica,
  slow_disk,
  failed_sync,
  full_disk,
  rebuilt_alone,  ///< The others go the moment a rebuilt copy counts.
  left_behind,    ///< A copy is away until the others' logs no longer reach back to it.
  rotten_alone,   ///< All lose power, and only a copy whose log rotted comes back at first.
  resize,         ///< No fault: an operator gives the volume another size.
  resize_twice,   ///< Shrunk and grown again, with something else going wrong in between.
  stuck_disk,     ///< A disk takes operations and completes none, for a while or until a restart.
  forced,         ///< An operator makes a copy the primary that lacks what was committed.
  removed_copy,   ///< An operator removes a copy, others fail meanwhile, and adds it again.
  rot_extents,    ///< Blocks of a running copy rot, always of the same one: the others have them.
  rot_running,    ///< Log, superblock or catalog of a running copy rot, and a scrub follows.
  reconfigure,    ///< No fault: an operator gives the volume another mode or min_copies.
  reconfigure_twice,    ///< And another one, with a resize or something going wrong in between.
  reconfigure_unheard,  ///< The primary cannot tell that other rules are in force, and dies.
  stop_cleanly,         ///< A process ends in order, and is back soon; then others may go.
  leaving_unheard,      ///< A primary that nobody hears goes on for a while, and dies.
  joining_unheard,      ///< A copy counts again and the primary is not told, and dies.
  brief_reign,          ///< The next primary has what was never answered, and goes as well.
  split_reign,   ///< A primary goes on beside the next one, and hears of it by a replica only.
  late_landing,  ///< Writes of a killed process land while the next one reads and writes.
  source_lost,   ///< A rebuild's source dies with what it alone has.
  reconfigure_behind,  ///< Rules change while copies lack what was committed, and the primary dies.
  voteless,            ///< A copy that failed and one that is behind are left by who has all.
  older_epoch,  ///< A majority gets what an older reign left, and not the new reign's record.
  longest_log,  ///< What an older reign left is longer than what the next one committed.
  control_from_backup,  ///< The control plane forgets a while, and the wrong copy reigns.
  rot_ahead,            ///< What rots on one copy the extents of the others do not have yet.
  lost_writes,          ///< Two disks said that they have what they do not, checksums and all.
  core_alone,           ///< As few copies are left as the rules allow, and have to serve.
  crash_point,          ///< A process ends between two durable steps, and while it recovers again.
  ring,                 ///< Each node hears only its neighbour.
  bridge,               ///< Two groups that share one node.
  one_way_all,          ///< A node can send and hears nothing, or the other way round.
  flapping,             ///< A link is cut and healed ten times and more, fast.
  clog,                 ///< Hardly anything gets through for a while, then all at once.
  flip,                 ///< Bits flip on a link.
  half_open,            ///< Connections are over, and one end of each does not hear of it for long.
  late,                 ///< What goes over connections of one purpose takes longer than all else.
  unreadable,           ///< Sectors of a copy cannot be read until they are written again.
  unreadable_log,       ///< Nor can what a restart needs.
  brief_errors,         ///< Operations of one kind fail for a moment.
  lost_sync,            ///< A sync fails, and the page cache shows this or that.
  misdirected,          ///< Writes of blocks land on other blocks.
  misdirected_log,      ///< And those of a log elsewhere in the log.
  no_space,             ///< A disk is full to the last byte, also for names and the reserve.
  catalog_fails,        ///< A node's catalog takes no commits until it is opened again.
  slow_operations,      ///< Some operations of a disk take seconds.
  old_image,            ///< A node's disks are what they were some time ago.
  paused,               ///< A process or a machine stands still.
  paused_reign,         ///< And another one reigns when it goes on.
  clock_steps,          ///< A wall clock is set, and runs wrong.
  crash_loop,           ///< Starts that are cut off amid recovery.
  moved,                ///< A node comes back under another address, or another node's.
  twin,                 ///< A copied directory is started beside the first one.
  senseless_commands,   ///< No fault: operators ask for what cannot be.
  asked_twice,          ///< The same command at two nodes, or two that contradict each other.
  all_at_once,          ///< Resize, rules, promotion, a new copy, scrub and comparison.
  second_volume,        ///< No fault: another volume comes and goes.
  verified,             ///< No fault: a dead node's copies are looked at.
  power_amid_writes,    ///< Writes of one kind are late and in any order as the lights go out.
  cramped_copy,         ///< A new copy finds no room for all of its log.
  emptied_copy,         ///< A copy's files are gone, and its node is not told.
  foreign_copy,         ///< Somebody else's copy is where one was.
  count_,
};
std::string_view to_string(Fault fault);
std::optional<Fault> parse_fault(std::string_view text);
/// The kinds of which every run sees at least three.
bool is_crash_or_cut(Fault fault);
/// One of those kinds, or one of the others.
Fault draw_fault(Random& random, bool crash_or_cut);

}  // namespace tidemark::sim
