// SPDX-License-Identifier: MIT
#include "tests/oracle/answers.hpp"

using namespace dsv3;
using namespace dsv3::oracle;

TEST_CASE("dequantise: by hand, and scales taken for divisors, read by columns or rounded are found") {
  const Codes q = (Codes(1, 3) << 0x38, 0xC4, 0x7E).finished();  // 1, -3, 448
  const Tensors inputs{{"q", tensor(Dtype::f8_e4m3, q)}, {"s", row({0.5}, {1, 1})}};
  check_values(answer("dequantise", inputs).at("x"), {0.5, -1.5, 224}, 0);
  check_values(answer("dequantise", inputs, {{"scale_use", word("divide")}}).at("x"), {2, -6, 896}, 0);
  CHECK(says(found("dequantise", "ordinary", {{"scale_use", word("divide")}}), "scale_use=divide"));
  CHECK(says(found("dequantise", "blocks", {{"scale_layout", word("transposed")}}), "scale_layout=transposed"));
  CHECK(says(found("dequantise", "ordinary", {{"scale_rounding", word("bf16")}}), "scale_rounding=bf16"));
  CHECK(says(found("dequantise", "ordinary", {{"result", word("bf16")}}), "result=bf16"));
  Tensors e5m6{{"q", tensor16(Dtype::i32, (Codes16(1, 2) << 0x3C0, 0xFFF).finished())}, {"s", row({4}, {1, 1})}};
  const Doubles numbers = values(answer("dequantise", e5m6, {{"format", word("e5m6")}}).at("x"));
  CHECK((numbers[0] == 4 && std::isnan(numbers[1])));
  e5m6["q"] = tensor16(Dtype::i32, (Codes16(1, 2) << 0x3C0, 0x1000).finished());
  CHECK_THROWS_AS(answer("dequantise", e5m6, {{"format", word("e5m6")}}), std::invalid_argument);
}

TEST_CASE("requantise: with powers of two no fraction changes; other scales and a step through BF16 are found") {
  const Op& op = op_named("requantise");
  const Case c = drawn(op, "powers", 1, {}, {});
  const Tensors ours = run(op, c);
  const Codes before = codes(c.in("q")), after = codes(ours.at("q"));
  for (Index i = 0; i < before.size(); ++i)
    if ((after.data()[i] & 0x78) > 0x08) CHECK((before.data()[i] & 0x87) == (after.data()[i] & 0x87));
  CHECK(says(found("requantise", "ordinary", {{"scale", word("ue8m0_ceil")}}), "scale=ue8m0_ceil"));
  CHECK(says(found("requantise", "ordinary", {{"dialect", word("deepseek_v32")}}), "dialect=deepseek_v32"));
  CHECK(says(found("requantise", "ordinary", {{"between", word("bf16")}}), "between=bf16"));
}

TEST_CASE("e5m6_pack and e5m6_unpack: eight codes in twelve bytes, in each order") {
  const Codes16 q = (Codes16(1, 8) << 0x012, 0x345, 0x678, 0x9AB, 0xCDE, 0xF01, 0x234, 0x567).finished();
  const Tensors inputs{{"codes", tensor16(Dtype::i32, q)}};
  const auto bytes = [&](const Attributes& a) { return integers(answer("e5m6_pack", inputs, a).at("words")); };
  using Bytes = std::vector<std::int64_t>;
  CHECK(bytes({{"bytes", word("big_endian")}}) ==
        Bytes{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0x01, 0x23, 0x45, 0x67});
  CHECK(bytes({}) == Bytes{0x67, 0x45, 0x23, 0x01, 0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01});
  CHECK(bytes({{"first_code", word("bottom")}}) ==
        Bytes{0x12, 0x50, 0x34, 0x78, 0xB6, 0x9A, 0xDE, 0x1C, 0xF0, 0x34, 0x72, 0x56});
  for (const char* first : {"top", "bottom"})
    for (const char* order : {"little_endian", "big_endian"}) {
      const Attributes a{{"first_code", word(first)}, {"bytes", word(order)}};
      Attributes back = a;
      back["N"] = Index{8};
      CHECK(codes16(answer("e5m6_unpack", answer("e5m6_pack", inputs, a), back).at("codes")) == q);
    }
  CHECK(says(found("e5m6_unpack", "ordinary", {{"first_code", word("bottom")}}), "first_code=bottom"));
  for (const std::int64_t wrong : {std::int64_t{4096}, std::int64_t{-1}, std::int64_t{1} << 40})
    CHECK_THROWS_AS(answer("e5m6_pack", {{"codes", tensor(std::vector<std::int64_t>{wrong}, {1, 1})}}),
                    std::invalid_argument);
}

TEST_CASE("cast: every format there is, 1.5 by its code") {
  const Tensors inputs{{"x", row({1.5}, {1, 1})}};
  const std::map<std::string, std::uint16_t> needed{{"e4m3", 0x3C},  {"e5m2", 0x3E}, {"e3m2", 0x0E},   {"e2m3", 0x0C},
                                                    {"e2m1", 0x03},  {"int8", 0x60}, {"bf16", 0x3FC0}, {"fp16", 0x3E00},
                                                    {"e5m6", 0x3E0}, {"ue8m0", 0x80}};
  for (const auto& [format, code] : needed) {
    CAPTURE(format);
    CHECK(codes16(answer("cast", inputs, {{"format", format}}).at("codes"))(0, 0) == code);
    CHECK(judge(op_named("cast"), drawn(op_named("cast"), "ties", 1, {}, {{"format", format}}),
                run(op_named("cast"), drawn(op_named("cast"), "ties", 1, {}, {{"format", format}})))
              .agreement == Agreement::bits);
  }
}
