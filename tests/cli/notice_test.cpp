// SPDX-License-Identifier: MIT
#include "reference/cli/notice.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace dsv3::cli;
using namespace std::chrono_literals;

TEST_CASE("notice: what takes long says so, at twice the time each; what does not says nothing") {
  std::ostringstream said, quiet;
  {
    const Notice notice("check mla", 0.1s, said);
    std::this_thread::sleep_for(300ms);
  }  // where the machine is busy, there may be more
  CHECK(said.str().starts_with(
      "dsv3 oracle: check mla has been at work for 0.1 s\ndsv3 oracle: check mla has been at work for 0.2 s\n"));
  { const Notice notice("check mla", 10s, quiet); }
  CHECK(quiet.str() == "");
}
