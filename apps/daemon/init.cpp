#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/json.hpp>

#include <filesystem>
#include <optional>
#include <system_error>

#include "actors/runtime/loop_random.hpp"
#include "apps/daemon/daemon.hpp"
#include "storage/rocks_kv.hpp"

namespace tidemark::daemon {

using engine::Status;

namespace {

// The catalog, with the identity pinned in it, so that a swapped identity.json is noticed.
Status create_catalog(const std::string& directory, const Identity& identity) {
  boost::asio::io_context loop;
  const auto work = boost::asio::make_work_guard(loop);
  auto kv = storage::RocksKv::open(
      directory + "/catalog", storage::RocksKv::create,
      [&loop](std::function<void()> f) { boost::asio::post(loop, std::move(f)); });
  if (!kv) return kv.error();
  storage::KvBatch batch;
  batch.put(identity_key, identity_text(identity));
  std::optional<Status> result;
  (*kv)->commit(std::move(batch), [&](Status status) { result.emplace(std::move(status)); });
  while (!result) loop.run_one();
  return std::move(*result);
}

engine::Result<Identity> wished(const InitWish& wish) {
  if (auto good = check_node_name(wish.node); !good) return good.error();
  actors::LoopRandom random;
  Identity identity;
  identity.node = {wish.node, engine::make_uuid(random.next(), random.next())};
  identity.hosts_control = wish.token.empty();
  if (identity.hosts_control) {
    identity.cluster = engine::make_uuid(random.next(), random.next());
    return identity;
  }
  const auto cluster = parse_token(wish.token);
  if (!cluster) return cluster.error();
  identity.cluster = *cluster;
  return identity;
}

/// Half a directory is neither run nor taken by another init: what was begun is taken away.
Status create(const std::string& directory, const Identity& identity) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const bool existed = fs::exists(directory, ignored);
  auto made = create_directory(directory, identity);
  if (!made && made.error().code == engine::Errc::already_exists) return made;  // Not ours.
  if (made) made = create_catalog(directory, identity);
  if (made) return made;
  for (const auto* ours : {"catalog", "volumes", "identity.json", "identity.json.new"})
    fs::remove_all(fs::path(directory) / ours, ignored);
  if (!existed) fs::remove(directory, ignored);
  return made;
}

}  // namespace

int init(const InitWish& wish) {
  const auto complain = [](const engine::Error& error) {
    fmt::print(stderr, "tidemarkd init: {}\n", error.text);
    return 1;
  };
  const auto identity = wished(wish);
  if (!identity) return complain(identity.error());
  if (auto made = create(wish.directory, *identity); !made) return complain(made.error());
  const auto token = make_token(identity->cluster);
  if (wish.json) {
    fmt::print("{}\n",
               boost::json::serialize(boost::json::object{{"directory", wish.directory},
                                                          {"node", wish.node},
                                                          {"uuid", to_string(identity->node.uuid)},
                                                          {"cluster", to_string(identity->cluster)},
                                                          {"token", token}}));
    return 0;
  }
  fmt::print("{} is the data directory of {} ({}) in cluster {}.\n", wish.directory, wish.node,
             to_string(identity->node.uuid), to_string(identity->cluster));
  if (identity->hosts_control)
    fmt::print("Other nodes join with:\n  tidemarkd init --dir DIR --node NAME --join {}\n", token);
  return 0;
}

}  // namespace tidemark::daemon
