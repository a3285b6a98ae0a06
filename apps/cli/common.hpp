// What all commands share.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <string>

#include "apps/cli/client.hpp"
#include "engine/types.hpp"

namespace tidemark::cli {

struct Common {
  Client client;
  bool json = false;
  bool offline = false;  ///< The command asks no node.
};

/// A word that ends up in a path of the admin interface must not be able to name another one.
inline const auto name_word = CLI::Validator(
    [](std::string& text) -> std::string {
      if (engine::is_name(text)) return {};
      return fmt::format(
          "\"{}\" is no name; right would be 1 to 64 of A-Z a-z 0-9 . _ -, "
          "beginning with a letter or digit",
          text);
    },
    "NAME");

}  // namespace tidemark::cli
