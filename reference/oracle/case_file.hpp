// SPDX-License-Identifier: MIT
/// \file
/// Cases and outputs as safetensors files, or through pipes: the path "-" is standard input, or standard output.
#pragma once
#include <filesystem>

#include "reference/oracle/op.hpp"

namespace dsv3::oracle {

inline constexpr const char* standard_stream = "-";

/// The tensors of a file, without a copy; they keep it open. Throws as open_safetensors does.
Tensors read_tensors(const std::filesystem::path& path);

/// The inputs in the file, and the attributes in its metadata ("dsv3_attributes", a JSON object) with `given` in their
/// place; what neither says is assumed, which the case notes. Throws std::runtime_error where the file says that it is
/// of another op ("dsv3_op"), and as checked() does.
Case read_case(const Op& op, const std::filesystem::path& path, const Attributes& given);

void write_case(const std::filesystem::path& path, const Op& op, const Case& c);
void write_tensors(const std::filesystem::path& path, const Tensors& tensors,
                   const std::map<std::string, std::string>& metadata = {});

}  // namespace dsv3::oracle
