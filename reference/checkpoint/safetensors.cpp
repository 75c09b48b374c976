// SPDX-License-Identifier: MIT
#include "reference/checkpoint/safetensors.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"
#include "reference/core/threads.hpp"

namespace dsv3 {

using nlohmann::json;

namespace {
constexpr std::uint64_t max_header_bytes = 100'000'000;

/// The two parts of a file.
struct Parts {
  std::string_view header;
  std::span<const std::byte> data;
};

Parts split_file(std::span<const std::byte> file, const std::string& where) {
  std::uint64_t length = 0;
  require_world(file.size() >= sizeof length, where, "has ", file.size(),
                " bytes; a safetensors file starts with 8 bytes that hold the length of its header");
  std::memcpy(&length, file.data(), sizeof length);
  const std::span<const std::byte> rest = file.subspan(sizeof length);
  require_world(length <= max_header_bytes, where, "claims a header of ", length, " bytes; at most ", max_header_bytes,
                " are read");
  require_world(length <= rest.size(), where, "claims a header of ", length, " bytes, but only ", rest.size(),
                " bytes follow");
  const std::string_view header(reinterpret_cast<const char*>(rest.data()), length);
  require_world(header.starts_with('{'), where, "its header does not start with {");
  return {header, rest.subspan(length)};
}

std::map<std::string, std::string> parse_metadata(const json& value, const std::string& where) {
  require_world(value.is_object(), where, "__metadata__ is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    require_world(text.is_string(), where, "__metadata__ ", in_quotes(key), " is not a string");
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

/// A JSON integer 0, 1, 2, ... that an Index can hold.
Index parse_count(const json& value, const std::string& where, const char* what) {
  require_world(value.is_number_unsigned() && value.get<std::uint64_t>() <= std::uint64_t{INT64_MAX}, where, what,
                " holds ", in_quotes(value.dump(-1, ' ', false, json::error_handler_t::replace)),
                "; a whole number from 0 to 2^63 - 1 is needed");
  return value.get<Index>();
}

std::vector<Index> parse_counts(const json& value, const std::string& where, const char* what) {
  require_world(value.is_array(), where, what, " is not an array");
  std::vector<Index> counts;
  for (const json& count : value) counts.push_back(parse_count(count, where, what));
  return counts;
}

Index bytes_of(const std::vector<Index>& shape, Dtype dtype, const std::string& where) {
  Index total = element_bytes(dtype);
  for (const Index n : shape)
    require_world(!__builtin_mul_overflow(total, n, &total), where, "shape ", shape_text(shape), " is too large");
  return total;
}

TensorView parse_tensor(const json& entry, std::span<const std::byte> data, const std::string& where) {
  require_world(entry.is_object() && entry.size() == 3 && entry.contains("dtype") && entry.contains("shape") &&
                    entry.contains("data_offsets"),
                where, "an object with dtype, shape and data_offsets is needed");
  require_world(entry["dtype"].is_string(), where, "dtype is not a string");
  const auto dtype_name = entry["dtype"].get<std::string>();
  const auto dtype = dtype_by_name(dtype_name);
  require_world(dtype.has_value(), where, "dtype ", in_quotes(dtype_name), " is not known");
  TensorView view{*dtype, parse_counts(entry["shape"], where, "shape"), {}, where};
  const std::vector<Index> offsets = parse_counts(entry["data_offsets"], where, "data_offsets");
  require_world(offsets.size() == 2 && offsets[0] <= offsets[1], where, "data_offsets ", shape_text(offsets),
                " are not [begin, end]");
  require_world(offsets[1] <= std::ssize(data), where, "data_offsets ", shape_text(offsets), " end after the ",
                data.size(), " bytes of data");
  const Index size = offsets[1] - offsets[0], needed = bytes_of(view.shape, view.dtype, where);
  require_world(size == needed, where, name(view.dtype), ' ', shape_text(view.shape), " needs ", needed,
                " bytes, but data_offsets ", shape_text(offsets), " hold ", size);
  view.bytes = data.subspan(static_cast<std::size_t>(offsets[0]), static_cast<std::size_t>(size));
  return view;
}

/// The tensors in the order of their bytes must follow each other from the first byte of the data to the last.
void require_exact_cover(const std::map<std::string, TensorView>& tensors, std::span<const std::byte> data,
                         const std::string& where) {
  std::vector<const TensorView*> order;
  for (const auto& [key, view] : tensors) order.push_back(&view);
  const auto begin = [&](const TensorView& v) { return v.bytes.data() - data.data(); };
  const auto end = [&](const TensorView& v) { return begin(v) + std::ssize(v.bytes); };
  std::sort(order.begin(), order.end(), [&](const TensorView* a, const TensorView* b) {
    return std::pair(begin(*a), end(*a)) < std::pair(begin(*b), end(*b));
  });
  Index covered = 0;
  for (const TensorView* view : order) {
    require_world(begin(*view) >= covered, view->where, "its bytes, from ", begin(*view),
                  " on, overlap with another tensor's, up to ", covered);
    require_world(begin(*view) == covered, view->where, "starts at byte ", begin(*view), ", but bytes ", covered,
                  " on belong to no tensor");
    covered = end(*view);
  }
  require_world(covered == std::ssize(data), where, "the last ", std::ssize(data) - covered,
                " bytes belong to no tensor");
}
}  // namespace

SafetensorsContents parse_safetensors(std::span<const std::byte> file, const std::string& where) {
  const auto [header, data] = split_file(file, where);
  const json entries = parse_strict_json(header, where + ": header");
  SafetensorsContents contents;
  for (const auto& [key, entry] : entries.items()) {
    if (key == "__metadata__") contents.metadata = parse_metadata(entry, where);
    else contents.tensors[key] = parse_tensor(entry, data, where + ": tensor " + in_quotes(key));
  }
  require_exact_cover(contents.tensors, data, where);
  return contents;
}

Safetensors open_safetensors(const std::filesystem::path& path) {
  MappedFile file(path);
  SafetensorsContents contents = parse_safetensors(file.bytes(), path.string());
  return {std::move(file), std::move(contents)};
}

Shape matrix_shape(const TensorView& view) {
  require_world(view.shape.size() <= 2, view.where, "has shape ", shape_text(view.shape),
                "; at most two dimensions are needed");
  if (view.shape.size() == 2) return {view.shape[0], view.shape[1]};
  return {1, view.shape.empty() ? 1 : view.shape[0]};
}

TensorView rows_of(const TensorView& view, Index first, Index count) {
  require(view.shape.size() == 2 && first >= 0 && count >= 0 && first <= view.shape[0] - count, view.where,
          "has shape ", shape_text(view.shape), "; rows ", first, " to ", first + count - 1, " are needed");
  const std::size_t row_bytes = view.shape[1] * element_bytes(view.dtype);
  return {.dtype = view.dtype,
          .shape = {count, view.shape[1]},
          .bytes = view.bytes.subspan(first * row_bytes, count * row_bytes),
          .where = view.where};
}

Matrix to_matrix(const TensorView& view) {
  require_world(is_plain_float(view.dtype), view.where, "is ", name(view.dtype), "; F32, BF16, F16 or F64 is needed");
  const Shape shape = matrix_shape(view);
  Matrix m(shape.rows, shape.cols);
  parallel_rows(
      m.size(),
      [&](Index begin, Index count) {
        values_from_bytes(view.dtype, view.bytes.data() + begin * element_bytes(view.dtype), count, m.data() + begin);
      },
      1 << 16);
  return m;
}

void require_finite(const Matrix& m, const std::string& where, Index first_row) {
  for (Index i = 0; i < m.rows(); ++i)
    for (Index j = 0; j < m.cols(); ++j)
      require_world(std::isfinite(m(i, j)), where, "is ", m(i, j), " at (", first_row + i, ", ", j, ")");
}

namespace {
template <class Stored>
std::vector<std::int64_t> read_integers(std::span<const std::byte> bytes) {
  std::vector<std::int64_t> values(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored value;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    values[i] = value;
  }
  return values;
}
}  // namespace

std::vector<std::int64_t> to_integers(const TensorView& view) {
  switch (view.dtype) {
    case Dtype::i64:
      return read_integers<std::int64_t>(view.bytes);
    case Dtype::i32:
      return read_integers<std::int32_t>(view.bytes);
    case Dtype::u8:
    case Dtype::boolean:
      return read_integers<std::uint8_t>(view.bytes);
    default:
      throw std::runtime_error(concat(view.where, ": is ", name(view.dtype), "; I64, I32, U8 or BOOL is needed"));
  }
}

std::string shape_text(const std::vector<Index>& shape) {
  std::string text = "[";
  for (const Index n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

}  // namespace dsv3
