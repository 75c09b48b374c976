// SPDX-License-Identifier: MIT
/// \file
/// Wrong implementations of any op, made without knowing it: other conventions, sums in too few bits, damaged outputs.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "reference/checkpoint/safetensors.hpp"
#include "reference/core/require.hpp"
#include "reference/formats/cast.hpp"
#include "reference/oracle/registry.hpp"
#include "reference/oracle/twin/tape.hpp"

namespace dsv3::oracle {

struct Mutant {
  std::string name;
  /// Its outputs; nothing where it cannot be made of this case.
  std::function<std::optional<Tensors>(const Case&, const Tensors& ours)> run;
};

inline bool same_bits(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && std::ranges::equal(x.second.bytes, y.second.bytes);
  });
}

/// Every other choice of each convention that is more than a matter of rounding.
inline std::vector<Mutant> other_conventions(const Op& op) {
  std::vector<Mutant> all;
  for (const AttributeSpec& spec : op.attributes) {
    if (!spec.convention || spec.by_rounding) continue;
    std::vector<Attribute> values = spec.others;
    values.insert(values.end(), spec.choices.begin(), spec.choices.end());
    if (std::holds_alternative<bool>(spec.fallback)) values = {true, false};
    for (const Attribute& value : values)
      all.push_back({spec.name + " = " + text(value),
                     [&op, name = spec.name, value](const Case& c, const Tensors&) -> std::optional<Tensors> {
                       if (c.attributes.at(name) == value) return {};
                       Case other = c;
                       other.attributes[name] = value;
                       try {
                         const bool no_matter = op.imitate && same_bits(op.imitate(c, {}), op.imitate(other, {}));
                         if (no_matter) return {};
                         return op.imitate ? op.imitate(other, {.exact = false}) : run(op, other);
                       } catch (const std::invalid_argument&) {
                         return {};
                       }
                     }});
  }
  return all;
}

/// What a twin imitates, unless it is what sound FP32 gives as well.
inline std::vector<Mutant> too_few_bits(const Op& op) {
  if (!op.imitate) return {};
  const auto imitation = [&op](const char* name, const Arithmetic& how) {
    return Mutant{name, [&op, how](const Case& c, const Tensors&) -> std::optional<Tensors> {
                    Tensors theirs = op.imitate(c, how);
                    if (same_bits(theirs, op.imitate(c, {.exact = false}))) return {};
                    return theirs;
                  }};
  };
  return {imitation("sums in BF16", {.exact = false, .sums = FormatId::bf16}),
          imitation("sums in FP16", {.exact = false, .sums = FormatId::fp16}),
          imitation("every step rounded to BF16", {.exact = false, .format = FormatId::bf16, .sums = FormatId::bf16})};
}

/// An output's bytes, to be damaged.
struct Damaged {
  Tensor tensor;
  std::vector<std::byte> bytes;
  std::size_t size, rows, cols;  ///< of an element in bytes

  explicit Damaged(const Tensor& t)
      : tensor(t),
        bytes(t.bytes.begin(), t.bytes.end()),
        size(static_cast<std::size_t>(element_bytes(t.dtype))),
        rows(static_cast<std::size_t>(rows_and_cols(t.shape).rows)),
        cols(static_cast<std::size_t>(rows_and_cols(t.shape).cols)) {}

  bool is_f32() const { return tensor.dtype == Dtype::f32; }
  float number(std::size_t i) const {
    float x;
    std::memcpy(&x, &bytes[4 * i], 4);
    return x;
  }
  void put(std::size_t i, float x) { std::memcpy(&bytes[4 * i], &x, 4); }
  template <class F>
  void each(F&& f) {
    for (std::size_t i = 0; i < rows * cols; ++i) put(i, f(number(i)));
  }
  /// Of the largest size, or the middle one where it is no number.
  std::size_t largest() const {
    std::size_t at = rows * cols / 2;
    for (std::size_t i = 0; is_f32() && i < rows * cols; ++i)
      if (!(std::abs(number(i)) <= std::abs(number(at))) && std::isfinite(number(i))) at = i;
    return at;
  }
  Tensor result() const {
    Tensor t = tensor;
    auto owner = std::make_shared<std::vector<std::byte>>(bytes);
    t.bytes = *owner;
    t.owner = owner;
    return t;
  }
};

using Damage = void (*)(Damaged&);
enum class Only { any, floats, whole };  // FP32, or codes and whole numbers
struct NamedDamage {
  const char* name;
  Damage damage;
  Only to = Only::any;
};

inline const std::vector<NamedDamage>& damages() {
  static const std::vector<NamedDamage> all{
      {"all zeros", [](Damaged& d) { std::ranges::fill(d.bytes, std::byte{0}); }},
      {"last row not written",
       [](Damaged& d) {
         std::fill(d.bytes.end() - static_cast<std::ptrdiff_t>(d.cols * d.size), d.bytes.end(), std::byte{0});
       }},
      {"first and last row swapped",
       [](Damaged& d) {
         std::swap_ranges(d.bytes.begin(), d.bytes.begin() + static_cast<std::ptrdiff_t>(d.cols * d.size),
                          d.bytes.end() - static_cast<std::ptrdiff_t>(d.cols * d.size));
       }},
      {"last column not written",
       [](Damaged& d) {
         for (std::size_t i = 1; i <= d.rows; ++i) std::memset(&d.bytes[(i * d.cols - 1) * d.size], 0, d.size);
       }},
      {"shifted by one element",
       [](Damaged& d) {
         std::rotate(d.bytes.begin(), d.bytes.begin() + static_cast<std::ptrdiff_t>(d.size), d.bytes.end());
       }},
      {"one element's last bit", [](Damaged& d) { d.bytes[d.largest() * d.size] ^= std::byte{1}; }, Only::whole},
      {"last bits cleared",
       [](Damaged& d) {
         for (std::size_t i = 0; i < d.rows * d.cols; ++i) d.bytes[i * d.size] &= std::byte{0xFE};
       },
       Only::whole},
      {"one element's sign", [](Damaged& d) { d.bytes[d.largest() * d.size + d.size - 1] ^= std::byte{0x80}; }},
      {"one element NaN", [](Damaged& d) { d.put(d.rows * d.cols / 2, NAN); }, Only::floats},
      {"gain 1.001", [](Damaged& d) { d.each([](float x) { return 1.001f * x; }); }, Only::floats},
      {"cut to BF16, not rounded",
       [](Damaged& d) {
         d.each([](float x) { return decode(FormatId::bf16, encode(FormatId::bf16, x, Rounding::toward_zero)); });
       },
       Only::floats},
      {"one element in 16 five units off",
       [](Damaged& d) {
         for (std::size_t i = 0; i < d.rows * d.cols; i += 16) d.put(i, d.number(i) * (1 + 0x1.4p-7f));
       },
       Only::floats}};
  return all;
}

/// The op's outputs, damaged: one of them, or none where the damage changes nothing.
inline Mutant damaged(const NamedDamage& how, const std::string& output) {
  return {how.name, [how, output](const Case&, const Tensors& ours) -> std::optional<Tensors> {
            Damaged d(ours.at(output));
            if (d.bytes.empty() || how.to == (d.is_f32() ? Only::whole : Only::floats)) return {};
            how.damage(d);
            if (std::ranges::equal(d.bytes, ours.at(output).bytes)) return {};
            Tensors theirs = ours;
            theirs[output] = d.result();
            return theirs;
          }};
}

}  // namespace dsv3::oracle
