#include "apps/daemon/identity.hpp"

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

using namespace tidemark;
using namespace tidemark::daemon;

namespace {

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("tidemark-identity-" + std::to_string(::getpid()));
  Folder() {
    std::filesystem::remove_all(path);
    std::filesystem::create_directory(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string in(const std::string& name) const { return (path / name).string(); }
};

const Identity mine{engine::make_uuid(1, 2), {"node1", engine::make_uuid(3, 4)}, true};

}  // namespace

BOOST_AUTO_TEST_SUITE(identity)

BOOST_AUTO_TEST_CASE(what_was_created_is_read_back) {
  Folder folder;
  BOOST_REQUIRE(create_directory(folder.in("n"), mine).has_value());
  const auto read = read_identity(folder.in("n"));
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST(identity_text(*read) == identity_text(mine));
}

BOOST_AUTO_TEST_CASE(a_folder_with_anything_in_it_is_never_taken) {
  Folder folder;
  std::filesystem::create_directory(folder.in("n"));
  std::ofstream(folder.in("n") + "/precious") << "x";
  BOOST_TEST(!create_directory(folder.in("n"), mine).has_value());
  BOOST_TEST(!std::filesystem::exists(folder.in("n") + "/identity.json"));
}

BOOST_AUTO_TEST_CASE(missing_emptied_and_damaged_directories_are_told_apart) {
  Folder folder;
  BOOST_TEST(read_identity(folder.in("none")).error().text.find("is not there") !=
             std::string::npos);
  std::filesystem::create_directory(folder.in("empty"));
  BOOST_TEST(read_identity(folder.in("empty")).error().text.find("emptied") != std::string::npos);
  std::ofstream(folder.in("empty") + "/identity.json") << "{\"format\":1}";
  BOOST_TEST((read_identity(folder.in("empty")).error().code == engine::Errc::corrupt));
}

BOOST_AUTO_TEST_CASE(a_mistyped_token_is_refused) {
  const auto token = make_token(mine.cluster);
  BOOST_TEST((parse_token(token).value() == mine.cluster));
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto wrong = token;
    wrong[i] = wrong[i] == '7' ? '8' : '7';
    BOOST_TEST(!parse_token(wrong).has_value(), wrong);
    BOOST_TEST(!parse_token(token.substr(0, i)).has_value());
  }
}

BOOST_AUTO_TEST_CASE(node_names_stand_in_paths_and_uris) {
  for (auto name : {"node1", "a", "rack-7-b"}) BOOST_TEST(check_node_name(name).has_value(), name);
  for (auto name :
       {"", "1node", "Node", "a/b", "..", "a b", "abcdefghijklmnopqrstuvwxyz0123456789"}) {
    BOOST_TEST(!check_node_name(name).has_value(), name);
  }
}

BOOST_AUTO_TEST_SUITE_END()
