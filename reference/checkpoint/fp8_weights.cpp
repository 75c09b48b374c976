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

Matrix read_scale(const TensorView& scale, const Shape& needed) {
  require_world(scale.dtype == Dtype::f32 || scale.dtype == Dtype::bf16, scale.where, "is ", name(scale.dtype),
                "; a scale is F32 or BF16");
  require_world(scale.shape.size() == 2 && matrix_shape(scale) == needed, scale.where, "has shape ",
                shape_text(scale.shape), "; one scale per block, ", text(needed), ", is needed");
  Matrix s = to_matrix(scale);
  for (Index i = 0; i < s.rows(); ++i)
    for (Index j = 0; j < s.cols(); ++j)
      require_world(std::isfinite(s(i, j)), scale.where, "is ", s(i, j), " at (", i, ", ", j, ")");
  return s;
}
}  // namespace

Matrix dequantise(const TensorView& q, const TensorView& scale, const BlockSize& block) {
  require(block.rows >= 1 && block.cols >= 1, "dequantise", "the block is [", block.rows, ", ", block.cols, "]");
  require_world(q.dtype == Dtype::f8_e4m3, q.where, "is ", name(q.dtype), "; F8_E4M3 is needed");
  const auto [rows, cols] = matrix_shape(q);
  const auto blocks = [](Index n, Index size) { return n / size + (n % size != 0 ? 1 : 0); };
  const Matrix s = read_scale(scale, {blocks(rows, block.rows), blocks(cols, block.cols)});
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

const TensorView* find_scale(const Checkpoint& checkpoint, const std::string& weight_name) {
  const TensorView* found = nullptr;
  for (const std::string_view ending : scale_endings) {
    const auto at = checkpoint.tensors.find(weight_name + std::string(ending));
    if (at == checkpoint.tensors.end()) continue;
    require_world(found == nullptr, at->second.where, "there is a second scale, ", found ? found->where : "");
    found = &at->second;
  }
  return found;
}

std::string weight_of_scale(const std::string& name) {
  for (const std::string_view ending : scale_endings)
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return {};
}

Matrix read_weight(const Checkpoint& checkpoint, const std::string& name, const std::optional<BlockSize>& block) {
  const TensorView& view = tensor(checkpoint, name);
  if (view.dtype != Dtype::f8_e4m3) return to_matrix(view);
  const TensorView* const scale = find_scale(checkpoint, name);
  require_world(scale != nullptr, view.where, "is F8_E4M3 but has no scale ", in_quotes(name + "_scale_inv"));
  require_world(block.has_value(), view.where, "is F8_E4M3, but config.json has no quantization_config");
  return dequantise(view, *scale, *block);
}

}  // namespace dsv3
