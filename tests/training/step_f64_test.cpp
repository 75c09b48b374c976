// SPDX-License-Identifier: MIT
#include "reference/training/step.hpp"

#include "tests/training/fixture.hpp"

using namespace dsv3;
using namespace dsv3::test;

TEST_CASE("step: however the batch is cut into micro-batches, the step is the same") {
  TrainingOptions o = micro_options();
  o.balance_alpha = 0.1;
  const auto trained = [&](Index micro_batch) {
    o.micro_batch = micro_batch;
    return train(o, 3);
  };
  Trained whole = trained(6);
  for (const Index micro_batch : {1, 2, 4, 100}) {  // 4: the last one is smaller
    CAPTURE(micro_batch);
    Trained cut = trained(micro_batch);
    for (std::size_t i = 0; i < 3; ++i) {
      const StepReport &a = whole.reports[i], &b = cut.reports[i];
      CHECK(b.loss.load == a.loss.load);
      CHECK(b.loss.tokens == a.loss.tokens);
      CHECK(std::abs(b.loss.main_sum - a.loss.main_sum) < 1e-9 * a.loss.main_sum);
      CHECK(std::abs(b.loss.mtp_sum[0] - a.loss.mtp_sum[0]) < 1e-9 * a.loss.mtp_sum[0]);
      CHECK(std::abs(b.loss.balance - a.loss.balance) < 1e-9 * a.loss.balance);
      CHECK(std::abs(b.gradient_norm - a.gradient_norm) < 1e-9 * a.gradient_norm);
    }
    const auto x = tensors_of(whole.state.weights), y = tensors_of(cut.state.weights);
    for (std::size_t t = 0; t < x.size(); ++t) {
      CAPTURE(x[t].name);
      // AdamW's first update is g / (|g| + 1e-8): a gradient that another order of its sum moves by 1e-16 moves it by
      // up to 1e-8 of the learning rate 0.01; two more steps amplify that.
      CHECK(outside(*x[t].value, *y[t].value, 1e-8) == "");
    }
  }
}

TEST_CASE("step: batch-wise balance counts over a micro-batch, so there the cut does change it") {
  TrainingOptions o = micro_options();
  o.balance_alpha = 0.1;
  o.balance_scope = BalanceScope::batch;
  o.micro_batch = 6;
  const double whole = train(o, 1).reports[0].loss.balance;
  o.micro_batch = 2;
  const double cut = train(o, 1).reports[0].loss.balance;
  CHECK(cut != whole);
  CHECK(cut == doctest::Approx(whole).epsilon(0.2));  // each piece weighs its share: no factor of 3
}

TEST_CASE(
    "step: the balance loss is a mean over the sequences of the step: the same one six times weighs as much as once") {
  for (const BalanceScope scope : {BalanceScope::sequence, BalanceScope::batch}) {
    TrainingOptions o = micro_options();
    o.balance_alpha = 0.1;
    o.balance_scope = scope;
    const auto balance = [&](Index sequences) {
      o.schedules.batch = {.first = sequences, .full = sequences, .ramp_tokens = 0};
      const BatchSource same = [&](Index, Index count) {
        const Batch one = random_text(o)(0, 1);
        Batch batch{.count = count, .length = one.length, .tokens = {}};
        for (Index i = 0; i < count; ++i) batch.tokens.insert(batch.tokens.end(), one.tokens.begin(), one.tokens.end());
        return batch;
      };
      return train(o, 1, same).reports[0].loss.balance;
    };
    const double once = balance(1);
    CHECK(once > 0.1);  // alpha times at least 1 in each of two layers, Eq. (17), or a little less
    CHECK(balance(6) == doctest::Approx(once).epsilon(1e-12));
  }
}
