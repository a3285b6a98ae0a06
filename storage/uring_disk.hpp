// The Disk of a daemon: io_uring on the loop for reads and writes, one worker thread for what has
// no cheap asynchronous form (open, rename, directories).
//
// Submissions of one turn leave in one system call; the ring's descriptor wakes the loop;
// completions run there.
#pragma once

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>

#include "storage/disk.hpp"

namespace tidemark::storage {

class DiskWorker;

class UringDisk final : public Disk {
 public:
  /// Submissions that the kernel takes at once; more wait in memory, in order.
  static constexpr unsigned ring_entries = 512;

  /// To be used on the one thread that runs `loop`.
  /// Throws std::system_error where the kernel has no io_uring.
  explicit UringDisk(boost::asio::io_context& loop);
  /// Waits for what is in flight, whose memory the kernel still uses; completions are dropped.
  ~UringDisk() override;
  /// The last call, once the loop has ended: waits for what is in flight, completions are dropped.
  /// False: after `wait_max` the disk still holds something. Then the destructor may wait for ever,
  /// and only the end of the process lets go.
  bool settle(std::chrono::milliseconds wait_max);

  void open(const std::string& path, OpenOptions options, OnOpen done) override;
  void write(const FilePtr& file, std::uint64_t offset, std::vector<engine::Slice> data,
             OnStatus done) override;
  void read(const FilePtr& file, std::uint64_t offset, std::size_t bytes, OnRead done) override;
  void sync(const FilePtr& file, OnStatus done) override;
  void punch(const FilePtr& file, std::uint64_t offset, std::uint64_t bytes,
             OnStatus done) override;
  void resize(const FilePtr& file, std::uint64_t bytes, OnStatus done) override;
  void rename(const std::string& from, const std::string& to, OnStatus done) override;
  void remove(const std::string& path, OnStatus done) override;
  void make_directory(const std::string& path, OnStatus done) override;
  void sync_directory(const std::string& path, OnStatus done) override;
  void list(const std::string& path,
            std::function<void(engine::Result<std::vector<std::string>>)> done) override;
  engine::Result<std::uint64_t> size(const FilePtr& file) override;
  engine::Result<SpaceInfo> space(const std::string& directory) override;

 private:
  class Ring;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<DiskWorker> worker_;
};

}  // namespace tidemark::storage
