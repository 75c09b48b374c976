// SPDX-License-Identifier: MIT
#include "reference/oracle/tensor.hpp"

#include <cstring>
#include <numeric>

#include "reference/checkpoint/safetensors.hpp"
#include "reference/core/require.hpp"
#include "reference/formats/bounds.hpp"
#include "reference/formats/cast.hpp"

namespace dsv3::oracle {
namespace {

Index product(std::span<const Index> shape) {
  return std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
}

template <class Stored, class Out, class Convert>
std::vector<Out> each(const Tensor& tensor, const Convert& convert) {
  std::vector<Out> out(static_cast<std::size_t>(tensor.size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored element;
    std::memcpy(&element, tensor.bytes.data() + i * sizeof element, sizeof element);
    out[i] = static_cast<Out>(convert(element));
  }
  return out;
}

template <class Out>
std::vector<Out> numbers(const Tensor& tensor) {
  const auto itself = [](auto x) { return x; };
  const auto of = [](FormatId id) { return [id](auto code) { return decode(id, code); }; };
  switch (tensor.dtype) {
    case Dtype::f64:
      return each<double, Out>(tensor, itself);
    case Dtype::f32:
      return each<float, Out>(tensor, itself);
    case Dtype::f16:
      return each<std::uint16_t, Out>(tensor, of(FormatId::fp16));
    case Dtype::bf16:
      return each<std::uint16_t, Out>(tensor, of(FormatId::bf16));
    case Dtype::f8_e4m3:
      return each<std::uint8_t, Out>(tensor, of(FormatId::e4m3));
    case Dtype::f8_e5m2:
      return each<std::uint8_t, Out>(tensor, of(FormatId::e5m2));
    case Dtype::i64:
      return each<std::int64_t, Out>(tensor, itself);
    case Dtype::i32:
      return each<std::int32_t, Out>(tensor, itself);
    case Dtype::u8:
    case Dtype::boolean:
      return each<std::uint8_t, Out>(tensor, itself);
  }
  return {};
}

/// A tensor with room for its bytes.
std::pair<Tensor, std::byte*> empty(Dtype dtype, std::vector<Index> shape) {
  const auto bytes =
      std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(product(shape) * element_bytes(dtype)));
  return {Tensor{dtype, std::move(shape), *bytes, bytes}, bytes->data()};
}

template <class T>
Tensor copy_of(Dtype dtype, std::vector<Index> shape, const T* values, Index count) {
  require(product(shape) == count, "tensor", "a shape of ", shape_text(shape), " has ", product(shape),
          " elements; there are ", count);
  auto [out, bytes] = empty(dtype, std::move(shape));
  if (count > 0) std::memcpy(bytes, values, out.bytes.size());
  return out;
}

}  // namespace

Index Tensor::size() const { return product(shape); }

Shape rows_and_cols(const std::vector<Index>& shape) {
  if (shape.empty()) return {1, 1};
  return {product(std::span(shape).first(shape.size() - 1)), shape.back()};
}

Doubles values(const Tensor& tensor) { return numbers<double>(tensor); }

double step(Dtype dtype, double x) {
  switch (dtype) {
    case Dtype::f16:
      return 2 * cast_bound(FormatId::fp16, std::min(std::abs(x), 65504.0));
    case Dtype::bf16:
      return 2 * cast_bound(FormatId::bf16, std::min(std::abs(x), 0x1.FEp127));
    case Dtype::f8_e4m3:
      return 2 * cast_bound(FormatId::e4m3, std::min(std::abs(x), 448.0));
    case Dtype::f8_e5m2:
      return 2 * cast_bound(FormatId::e5m2, std::min(std::abs(x), 57344.0));
    case Dtype::f32:
      return std::ldexp(1, std::max(std::ilogb(std::max(std::abs(x), 0x1p-126)), -126) - 23);
    case Dtype::f64:
      return std::ldexp(1, std::max(std::ilogb(std::max(std::abs(x), 0x1p-1022)), -1022) - 52);
    default:
      return 1;
  }
}

bool is_whole(Dtype dtype) {
  return dtype == Dtype::i64 || dtype == Dtype::i32 || dtype == Dtype::u8 || dtype == Dtype::boolean;
}

std::vector<std::int64_t> integers(const Tensor& tensor) {
  require(is_whole(tensor.dtype), "integers", name(tensor.dtype), " is no type of whole numbers");
  return numbers<std::int64_t>(tensor);
}

FloatMatrix float_matrix(const Tensor& tensor) {
  require(is_plain_float(tensor.dtype) && tensor.dtype != Dtype::f64, "float_matrix", name(tensor.dtype),
          " is not F32, BF16 or F16");
  const Shape shape = rows_and_cols(tensor.shape);
  const std::vector<float> all = numbers<float>(tensor);
  return Eigen::Map<const FloatMatrix>(all.data(), shape.rows, shape.cols);
}

Codes codes(const Tensor& tensor) {
  require(element_bytes(tensor.dtype) == 1, "codes", name(tensor.dtype), " is no type of one byte");
  const Shape shape = rows_and_cols(tensor.shape);
  Codes out(shape.rows, shape.cols);
  if (out.size() > 0) std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
  return out;
}

Codes16 codes16(const Tensor& tensor) {
  const Shape shape = rows_and_cols(tensor.shape);
  Codes16 out(shape.rows, shape.cols);
  if (element_bytes(tensor.dtype) == 1) return codes(tensor).cast<std::uint16_t>();
  if (element_bytes(tensor.dtype) == 2) {
    if (out.size() > 0) std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
    return out;
  }
  const std::vector<std::int64_t> all = integers(tensor);
  for (Index i = 0; i < out.size(); ++i) {
    const std::int64_t code = all[static_cast<std::size_t>(i)];
    require(code >= 0 && code <= 0xFFFF, "codes", code, " is no code of 16 bits");
    out.data()[i] = static_cast<std::uint16_t>(code);
  }
  return out;
}

Tensor tensor(const FloatMatrix& m) { return tensor(m, {m.rows(), m.cols()}); }

Tensor tensor(const FloatMatrix& m, std::vector<Index> shape) {
  return copy_of(Dtype::f32, std::move(shape), m.data(), m.size());
}

Tensor tensor(Dtype dtype, const Codes& q) { return copy_of(dtype, {q.rows(), q.cols()}, q.data(), q.size()); }

Tensor tensor16(Dtype dtype, const Codes16& q) {
  if (element_bytes(dtype) == 2) return copy_of(dtype, {q.rows(), q.cols()}, q.data(), q.size());
  require(dtype == Dtype::i32, "tensor16", name(dtype), " has no codes of 16 bits");
  const std::vector<std::int32_t> wide(q.data(), q.data() + q.size());
  return copy_of(dtype, {q.rows(), q.cols()}, wide.data(), std::ssize(wide));
}

Tensor tensor(const std::vector<std::int64_t>& v, std::vector<Index> shape) {
  return copy_of(Dtype::i64, std::move(shape), v.data(), std::ssize(v));
}

Tensor rounded(Dtype dtype, const FloatMatrix& m, std::vector<Index> shape) {
  if (dtype == Dtype::f32) return tensor(m, std::move(shape));
  require(dtype == Dtype::bf16 || dtype == Dtype::f16, "rounded", name(dtype), " is not F32, BF16 or F16");
  std::vector<std::uint16_t> out(static_cast<std::size_t>(m.size()));
  encode(dtype == Dtype::bf16 ? FormatId::bf16 : FormatId::fp16, std::span(m.data(), out.size()), std::span(out),
         {.overflow = Overflow::non_saturate});
  return copy_of(dtype, std::move(shape), out.data(), std::ssize(out));
}

}  // namespace dsv3::oracle
