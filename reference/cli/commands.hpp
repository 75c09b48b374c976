// SPDX-License-Identifier: MIT
/// \file
/// What the command line does, without how it is parsed. Each command prints to stdout, returns 0 (done) or 1 (a check
/// failed), and throws for wrong use, which main() turns into 2.
#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reference/training/settings.hpp"

namespace dsv3::cli {

struct TrainArguments {
  RunSettings settings;
  std::string out;
  bool resume = false;          ///< settings then come from the run's folder ...
  std::set<std::string> given;  ///< ... and those of these options ("--steps") must be the same
  Index threads = 0;            ///< 0: as many as OpenMP takes
  bool json = false;            ///< the log's lines on stdout instead of a progress bar
};
int train(const TrainArguments& arguments);

struct TourArguments {
  std::string data;
  std::string out;
  Index steps = 0;  ///< 0: as many as take about three minutes on two cores
  std::uint64_t seed = 1;
  Index threads = 0;
};
int tour(const TourArguments& arguments);

struct GenerateArguments {
  std::string model;
  std::string prompt;
  Index max_new = 100;
  double temperature = 0.8;
  std::uint64_t seed = 1;
  bool json = false;
};
int generate(const GenerateArguments& arguments);

struct ForwardArguments {
  std::string model;
  std::string tokens;  ///< safetensors file with an integer tensor "tokens" [T]
  std::string out;
  bool activations = false;
  std::string precision = "fp32", device = "cpu";
  bool json = false;
};
int forward(const ForwardArguments& arguments);

struct ModelArguments {
  std::string name;  ///< a configuration's name, a config.json or its folder; empty: all names
  bool json = false;
};
int model(const ModelArguments& arguments);

struct Fp8Arguments {
  RunSettings settings;               ///< of every run but its seed and precision
  Index seeds = 3;                    ///< settings.seed and those after it
  std::vector<std::string> variants;  ///< of fp8_variants; empty: all
  std::string out;                    ///< folder for settings.json, fp8.json and fp8.svg
  bool resume = false;                ///< the settings and finished runs of `out` count; what is not there is run ...
  std::set<std::string> given;        ///< ... and settings of these options ("--steps") must be the same
  Index threads = 0;
  bool json = false;
};
int fp8(const Fp8Arguments& arguments);

struct Fp8GradientsArguments {
  RunSettings settings;  ///< of the training in BF16 before
  Index batches = 8;     ///< that gradients are compared on
  Index threads = 0;
  bool json = false;
};
int fp8_gradients(const Fp8GradientsArguments& arguments);

struct Fp8DepthArguments {
  std::string out = "runs/fp8";  ///< folder for depth.json and depth.svg
  Index outputs = 48;            ///< sums of each depth: the square of it
  std::uint64_t seed = 1;
  Index threads = 0;
  bool json = false;
};
int fp8_depth(const Fp8DepthArguments& arguments);

struct OracleArguments {
  std::string op;                 ///< of gen with `all`, empty: every one
  bool all = false;               ///< every kind of case, with outputs and limits: a pack
  std::string kind;               ///< of the case; empty: the op's ordinary one
  std::vector<std::string> set;   ///< "NAME=VALUE" of attributes and, where a case is drawn, of sizes
  std::uint64_t seed = 1;         ///< of the case
  std::string case_file, theirs;  ///< safetensors files of inputs, and of another implementation's outputs
  std::string out;
  bool json = false;
};
int oracle_list(const OracleArguments& arguments);
int oracle_describe(const OracleArguments& arguments);
int oracle_gen(const OracleArguments& arguments);
int oracle_run(const OracleArguments& arguments);
int oracle_check(const OracleArguments& arguments);  ///< 1 where theirs are outside the bound
int oracle_find(const OracleArguments& arguments);   ///< 1 where no convention gives theirs

struct BenchArguments {
  std::string name;   ///< rows whose names begin so; empty: all
  Index threads = 1;  ///< 1: seconds of the thread's own work; more: of the wall clock
  Index rounds = 5;
  std::string peers;  ///< a Python that has NumPy and ml_dtypes; empty: no peers but our own
  bool json = false;
};
int bench(const BenchArguments& arguments);

}  // namespace dsv3::cli
