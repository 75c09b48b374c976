// SPDX-License-Identifier: MIT
#include "reference/core/words.hpp"

#include <doctest/doctest.h>

using namespace dsv3;

TEST_CASE("words: the nearest is meant, if fewer than half of its letters and at most two are wrong") {
  const std::vector<std::string> known{"cast", "quantise", "rope", "dense_layer", "moe_layer"};
  CHECK(nearest_word("quantize", known) == "quantise");
  CHECK(nearest_word("qauntise", known) == "quantise");
  CHECK(nearest_word("moe_layers", known) == "moe_layer");
  CHECK(nearest_word("kast", known) == "cast");
  CHECK(nearest_word("koast", known) == "");  // two of four letters
  CHECK(nearest_word("", known) == "");
  CHECK(nearest_word(std::string(1 << 20, 'q'), known) == "");  // a mistake of another kind, and not worth a table
  CHECK(did_you_mean("quantize", known) == "; did you mean quantise?");
  CHECK(did_you_mean("gemm", known) == "");
}
