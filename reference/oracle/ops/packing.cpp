// SPDX-License-Identifier: MIT
#include "reference/formats/e5m6.hpp"
#include "reference/oracle/draw.hpp"
#include "reference/oracle/ops/ops.hpp"

namespace dsv3::oracle {
namespace {

/// Bit by bit: code k of a group of eight takes 12 of its 96 bits, from the top of the first word or from the bottom.
Words packed_from_bottom(const Codes16& q) {
  Words words = Words::Zero(q.rows(), 3 * num_groups(q.cols(), 8));
  for (Index i = 0; i < q.rows(); ++i)
    for (Index j = 0; j < q.cols(); ++j)
      for (Index b = 0; b < 12; ++b) {
        const Index bit = j % 8 * 12 + b;
        words(i, j / 8 * 3 + bit / 32) |= static_cast<std::uint32_t>(q(i, j) >> b & 1) << (bit % 32);
      }
  return words;
}

Codes16 unpacked_from_bottom(const Words& words, Index cols) {
  Codes16 q = Codes16::Zero(words.rows(), cols);
  for (Index i = 0; i < q.rows(); ++i)
    for (Index j = 0; j < cols; ++j)
      for (Index b = 0; b < 12; ++b) {
        const Index bit = j % 8 * 12 + b;
        q(i, j) = static_cast<std::uint16_t>(q(i, j) | (words(i, j / 8 * 3 + bit / 32) >> (bit % 32) & 1) << b);
      }
  return q;
}

/// Where byte b of a word stands.
Index byte_place(const Case& c, Index b) { return c.word("bytes") == "little_endian" ? b : 3 - b; }

Tensor bytes_of(const Case& c, const Words& words) {
  Codes bytes(words.rows(), words.cols() * 4);
  for (Index i = 0; i < words.rows(); ++i)
    for (Index j = 0; j < bytes.cols(); ++j)
      bytes(i, j) = static_cast<std::uint8_t>(words(i, j / 4) >> (8 * byte_place(c, j % 4)));
  return tensor(Dtype::u8, bytes);
}

Words words_of(const Case& c, const Codes& bytes) {
  Words words = Words::Zero(bytes.rows(), bytes.cols() / 4);
  for (Index i = 0; i < words.rows(); ++i)
    for (Index j = 0; j < bytes.cols(); ++j)
      words(i, j / 4) |= std::uint32_t{bytes(i, j)} << (8 * byte_place(c, j % 4));
  return words;
}

std::vector<AttributeSpec> packing() {
  return {convention("first_code", {"top", "bottom"}, "in the highest bits of the first word, or in the lowest"),
          convention("bytes", {"little_endian", "big_endian"}, "of a word in memory")};
}

Codes16 drawn_e5m6(const std::string& kind, Index rows, Index cols, Random& random) {
  Codes16 q(rows, cols);
  for (Index i = 0; i < q.size(); ++i) {
    const std::uint32_t code = static_cast<std::uint32_t>(random.bits() & 0xFFF);
    q.data()[i] = static_cast<std::uint16_t>(kind == "one_bit" ? 1u << code % 12 : kind == "full" ? 0xFFFu : code);
  }
  if (kind == "full")
    for (Index i = 0; i < q.size(); ++i)
      if (random.below(2) == 0) q.data()[i] = 0;
  return q;
}

std::vector<CaseKind> packing_kinds(const std::string& letter) {
  const auto sized = [&](Index n) { return letter.empty() ? Sizes{{"M", 8}} : Sizes{{"M", 8}, {letter, n}}; };
  std::vector<CaseKind> kinds{{"ordinary", "all codes, in whole groups of eight", sized(64)},
                              {"ragged", "a last group of five", sized(29)},
                              {"short", "three codes in a row", sized(3)},
                              {"one_bit", "codes of one bit", sized(64)},
                              {"full", "codes of twelve ones and of twelve zeros", sized(64)}};
  if (letter.empty())
    for (CaseKind& kind : kinds) {
      const Index n = kind.name == "ragged" ? 29 : kind.name == "short" ? 3 : 64;
      kind.attributes = {{"N", n}};
    }
  return kinds;
}

Op pack_op() {
  Op op;
  op.name = "e5m6_pack";
  op.what =
      "eight E5M6 codes of 12 bits in three words of 32: how the inputs of W_O wait for the backward pass "
      "(section 3.3.3)";
  op.contract =
      "Codes h0 .. h7 from the top of the first word: h0<<20 | h1<<8 | h2>>4; h2<<28 | h3<<16 | h4<<4 | h5>>8; h5<<24 "
      "| h6<<12 | h7. A last group of fewer than eight is filled with 0. The words as bytes of memory.";
  op.inputs = {{"codes", {Dtype::i32, Dtype::i64}, {"M", "N"}, "0 to 4095"}};
  op.outputs = {{"words", {Dtype::u8}, {"M", "12*ceil(N/8)"}, "12 bytes for eight codes"}};
  op.attributes = packing();
  op.run = [](const Case& c) {
    const Codes16 q = codes16(c.in("codes"));
    const Words words = pack_e5m6(q);  // refuses codes of more bits
    return Tensors{{"words", bytes_of(c, c.word("first_code") == "top" ? words : packed_from_bottom(q))}};
  };
  op.limits = [](const Case&, const Tensors& ours, const Tensors&) { return all_bits(ours); };
  op.kinds = packing_kinds("N");
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    return Tensors{{"codes", tensor16(Dtype::i32, drawn_e5m6(kind, s.at("M"), s.at("N"), random))}};
  };
  return op;
}

Op unpack_op() {
  Op op;
  op.name = "e5m6_unpack";
  op.what = "the E5M6 codes back from three words of 32 bits for eight of them (section 3.3.3)";
  op.contract = "The inverse of `e5m6_pack`; what a last group of fewer than eight is filled with is not looked at.";
  op.inputs = {{"words", {Dtype::u8}, {"M", "12*ceil(N/8)"}, "12 bytes for eight codes"}};
  op.outputs = {{"codes", {Dtype::i32}, {"M", "N"}, "0 to 4095"}};
  op.attributes = packing();
  op.attributes.push_back(
      {.name = "N", .fallback = Index{64}, .what = "codes in a row", .least = 0, .most = Index{1} << 24});
  op.run = [](const Case& c) {
    const Index N = c.attribute<Index>("N");
    const Words words = words_of(c, codes(c.in("words")));
    const Codes16 q = c.word("first_code") == "top" ? unpack_e5m6(words, N) : unpacked_from_bottom(words, N);
    return Tensors{{"codes", tensor16(Dtype::i32, q)}};
  };
  op.limits = [](const Case&, const Tensors& ours, const Tensors&) { return all_bits(ours); };
  op.kinds = packing_kinds("");
  op.draw = [](const std::string& kind, const Sizes& s, const Attributes&, Random& random) {
    const Words words = pack_e5m6(drawn_e5m6(kind, s.at("M"), s.at("N"), random));
    Codes bytes(words.rows(), words.cols() * 4);
    for (Index i = 0; i < bytes.size(); ++i)
      bytes.data()[i] = static_cast<std::uint8_t>(words.data()[i / 4] >> (8 * (i % 4)));
    return Tensors{{"words", tensor(Dtype::u8, bytes)}};
  };
  return op;
}

}  // namespace

std::vector<Op> packing_ops() { return {pack_op(), unpack_op()}; }

}  // namespace dsv3::oracle
