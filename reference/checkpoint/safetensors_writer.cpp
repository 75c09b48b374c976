// SPDX-License-Identifier: MIT
#include "reference/checkpoint/safetensors_writer.hpp"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/atomic_file.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"

namespace dsv3 {

using nlohmann::ordered_json;

namespace {
Index count(const std::vector<Index>& shape) {
  Index total = 1;
  for (const Index n : shape) total *= n;
  return total;
}

void emit(Dtype dtype, const Matrix& m, const ByteSink& sink) {
  constexpr Index chunk = 1 << 16;
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(chunk, m.size()) * element_bytes(dtype)));
  for (Index i = 0; i < m.size(); i += chunk) {
    const Index n = std::min(chunk, m.size() - i);
    bytes_from_values(dtype, m.data() + i, n, bytes.data());
    sink(std::span(bytes).first(static_cast<std::size_t>(n * element_bytes(dtype))));
  }
}

template <class T>
TensorToWrite integers(std::string name, Dtype dtype, std::vector<Index> shape, std::span<const T> values) {
  require(count(shape) == std::ssize(values), name, values.size(), " values do not have shape ", shape_text(shape));
  return {std::move(name), dtype, std::move(shape), [values](const ByteSink& sink) { sink(std::as_bytes(values)); }};
}

/// Where each tensor's bytes go: wider types first, else in the given order.
std::vector<const TensorToWrite*> data_order(const std::vector<TensorToWrite>& tensors) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    return element_bytes(a->dtype) > element_bytes(b->dtype);
  });
  return order;
}

std::string header_text(const std::vector<TensorToWrite>& tensors, const std::map<std::string, std::string>& metadata) {
  std::map<std::string, Index> begin;
  Index offset = 0;
  for (const TensorToWrite* tensor : data_order(tensors)) {
    require(tensor->name != "__metadata__" && begin.emplace(tensor->name, offset).second, "write_safetensors",
            "the name ", in_quotes(tensor->name), " is taken");
    offset += count(tensor->shape) * element_bytes(tensor->dtype);
  }
  ordered_json header = ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (const TensorToWrite& t : tensors) {
    const Index from = begin[t.name], to = from + count(t.shape) * element_bytes(t.dtype);
    header[t.name] = {{"dtype", name(t.dtype)}, {"shape", t.shape}, {"data_offsets", {from, to}}};
  }
  try {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
  } catch (const ordered_json::exception& error) {
    throw std::invalid_argument(concat("write_safetensors: ", error.what()));
  }
}
}  // namespace

TensorToWrite made_tensor(std::string name, Dtype dtype, std::vector<Index> shape, std::function<Matrix()> make) {
  return {std::move(name), dtype, std::move(shape),
          [dtype, make = std::move(make)](const ByteSink& sink) { emit(dtype, make(), sink); }};
}

TensorToWrite matrix_tensor(std::string name, Dtype dtype, const Matrix& values, std::vector<Index> shape) {
  require(count(shape) == values.size(), name, shape_text(values), " does not have shape ", shape_text(shape));
  return {std::move(name), dtype, std::move(shape),
          [dtype, &values](const ByteSink& sink) { emit(dtype, values, sink); }};
}

TensorToWrite matrix_tensor(std::string name, Dtype dtype, const Matrix& values) {
  return matrix_tensor(std::move(name), dtype, values, {values.rows(), values.cols()});
}

TensorToWrite integer_tensor(std::string name, std::vector<Index> shape, std::span<const std::int64_t> values) {
  return integers(std::move(name), Dtype::i64, std::move(shape), values);
}

TensorToWrite integer_tensor(std::string name, std::vector<Index> shape, std::span<const std::int32_t> values) {
  return integers(std::move(name), Dtype::i32, std::move(shape), values);
}

void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  AtomicFile file(path);
  write_safetensors([&](std::span<const std::byte> bytes) { file.write(bytes); }, tensors, metadata);
  file.commit();
}

void write_safetensors(const ByteSink& sink, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = header_text(tensors, metadata);
  const std::uint64_t length = header.size();
  sink(std::as_bytes(std::span(&length, 1)));
  sink(std::as_bytes(std::span(header)));
  for (const TensorToWrite* tensor : data_order(tensors)) {
    Index written = 0;
    tensor->write([&](std::span<const std::byte> bytes) {
      written += std::ssize(bytes);
      sink(bytes);
    });
    const Index needed = count(tensor->shape) * element_bytes(tensor->dtype);
    require(written == needed, tensor->name, "wrote ", written, " bytes, but ", name(tensor->dtype), ' ',
            shape_text(tensor->shape), " needs ", needed);
  }
}

}  // namespace dsv3
