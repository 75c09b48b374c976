// SPDX-License-Identifier: MIT
#include "reference/checkpoint/fp8_weights.hpp"

#include <cmath>

#include "reference/formats/e4m3.hpp"
#include "tests/checkpoint/scratch.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {
TensorView view_of(Dtype dtype, std::vector<Index> shape, const std::string& bytes, const char* where) {
  return {dtype, std::move(shape), std::as_bytes(std::span(bytes)), where};
}

std::string codes(Index count) {
  std::string bytes;
  for (Index i = 0; i < count; ++i) bytes += static_cast<char>(i * 37 % 127 + (i % 2) * 128);  // never a NaN code
  return bytes;
}

/// "w" [2, 3] in E4M3 with a scale tensor of this name, type and shape.
Checkpoint checkpoint_of(const std::string& scale_entry, const std::string& scale_bytes, const Scratch& scratch) {
  const std::string header = R"({"w":{"dtype":"F8_E4M3","shape":[2,3],"data_offsets":[0,6]})" +
                             (scale_entry.empty() ? "" : "," + scale_entry) + "}";
  put(scratch / "model.safetensors", safetensors_bytes(header, "\x38\x38\x38\x38\x38\x38" + scale_bytes));
  return open_checkpoint(scratch.folder());
}
}  // namespace

TEST_CASE("fp8_weights: w = q * weight_scale_inv, a multiplier, by hand with 1 x 2 blocks") {
  const std::string q = "\x38\x40\xB8\x01\x7E\x80";  // 1, 2, -1, 2^-9, 448, -0
  const std::string s = raw<float>({0.5f, 3, 0.1f, 4});
  const Matrix w = dequantise(view_of(Dtype::f8_e4m3, {2, 3}, q, "w"), view_of(Dtype::f32, {2, 2}, s, "s"), {1, 2});
  const Matrix expected = matrix({{0.5, 1, -3}, {0x1p-9f * 0.1f, 448 * 0.1f, -0.0}});
  CHECK(different(w, expected) == "");
}

TEST_CASE("fp8_weights: ragged 128 blocks at both edges (576 rows of kv_a, 200 columns), in F32 and in BF16 scales") {
  const Index rows = 576, cols = 200;
  const std::string q = codes(rows * cols);
  std::string f32, bf16;
  for (Index b = 0; b < 10; ++b) {  // 5 x 2 blocks, each with its own scale, exact in BF16
    f32 += raw<float>({static_cast<float>(b + 1) / 4});
    bf16 += raw<std::uint16_t>(
        {static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(static_cast<float>(b + 1) / 4) >> 16)});
  }
  const auto weight = view_of(Dtype::f8_e4m3, {rows, cols}, q, "w");
  const Matrix w = dequantise(weight, view_of(Dtype::f32, {5, 2}, f32, "s"), {});
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) {
      const auto code = static_cast<std::uint8_t>(q[static_cast<std::size_t>(i * cols + j)]);
      const float scale = static_cast<float>((i >> 7) * 2 + (j >> 7) + 1) / 4;
      REQUIRE(w(i, j) == real(float_from_e4m3(code) * scale));
    }
  CHECK(different(dequantise(weight, view_of(Dtype::bf16, {5, 2}, bf16, "s"), {}), w) == "");
}

TEST_CASE("fp8_weights: the number of blocks is rounded up; any other shape names what is needed") {
  const std::string q = codes(129 * 128), s = raw<float>({1, 1});
  const auto said = [&](Index rows, std::vector<Index> shape) {
    return thrown([&] {
      dequantise(view_of(Dtype::f8_e4m3, {rows, 128}, q.substr(0, static_cast<std::size_t>(rows * 128)), "w"),
                 view_of(Dtype::f32, shape, s, "s"), {});
    });
  };
  CHECK(said(128, {1, 1}) == "nothing thrown");
  CHECK(said(129, {2, 1}) == "nothing thrown");
  CHECK(said(129, {1, 1}) == "s: has shape [1, 1]; one scale per block, [2, 1], is needed");
  CHECK(said(129, {1, 2}) == "s: has shape [1, 2]; one scale per block, [2, 1], is needed");
  CHECK(said(128, {1}) == "s: has shape [1]; one scale per block, [1, 1], is needed");
}

TEST_CASE("fp8_weights: a scale of 0 or below is refused with its place") {
  const std::string q = "\x38\x38\x38\x38";
  const auto said = [&](const std::string& s, Dtype dtype) {
    return thrown([&] { dequantise(view_of(Dtype::f8_e4m3, {2, 2}, q, "w"), view_of(dtype, {2, 1}, s, "s"), {1, 2}); });
  };
  CHECK(said(raw<float>({1, 0x1p-149f}), Dtype::f32) == "nothing thrown");
  CHECK(said(raw<float>({1, 0}), Dtype::f32) == "s: is 0 at (1, 0); a scale is above 0");
  CHECK(said(raw<float>({-0.5f, 1}), Dtype::f32) == "s: is -0.5 at (0, 0); a scale is above 0");
  CHECK(said(raw<std::uint16_t>({0x3F80, 0xBF80}), Dtype::bf16) == "s: is -1 at (1, 0); a scale is above 0");
}

TEST_CASE("fp8_weights: scales that are not finite and NaN codes are refused with their place") {
  const std::string q = "\x38\x38\x38\x7F", nan_q = "\x38\x38\x38\x38";
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    const std::string s = raw<float>({1, bad});
    CHECK(
        contains(thrown([&] {
                   dequantise(view_of(Dtype::f8_e4m3, {2, 2}, nan_q, "w"), view_of(Dtype::f32, {2, 1}, s, "s"), {1, 2});
                 }),
                 "at (1, 0)"));
  }
  const std::string s = raw<float>({1});
  CHECK(thrown([&] {
          dequantise(view_of(Dtype::f8_e4m3, {2, 2}, q, "w"), view_of(Dtype::f32, {1, 1}, s, "s"), {});
        }) == "w: is NaN at (1, 1)");
}

TEST_CASE("fp8_weights: read_weight finds the scale under either name and reports none, two, a wrong one, no block") {
  const std::string one = raw<float>({2}), entry_tail = R"({"dtype":"F32","shape":[1,1],"data_offsets":[6,10]})";
  const auto said = [](const std::string& entry, const std::string& bytes, std::optional<BlockSize> block) {
    const Scratch scratch;
    const Checkpoint checkpoint = checkpoint_of(entry, bytes, scratch);
    std::string text = thrown([&] {
      const Matrix w = read_weight(checkpoint, "w", block);
      CHECK(different(w, Matrix::Constant(2, 3, 2)) == "");
    });
    const std::string folder = scratch.folder().string() + ": ";
    return text.starts_with(folder) ? text.substr(folder.size()) : text;
  };
  CHECK(said("\"w_scale_inv\":" + entry_tail, one, BlockSize{}) == "nothing thrown");
  CHECK(said("\"w_scale\":" + entry_tail, one, BlockSize{}) == "nothing thrown");
  CHECK(said("", "", BlockSize{}) == "\"w\" is F8_E4M3 but has no scale \"w_scale_inv\"");
  CHECK(said("\"w_scale\":" + entry_tail, one, std::nullopt) ==
        "\"w\" is F8_E4M3, but config.json has no quantization_config");
  CHECK(said("\"w_scale\":" + entry_tail, one, BlockSize{1, 128}) ==
        "the scale of \"w\" has shape [1, 1]; one scale per block, [2, 1], is needed");
  CHECK(said(R"("w_scale_inv":{"dtype":"U8","shape":[1,1],"data_offsets":[6,7]})", "x", BlockSize{}) ==
        "the scale of \"w\" is U8; a scale is F32 or BF16");
  CHECK(said(R"("w_scale":{"dtype":"F32","shape":[1,1],"data_offsets":[6,10]},)"
             R"("w_scale_inv":{"dtype":"F32","shape":[1,1],"data_offsets":[10,14]})",
             one + one, BlockSize{}) == "\"w\" has two scales, _scale_inv and _scale");
}
