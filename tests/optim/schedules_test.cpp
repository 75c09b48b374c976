// SPDX-License-Identifier: MIT
#include "reference/optim/schedules.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

using namespace dsv3;

namespace {
constexpr Index kT = 1'000'000'000'000, kBillion = 1'000'000'000;
const Schedules kReport = report_schedules();

/// Long after the warm-up.
double rate_at(Index tokens) { return learning_rate(kReport.learning_rate, 1'000'000, tokens); }
bool near(double a, double b, double relative) { return std::abs(a - b) <= relative * std::abs(b); }
}  // namespace

TEST_CASE("schedules: the report's learning rate, token for token") {
  CHECK(rate_at(5 * kT) == 2.2e-4);
  CHECK(rate_at(10 * kT) == 2.2e-4);
  CHECK(near(rate_at(11 * kT), 1.947324e-4, 5e-7));  // seven printed digits
  CHECK(near(rate_at(12'150 * kBillion), 1.21e-4, 1e-12));
  CHECK(near(rate_at(14 * kT), 2.436849e-5, 5e-7));
  CHECK(near(rate_at(14'300 * kBillion - 1), 2.2e-5, 1e-12));
  CHECK(rate_at(14'300 * kBillion) == 2.2e-5);
  CHECK(rate_at(14'500 * kBillion) == 2.2e-5);
  CHECK(rate_at(14'633 * kBillion - 1) == 2.2e-5);
  CHECK(rate_at(14'633 * kBillion) == 7.3e-6);
  CHECK(rate_at(14'700 * kBillion) == 7.3e-6);
  CHECK(rate_at(20 * kT) == 7.3e-6);  // the last piece has no end
}

TEST_CASE("schedules: the warm-up is linear over 2000 updates, the first of which already moves") {
  const auto& schedule = kReport.learning_rate;
  CHECK(near(learning_rate(schedule, 1, 0), 1.1e-7, 1e-12));
  CHECK(near(learning_rate(schedule, 500, kBillion), 5.5e-5, 1e-12));
  CHECK(learning_rate(schedule, 1999, kBillion) < 2.2e-4);
  CHECK(learning_rate(schedule, 2000, kBillion) == 2.2e-4);
  CHECK(learning_rate(schedule, 2001, kBillion) == 2.2e-4);
}

TEST_CASE("schedules: the pieces of the report's learning rate add up to 14.8T tokens") {
  Index sum = kReport.learning_rate.constant_until + kReport.learning_rate.cosine_tokens;
  for (const auto& tail : kReport.learning_rate.tails) sum += tail.tokens;
  CHECK(sum == 14'800 * kBillion);
  CHECK(kReport.total_tokens == sum);
  CHECK(kReport.total_tokens - kReport.bias_speed.until == 500 * kBillion);
  CHECK(kReport.total_tokens - kReport.mtp_lambda.until == 4'800 * kBillion);
  CHECK_NOTHROW(validate(kReport));
}

TEST_CASE("schedules: the batch grows from 3072 to 15360 sequences over 469B tokens, linearly in tokens") {
  const auto batch = [](Index tokens) { return sequences(kReport.batch, tokens); };
  CHECK(batch(0) == 3072);
  CHECK(batch(234'500'000'000) == 9216);
  CHECK(batch(469 * kBillion - 1) == 15359);  // rounded down
  CHECK(batch(469 * kBillion) == 15360);
  CHECK(batch(14 * kT) == 15360);
}

TEST_CASE("schedules: the whole run takes 227,785 steps after the ramp and about 15,000 on it") {
  Index tokens = 0, ramp_steps = 0, steps = 0;
  while (tokens < kReport.total_tokens) {
    ++(tokens < kReport.batch.ramp_tokens ? ramp_steps : steps);
    tokens += 4096 * sequences(kReport.batch, tokens);
  }
  // On the ramp dt = dx / (4096 b(x)): 469e9 / (4096 * 12288) * ln 5 = 14997.05 steps. A step keeps the batch it starts
  // with: half of ln 5 more. Rounding the batch down costs half a sequence: 9318.2 / 2 * (1/3072 - 1/15360) = 1.21
  // more.
  CHECK(ramp_steps == 15'000);                                   // 14999.06 and the step that ends the ramp
  CHECK(std::abs(static_cast<double>(steps) - 227'785.0) <= 1);  // one step may straddle the end of the ramp
}

TEST_CASE("schedules: gamma is 0.001 for 14.3T tokens, lambda 0.3 for 10T; the new value starts with the token") {
  const auto at = [](Index tokens) { return settings(kReport, 5000, tokens); };
  CHECK(at(0).bias_speed == 0.001);
  CHECK(at(14'300 * kBillion - 1).bias_speed == 0.001);
  CHECK(at(14'300 * kBillion).bias_speed == 0);
  CHECK(at(10 * kT - 1).mtp_lambda == 0.3);
  CHECK(at(10 * kT).mtp_lambda == 0.1);
  CHECK(at(11 * kT).learning_rate == rate_at(11 * kT));
  CHECK(at(0).sequences == 3072);
}

TEST_CASE("schedules: a small run has the report's shape at its own peak") {
  const Schedules small = scaled(
      kReport,
      {.total_tokens = 1'480'000, .peak = 4.4e-3, .warmup_steps = 20, .first_sequences = 4, .full_sequences = 16});
  CHECK(small.learning_rate.constant_until == 1'000'000);
  CHECK(small.batch.ramp_tokens == 46'900);
  CHECK(small.bias_speed.until == 1'430'000);
  CHECK(small.bias_speed.before == 0.001);
  CHECK(small.mtp_lambda.until == 1'000'000);
  CHECK(settings(small, 10, 0).learning_rate == 2.2e-3);
  CHECK(settings(small, 1, 0).sequences == 4);
  CHECK(settings(small, 100, 46'900).sequences == 16);
  for (const Index tokens : {0, 999'999, 1'100'000, 1'215'000, 1'429'999, 1'450'000, 1'463'299, 1'463'300, 1'479'999})
    CHECK(near(settings(small, 100, tokens).learning_rate, 20 * rate_at(tokens * 10'000'000), 1e-12));
  const auto& report_batch = kReport.batch;
  CHECK(scaled(kReport, {kReport.total_tokens, 2.2e-4, 2000, report_batch.first, report_batch.full}) == kReport);
}

TEST_CASE("schedules: without warm-up, ramp and cosine the rate is a staircase and the batch one number") {
  Schedules s;
  s.total_tokens = 100;
  s.learning_rate = {.peak = 1, .constant_until = 50, .cosine_end = 0.5};
  s.batch = {.first = 2, .full = 2};
  CHECK(settings(s, 1, 0).learning_rate == 1);
  CHECK(settings(s, 1, 50).learning_rate == 0.5);
  s.learning_rate.tails = {{10, 0.4}, {20, 0.3}, {5, 0.2}};  // each counts its tokens from the end of the one before
  CHECK(settings(s, 1, 59).learning_rate == 0.4);
  CHECK(settings(s, 1, 60).learning_rate == 0.3);
  CHECK(settings(s, 1, 79).learning_rate == 0.3);
  CHECK(settings(s, 1, 80).learning_rate == 0.2);
  CHECK(settings(s, 1, 99).learning_rate == 0.2);
  CHECK(settings(s, 1, 0).sequences == 2);
}

TEST_CASE("schedules: what cannot be right is refused with its name") {
  const auto refused = [](auto change, const char* message) {
    Schedules s = kReport;
    change(s);
    CHECK_THROWS_WITH_AS(validate(s), message, std::invalid_argument);
  };
  refused([](Schedules& s) { s.total_tokens = 0; }, "schedules: total_tokens is 0; it must be at least 1");
  refused([](Schedules& s) { s.learning_rate.peak = std::numeric_limits<double>::quiet_NaN(); },
          "schedules: learning_rate.peak is nan; it must be finite and >= 0");
  refused([](Schedules& s) { s.learning_rate.tails[1].tokens = -1; },
          "schedules: learning_rate.tails.tokens is -1 tokens; it must not be negative");
  refused([](Schedules& s) { s.batch.first = 0; },
          "schedules: batch goes from 0 to 15360 sequences; it must start at 1 or more and not shrink");
  refused([](Schedules& s) { s.batch.full = 3000; },
          "schedules: batch goes from 3072 to 3000 sequences; it must start at 1 or more and not shrink");
  refused([](Schedules& s) { s.learning_rate.warmup_steps = -1; },
          "schedules: warmup_steps is -1; it must not be negative");
  refused([](Schedules& s) { s.mtp_lambda.after = -1; }, "schedules: mtp_lambda is -1; it must be finite and >= 0");
  CHECK_THROWS_WITH(settings(kReport, 0, 0), "settings: t is 0; the first update is number 1");
  CHECK_THROWS_WITH(settings(kReport, 1, -1), "settings: tokens is -1; it must not be negative");
  CHECK_THROWS_AS(scaled(kReport, {.total_tokens = 0, .peak = 1, .first_sequences = 1, .full_sequences = 1}),
                  std::invalid_argument);
  CHECK_THROWS_AS(scaled(kReport, {.total_tokens = 10, .peak = 0, .first_sequences = 1, .full_sequences = 1}),
                  std::invalid_argument);
}
