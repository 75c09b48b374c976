// SPDX-License-Identifier: MIT
#include "reference/checkpoint/fp8_weights.hpp"

#include <cmath>

#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"
#include "reference/formats/e4m3.hpp"

namespace dsv3 {

namespace {
constexpr std::string_view scale_endings[] = {"_scale_inv", "_scale"};

/// One scale per block, also for the ragged ones at the edges.
Shape scale_shape(const TensorView& q, const BlockSize& block) {
  const auto blocks = [](Index n, Index size) { return n / size + (n % size != 0 ? 1 : 0); };
  const auto [rows, cols] = matrix_shape(q);
  return {blocks(rows, block.rows), blocks(cols, block.cols)};
}

std::string shape_problem(const TensorView& q, const TensorView& scale, const BlockSize& block) {
  if (scale.dtype != Dtype::f32 && scale.dtype != Dtype::bf16)
    return concat("is ", name(scale.dtype), "; a scale is F32 or BF16");
  const Shape needed = scale_shape(q, block);
  if (scale.shape != std::vector<Index>{needed.rows, needed.cols})
    return concat("has shape ", shape_text(scale.shape), "; one scale per block, ", text(needed), ", is needed");
  return {};
}

std::vector<const TensorView*> scales_of(const Checkpoint& checkpoint, const std::string& weight_name) {
  std::vector<const TensorView*> found;
  for (const std::string_view ending : scale_endings) {
    const auto at = checkpoint.tensors.find(weight_name + std::string(ending));
    if (at != checkpoint.tensors.end()) found.push_back(&at->second);
  }
  return found;
}

Matrix read_scale(const TensorView& scale) {
  Matrix s = to_matrix(scale);
  require_finite(s, scale.where);
  for (Index i = 0; i < s.rows(); ++i)
    for (Index j = 0; j < s.cols(); ++j)
      require_world(s(i, j) > 0, scale.where, "is ", s(i, j), " at (", i, ", ", j, "); a scale is above 0");
  return s;
}
}  // namespace

Matrix dequantise(const TensorView& q, const TensorView& scale, const BlockSize& block) {
  require(block.rows >= 1 && block.cols >= 1, "dequantise", "the block is [", block.rows, ", ", block.cols, "]");
  require_world(q.dtype == Dtype::f8_e4m3, q.where, "is ", name(q.dtype), "; F8_E4M3 is needed");
  const std::string problem = shape_problem(q, scale, block);
  require_world(problem.empty(), scale.where, problem);
  const Matrix s = read_scale(scale);
  const auto [rows, cols] = matrix_shape(q);
  const auto& value = e4m3_values();
  Matrix w(rows, cols);
  parallel_rows(rows, [&, cols = cols](Index begin, Index count) {
    for (Index i = begin; i < begin + count; ++i)
      for (Index j = 0; j < cols; ++j) {
        const float q_ij = value[static_cast<std::uint8_t>(q.bytes[static_cast<std::size_t>(i * cols + j)])];
        require_world(!std::isnan(q_ij), q.where, "is NaN at (", i, ", ", j, ")");
        w(i, j) = q_ij * static_cast<float>(s(i / block.rows, j / block.cols));
      }
  });
  return w;
}

std::string scale_problem(const Checkpoint& checkpoint, const std::string& weight_name,
                          const std::optional<BlockSize>& block) {
  const auto scales = scales_of(checkpoint, weight_name);
  const std::string weight = in_quotes(weight_name);
  if (scales.empty()) return weight + " is F8_E4M3 but has no scale " + in_quotes(weight_name + "_scale_inv");
  if (scales.size() > 1) return weight + " has two scales, _scale_inv and _scale";
  if (!block) return weight + " is F8_E4M3, but config.json has no quantization_config";
  const TensorView& q = tensor(checkpoint, weight_name);
  if (q.shape.size() > 2) return concat(weight, " has shape ", shape_text(q.shape));
  const std::string problem = shape_problem(q, *scales[0], *block);
  return problem.empty() ? "" : concat("the scale of ", weight, ' ', problem);
}

std::string weight_of_scale(const std::string& name) {
  for (const std::string_view ending : scale_endings)
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return {};
}

Matrix read_weight(const Checkpoint& checkpoint, const std::string& name, const std::optional<BlockSize>& block) {
  const TensorView& view = tensor(checkpoint, name);
  if (view.dtype != Dtype::f8_e4m3) return to_matrix(view);
  const std::string problem = scale_problem(checkpoint, name, block);
  require_world(problem.empty(), checkpoint.folder.string(), problem);
  return dequantise(view, *scales_of(checkpoint, name)[0], *block);
}

}  // namespace dsv3
