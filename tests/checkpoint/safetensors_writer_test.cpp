// SPDX-License-Identifier: MIT
#include "reference/checkpoint/safetensors_writer.hpp"

#include <cmath>

#include "tests/checkpoint/scratch.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("safetensors_writer: the bytes of a small file are the ones by hand") {
  const Scratch scratch;
  const Matrix gain = matrix({{1, -3}}), weight = matrix({{1, 2}, {3, -4.5}});
  write_safetensors(scratch / "f", {matrix_tensor("g", Dtype::bf16, gain, {2}), matrix_tensor("w", Dtype::f32, weight)},
                    {{"who", "me"}});
  // In the header g comes first, as given; in the data w does, being wider.
  std::string header = R"({"__metadata__":{"who":"me"},"g":{"dtype":"BF16","shape":[2],"data_offsets":[16,20]},)"
                       R"("w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string data = raw<float>({1, 2, 3, -4.5f}) + raw<std::uint16_t>({0x3F80, 0xC040});
  CHECK(get(scratch / "f") == safetensors_bytes(header, data));
  CHECK(scratch.entries() == 1);
}

TEST_CASE("safetensors_writer: F64, F32, I64 and I32 come back bit for bit, BF16 rounded to nearest even") {
  const Scratch scratch;
  const Matrix m = probe(300, 257, 1);  // more than one chunk of 65536 values
  const std::vector<std::int64_t> wide = {-1, INT64_MAX, 0};
  const std::vector<std::int32_t> narrow = {INT32_MIN, 7};
  write_safetensors(scratch / "f",
                    {matrix_tensor("bf16", Dtype::bf16, m), integer_tensor("i32", {2}, narrow),
                     integer_tensor("i64", {3, 1}, wide), made_tensor("f32", Dtype::f32, {300, 257}, [&] { return m; }),
                     matrix_tensor("f64", Dtype::f64, m), matrix_tensor("none", Dtype::f32, Matrix(0, 3))});
  const Safetensors file = open_safetensors(scratch / "f");
  const auto& tensors = file.contents.tensors;
  CHECK(different(to_matrix(tensors.at("f64")), m) == "");
  CHECK(different(to_matrix(tensors.at("f32")), m) == "");
  CHECK(to_integers(tensors.at("i64")) == wide);
  CHECK(to_integers(tensors.at("i32")) == std::vector<std::int64_t>{INT32_MIN, 7});
  CHECK(tensors.at("none").shape == std::vector<Index>{0, 3});
  const Matrix rounded = to_matrix(tensors.at("bf16"));
  for (Index i = 0; i < m.size();
       ++i) {  // nearest: within half a unit of the last of 8 digits, 2^-8 of the power below
    const double unit = std::ldexp(1.0, std::ilogb(m.data()[i]) - 7);
    REQUIRE(std::abs(double{rounded.data()[i]} - double{m.data()[i]}) <= unit / 2);
  }
  for (const auto& [key, view] : tensors)  // every tensor is aligned to its type
    CHECK((view.bytes.data() - file.file.bytes().data()) % element_bytes(view.dtype) == 0);
}

TEST_CASE("safetensors_writer: BF16 ties go to even, NaN stays NaN") {
  const Scratch scratch;
  const Matrix m = matrix({{1 + 0x1p-8, 1 + 3 * 0x1p-8, NAN, -0.0}});
  write_safetensors(scratch / "f", {matrix_tensor("t", Dtype::bf16, m)});
  const Safetensors file = open_safetensors(scratch / "f");
  const Matrix back = to_matrix(file.contents.tensors.at("t"));
  CHECK(back(0, 0) == 1);
  CHECK(back(0, 1) == real(1 + 0x1p-6));
  CHECK(std::isnan(back(0, 2)));
  CHECK(std::signbit(back(0, 3)));
}

TEST_CASE("safetensors_writer: names twice, reserved or not UTF-8 and shapes that do not fit leave no file") {
  const Scratch scratch;
  const Matrix m = Matrix::Ones(2, 2);
  const auto write = [&](const std::vector<TensorToWrite>& tensors, const std::map<std::string, std::string>& meta) {
    return thrown<std::invalid_argument>([&] { write_safetensors(scratch / "f", tensors, meta); });
  };
  const TensorToWrite t = matrix_tensor("t", Dtype::f32, m);
  CHECK(write({t, t}, {}) == "write_safetensors: the name \"t\" is taken");
  CHECK(contains(write({matrix_tensor("__metadata__", Dtype::f32, m)}, {}), "is taken"));
  CHECK(contains(write({matrix_tensor("\xFF", Dtype::f32, m)}, {}), "UTF-8"));
  CHECK(contains(write({t}, {{"k", "\xFF"}}), "UTF-8"));
  CHECK(write({made_tensor("t", Dtype::f32, {2, 3}, [&] { return m; })}, {}) ==
        "t: wrote 16 bytes, but F32 [2, 3] needs 24");
  CHECK(contains(write({matrix_tensor("t", Dtype::f16, m)}, {}), "F16 cannot be written"));
  CHECK(thrown<std::invalid_argument>([&] { matrix_tensor("t", Dtype::f32, m, {3}); }) ==
        "t: [2, 2] does not have shape [3]");
  CHECK(scratch.entries() == 0);
}
