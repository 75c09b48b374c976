// SPDX-License-Identifier: MIT
#include "reference/formats/dialect_table.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace dsv3;

/// DSV3_WRITE_DOCS=1 in the environment writes the page's table anew.
TEST_CASE("dialect table: docs/fp8_dialects.md has what the code computes") {
  const std::string path = DSV3_SOURCE_DIR "/docs/fp8_dialects.md", begin = "<!-- generated -->\n";
  std::stringstream page;
  page << std::ifstream(path).rdbuf();
  const std::string text = page.str();
  const auto at = text.find(begin);
  REQUIRE(at != std::string::npos);
  const std::string expected = text.substr(0, at + begin.size()) + "\n" + dialect_table();
  if (std::getenv("DSV3_WRITE_DOCS") != nullptr) std::ofstream(path) << expected;
  else CHECK(text == expected);
}
