// SPDX-License-Identifier: MIT
#include "bindings/c/dsv3.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "bindings/c/borrowed.hpp"
#include "reference/core/require.hpp"
#include "reference/oracle/registry.hpp"
#include "reference/oracle/report.hpp"
#include "reference/oracle/settings.hpp"

namespace {

using namespace dsv3;
using namespace dsv3::oracle;
using namespace dsv3::bindings;

/// Tensors with the memory that the C struct points to.
struct OwnedTensors : dsv3_tensors {
  OwnedTensors(Tensors all, std::string attributes_json) : kept(std::move(all)), json(std::move(attributes_json)) {
    for (auto& [name, t] : kept) {
      if (t.owner == nullptr) own(t);
      views.push_back({name.c_str(), static_cast<std::int32_t>(t.dtype), static_cast<std::int32_t>(t.shape.size()),
                       t.shape.data(), t.bytes.data(), std::ssize(t.bytes)});
    }
    count = std::ssize(views), items = views.data(), attributes = json.c_str();
  }
  /// An output that is an input as it was given lives in the caller's memory.
  static void own(Tensor& t) {
    const auto copy = std::make_shared<std::vector<std::byte>>(t.bytes.begin(), t.bytes.end());
    t.bytes = *copy, t.owner = copy;
  }

  Tensors kept;
  std::string json;
  std::vector<dsv3_tensor> views;
};

struct OwnedReport : dsv3_report {
  OwnedReport(int is, std::string for_people, std::string for_programs)
      : words(std::move(for_people)), object(std::move(for_programs)) {
    outcome = is, text = words.c_str(), json = object.c_str();
  }
  std::string words, object;
};

void say(dsv3_error* error, std::string_view text) {
  if (error == nullptr) return;
  const std::size_t length = std::min(text.size(), sizeof error->text - 1);
  std::memcpy(error->text, text.data(), length);
  error->text[length] = '\0';
}

/// Puts what `make` returns into *result, or NULL and the reason into *error.
template <class Result, class Make>
int guarded(Result** result, dsv3_error* error, const Make& make) noexcept {
  const auto failed = [&](int status, const char* why) { return say(error, why), status; };
  if (result == nullptr) return failed(DSV3_BAD_ARGUMENT, "oracle: there is no place for the result; it is NULL");
  *result = nullptr;
  try {
    *result = make();
    return failed(DSV3_OK, "");
  } catch (const std::bad_alloc&) {
    return failed(DSV3_FAILURE, "oracle: not enough memory");
  } catch (const std::invalid_argument& e) {
    return failed(DSV3_BAD_ARGUMENT, e.what());
  } catch (const std::runtime_error& e) {  // JSON that is none
    return failed(DSV3_BAD_ARGUMENT, e.what());
  } catch (const std::exception& e) {
    return failed(DSV3_FAILURE, e.what());
  } catch (...) {
    return failed(DSV3_FAILURE, "oracle: unknown failure");
  }
}

int outcome_of(Agreement agreement) {
  switch (agreement) {
    case Agreement::nothing:
      return DSV3_NOTHING;
    case Agreement::bits:
      return DSV3_BITS;
    case Agreement::within:
      return DSV3_WITHIN;
    case Agreement::outside:
      break;
  }
  return DSV3_OUTSIDE;
}

const Op& op_of(const char* name) { return op_named(text_of(name, "the op")); }

Attributes attributes_of(const Op& op, const char* json) {
  return attributes_from_json(text_of(json, "", "{}"), "oracle " + op.name);
}

Case case_of(const Op& op, const dsv3_tensor* inputs, std::int64_t count, const char* attributes) {
  return checked(op, borrowed(inputs, count, "oracle " + op.name), attributes_of(op, attributes));
}

}  // namespace

extern "C" {

const char* dsv3_version(void) { return DSV3_VERSION; }

int64_t dsv3_op_count(void) { return std::ssize(registry()); }

const char* dsv3_op_name(int64_t index) {
  if (index < 0 || index >= dsv3_op_count()) return nullptr;
  return registry()[static_cast<std::size_t>(index)].name.c_str();
}

int dsv3_describe(const char* op_name, dsv3_report** result, dsv3_error* error) {
  return guarded(result, error, [&] {
    const Op& op = op_of(op_name);
    return new OwnedReport(0, description(op), description_json(op));
  });
}

int dsv3_run(const char* op_name, const dsv3_tensor* inputs, int64_t num_inputs, const char* attributes,
             dsv3_tensors** outputs, dsv3_error* error) {
  return guarded(outputs, error, [&] {
    const Op& op = op_of(op_name);
    const Case c = case_of(op, inputs, num_inputs, attributes);
    return new OwnedTensors(run(op, c), to_json(c.attributes));
  });
}

int dsv3_gen(const char* op_name, const char* kind, uint64_t seed, const char* settings_json, dsv3_tensors** inputs,
             dsv3_error* error) {
  return guarded(inputs, error, [&] {
    const Op& op = op_of(op_name);
    const Settings settings = settings_of(op, attributes_of(op, settings_json));
    const std::string ordinary = op.kinds.front().name;
    Case c = drawn(op, std::string(text_of(kind, "", ordinary.c_str())), seed, settings.sizes, settings.attributes);
    return new OwnedTensors(std::move(c.inputs), to_json(c.attributes));
  });
}

int dsv3_check(const char* op_name, const dsv3_tensor* inputs, int64_t num_inputs, const char* attributes,
               const dsv3_tensor* theirs, int64_t num_theirs, dsv3_report** result, dsv3_error* error) {
  return guarded(result, error, [&] {
    const Op& op = op_of(op_name);
    const Case c = case_of(op, inputs, num_inputs, attributes);
    Report report = check_report(op, c, borrowed(theirs, num_theirs, "oracle " + op.name));
    return new OwnedReport(outcome_of(report.agreement), std::move(report.text), std::move(report.json));
  });
}

int dsv3_find(const char* op_name, const dsv3_tensor* inputs, int64_t num_inputs, const char* attributes,
              const dsv3_tensor* theirs, int64_t num_theirs, dsv3_report** result, dsv3_error* error) {
  return guarded(result, error, [&] {
    const Op& op = op_of(op_name);
    const Case c = case_of(op, inputs, num_inputs, attributes);
    Report report = find_report(op, c, borrowed(theirs, num_theirs, "oracle " + op.name));
    return new OwnedReport(report.found ? 1 : 0, std::move(report.text), std::move(report.json));
  });
}

void dsv3_free_tensors(dsv3_tensors* tensors) { delete static_cast<OwnedTensors*>(tensors); }

void dsv3_free_report(dsv3_report* report) { delete static_cast<OwnedReport*>(report); }

}  // extern "C"
