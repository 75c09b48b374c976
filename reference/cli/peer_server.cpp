// SPDX-License-Identifier: MIT
#include "reference/cli/peer_server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "reference/core/require.hpp"

namespace dsv3::cli {
namespace {

constexpr int patience_ms = 120'000;

/// In the child: stdin and stdout are the socket; libraries that read the environment take as many threads as we do.
[[noreturn]] void become_server(const std::string& python, const std::string& threads, int socket) {
  ::dup2(socket, STDIN_FILENO);
  ::dup2(socket, STDOUT_FILENO);
  for (const char* const name : {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"}) ::setenv(name, threads.c_str(), 1);
  ::setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
  ::execlp(python.c_str(), python.c_str(), DSV3_PEER_SERVER, "--threads", threads.c_str(), nullptr);
  const std::string said = concat("error: cannot be started: ", std::strerror(errno), "\n");
  static_cast<void>(!::write(STDOUT_FILENO, said.data(), said.size()));
  ::_exit(127);
}

/// How the process ended, in words.
std::string end_of(pid_t pid) {
  int how = 0;
  ::waitpid(pid, &how, 0);
  return WIFSIGNALED(how) ? concat("was ended by signal ", WTERMSIG(how))
                          : concat("ended with status ", WEXITSTATUS(how));
}

}  // namespace

PeerServer::PeerServer(const std::string& python, Index threads) : python_(python) {
  int ends[2];
  require_world(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "bench",
                "no socket for the peers: ", std::strerror(errno));
  const std::string count = std::to_string(threads);
  pid_ = ::fork();
  if (pid_ == 0) become_server(python, count, ends[1]);
  ::close(ends[1]);
  socket_ = ends[0];
  require_world(pid_ > 0, "bench", "no process for the peers: ", std::strerror(errno));
  const std::string line = read_line("for its name");
  if (!line.starts_with("ready ")) fail("said '" + line + "' where 'ready ...' is needed");
  what_ = line.substr(std::strlen("ready "));
}

PeerServer::~PeerServer() {
  if (socket_ >= 0) ::close(socket_);
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);  // it may be what does not answer
  ::waitpid(pid_, nullptr, 0);
}

void PeerServer::fail(const std::string& what) const {
  throw std::runtime_error("bench: the peers' " + python_ + " " + what);
}

std::string PeerServer::read_line(const std::string& asked) {
  std::size_t end;
  while ((end = unread_.find('\n')) == std::string::npos) {
    pollfd readable{socket_, POLLIN, 0};
    if (::poll(&readable, 1, patience_ms) == 0) fail("does not answer; it was asked " + asked);
    char bytes[4096];
    const ssize_t count = ::recv(socket_, bytes, sizeof bytes, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail(end_of(std::exchange(pid_, -1)) + " when it was asked " + asked);
    unread_.append(bytes, static_cast<std::size_t>(count));
  }
  std::string line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  if (line.starts_with("error: ")) fail(line.substr(std::strlen("error: ")));
  return line;
}

double PeerServer::seconds(const std::string& request) {
  const std::string line = request + "\n";
  ::send(socket_, line.data(), line.size(), MSG_NOSIGNAL);  // if it has ended, reading says so
  const std::string answer = read_line("'" + request + "'");
  double value = 0;
  const auto [stop, error] = std::from_chars(answer.data(), answer.data() + answer.size(), value);
  if (error != std::errc() || stop != answer.data() + answer.size() || !(value > 0 && std::isfinite(value)))
    fail("answers '" + answer + "' to '" + request + "'; seconds above 0 are needed");
  return value;
}

}  // namespace dsv3::cli
