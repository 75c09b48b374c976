// SPDX-License-Identifier: MIT
/// \file
/// Starts dsv3 as a user does and sees how it ends and what it writes.
#pragma once
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/checkpoint/scratch.hpp"

namespace dsv3::test {

struct Ended {
  int status = -1;  ///< exit status; -1 if a signal ended it
  int signal = 0;
  std::string out, err;
};

/// A started program whose output goes to files of `scratch`.
class Program {
 public:
  /// `in_child` runs in the new process before dsv3 does: limits, other descriptors.
  Program(const Scratch& scratch, std::vector<std::string> arguments, const std::function<void()>& in_child = {})
      : out_(scratch / "stdout"), err_(scratch / "stderr") {
    arguments.insert(arguments.begin(), DSV3_PROGRAM);
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    put(out_, ""), put(err_, "");
    pid_ = ::fork();
    if (pid_ != 0) return;
    redirect("/dev/null", STDIN_FILENO);
    redirect(out_, STDOUT_FILENO);
    redirect(err_, STDERR_FILENO);
    ::unsetenv("DSV3_DATA");
    ::unsetenv("DSV3_NAME");
    ::unsetenv("DSV3_PEERS");
    if (in_child) in_child();
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }

  pid_t pid() const { return pid_; }

  Ended wait() const {
    int how = 0;
    REQUIRE(::waitpid(pid_, &how, 0) == pid_);
    return {WIFEXITED(how) ? WEXITSTATUS(how) : -1, WIFSIGNALED(how) ? WTERMSIG(how) : 0, get(out_), get(err_)};
  }

  static void redirect(const std::filesystem::path& path, int descriptor) {
    ::dup2(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY), descriptor);
  }

 private:
  std::filesystem::path out_, err_;
  pid_t pid_;
};

inline Ended run(std::vector<std::string> arguments, const std::function<void()>& in_child = {}) {
  const Scratch scratch;
  return Program(scratch, std::move(arguments), in_child).wait();
}

/// Ended as wrong use does: status 2, one message on stderr with `part` in it, nothing on stdout. Returns what is not
/// so.
inline std::string not_refused(const Ended& e, const std::string& part) {
  if (e.status == 2 && e.out.empty() && contains(e.err, part) && e.err.ends_with("\n")) return {};
  return concat("status ", e.status, " signal ", e.signal, "\nstdout: ", e.out, "\nstderr: ", e.err);
}

/// What a progress bar would leave behind.
inline bool has_progress(const std::string& text) {
  return contains(text, "\r") || contains(text, "\033") || contains(text, "[#");
}

}  // namespace dsv3::test
