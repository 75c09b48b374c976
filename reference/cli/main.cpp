// SPDX-License-Identifier: MIT
// Arguments in, exit status out: 0 done, 1 a check failed, 2 wrong use, with one message "dsv3 COMMAND: ..." on stderr.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <sstream>
#include <system_error>

#include "reference/cli/devices.hpp"
#include "reference/cli/options.hpp"
#include "reference/cli/program.hpp"
#include "reference/core/memory.hpp"
#include "reference/core/require.hpp"
#include "reference/core/words.hpp"

namespace {

using namespace dsv3::cli;

/// What the launcher, if it started this program, has beside it.
std::vector<std::string> launcher_commands() {
  const char* const names = std::getenv("DSV3_LAUNCHER_COMMANDS");
  std::istringstream words(names == nullptr ? "" : names);
  return {std::istream_iterator<std::string>(words), {}};
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* const c : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(c->get_name());
  return names;
}

/// What begins the messages: "dsv3 train" if that is the command.
std::string who(const CLI::App& app, int argc, char** argv) {
  for (const std::string& name : command_names(app))
    if (argc > 1 && name == argv[1]) return "dsv3 " + name;
  return "dsv3";
}

std::string no_option(const CLI::App& c, const std::string& given) {
  std::vector<std::string> options;
  for (const CLI::Option* const option : c.get_options())
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  return "there is no option " + given + dsv3::did_you_mean(given.substr(0, given.find('=')), options);
}

/// CLI11 would only say that a command is required.
void require_known_command(const CLI::App& app, const std::string& given) {
  if (given.starts_with("-")) {
    if (app.get_option_no_throw(given) == nullptr) throw std::invalid_argument(no_option(app, given));
    return;
  }
  std::vector<std::string> known = command_names(app);
  if (std::ranges::find(known, given) != known.end()) return;
  const std::vector<std::string> of_launcher = launcher_commands();
  known.insert(known.begin(), of_launcher.begin(), of_launcher.end());
  std::string list;
  for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
  throw std::invalid_argument(
      dsv3::concat("there is no command '", given, "'; there are ", list, dsv3::did_you_mean(given, known)));
}

/// CLI11's message, or a better one for an argument that no option takes.
std::string explanation(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* chosen = &app;  // the innermost: "fp8 depth"
  while (!chosen->get_subcommands().empty()) chosen = chosen->get_subcommands().front();
  if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError) || chosen == &app) return error.what();
  const std::vector<std::string> left = chosen->remaining();
  for (const std::string& argument : left)
    if (argument.starts_with("-")) return no_option(*chosen, argument);
  return left.empty() ? error.what() : dsv3::concat("'", left[0], "' is one argument too many");
}

int refuse(const std::string& who, std::string what) {
  const std::string command = who.substr(std::min(who.size(), std::strlen("dsv3 "))) + ": ";
  if (what.starts_with(command)) what.erase(0, command.size());  // "train: steps is ..."
  std::fflush(stdout);
  std::cerr << who << ": " << what << '\n';
  return 2;
}

}  // namespace

/// Threads that wait must not spin: beside other work that slows training a hundredfold. The OpenMP library reads this
/// when it is loaded, so the program begins once more.
void let_threads_sleep(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  std::error_code unknown;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", unknown);
  if (!unknown) ::execv(self.c_str(), argv);  // where it cannot, it goes on as it is
}

int main(int argc, char** argv) {
  let_threads_sleep(argv);
  dsv3::keep_freed_memory();
  CLI::App app("dsv3: the DeepSeek-V3 Technical Report made executable", program_name());
  app.require_subcommand(1);
  app.set_version_flag("--version", DSV3_VERSION);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is then an error of write(), as a full disk is
  int status = 0;
  offer_devices();
  add_commands(app, status);
  try {
    if (argc > 1) require_known_command(app, argv[1]);
    app.parse(argc, argv);
    const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    dsv3::require_world(written, "stdout", "cannot be written: ", std::strerror(errno));
    return status;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return refuse(who(app, argc, argv), explanation(app, error) + "; --help shows what there is");
  } catch (const std::exception& error) {
    return refuse(who(app, argc, argv), error.what());
  }
}
