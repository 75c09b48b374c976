// SPDX-License-Identifier: MIT
#include "reference/oracle/case_file.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "reference/checkpoint/safetensors_writer.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"

namespace dsv3::oracle {
namespace {

constexpr const char *op_key = "dsv3_op", *attributes_key = "dsv3_attributes";

/// A file that is open, or what came through a pipe.
struct Source {
  std::string where;
  SafetensorsContents contents;
  std::shared_ptr<const void> owner;  ///< of the bytes

  Tensors tensors() const {
    Tensors all;
    for (const auto& [name, view] : contents.tensors) all[name] = Tensor{view.dtype, view.shape, view.bytes, owner};
    return all;
  }
};

Source from_stdin() {
  auto bytes = std::make_shared<std::vector<std::byte>>();
  std::array<std::byte, 1 << 16> piece;
  while (const std::size_t n = std::fread(piece.data(), 1, piece.size(), stdin))
    bytes->insert(bytes->end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(n));
  require_world(std::ferror(stdin) == 0, "standard input", "cannot be read: ", std::strerror(errno));
  return {"standard input", parse_safetensors(*bytes, "standard input"), bytes};
}

Source opened(const std::filesystem::path& path) {
  if (path == standard_stream) return from_stdin();
  const auto file = std::make_shared<const Safetensors>(open_safetensors(path));
  return {path.string(), file->contents, file};
}

void to_stdout(std::span<const std::byte> bytes) {
  require_world(std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size(), "standard output",
                "cannot be written: ", std::strerror(errno));
}

}  // namespace

Tensors read_tensors(const std::filesystem::path& path) { return opened(path).tensors(); }

Case read_case(const Op& op, const std::filesystem::path& path, const Attributes& given) {
  const Source file = opened(path);
  const auto& metadata = file.contents.metadata;
  if (const auto of = metadata.find(op_key); of != metadata.end())
    require_world(of->second == op.name, file.where, "is a case of ", in_quotes(of->second), ", not of ", op.name);
  Attributes attributes;
  if (const auto kept = metadata.find(attributes_key); kept != metadata.end())
    attributes = attributes_from_json(kept->second, file.where);
  for (const auto& [name, value] : given) attributes[name] = value;
  return checked(op, file.tensors(), attributes);
}

void write_case(const std::filesystem::path& path, const Op& op, const Case& c) {
  write_tensors(path, c.inputs, {{op_key, op.name}, {attributes_key, to_json(c.attributes)}});
}

void write_tensors(const std::filesystem::path& path, const Tensors& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<TensorToWrite> all;
  for (const auto& [name, t] : tensors)
    all.push_back({name, t.dtype, t.shape, [bytes = t.bytes](const ByteSink& sink) { sink(bytes); }});
  if (path == standard_stream) write_safetensors(to_stdout, all, metadata);
  else write_safetensors(path, all, metadata);
}

}  // namespace dsv3::oracle
