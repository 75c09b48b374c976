// SPDX-License-Identifier: MIT
#include "reference/core/parameters.hpp"

#include "tests/support/compare.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

template <class Tensor>
struct LayerWeights {
  Tensor W, gain, b;

  template <class F, class... Weights>
  static void visit(const std::string& prefix, F&& f, Weights&... w) {
    f(Role::weight, prefix + "W", w.W...);
    f(Role::gain, prefix + "norm", w.gain...);
    f(Role::bias, prefix + "b", w.b...);
  }
};

template <class Tensor>
struct StackWeights {
  Tensor emb;
  std::vector<LayerWeights<Tensor>> layers;

  template <class Other>
  void match(const StackWeights<Other>& other) {
    layers.resize(other.layers.size());
  }
  template <class F, class First, class... Weights>
  static void visit(const std::string& prefix, F&& f, First& first, Weights&... w) {
    f(Role::weight, prefix + "emb", first.emb, w.emb...);
    for (std::size_t i = 0; i < first.layers.size(); ++i)
      LayerWeights<Tensor>::visit(prefix + "layers." + std::to_string(i) + ".", f, first.layers[i], w.layers[i]...);
  }
};

/// Two layers; the first has no bias.
const StackWeights<Shape> kShapes{{5, 4}, {{{2, 3}, {1, 3}, {0, 0}}, {{4, 3}, {1, 3}, {1, 6}}}};

}  // namespace

TEST_CASE("parameters: zeros have the shapes of the description, vectors included") {
  const StackWeights<Matrix> weights = zeros(kShapes);
  REQUIRE(weights.layers.size() == 2);
  CHECK(different(weights.emb, Matrix::Zero(5, 4)) == "");
  CHECK(different(weights.layers[1].W, Matrix::Zero(4, 3)) == "");
  CHECK(weights.layers[0].b.size() == 0);
}

TEST_CASE("parameters: tensors_of lists what is there, in order, with full names, roles and the tensors themselves") {
  StackWeights<Matrix> weights = zeros(kShapes);
  const std::vector<NamedTensor> all = tensors_of(weights, "model.");
  std::vector<std::string> names;
  for (const auto& tensor : all) names.push_back(tensor.name);
  CHECK(names == std::vector<std::string>{"model.emb", "model.layers.0.W", "model.layers.0.norm", "model.layers.1.W",
                                          "model.layers.1.norm", "model.layers.1.b"});
  CHECK(all[0].role == Role::weight);
  CHECK(all[2].role == Role::gain);
  CHECK(all[5].role == Role::bias);
  all[5].value->setOnes();
  CHECK(different(weights.layers[1].b, Matrix::Ones(1, 6)) == "");
}

TEST_CASE("parameters: count adds up the description without building it") {
  CHECK(count(kShapes) == 5 * 4 + 2 * 3 + 3 + 4 * 3 + 3 + 6);
  const LayerWeights<Shape> huge{{129'280, 7168}, {1, 7168}, {0, 0}};
  CHECK(count(huge) == 926'679'040 + 7168);  // the embedding of V3: V d
}

TEST_CASE("parameters: several structures are walked side by side") {
  StackWeights<Matrix> a = zeros(kShapes), b = zeros(kShapes);
  Index visited = 0;
  StackWeights<Matrix>::visit(
      "",
      [&](Role, const std::string&, const Shape& s, Matrix& x, Matrix& y) {
        CHECK(shape_of(x) == s);
        y.array() += static_cast<real>(visited++);
      },
      kShapes, a, b);
  CHECK(visited == 7);
  CHECK(different(b.layers[1].b, Matrix::Constant(1, 6, 6)) == "");
  CHECK(different(a.layers[1].b, Matrix::Zero(1, 6)) == "");
}
