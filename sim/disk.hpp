// storage::Disk for one life of a node: operations take virtual time on the node's DiskImage, may
// fail as told, and outlive the process by a few milliseconds, as those of an io_uring do (C15).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/disk_image.hpp"
#include "sim/events.hpp"
#include "sim/life.hpp"
#include "sim/trace.hpp"
#include "storage/disk.hpp"

namespace tidemark::sim {

class SimDisk final : public storage::Disk {
 public:
  SimDisk(Events& events, Trace& trace, DiskImage& image, LifePtr life)
      : events_(events), trace_(trace), image_(image), life_(std::move(life)) {}

  /// What a stuck disk has taken is looked at this often.
  static constexpr std::uint64_t stuck_look = 10 * engine::millisecond;

  /// The process was killed: completed writes stay, those in flight land late or never; until then
  /// their files stay locked. Call once, after life->alive became false.
  void process_killed();
  /// The machine lost power: in-flight and unsynced changes are kept, lost or torn at once.
  void power_lost();
  /// Operations submitted and not completed.
  std::size_t in_flight() const { return writing_.size(); }

  void open(const std::string& path, storage::OpenOptions options, OnOpen done) override;
  void write(const storage::FilePtr& file, std::uint64_t offset, std::vector<engine::Slice> data,
             OnStatus done) override;
  void read(const storage::FilePtr& file, std::uint64_t offset, std::size_t bytes,
            OnRead done) override;
  void sync(const storage::FilePtr& file, OnStatus done) override;
  void punch(const storage::FilePtr& file, std::uint64_t offset, std::uint64_t bytes,
             OnStatus done) override;
  void resize(const storage::FilePtr& file, std::uint64_t bytes, OnStatus done) override;
  void rename(const std::string& from, const std::string& to, OnStatus done) override;
  void remove(const std::string& path, OnStatus done) override;
  void make_directory(const std::string& path, OnStatus done) override;
  void sync_directory(const std::string& path, OnStatus done) override;
  void list(const std::string& path,
            std::function<void(engine::Result<std::vector<std::string>>)> done) override;
  engine::Result<std::uint64_t> size(const storage::FilePtr& file) override;
  engine::Result<storage::SpaceInfo> space(const std::string& directory) override;

 private:
  class OpenFile;
  struct Writing {
    std::shared_ptr<OpenFile> file;  ///< Keeps the lock.
    std::uint64_t offset = 0;
    std::vector<engine::Slice> data;
  };

  static OpenFile& opened(const storage::FilePtr& file);
  void note(const char* kind, const std::string& path, std::uint64_t offset, std::uint64_t bytes);
  void note_content(const std::vector<engine::Slice>& data);
  void complete(std::uint64_t delay, const char* kind, std::function<void()> due);
  /// The same for an operation that the image may hold.
  void complete_unless_held(std::uint64_t delay, DiskOp op, storage::FilePtr file,
                            std::function<void()> due);
  /// True: the process ends here. Nothing that it does from now on has an effect, and whoever runs it
  /// kills it before anything else happens.
  bool ends(DurableStep step, const std::string& path, StepMoment moment);
  /// A step that shows at once; `does`: it will succeed.
  void change_names(DurableStep step, const std::string& path, bool does, const char* kind,
                    const std::function<engine::Status()>& change, OnStatus done);
  engine::Status land(const Writing& writing);
  std::uint64_t place(const Writing& writing) const;
  /// Done, or the error with which the image lets an operation end.
  engine::Status fate(DiskOp op, const char* what, const std::string& path);
  std::uint64_t longer(DiskOp op, const std::string& path) const;
  std::uint64_t latency(std::uint64_t low_microseconds, std::uint64_t high_microseconds);
  std::string failed(const char* what, const std::string& path, std::uint64_t offset) const;

  Events& events_;
  Trace& trace_;
  DiskImage& image_;
  LifePtr life_;
  std::map<std::uint64_t, Writing> writing_;  ///< In order of submission.
  std::uint64_t last_write_ = 0;
};

}  // namespace tidemark::sim
