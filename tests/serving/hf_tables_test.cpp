// SPDX-License-Identifier: MIT
// The gate and the rotary tables as Hugging Face transformers computes them: tests/golden/README.md.
#include "reference/checkpoint/hf_config.hpp"
#include "reference/core/require.hpp"
#include "reference/moe/gate.hpp"
#include "reference/rope/rope.hpp"
#include "tests/serving/hf_golden.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

Safetensors golden_file(const std::string& name) { return open_safetensors(golden_path(name)); }

IndexMatrix whole_numbers(const TensorView& view) {
  const std::vector<std::int64_t> values = to_integers(view);
  const Shape shape = matrix_shape(view);
  IndexMatrix m(shape.rows, shape.cols);
  std::copy(values.begin(), values.end(), m.data());
  return m;
}

std::vector<double> doubles(const TensorView& view) {
  REQUIRE(view.dtype == Dtype::f64);
  std::vector<double> values(view.bytes.size() / sizeof(double));
  std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
  return values;
}

RopeConfig rope_case(const std::string& name) {
  RopeConfig v3 = config_by_name("v3").mla.rope;
  if (name == "v2_lite") return config_by_name("v2-lite").mla.rope;
  if (name == "factor") v3.yarn->mscale_all_dim = 0.707;
  if (name == "plain") v3.yarn.reset();  // as far as the others: it is no question of its table
  return v3;
}

/// Columns 2i and 2i+1: cos and sin of pair i, a row for each position.
Matrix cos_and_sin(const std::string& name, AngleDialect angles, const std::vector<std::int64_t>& positions) {
  RopeConfig config = rope_case(name);
  config.angles = angles;
  Sequences rows;
  for (const std::int64_t position : positions) rows.add(1, position);
  Matrix x = Matrix::Zero(rows.rows(), 64);
  for (Index i = 0; i < 32; ++i) x.col(2 * i).setOnes();  // (1, 0) turns to (cos, sin)
  RopeTable(config, rows).rotate(x);
  return x;
}

}  // namespace

TEST_CASE("gate: transformers' experts and weights on logits where a masked group at 0.0 would win, and where not") {
  const Safetensors file = golden_file("gate.safetensors");
  const GateConfig config = read_hf_config(golden_path("v3_yarn")).model.moe.gate;
  const auto& tensors = file.contents.tensors;
  for (const std::string name : {"mixed", "negative"}) {
    CAPTURE(name);
    const Routing r =
        route_logits(config, to_matrix(tensors.at(name + ".logits")), to_matrix(tensors.at(name + ".bias")));
    CHECK(r.experts == whole_numbers(tensors.at(name + ".experts")));
    // A sigmoid, a sum of four, a quotient and a product on each side, each rounded by at most 2^-24: 16 of them.
    CHECK(outside(r.g, to_matrix(tensors.at(name + ".weights")), 2.5 * 16 * 0x1p-24) == "");
    const IndexMatrix mistaken = whole_numbers(tensors.at(name + ".experts_if_masked_with_zero"));
    CHECK((r.experts == mistaken) == (name == "mixed"));
  }
}

TEST_CASE("RoPE: transformers' frequencies and softmax scale, in double") {
  const Safetensors file = golden_file("rope.safetensors");
  for (const std::string name : {"v3", "v2_lite", "factor", "plain"}) {
    CAPTURE(name);
    const RopeConfig config = rope_case(name);
    const std::vector<double> expected = doubles(file.contents.tensors.at(name + ".frequency"));
    const std::vector<double> ours = rope_frequencies(config);
    REQUIRE(ours.size() == expected.size());
    for (std::size_t i = 0; i < ours.size(); ++i) CHECK(std::abs(ours[i] - expected[i]) <= 1e-14 * expected[i]);
    const double scale = doubles(file.contents.tensors.at(name + ".softmax_scale")).at(0);
    CHECK(std::abs(softmax_scale(128, config) - scale) <= 1e-14 * scale);  // a few operations in double on each side
  }
}

TEST_CASE("RoPE: cos and sin at positions up to 163839, with the factor where there is one") {
  const Safetensors file = golden_file("rope.safetensors");
  const std::vector<std::int64_t> positions = to_integers(file.contents.tensors.at("positions"));
  for (const std::string name : {"v3", "v2_lite", "factor", "plain"}) {
    CAPTURE(name);
    const Matrix x = cos_and_sin(name, AngleDialect::exact, positions);
    const std::vector<double> cos = doubles(file.contents.tensors.at(name + ".cos"));
    const std::vector<double> sin = doubles(file.contents.tensors.at(name + ".sin"));
    double worst = 0;
    for (Index t = 0; t < x.rows(); ++t)
      for (Index i = 0; i < 32; ++i) {
        const auto at = static_cast<std::size_t>(t * 32 + i);
        worst = std::max({worst, std::abs(double{x(t, 2 * i)} - cos[at]), std::abs(double{x(t, 2 * i + 1)} - sin[at])});
      }
    // Rounded to float once (2^-25 of at most 1.1, in the float library) after an angle of up to 163839 radians in
    // double, whose own rounding is 163839 * 2^-52 on either side.
    CHECK(worst <= 1.2 * 0x1p-24 + 2 * 163839 * 0x1p-52);
  }
}

TEST_CASE("RoPE: released angles are transformers' own at positions up to 163839, to the last bit of cos and sin") {
  const Safetensors file = golden_file("rope.safetensors");
  const std::vector<std::int64_t> positions = to_integers(file.contents.tensors.at("positions"));
  for (const std::string name : {"v3", "v2_lite", "factor", "plain"}) {
    CAPTURE(name);
    const Matrix released = cos_and_sin(name, AngleDialect::released, positions);
    const Matrix exact = cos_and_sin(name, AngleDialect::exact, positions);
    const Matrix cos = to_matrix(file.contents.tensors.at(name + ".cos_transformers"));
    const Matrix sin = to_matrix(file.contents.tensors.at(name + ".sin_transformers"));
    double worst = 0, worst_exact = 0;
    for (Index i = 0; i < 32; ++i) {
      worst =
          std::max({worst, max_abs(released.col(2 * i) - cos.col(i)), max_abs(released.col(2 * i + 1) - sin.col(i))});
      worst_exact = std::max(worst_exact, max_abs(exact.col(2 * i) - cos.col(i)));
    }
    CHECK(worst <= 2 * 0x1p-23);  // PyTorch's sine or cosine, then its factor, are a last bit off, at sizes up to 1.1
    CHECK(worst_exact > 1e-3);    // the choice matters
  }
}
