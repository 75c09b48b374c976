// SPDX-License-Identifier: MIT
#include "reference/oracle/case_file.hpp"

#include "reference/checkpoint/safetensors_writer.hpp"
#include "reference/checkpoint/strict_json.hpp"
#include "reference/core/require.hpp"

namespace dsv3::oracle {
namespace {

constexpr const char *op_key = "dsv3_op", *attributes_key = "dsv3_attributes";

Tensors tensors_of(const std::shared_ptr<const Safetensors>& file) {
  Tensors all;
  for (const auto& [name, view] : file->contents.tensors) all[name] = Tensor{view.dtype, view.shape, view.bytes, file};
  return all;
}

std::shared_ptr<const Safetensors> opened(const std::filesystem::path& path) {
  return std::make_shared<const Safetensors>(open_safetensors(path));
}

}  // namespace

Tensors read_tensors(const std::filesystem::path& path) { return tensors_of(opened(path)); }

Case read_case(const Op& op, const std::filesystem::path& path, const Attributes& given) {
  const auto file = opened(path);
  const auto& metadata = file->contents.metadata;
  if (const auto of = metadata.find(op_key); of != metadata.end())
    require_world(of->second == op.name, path.string(), "is a case of ", in_quotes(of->second), ", not of ", op.name);
  Attributes attributes;
  if (const auto kept = metadata.find(attributes_key); kept != metadata.end())
    attributes = attributes_from_json(kept->second, path.string());
  for (const auto& [name, value] : given) attributes[name] = value;
  return checked(op, tensors_of(file), attributes);
}

void write_case(const std::filesystem::path& path, const Op& op, const Case& c) {
  write_tensors(path, c.inputs, {{op_key, op.name}, {attributes_key, to_json(c.attributes)}});
}

void write_tensors(const std::filesystem::path& path, const Tensors& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<TensorToWrite> all;
  for (const auto& [name, t] : tensors)
    all.push_back({name, t.dtype, t.shape, [bytes = t.bytes](const ByteSink& sink) { sink(bytes); }});
  write_safetensors(path, all, metadata);
}

}  // namespace dsv3::oracle
