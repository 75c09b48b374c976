// SPDX-License-Identifier: MIT
#include "reference/core/matrix.hpp"

#include "reference/core/context.hpp"
#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("matrix: rows are stored one after the other") {
  const Matrix m = matrix({{1, 2, 3}, {4, 5, 6}});
  for (Index i = 0; i < 6; ++i) CHECK(m.data()[i] == static_cast<real>(i + 1));
  CHECK(shape_text(m) == "[2, 3]");
  CHECK(size(shape_of(m)) == 6);
  CHECK(bytes(m) == 6 * sizeof(real));
}

TEST_CASE("matrix: a view of a block sees and changes the matrix") {
  Matrix m = matrix({{1, 2, 3}, {4, 5, 6}});
  View right = m.rightCols(2);
  right.array() += 10;
  CHECK(different(m, matrix({{1, 12, 13}, {4, 15, 16}})) == "");
  CHECK(different(ConstView(m.row(1)), matrix({{4, 15, 16}})) == "");
}

TEST_CASE("sequences: rows, lengths and positions of a ragged batch") {
  Sequences all;
  CHECK(all.rows() == 0);
  all.add(3, 0);
  all.add(2, 7);
  CHECK(all.count() == 2);
  CHECK(all.rows() == 5);
  CHECK(all.length(1) == 2);
  CHECK(all.first_position == std::vector<Index>{0, 7});
  const Sequences uniform = Sequences::uniform(3, 4);
  CHECK(uniform.begin == std::vector<Index>{0, 4, 8, 12});
  CHECK(uniform.first_position == std::vector<Index>{0, 0, 0});
}

TEST_CASE("context: a tap sees every value under its full name, and only if there is one") {
  Context context;
  const Matrix value = matrix({{1}});
  context.show("c_KV", value);
  std::string seen;
  context.tap = [&](const std::string& name, const Matrix& m) { seen += name + shape_text(m); };
  context.tap_prefix = "layers.3.";
  context.show("c_KV", value);
  CHECK(seen == "layers.3.c_KV[1, 1]");
}
