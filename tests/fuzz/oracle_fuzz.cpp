// SPDX-License-Identifier: MIT
/// \file
/// Hostile calls of dsv3.h. The bytes are used in two ways: as a case file whose tensors and attributes go to an op,
/// and as changes to a small case that the op itself has drawn. Each call gives outputs, which are then ours bit for
/// bit, or is refused; nothing else.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bindings/c/dsv3.h"
#include "reference/checkpoint/safetensors.hpp"
#include "reference/core/require.hpp"
#include "reference/oracle/registry.hpp"

namespace {

using namespace dsv3;

void must_hold(bool ok, const char* op, const char* said) {
  if (ok) return;
  std::fprintf(stderr, "%s: %s\n", op, said);
  std::abort();
}

/// Bytes of the input, one after the other; zeros when there are no more.
struct Bytes {
  const std::uint8_t* data;
  std::size_t left;
  std::uint8_t next() { return left > 0 ? (--left, *data++) : std::uint8_t{0}; }
  std::size_t below(std::size_t n) { return next() % n; }
};

void call(const char* op, const std::vector<dsv3_tensor>& inputs, const char* attributes) {
  dsv3_error error;
  dsv3_tensors* outputs = nullptr;
  const int status = dsv3_run(op, inputs.data(), std::ssize(inputs), attributes, &outputs, &error);
  must_hold((status == DSV3_OK) == (error.text[0] == '\0') && status != DSV3_FAILURE, op, error.text);
  if (outputs == nullptr) return;
  dsv3_report* verdict = nullptr;
  const int judged =
      dsv3_check(op, inputs.data(), std::ssize(inputs), attributes, outputs->items, outputs->count, &verdict, &error);
  must_hold(judged == DSV3_OK, op, error.text);
  must_hold(verdict->outcome == DSV3_BITS || verdict->outcome == DSV3_NOTHING, op, verdict->text);
  dsv3_free_report(verdict);
  dsv3_free_tensors(outputs);
}

bool is_small(const std::vector<Index>& shape) {
  double elements = 1;
  for (const Index n : shape) elements *= static_cast<double>(std::max<Index>(n, 1));
  return elements <= 4096;
}

void call_with_file(const char* op, Bytes bytes) {
  try {
    const SafetensorsContents file = parse_safetensors(std::as_bytes(std::span(bytes.data, bytes.left)), "input");
    std::vector<dsv3_tensor> inputs;
    for (const auto& [name, t] : file.tensors) {
      if (!is_small(t.shape)) return;
      inputs.push_back({name.c_str(), static_cast<std::int32_t>(t.dtype), static_cast<std::int32_t>(t.shape.size()),
                        t.shape.data(), t.bytes.data(), std::ssize(t.bytes)});
    }
    const auto attributes = file.metadata.find("dsv3_attributes");
    call(op, inputs, attributes == file.metadata.end() ? nullptr : attributes->second.c_str());
  } catch (const std::runtime_error&) {
  }
}

/// A tensor in memory of its own, one byte beside any alignment.
struct Copy {
  explicit Copy(const dsv3_tensor& t) : shape(t.shape, t.shape + t.rank), view(t) {
    resize(static_cast<std::size_t>(t.bytes));
    if (t.bytes > 0) std::memcpy(memory.data() + 1, t.data, static_cast<std::size_t>(t.bytes));
  }
  void resize(std::size_t bytes) {
    memory.resize(bytes + 1);
    view.shape = shape.data(), view.data = memory.data() + 1, view.bytes = static_cast<std::int64_t>(bytes);
  }
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> memory;
  dsv3_tensor view;
};

/// Changes the type, a size, the number of bytes or some elements.
void change(Copy& copy, Bytes& bytes) {
  if (bytes.below(8) == 0) copy.view.dtype = static_cast<std::int32_t>(bytes.below(12)) - 1;
  if (bytes.below(8) == 0) copy.view.rank = static_cast<std::int32_t>(bytes.below(copy.shape.size() + 1));
  if (bytes.below(4) == 0 && !copy.shape.empty()) {
    std::int64_t& size = copy.shape[bytes.below(copy.shape.size())];
    const std::size_t before = static_cast<std::size_t>(std::max<std::int64_t>(size, 1));
    size = static_cast<std::int64_t>(bytes.below(6)) - 1;
    copy.resize((copy.memory.size() - 1) / before * static_cast<std::size_t>(std::max<std::int64_t>(size, 0)));
  }
  if (bytes.below(16) == 0) copy.resize(bytes.below(64));
  for (std::size_t n = bytes.below(32); n > 0 && copy.memory.size() > 1; --n) {
    const std::size_t at = bytes.next() * std::size_t{256} + bytes.next();
    copy.memory[1 + at % (copy.memory.size() - 1)] = bytes.next();
  }
}

void call_with_changed_case(const char* op, const oracle::Op& its, Bytes bytes) {
  const oracle::CaseKind& kind = its.kinds[bytes.below(its.kinds.size())];
  std::string settings = "{";
  for (const auto& [letter, size] : kind.sizes)
    settings += concat(settings.size() > 1 ? "," : "", '"', letter, "\":", std::min<Index>(size, 1 + bytes.next() % 8));
  dsv3_tensors* drawn = nullptr;
  if (dsv3_gen(op, kind.name.c_str(), bytes.next(), (settings + "}").c_str(), &drawn, nullptr) != DSV3_OK) return;
  std::vector<Copy> copies(drawn->items, drawn->items + drawn->count);
  for (Copy& copy : copies) change(copy, bytes);
  std::vector<dsv3_tensor> inputs;
  for (const Copy& copy : copies) inputs.push_back(copy.view);
  const std::string rest(bytes.data, bytes.data + bytes.left);
  call(op, inputs, bytes.left > 0 ? rest.c_str() : drawn->attributes);
  dsv3_free_tensors(drawn);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes{data, size};
  const auto index = static_cast<std::int64_t>(bytes.below(static_cast<std::size_t>(dsv3_op_count())));
  const char* const op = dsv3_op_name(index);
  if (bytes.below(4) == 0) call_with_file(op, bytes);
  else call_with_changed_case(op, oracle::registry()[static_cast<std::size_t>(index)], bytes);
  return 0;
}
