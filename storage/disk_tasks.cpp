#include "storage/disk_tasks.hpp"

#include "engine/planted.hpp"

namespace tidemark::storage {
namespace {
constexpr std::uint64_t look_again = 5 * engine::millisecond;
}

Task<engine::Result<FilePtr>> open_when_unlocked(Disk& disk, engine::Timers& timers,
                                                 std::string path, OpenOptions options) {
  if (engine::planted(engine::Bug::recovery_ignores_late_writes)) options.lock = false;
  for (std::uint64_t waited = 0;; waited += look_again) {
    auto file = co_await open_file(disk, path, options);
    if (file || file.error().code != engine::Errc::busy || waited >= lock_wait_max) co_return file;
    co_await callback<engine::Done>(
        [&timers](auto done) { timers.after(look_again, [done] { done(engine::Done{}); }); });
  }
}

}  // namespace tidemark::storage
