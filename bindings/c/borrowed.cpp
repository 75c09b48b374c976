// SPDX-License-Identifier: MIT
#include "bindings/c/borrowed.hpp"

#include "reference/checkpoint/safetensors.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"

namespace dsv3::bindings {

static_assert(static_cast<int>(Dtype::f64) == DSV3_F64 && static_cast<int>(Dtype::f32) == DSV3_F32 &&
              static_cast<int>(Dtype::f16) == DSV3_F16 && static_cast<int>(Dtype::bf16) == DSV3_BF16 &&
              static_cast<int>(Dtype::f8_e4m3) == DSV3_F8_E4M3 && static_cast<int>(Dtype::f8_e5m2) == DSV3_F8_E5M2 &&
              static_cast<int>(Dtype::i64) == DSV3_I64 && static_cast<int>(Dtype::i32) == DSV3_I32 &&
              static_cast<int>(Dtype::u8) == DSV3_U8 && static_cast<int>(Dtype::boolean) == DSV3_BOOL);
static_assert(std::is_same_v<Index, std::int64_t>);

namespace {

constexpr int max_rank = 8;
constexpr Index max_elements = Index{1} << 31;

std::vector<Index> shape_of(const dsv3_tensor& t, const std::string& what) {
  require(t.rank >= 0 && t.rank <= max_rank, what, "has the rank ", t.rank, "; it must be from 0 to ", max_rank);
  require(t.rank == 0 || t.shape != nullptr, what, "has no shape; ", t.rank, " sizes are needed");
  std::vector<Index> shape(t.shape, t.shape + t.rank);
  Index elements = 1;
  for (const Index n : shape) {
    require(n >= 0, what, "has the shape ", shape_text(shape), "; sizes must be at least 0");
    if (n == 0) continue;  // an op may still multiply the other sizes
    require(n <= max_elements / elements, what, "has the shape ", shape_text(shape),
            "; at most 2^31 elements are taken, where a size of 0 counts as 1");
    elements *= n;
  }
  return shape;
}

oracle::Tensor view_of(const dsv3_tensor& t, const std::string& what) {
  require(t.dtype >= DSV3_F64 && t.dtype <= DSV3_BOOL, what, "has the type ", t.dtype, "; it must be from ", DSV3_F64,
          " (F64) to ", DSV3_BOOL, " (BOOL)");
  oracle::Tensor view{.dtype = static_cast<Dtype>(t.dtype), .shape = shape_of(t, what), .bytes = {}, .owner = {}};
  const Index needed = view.size() * element_bytes(view.dtype);
  require(t.bytes == needed, what, "has ", t.bytes, " bytes; ", shape_text(view.shape), " of ", name(view.dtype),
          " needs ", needed);
  require(t.data != nullptr || needed == 0, what, "has no data; ", needed, " bytes are needed");
  view.bytes = {static_cast<const std::byte*>(t.data), static_cast<std::size_t>(needed)};
  return view;
}

}  // namespace

std::string_view text_of(const char* text, const char* what, const char* otherwise) {
  if (text == nullptr) text = otherwise;
  require(text != nullptr, "oracle", what, " is NULL; a text is needed");
  return text;
}

oracle::Tensors borrowed(const dsv3_tensor* tensors, std::int64_t count, const std::string& where) {
  require(count >= 0, where, "there are ", count, " tensors; a number from 0 on is needed");
  require(count == 0 || tensors != nullptr, where, "the tensors are NULL; there should be ", count);
  oracle::Tensors all;
  for (const dsv3_tensor& t : std::span(tensors, static_cast<std::size_t>(count))) {
    require(t.name != nullptr, where, "a tensor has no name");
    const bool is_new = all.emplace(t.name, view_of(t, concat(where, ": ", in_quotes(t.name)))).second;
    require(is_new, where, in_quotes(t.name), " is given twice");
  }
  return all;
}

}  // namespace dsv3::bindings
