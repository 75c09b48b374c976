// SPDX-License-Identifier: MIT
#include "reference/oracle/pack.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "reference/oracle/registry.hpp"
#include "reference/oracle/verdict.hpp"
#include "tests/checkpoint/scratch.hpp"

using namespace dsv3;
using namespace dsv3::oracle;
using namespace dsv3::test;

namespace {

/// An op whose output is its input, with the limit that a test wants.
Op op_with(const Limit& limit) {
  Op op{.name = "same",
        .what = "",
        .contract = "",
        .inputs = {},
        .outputs = {},
        .attributes = {},
        .run = {},
        .limits = {},
        .imitate = {},
        .kinds = {},
        .draw = {}};
  op.outputs = {{"y", {Dtype::f32}, {"n"}, ""}};
  op.run = [](const Case& c) { return Tensors{{"y", c.in("x")}}; };
  op.limits = [limit](const Case&, const Tensors&, const Tensors& theirs) {
    CHECK(theirs.empty());
    return Limits{{"y", limit}};
  };
  return op;
}

Case case_of(const std::vector<float>& x) {
  const FloatMatrix m = Eigen::Map<const FloatMatrix>(x.data(), 1, std::ssize(x));
  return {.inputs = {{"x", tensor(m, {std::ssize(x)})}}, .attributes = {}, .sizes = {}};
}

}  // namespace

TEST_CASE("pack: bounds and spreads are codes of powers of two, never below the number") {
  const Doubles bound{0, 1, 1.0000001, 0.75, 0x1p-126, 0x1p-127, 1e-300, 0x1p127, 1e39, INFINITY, NAN};
  const std::vector<std::int64_t> codes{0, 127, 128, 127, 1, 1, 1, 254, 255, 255, 255};
  const Tensors pack = packed(op_with({.bound = bound, .spread = bound}), case_of(std::vector<float>(bound.size())));
  CHECK(integers(pack.at("bound.y")) == codes);
  CHECK(integers(pack.at("spread.y")) == codes);
  CHECK(pack.at("bound.y").shape == std::vector<Index>{11});
  for (std::size_t i = 0; i < bound.size(); ++i)
    if (codes[i] > 0 && codes[i] < 255) CHECK(std::ldexp(1, static_cast<int>(codes[i]) - 127) >= bound[i]);
}

TEST_CASE("pack: where every bit is defined there is no bound; inputs and outputs are the case's") {
  const Tensors pack = packed(op_with({}), case_of({1.5f, -0.0f}));
  CHECK(pack.size() == 2);
  CHECK(values(pack.at("inputs.x")) == Doubles{1.5, -0.0});
  CHECK(values(pack.at("outputs.y")) == Doubles{1.5, -0.0});
}

TEST_CASE("pack: every NaN has the same bits") {
  const Tensors pack = packed(op_with({}), case_of({NAN, -NAN, 1}));
  const auto bits = [&](std::size_t i) {
    return std::vector(&pack.at("outputs.y").bytes[4 * i], &pack.at("outputs.y").bytes[4 * i] + 4);
  };
  CHECK(bits(0) == bits(1));
  CHECK(std::isnan(values(pack.at("outputs.y"))[0]));
  CHECK(values(pack.at("outputs.y"))[2] == 1);
}

TEST_CASE("pack: the output is the center rounded once, and what that moves it is added to the limits") {
  const double center = 1 + 0x1p-25;  // rounds to 1
  const Tensors pack = packed(op_with({.bound = {0x1p-24}, .spread = {0x1p-26}, .center = {center}}), case_of({1.25f}));
  CHECK(values(pack.at("outputs.y")) == Doubles{1});
  CHECK(integers(pack.at("bound.y")) == std::vector<std::int64_t>{127 - 23});   // 2^-24 + 2^-25, rounded up
  CHECK(integers(pack.at("spread.y")) == std::vector<std::int64_t>{127 - 24});  // 2^-26 + 2^-25, rounded up
}

TEST_CASE("pack: choices of experts that rounding may tip are not judged, those that it cannot are") {
  const Op& gate = op_named("gate");
  const auto unjudged = [&](const char* kind, const char* output) {
    const Tensors pack = packed(gate, drawn(gate, kind, 1, {}, {}));
    Index count = 0;
    for (const std::int64_t code : integers(pack.at(output))) count += code == 255;
    return count;
  };
  CHECK(unjudged("ordinary", "bound.experts") == 0);
  CHECK(unjudged("near_ties", "bound.experts") > 32 * 4 / 2);
  CHECK(unjudged("near_ties", "bound.experts") % 4 == 0);
  CHECK(unjudged("near_ties", "bound.weights") == unjudged("near_ties", "bound.experts"));
  CHECK(unjudged("near_ties", "bound.s") == 0);
}

TEST_CASE("pack: where the layer may choose other experts neither its output nor any gradient is judged") {
  for (const char* const name : {"moe_layer", "moe_layer_backward"})
    for (const bool tied : {false, true}) {
      const Op& op = op_named(name);
      Case c = drawn(op, "ordinary", 1, {}, {});
      if (tied) {
        FloatMatrix gate = float_matrix(c.in("gate"));
        gate.rowwise() = FloatMatrix(gate.row(0)).row(0);
        c.inputs["gate_bias"] = tensor(FloatMatrix::Zero(1, gate.rows()), {gate.rows()});
        c.inputs["gate"] = tensor(gate);
      }
      const Tensors pack = packed(op, c);
      for (const TensorSpec& spec : op.outputs) {
        if (spec.optional) continue;
        CAPTURE(spec.name);
        for (const std::int64_t code : integers(pack.at("bound." + spec.name))) CHECK((code == 255) == tied);
      }
    }
}

TEST_CASE("pack: after a layer of a model that may choose otherwise nothing is judged, but all before it") {
  Op op = op_with({});
  const auto spec = [](const char* name, ShapeText shape) {
    return TensorSpec{name, {Dtype::f32}, std::move(shape), ""};
  };
  op.outputs = {spec("first", {"T", "n"}), spec("l.s", {"T", "n"}), spec("l.experts", {"T", "k"}),
                spec("l.margin", {"T"}),   spec("y", {"T", "n"}),   spec("loss", {})};
  op.run = [](const Case&) {
    FloatMatrix margin(1, 3);
    margin << 1, 0.25f, 1;
    const Tensor rows = tensor(FloatMatrix::Zero(3, 2)), experts = tensor(std::vector<std::int64_t>{0, 1, 0}, {3, 1});
    return Tensors{{"first", rows},
                   {"l.s", rows},
                   {"l.experts", experts},
                   {"l.margin", tensor(margin, {3})},
                   {"y", rows},
                   {"loss", tensor(FloatMatrix::Zero(1, 1), {})}};
  };
  op.limits = [](const Case&, const Tensors& ours, const Tensors&) {
    Limits limits = all_bits(ours);
    for (const char* const name : {"first", "l.s", "y"})
      limits[name] = {.bound = Doubles(6, 1), .spread = Doubles(6, 0.0625)};
    return limits;
  };
  const Tensors pack = packed(op, case_of({0}));
  const auto codes = [&](const std::string& name) { return integers(pack.at("bound." + name)); };
  CHECK(codes("first") == std::vector<std::int64_t>(6, 127));
  CHECK(codes("l.s") == std::vector<std::int64_t>(6, 127));
  CHECK(codes("l.experts") == std::vector<std::int64_t>(3, 255));
  CHECK(codes("l.margin") == std::vector<std::int64_t>(3, 255));
  CHECK(codes("y") == std::vector<std::int64_t>(6, 255));
  CHECK(codes("loss") == std::vector<std::int64_t>{255});
}

TEST_CASE("pack: the outputs it wants are, for the verdict, within the bounds, of every op and kind") {
  for (const Op& op : registry())
    for (const CaseKind& kind : op.kinds) {
      const Case c = drawn(op, kind.name, 1, {}, {});
      const Tensors pack = packed(op, c);
      Tensors outputs;
      for (const TensorSpec& spec : op.outputs)
        if (!spec.optional) outputs[spec.name] = pack.at("outputs." + spec.name);
      CAPTURE(op.name);
      CAPTURE(kind.name);
      const Verdict verdict = judge(op, c, outputs);
      CHECK_MESSAGE(verdict.agreement != Agreement::outside, text(verdict));
    }
}

TEST_CASE("pack: the folder is new, complete and refused where there is one already") {
  const Scratch scratch;
  const std::filesystem::path folder = scratch / "pack";
  const Pack pack = write_pack(folder, {op_named("cast")}, 3);
  CHECK(pack.files == 4);
  CHECK(std::filesystem::exists(folder / "cast" / "contract.json"));
  CHECK(std::filesystem::exists(folder / "cast" / "all_bits.safetensors"));
  const std::string message = folder.string() + ": is there already; a new folder is needed";
  CHECK_THROWS_WITH_AS(write_pack(folder, registry(), 3), message.c_str(), std::runtime_error);
}
