// SPDX-License-Identifier: MIT
#include "reference/checkpoint/safetensors.hpp"

#include <cmath>

#include "tests/checkpoint/scratch.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
const std::string plain_header =
    R"({"__metadata__":{"who":"me"},"b":{"dtype":"F32","shape":[2,2],"data_offsets":[4,20]},)"
    R"("a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})";
const std::string plain_data = raw<std::uint16_t>({0x3F80, 0xC040}) + raw<float>({1, 2, 3, -4.5f});
const std::string plain = safetensors_bytes(plain_header, plain_data);

/// The message for a header with one tensor "t" over 8 bytes of data.
std::string refusal(const std::string& entry) {
  const std::string bytes = safetensors_bytes("{\"t\":" + entry + "}", std::string(8, 'x'));
  return thrown([&] { parse(bytes); });
}

TensorView view_of(Dtype dtype, std::vector<Index> shape, const std::string& bytes) {
  return {dtype, std::move(shape), std::as_bytes(std::span(bytes)), "V"};
}
}  // namespace

TEST_CASE("safetensors: a file by hand is read tensor by tensor") {
  const SafetensorsContents contents = parse(plain);
  REQUIRE(contents.tensors.size() == 2);
  CHECK(contents.metadata.at("who") == "me");
  CHECK(contents.tensors.at("a").dtype == Dtype::bf16);
  CHECK(different(to_matrix(contents.tensors.at("a")), matrix({{1, -3}})) == "");
  CHECK(different(to_matrix(contents.tensors.at("b")), matrix({{1, 2}, {3, -4.5}})) == "");
  CHECK(contents.tensors.at("b").where == "F: tensor \"b\"");
}

TEST_CASE("safetensors: a header padded with spaces, no tensors, scalars and tensors without elements") {
  CHECK(parse(safetensors_bytes("{}      ", "")).tensors.empty());
  const std::string header =
      R"({"e":{"dtype":"F32","shape":[0,5],"data_offsets":[4,4]},"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})";
  const std::string bytes = safetensors_bytes(header, raw<float>({7}));
  const SafetensorsContents contents = parse(bytes);
  CHECK(different(to_matrix(contents.tensors.at("s")), matrix({{7}})) == "");
  CHECK(matrix_shape(contents.tensors.at("e")) == Shape{0, 5});
  CHECK(to_matrix(contents.tensors.at("e")).size() == 0);
}

TEST_CASE("safetensors: a file cut at any byte is an error, and so is one byte more") {
  for (std::size_t size = 0; size < plain.size(); ++size) {
    const std::string cut = plain.substr(0, size);
    CAPTURE(size);
    CHECK_THROWS_AS(parse(cut), std::runtime_error);
  }
  const std::string longer = plain + "x";
  CHECK(thrown([&] { parse(longer); }) == "F: the last 1 bytes belong to no tensor");
}

TEST_CASE("safetensors: any one byte of the header changed is an error or another valid file, never a crash") {
  int accepted = 0;
  for (std::size_t at = 0; at < 8 + plain_header.size(); ++at)
    for (const char c : {'\0', ' ', '"', '9', '{', '}', ',', '-', '\xFF', 'e'}) {
      std::string bytes = plain;
      bytes[at] = c;
      try {
        parse(bytes);
        ++accepted;
      } catch (const std::runtime_error&) {
      }
    }
  CHECK(accepted > 0);  // inside names
}

TEST_CASE("safetensors: header length: more than the file, more than 100 MB, 2^64 - 1, not starting with {") {
  CHECK(thrown([] { parse("1234567"); }) ==
        "F: has 7 bytes; a safetensors file starts with 8 bytes that hold the length of its header");
  CHECK(thrown([] { parse(raw<std::uint64_t>({3}) + "{}"); }) ==
        "F: claims a header of 3 bytes, but only 2 bytes follow");
  CHECK(thrown([] { parse(raw<std::uint64_t>({100'000'001}) + "{}"); }) ==
        "F: claims a header of 100000001 bytes; at most 100000000 are read");
  CHECK(contains(thrown([] { parse(raw<std::uint64_t>({~std::uint64_t{0}}) + "{}"); }), "18446744073709551615 bytes"));
  CHECK(thrown([] { parse(safetensors_bytes(" {}", "")); }) == "F: its header does not start with {");
  CHECK(thrown([] { parse(safetensors_bytes("", "")); }) == "F: its header does not start with {");
}

TEST_CASE("safetensors: offsets that overlap, leave a hole, run backwards, overflow or leave the file") {
  const auto two = [](const char* a, const char* b, std::size_t size) {
    const std::string header = concat(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)", a,
                                      R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)", b, "}}");
    const std::string bytes = safetensors_bytes(header, std::string(size, 'x'));
    return thrown([&] { parse(bytes); });
  };
  CHECK(two("[0,4]", "[4,8]", 8) == "nothing thrown");
  CHECK(two("[4,8]", "[0,4]", 8) == "nothing thrown");
  CHECK(two("[0,4]", "[2,6]", 6) == "F: tensor \"b\": its bytes, from 2 on, overlap with another tensor's, up to 4");
  CHECK(contains(two("[0,4]", "[0,4]", 4), "overlap"));
  CHECK(two("[0,4]", "[5,9]", 9) == "F: tensor \"b\": starts at byte 5, but bytes 4 on belong to no tensor");
  CHECK(two("[1,5]", "[5,9]", 9) == "F: tensor \"a\": starts at byte 1, but bytes 0 on belong to no tensor");
  CHECK(two("[0,4]", "[4,8]", 9) == "F: the last 1 bytes belong to no tensor");
  CHECK(two("[0,4]", "[4,8]", 7) == "F: tensor \"b\": data_offsets [4, 8] end after the 7 bytes of data");
  CHECK(two("[0,4]", "[8,4]", 8) == "F: tensor \"b\": data_offsets [8, 4] are not [begin, end]");
  CHECK(contains(two("[0,4]", "[9223372036854775803,9223372036854775807]", 8), "end after the 8 bytes"));
  CHECK(contains(two("[0,4]", "[18446744073709551612,18446744073709551616]", 8), "a whole number from 0"));
}

TEST_CASE("safetensors: every malformed entry is refused with the tensor's name and what is needed") {
  const std::string t = "F: tensor \"t\": ";
  CHECK(refusal(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})") == "nothing thrown");
  CHECK(refusal(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})") ==
        t + "F32 [3] needs 12 bytes, but data_offsets [0, 8] hold 8");
  CHECK(refusal(R"({"dtype":"F128","shape":[2],"data_offsets":[0,8]})") == t + "dtype \"F128\" is not known");
  CHECK(refusal(R"({"dtype":7,"shape":[2],"data_offsets":[0,8]})") == t + "dtype is not a string");
  for (const char* bad : {"-1", "1.5", "2.0", "1e3", "\"2\"", "null", "true", "[2]", "9223372036854775808"})
    CHECK(contains(refusal(concat(R"({"dtype":"F32","shape":[)", bad, R"(],"data_offsets":[0,8]})")),
                   "; a whole number from 0 to 2^63 - 1 is needed"));
  for (const char* bad : {"-0.0", "-8", "8.5", "1e2", "\"8\"", "null"})
    CHECK(contains(refusal(concat(R"({"dtype":"F32","shape":[2],"data_offsets":[0,)", bad, "]}")),
                   "; a whole number from 0 to 2^63 - 1 is needed"));
  for (const char* bad : {"NaN", "Infinity", "1e999", "08", "0x8"})
    CHECK(contains(refusal(concat(R"({"dtype":"F32","shape":[2],"data_offsets":[0,)", bad, "]}")),
                   "F: header: not JSON"));
  CHECK(refusal(R"({"dtype":"F32","shape":[4611686018427387904,2],"data_offsets":[0,8]})") ==
        t + "shape [4611686018427387904, 2] is too large");
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]})"), "is too large"));
  CHECK(refusal(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})") == t + "shape is not an array");
  CHECK(refusal(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})") == t + "data_offsets [0] are not [begin, end]");
  CHECK(refusal(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4,8]})") ==
        t + "data_offsets [0, 4, 8] are not [begin, end]");
  for (const char* bad : {R"({"dtype":"F32","shape":[2]})", R"([1])", "null", "3",
                          R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1})",
                          R"({"dtype":"F32","shape":[2],"data_offset":[0,8]})"})
    CHECK(refusal(bad) == t + "an object with dtype, shape and data_offsets is needed");
}

TEST_CASE("safetensors: JSON that lenient readers accept is refused") {
  const std::string entry = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  const auto header = [](const std::string& text) {
    const std::string bytes = safetensors_bytes(text, "x");
    return thrown([&] { parse(bytes); });
  };
  CHECK(header("{\"t\":" + entry + "}") == "nothing thrown");
  CHECK(header("{\"t\":" + entry + ",\"t\":" + entry + "}") == "F: header: the key \"t\" appears twice");
  CHECK(header(R"({"t":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]}})") ==
        "F: header: the key \"dtype\" appears twice");
  CHECK(contains(header("{\"t\":" + entry + "} x"), "not JSON"));
  CHECK(contains(header("{\"t\":" + entry + ",}"), "not JSON"));
  CHECK(contains(header("{\"\xC3\x28\":" + entry + "}"), "not JSON"));  // not UTF-8
  CHECK(contains(header("{\"t\":" + std::string(100'000, '[')), "more than 64 levels"));
  CHECK(header(R"({"__metadata__":{"n":1}})") == "F: __metadata__ \"n\" is not a string");
  CHECK(header(R"({"__metadata__":[]})") == "F: __metadata__ is not an object");
}

TEST_CASE("safetensors: a name with control characters cannot break the message into lines, nor flood it") {
  const std::string bytes = safetensors_bytes("{\"" + std::string(5000, 'n') + "\\n\":3}", "");
  const std::string said = thrown([&] { parse(bytes); });
  CHECK(said.size() < 400);
  const std::string newline = safetensors_bytes(R"({"a\nb":3})", "");
  CHECK(contains(thrown([&] { parse(newline); }), R"(tensor "a\nb")"));
}

TEST_CASE("safetensors: F32, BF16, F16 and F64 become their values; F16 with subnormals, infinity and NaN") {
  const std::string f16 = raw<std::uint16_t>({0x3C00, 0xC000, 0x0001, 0x8400, 0x7BFF, 0x7C00, 0x03FF, 0x8000, 0x7E00});
  const Matrix m = to_matrix(view_of(Dtype::f16, {9}, f16));
  const Matrix expected = matrix({{1, -2, 0x1p-24, -0x1p-14, 65504, INFINITY, 1023 * 0x1p-24, -0.0}});
  CHECK(different(m.leftCols(8), expected) == "");
  CHECK(std::isnan(m(0, 8)));
  const std::string f64 = raw<double>({0.1, -0x1p-149});
  CHECK(different(to_matrix(view_of(Dtype::f64, {2, 1}, f64)), matrix({{0.1}, {-0x1p-149}})) == "");
  const std::string bf16 = raw<std::uint16_t>({0x0001, 0xFF7F});
  CHECK(different(to_matrix(view_of(Dtype::bf16, {1, 2}, bf16)), matrix({{0x1p-133, -0x1.FEp127}})) == "");
}

TEST_CASE("safetensors: types without a value of their own and more than two dimensions are refused by name") {
  const std::string bytes(8, '\0');
  for (const Dtype dtype : {Dtype::f8_e4m3, Dtype::f8_e5m2, Dtype::u8, Dtype::boolean})
    CHECK(thrown([&] { to_matrix(view_of(dtype, {8}, bytes)); }) ==
          concat("V: is ", name(dtype), "; F32, BF16, F16 or F64 is needed"));
  CHECK(thrown([&] {
          to_matrix(view_of(Dtype::f32, {1, 1, 2}, bytes));
        }) == "V: has shape [1, 1, 2]; at most two dimensions are needed");
  CHECK(thrown([&] { to_integers(view_of(Dtype::f32, {2}, bytes)); }) == "V: is F32; I64, I32, U8 or BOOL is needed");
}

TEST_CASE("safetensors: whole numbers keep sign and size") {
  const std::string i64 = raw<std::int64_t>({-1, INT64_MAX}), i32 = raw<std::int32_t>({INT32_MIN, 5});
  CHECK(to_integers(view_of(Dtype::i64, {2}, i64)) == std::vector<std::int64_t>{-1, INT64_MAX});
  CHECK(to_integers(view_of(Dtype::i32, {2}, i32)) == std::vector<std::int64_t>{INT32_MIN, 5});
  CHECK(to_integers(view_of(Dtype::u8, {2}, "\xFF\x01")) == std::vector<std::int64_t>{255, 1});
}

TEST_CASE("safetensors: dtype names go both ways") {
  for (const char* text : {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I32", "U8", "BOOL"})
    CHECK(name(dtype_by_name(text).value()) == text);
  CHECK(!dtype_by_name("f32").has_value());
}

TEST_CASE("safetensors: a file written by the Python library reads as it was written") {
  const Safetensors file = open_safetensors(DSV3_SOURCE_DIR "/tests/checkpoint/golden/python.safetensors");
  const auto& tensors = file.contents.tensors;
  CHECK(file.contents.metadata.at("maker") == "safetensors");
  CHECK(different(to_matrix(tensors.at("f32")), matrix({{0.5, -1.25, 3}, {1e-3, 7, 0}})) == "");
  CHECK(different(to_matrix(tensors.at("bf16")), matrix({{1, -0x1p-133, 3.140625}})) == "");
  CHECK(different(to_matrix(tensors.at("f16")), matrix({{0.0999755859375, 65504}})) == "");
  CHECK(different(to_matrix(tensors.at("f64")), matrix({{0.1}})) == "");
  CHECK(to_integers(tensors.at("i64")) == std::vector<std::int64_t>{-3, 1LL << 40});
  CHECK(to_integers(tensors.at("flags")) == std::vector<std::int64_t>{1, 0, 1});
  CHECK(tensors.at("fp8").dtype == Dtype::f8_e4m3);
  CHECK(tensors.at("empty").shape == std::vector<Index>{0, 4});
}
