// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include "reference/model/weights.hpp"

using namespace dsv3;

TEST_CASE("counts: V3, V2 and V2-Lite to the unit, from the structure; 671B and 37B") {
  const ParameterCounts v3 = count_parameters(config_by_name("v3"));
  CHECK(v3.total == 671'026'419'200);
  CHECK(v3.active == 36'625'618'432);
  CHECK(v3.embedding == 926'679'040);
  CHECK(v3.mtp == 11'610'068'224);
  const ParameterCounts v2 = count_parameters(config_by_name("v2"));
  CHECK(v2.total == 235'741'434'880);
  CHECK(v2.active == 20'851'512'320);
  CHECK(v2.mtp == 0);
  const ParameterCounts lite = count_parameters(config_by_name("v2-lite"));
  CHECK(lite.total == 15'706'484'224);
  CHECK(lite.active == 2'451'435'008);
}

TEST_CASE("counts: a token's latent cache is 70,272 bytes in V3, whatever the number of heads") {
  CHECK(cache_bytes_per_token(config_by_name("v3")) == 70'272);
  CHECK(cache_bytes_per_token(config_by_name("v2")) == 69'120);
  CHECK(cache_bytes_per_token(config_by_name("v2-lite")) == 31'104);
  ModelConfig more_heads = config_by_name("v3");
  more_heads.mla.n_h *= 2;
  CHECK(cache_bytes_per_token(more_heads) == 70'272);
}

TEST_CASE("config: what cannot be right is refused with the number that would be") {
  ModelConfig c = config_by_name("tiny");
  CHECK_NOTHROW(validate(c));
  c.moe.gate.num_groups = 3;
  CHECK_THROWS_WITH(validate(c), "GateConfig: num_groups is 3; it must divide N_r 16");
  c = config_by_name("tiny");
  c.moe.gate.K_r = 9;
  CHECK_THROWS_WITH(validate(c), "GateConfig: K_r is 9; it must be 1 to 8, the experts of the kept groups");
  c = config_by_name("tiny");
  c.mla.rope.width = 3;
  CHECK_THROWS_AS(validate(c), std::invalid_argument);
  CHECK_THROWS_WITH(config_by_name("v4"),
                    "config: there is no configuration 'v4'; there are v3, v2, v2-lite, tiny, tour, small");
}
