// SPDX-License-Identifier: MIT
#include "reference/training/step.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

#include "reference/moe/balance.hpp"
#include "tests/training/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// A text with a rule: the next token is 3 t + 1 mod 13.
BatchSource rule_text(Index T) {
  return [T](Index first, Index count) {
    Batch batch{.count = count, .length = T, .tokens = {}};
    for (Index i = first; i < first + count; ++i)
      for (Index t = 0, token = i % 13; t <= T; ++t, token = (3 * token + 1) % 13)
        batch.tokens.push_back(static_cast<Token>(token));
    return batch;
  };
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing thrown";
}

/// The biases of all MoE layers, main model and MTP module, in the order of the loads.
std::vector<Matrix> biases(TrainingState& state) {
  std::vector<Matrix> all;
  for (const NamedTensor& t : tensors_of(state.weights))
    if (t.role == Role::bias) all.push_back(*t.value);
  return all;
}

/// After a step that threw, the state is `before` and the trainer goes on as a new one would.
void check_goes_on(Trainer& trainer, const TrainingOptions& o, TrainingState& state, const TrainingState& before) {
  CHECK(different(state, before) == "");
  TrainingState fresh = before;
  Trainer(o).step(fresh, random_text(o));
  trainer.step(state, random_text(o));
  CHECK(different(state, fresh) == "");
}

}  // namespace

TEST_CASE("step: five steps have the same bits with one thread and with two, in FP32, BF16 and FP8") {
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::fp8}) {
    TrainingOptions o = micro_options();
    o.config = config_by_name("tiny");  // tensors of several blocks of 8192, rows of several blocks of 64
    o.sequence_length = 64;
    o.micro_batch = 3;
    o.precision = precision;
    Trained one, two;
    {
      const Threads threads(1);
      one = train(o, 5);
    }
    {
      const Threads threads(2);
      two = train(o, 5);
    }
    CHECK(different(one.state, two.state) == "");
    for (std::size_t i = 0; i < 5; ++i) {
      CHECK(one.reports[i].loss.main_sum == two.reports[i].loss.main_sum);
      CHECK(one.reports[i].gradient_norm == two.reports[i].gradient_norm);
    }
  }
}

TEST_CASE("step: a rule is learnt, by the main model and by the MTP module") {
  TrainingOptions o = micro_options();
  o.steps = 150;
  o.schedules =
      scaled(report_schedules(),
             {.total_tokens = 150 * 6 * 8, .peak = 0.02, .warmup_steps = 5, .first_sequences = 6, .full_sequences = 6});
  const Trained run = train(o, 150, rule_text(8));
  CHECK(run.reports.front().loss.main_loss() > 3);  // ln 40 = 3.7
  CHECK(run.reports.back().loss.main_loss() < 0.2);
  CHECK(run.reports.front().loss.mtp_loss(0) > 2.5);  // 7/8 of ln 40
  CHECK(run.reports.back().loss.mtp_loss(0) < 0.2);
}

TEST_CASE("step: settings in force, counters and loads of the report") {
  const TrainingOptions o = micro_options();
  const Trained run = train(o, 5);
  for (Index i = 0; i < 5; ++i) {
    const StepReport& r = run.reports[static_cast<std::size_t>(i)];
    CHECK(r.step == i + 1);
    CHECK(r.tokens == (i + 1) * 48);
    const StepSettings expected = settings(o.schedules, i + 1, i * 48);
    CHECK(r.settings.learning_rate == expected.learning_rate);
    CHECK(r.settings.mtp_lambda == expected.mtp_lambda);
    CHECK(r.settings.bias_speed == expected.bias_speed);
    REQUIRE(r.loss.load.size() == 2);  // one MoE layer, one MTP module
    CHECK(std::accumulate(r.loss.load[0].begin(), r.loss.load[0].end(), Index{0}) == 6 * 8 * 4);
    CHECK(std::accumulate(r.loss.load[1].begin(), r.loss.load[1].end(), Index{0}) == 6 * 7 * 4);
  }
  CHECK(run.reports[0].settings.learning_rate == doctest::Approx(0.005));  // first of two steps of warm-up
  CHECK(run.reports[1].settings.learning_rate == doctest::Approx(0.01));
  CHECK(run.reports[0].settings.mtp_lambda == 0.3);
  CHECK(run.reports[4].settings.mtp_lambda == 0.1);
  CHECK(run.state.step == 5);
  CHECK(run.state.sequences == 30);
  CHECK(run.state.optimizer.step == 5);
}

TEST_CASE("step: after it every bias has moved by gamma, up where the expert was underloaded, down where overloaded") {
  const TrainingOptions o = micro_options();
  TrainingState state = initial_state(o);
  Trainer trainer(o);
  const std::vector<Matrix> before = biases(state);
  const StepReport r = trainer.step(state, random_text(o));
  const std::vector<Matrix> after = biases(state);
  REQUIRE(after.size() == 2);
  const auto gamma = static_cast<real>(r.settings.bias_speed);
  REQUIRE(gamma > 0);
  for (std::size_t layer = 0; layer < 2; ++layer)
    for (Index i = 0; i < 16; ++i) {
      const Index load = r.loss.load[layer][static_cast<std::size_t>(i)], total = layer == 0 ? 192 : 168;
      const real moved = load * 16 > total ? -gamma : load * 16 < total ? gamma : 0;
      CHECK(after[layer](0, i) == before[layer](0, i) + moved);
    }
}

TEST_CASE("step: the bias alone evens the load out") {
  TrainingOptions o = micro_options();
  o.schedules.learning_rate.peak = o.schedules.learning_rate.cosine_end = 0;  // nothing else moves
  for (auto& tail : o.schedules.learning_rate.tails) tail.rate = 0;
  const auto violation = [&](double gamma) {
    o.schedules.bias_speed = {.before = gamma, .until = 1 << 30, .after = 0};
    return mean_max_vio(
        train(o, 60, [&](Index, Index count) { return random_text(o)(0, count); }).reports.back().loss.load);
  };
  const double without = violation(0), with = violation(0.01);
  CHECK(without > 0.8);
  CHECK(with < without / 2);
}

TEST_CASE("step: no bias update in the last stretch of the schedule, where gamma is 0") {
  TrainingOptions o = micro_options();
  o.schedules.bias_speed.until = 0;
  Trained run = train(o, 3);
  for (const Matrix& b : biases(run.state)) CHECK(max_abs(b) == 0);
}

TEST_CASE("step: MaxVio is the mean over the layers of largest over mean load, minus 1") {
  CHECK(mean_max_vio({{4, 4, 4, 4}, {10, 2, 2, 2}}) == doctest::Approx((0 + 1.5) / 2));
  CHECK(mean_max_vio({}) == 0);
}

TEST_CASE("step: gradients longer than clip_norm are scaled to it, shorter ones are not") {
  TrainingOptions o = micro_options();
  o.adamw.decay = 0;
  const auto weights_after = [&](double clip, double eps) {
    o.clip_norm = clip;
    o.adamw.eps = eps;  // far above the gradients: the update is proportional to them
    return train(o, 1);
  };
  const Trained unclipped = weights_after(1e9, 1e6), clipped = weights_after(0.01, 1e6), start = [&] {
    return Trained{initial_state(o), {}};
  }();
  const double norm = unclipped.reports[0].gradient_norm;
  CHECK(norm > 0.1);
  CHECK(clipped.reports[0].gradient_norm == norm);  // before clipping
  const auto& m = std::get<std::vector<real>>(unclipped.state.optimizer.tensors[0].m);
  const auto& n = std::get<std::vector<real>>(clipped.state.optimizer.tensors[0].m);
  double largest = 0;
  for (std::size_t i = 0; i < m.size(); ++i) {
    largest = std::max(largest, std::abs(double{m[i]}));
    CHECK(std::abs(n[i] - m[i] * 0.01 / norm) <= 1e-6 * std::abs(m[i]));  // a few roundings
  }
  CHECK(largest > 0);
}

TEST_CASE("step: BF16 differs from FP32 but stays close") {
  TrainingOptions o = micro_options();
  const Trained fp32 = train(o, 5);
  o.precision = Precision::bf16;
  const Trained bf16 = train(o, 5);
  for (std::size_t i = 0; i < 5; ++i) {
    const double a = fp32.reports[i].loss.main_loss(), b = bf16.reports[i].loss.main_loss();
    CHECK(a != b);
    CHECK(std::abs(a - b) < 0.02 * a);  // operands have 8 bits, 2^-9 each; a loss is a mean over many
  }
}

TEST_CASE("step: BF16 moments: the first step has FP32's bits, the next ones do not") {
  TrainingOptions o = micro_options();
  o.config.D = 0;
  Trained fp32 = train(o, 1), later = train(o, 2);
  o.adamw.moments = MomentFormat::bf16;
  Trained bf16 = train(o, 1), later_bf16 = train(o, 2);
  CHECK(std::holds_alternative<std::vector<std::uint16_t>>(bf16.state.optimizer.tensors.at(0).m));
  CHECK(different(fp32.state.weights.head, bf16.state.weights.head) == "");
  CHECK(different(later.state.weights.head, later_bf16.state.weights.head) != "");
  CHECK(outside(later.state.weights.head, later_bf16.state.weights.head, 0.01 * 0.05) ==
        "");  // of a step of 0.01, 2^-8
}

TEST_CASE("step: a gradient that is not finite leaves the state as it was, and the trainer goes on as if new") {
  const TrainingOptions o = micro_options();
  Trainer trainer(o);
  TrainingState state = initial_state(o);
  trainer.step(state, random_text(o));
  const TrainingState good = state;
  state.weights.head(3, 2) = std::numeric_limits<real>::infinity();
  const TrainingState broken = state;
  const std::string said = message([&] { trainer.step(state, random_text(o)); });
  CHECK(said.starts_with("train: the gradient norm of step 2 is "));
  CHECK(said.ends_with("it must be finite. The weights are those of step 1"));
  CHECK(different(state, broken) == "");
  state = good;
  check_goes_on(trainer, o, state, good);
}

TEST_CASE("step: text that fails in the middle of a step leaves the state, and the trainer goes on as if new") {
  const TrainingOptions o = micro_options();
  Trainer trainer(o);
  TrainingState state = initial_state(o);
  const TrainingState before = state;
  const auto failing = [&](Index first, Index count) {
    if (first >= 4) throw std::runtime_error("the text ends here");
    return random_text(o)(first, count);
  };
  CHECK(message([&] { trainer.step(state, failing); }) == "the text ends here");
  check_goes_on(trainer, o, state, before);
}

TEST_CASE("step: a batch of another size than asked for is refused") {
  const TrainingOptions o = micro_options();
  Trainer trainer(o);
  TrainingState state = initial_state(o);
  const TrainingState before = state;
  CHECK(message([&] { trainer.step(state, [&](Index first, Index) { return random_text(o)(first, 1); }); }) ==
        "train: the text gave 1 sequences of 8 tokens; 2 of 8 were asked for");
  check_goes_on(trainer, o, state, before);
}

TEST_CASE(
    "step: delayed scaling remembers of each step the largest amax of its micro-batches; a step that fails, none") {
  TrainingOptions o = micro_options();
  o.precision = Fp8Recipe{.scaling = Scaling::delayed};
  TrainingState state = initial_state(o);
  Trainer trainer(o);
  trainer.step(state, random_text(o));
  const auto weights = tensors_of(state.weights);
  std::map<std::string, float> largest;
  for (const NamedTensor& w : weights) largest[w.name] = static_cast<float>(w.value->cwiseAbs().maxCoeff());
  const std::vector<LinearAmaxes> before = state.amaxes;
  const BatchSource broken = [](Index, Index) -> Batch { throw std::runtime_error("no text"); };
  CHECK_THROWS_AS(trainer.step(state, broken), std::runtime_error);
  CHECK(state.amaxes == before);
  trainer.step(state, random_text(o));
  Index used = 0;
  for (const LinearAmaxes& linear : state.amaxes) {
    CAPTURE(linear.weight);
    const bool in_fp8 = linear.of[1].factor() != 1;
    used += in_fp8;
    const bool always = linear.weight.find("experts.") == std::string::npos;  // an expert may have no token
    if (linear.weight == "embedding" || linear.weight == "head" || linear.weight.ends_with("ffn.e")) CHECK(!in_fp8);
    else if (always) CHECK(in_fp8);
    if (in_fp8 && always) CHECK(linear.of[1].amaxes().back() == largest.at(linear.weight));
    for (const AmaxHistory& history : linear.of) CHECK((history.factor() != 1) == in_fp8);
  }
  CHECK(used > 20);
  // all sequences in one micro-batch: other sums, the same amaxes of the first step but for their rounding
  o.micro_batch = 6;
  const TrainingState whole = train(o, 1).state;
  for (std::size_t i = 0; i < before.size(); ++i)
    for (std::size_t which : {0, 1}) {
      const float a = before[i].of[which].amaxes().back(), b = whole.amaxes[i].of[which].amaxes().back();
      CHECK(std::abs(a - b) <= 0.02f * b);
    }
}
