// SPDX-License-Identifier: MIT
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

TEST_CASE("gate_select: of equal scores, each of the four rules for groups and experts, by hand and found") {
  const Tensors inputs{{"s", row({.5F, .5F, .5F, .5F}, {1, 4})}, {"b", row({0, 0, 0, 0}, {4})}};
  const auto chosen = [&](const char* ties) {  // one expert of one of two groups
    const Attributes one{{"K_r", Index{1}}, {"num_groups", Index{2}}, {"kept_groups", Index{1}}, {"ties", word(ties)}};
    return integers(answer("gate_select", inputs, one).at("experts")).front();
  };
  CHECK(chosen("lowest_index") == 0);
  CHECK(chosen("highest_expert") == 1);
  CHECK(chosen("highest_group") == 2);
  CHECK(chosen("highest_index") == 3);
  for (const char* ties : {"highest_index", "highest_expert", "highest_group"})
    CHECK(says(found("gate_select", "ties", {{"ties", word(ties)}}), std::string("equal bit for bit: ties=") + ties));
}
