// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "tests/cli/program.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// The launcher in a folder of its own, where nothing is built.
class Launcher {
 public:
  Launcher() { std::filesystem::copy_file(std::string(DSV3_SOURCE_DIR) + "/dsv3", scratch_ / "dsv3"); }
  void build(const std::string& program) const {
    std::filesystem::create_directories(scratch_ / "build" / "release");
    std::filesystem::create_symlink(program, scratch_ / "build" / "release" / "dsv3");
  }
  bool has_built() const { return std::filesystem::exists(scratch_ / "build"); }
  /// Its status and all that it says.
  std::pair<int, std::string> operator()(const std::string& arguments) const {
    const std::string command = "cd " + scratch_.folder().string() + " && ./dsv3 " + arguments + " >said 2>&1";
    const int how = std::system(command.c_str());
    return {WIFEXITED(how) ? WEXITSTATUS(how) : -1, get(scratch_ / "said")};
  }

 private:
  Scratch scratch_;
};

/// The first words of the lines below "Subcommands:".
std::string commands_in(const std::string& help) {
  std::istringstream lines(help.substr(help.find("Subcommands:")));
  std::string names, name, line;
  for (std::getline(lines, line); std::getline(lines, line) && line.starts_with("  ");)
    if (std::istringstream(line) >> name && line[2] != ' ') names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace

TEST_CASE(
    "launcher: before the first build --help and help COMMAND list the program's commands, all of them and no other") {
  const Launcher launcher;
  const std::string expected = commands_in(run({"--help"}).out);
  CHECK(expected.starts_with("tour, train, "));
  for (const char* const arguments : {"--help", "help", "help train"}) {
    const auto [status, said] = launcher(arguments);
    CHECK(status == 0);
    CHECK(contains(said, "has the commands: " + expected + "\n"));
  }
}

TEST_CASE("launcher: before the first build a name that is no command is refused, not built for") {
  const Launcher launcher;
  const auto [status, said] = launcher("trian");
  CHECK(status == 2);
  CHECK(
      contains(said, "dsv3: there is no command 'trian'; there are test, docs, python, packages, help, tour, train, "));
}

TEST_CASE("launcher: its own commands explain themselves and refuse what they do not take, without a build") {
  const Launcher launcher;
  for (const std::string own : {"test", "docs", "python", "packages"})
    for (const std::string& arguments : {own + " --help", own + " -h", "help " + own}) {
      CAPTURE(arguments);
      const auto [status, said] = launcher(arguments);
      CHECK(status == 0);
      CHECK(said.starts_with("usage: ./dsv3 " + own));
    }
  CHECK(launcher("help --help") == launcher("--help"));
  for (const std::string own : {"docs", "python"}) {
    const auto [status, said] = launcher(own + " --hlep");
    CHECK(status == 2);
    CHECK(said == "dsv3: " + own + ": '--hlep' is one argument too many; " + own + " takes none\n");
  }
  CHECK(!launcher.has_built());
}

TEST_CASE("launcher: a name that is no command is refused with all commands, its own too, built or not") {
  const Launcher launcher;
  const std::string all = "test, docs, python, packages, help, " + commands_in(run({"--help"}).out);
  for (const bool built : {false, true}) {
    if (built) launcher.build(DSV3_PROGRAM);
    for (const char* const arguments : {"nosuch", "nosuch --help", "help nosuch"}) {
      CAPTURE(arguments);
      const auto [status, said] = launcher(arguments);
      CHECK(status == 2);
      CHECK(said == "dsv3: there is no command 'nosuch'; there are " + all + "\n");
    }
  }
  CHECK(contains(launcher("pyhton").second, "; did you mean python?\n"));
  CHECK(contains(launcher("trian").second, "; did you mean train?\n"));
  CHECK(contains(launcher("--wibble").second, "there is no option --wibble\n"));
}

TEST_CASE("launcher: once it is built, help COMMAND is the program's own, which calls itself ./dsv3") {
  const Launcher launcher;
  launcher.build(DSV3_PROGRAM);
  const auto [status, said] = launcher("help train");
  CHECK(status == 0);
  CHECK(contains(said, "--learning-rate"));
  CHECK(contains(said, "Example:\n  ./dsv3 train --config tour"));
  CHECK(contains(said, "\n  ./dsv3 train --resume"));
  CHECK(contains(said, "Usage: ./dsv3 train"));
  CHECK(!contains(said, "build/release"));
  CHECK(contains(launcher("--help").second, "Usage: ./dsv3 "));
}
