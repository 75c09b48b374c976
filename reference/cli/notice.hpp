// SPDX-License-Identifier: MIT
/// \file
/// A word on stderr from a command that takes long.
#pragma once
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>

namespace dsv3::cli {

/// While it lives, says "dsv3 oracle: check mla has been at work for 10 s" after `first`, and again each time that
/// twice as long has gone by.
class Notice {
 public:
  explicit Notice(std::string what, std::chrono::duration<double> first = std::chrono::seconds(10),
                  std::ostream& out = std::cerr);
  ~Notice();
  Notice(const Notice&) = delete;
  Notice& operator=(const Notice&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace dsv3::cli
