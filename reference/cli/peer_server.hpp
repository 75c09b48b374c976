// SPDX-License-Identifier: MIT
/// \file
/// The peers of `dsv3 bench` that live in Python, as a child process that measures what it is asked to.
#pragma once
#include <string>

#include "reference/core/real.hpp"

namespace dsv3::cli {

/// Runs bench/peer_server.py, whose protocol is lines of text: it says "ready WHAT" once, then answers each request
/// ("encode_e4m3 4194304") with the seconds of one call, or with "error: MESSAGE". With one thread they are the seconds
/// of its own work, else those of the wall clock, as ours are.
///
/// All functions throw std::runtime_error where the process cannot be started, ends, stays silent for two minutes,
/// answers with an error or with what is no time.
class PeerServer {
 public:
  PeerServer(const std::string& python, Index threads);
  ~PeerServer();
  PeerServer(const PeerServer&) = delete;
  PeerServer& operator=(const PeerServer&) = delete;

  const std::string& what() const { return what_; }  ///< names and versions of the peers
  double seconds(const std::string& request);

 private:
  std::string read_line(const std::string& asked);
  [[noreturn]] void fail(const std::string& what) const;

  std::string python_, what_, unread_;
  int socket_ = -1, pid_ = -1;
};

}  // namespace dsv3::cli
