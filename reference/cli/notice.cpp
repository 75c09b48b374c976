// SPDX-License-Identifier: MIT
#include "reference/cli/notice.hpp"

#include <fmt/format.h>

namespace dsv3::cli {

Notice::Notice(std::string what, std::chrono::duration<double> first, std::ostream& out)
    : thread_([this, what = std::move(what), first, &out] {
        const auto start = std::chrono::steady_clock::now();
        std::unique_lock lock(mutex_);
        for (auto after = first; !ended_.wait_until(lock, start + after, [this] { return done_; }); after *= 2)
          out << fmt::format("dsv3 oracle: {} has been at work for {:g} s\n", what, after.count()) << std::flush;
      }) {}

Notice::~Notice() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

}  // namespace dsv3::cli
