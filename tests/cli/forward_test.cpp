// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>
#include <set>

#include "reference/checkpoint/safetensors_writer.hpp"
#include "reference/core/matrix.hpp"
#include "tests/cli/program.hpp"
#include "tests/serving/hf_golden.hpp"

using namespace dsv3;
using namespace dsv3::test;

namespace {

/// A file of tokens.
std::string tokens_file(const Scratch& scratch, const std::vector<std::int64_t>& tokens,
                        std::vector<Index> shape = {}) {
  const std::filesystem::path path = scratch / "tokens.safetensors";
  if (shape.empty()) shape = {std::ssize(tokens)};
  write_safetensors(path, {integer_tensor("tokens", shape, std::span<const std::int64_t>(tokens))});
  return path;
}

std::vector<std::int64_t> golden_tokens(const std::string& name) {
  return to_integers(Golden(name).view("prompt.0.tokens"));
}

std::vector<std::string> arguments(const std::string& model, const std::string& tokens, const std::string& out,
                                   std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"forward", "--model", model, "--tokens", tokens, "--out", out});
  return more;
}

std::map<std::string, std::vector<Index>> shapes_in(const std::filesystem::path& path) {
  const Safetensors file = open_safetensors(path);
  std::map<std::string, std::vector<Index>> all;
  for (const auto& [name, view] : file.contents.tensors) {
    CHECK(view.dtype == Dtype::f32);
    all[name] = view.shape;
  }
  return all;
}

Matrix read(const std::filesystem::path& path, const std::string& name) {
  const Safetensors file = open_safetensors(path);
  return to_matrix(file.contents.tensors.at(name));
}

}  // namespace

TEST_CASE(
    "dsv3 forward: logits [T, V] and mtp_logits [T-1, V] are transformers'; nothing else is written or left behind") {
  const Scratch scratch;
  const std::string out = scratch / "out.safetensors";
  const Ended e = run(arguments(golden_path("v3_mtp"), tokens_file(scratch, golden_tokens("v3_mtp")), out));
  CHECK(e.status == 0);
  CHECK(e.err == "");  // no progress bar in a pipe
  CHECK(e.out == out + ": 2 tensors for 24 tokens, logits [24, 64]\n");
  CHECK(shapes_in(out) == std::map<std::string, std::vector<Index>>{{"logits", {24, 64}}, {"mtp_logits", {23, 64}}});
  const Golden golden("v3_mtp");
  const Matrix logits = golden.matrix("prompt.0.logits"), mtp = golden.matrix("prompt.0.mtp.logits");
  CHECK(outside(read(out, "logits"), logits, agreement * max_abs(logits)) == "");
  CHECK(outside(read(out, "mtp_logits"), mtp, agreement * max_abs(mtp)) == "");
  CHECK(scratch.entries() == 2);
  CHECK(open_safetensors(out).contents.metadata.at("precision") == "fp32");
}

TEST_CASE("dsv3 forward --activations: every layer's tensors by name, with the shapes they have in transformers") {
  const Scratch scratch;
  const std::string out = scratch / "out.safetensors";
  const Ended e = run(arguments(golden_path("v3_yarn"), tokens_file(scratch, golden_tokens("v3_yarn")), out,
                                {"--activations", "--json"}));
  CHECK(e.status == 0);
  std::map<std::string, std::vector<Index>> expected = {{"logits", {24, 96}}, {"norm_final.out", {24, 36}}};
  for (Index layer = 0; layer < 3; ++layer) {
    const std::string at = concat("layers.", layer, ".");
    for (const char* const wide : {"norm_attention.out", "u", "x_prime", "norm_ffn.out", "ffn.out", "out"})
      expected[at + wide] = {24, 36};
    expected[at + "c_Q"] = {24, 24};
    expected[at + "c_KV"] = expected[at + "c_KV_hat"] = {24, 20};
    expected[at + "q_C"] = {24, 48};
    expected[at + "q_R"] = {24, 32};
    expected[at + "k_R"] = {24, 8};
    expected[at + "o"] = {24, 40};
    if (layer == 0) continue;
    expected[at + "router_logits"] = {24, 16};
    expected[at + "topk_experts"] = expected[at + "topk_weights"] = {24, 4};
    expected[at + "selection_margin"] = {24, 1};
  }
  CHECK(shapes_in(out) == expected);
  const auto json = nlohmann::json::parse(e.out);
  CHECK(json.at("tokens") == 24);
  CHECK(json.at("out") == out);
  CHECK(json.at("tensors") == nlohmann::json(expected));
  const Golden golden("v3_yarn");
  CHECK(different(read(out, "layers.2.topk_experts"), golden.matrix("prompt.0.layers.2.gate.experts")) == "");
  const Matrix u = golden.matrix("prompt.0.layers.1.attention");
  CHECK(outside(read(out, "layers.1.u"), u, agreement * max_abs(u)) == "");
  const Matrix ffn = golden.matrix("prompt.0.layers.1.ffn");
  CHECK(outside(read(out, "layers.1.ffn.out"), ffn, agreement * max_abs(ffn)) == "");
}

TEST_CASE("dsv3 forward --precision bf16 and fp8: other numbers, but close ones, and fp8 the farther") {
  const Scratch scratch;
  const std::string tokens = tokens_file(scratch, golden_tokens("v3_plain"));
  const auto logits_in = [&](const char* precision) {
    const std::string out = scratch / precision;
    CHECK(run(arguments(golden_path("v3_plain"), tokens, out, {"--precision", precision})).status == 0);
    CHECK(open_safetensors(out).contents.metadata.at("precision") == precision);
    return read(out, "logits");
  };
  const Matrix exact = logits_in("fp32"), bf16 = logits_in("bf16"), fp8 = logits_in("fp8");
  const auto far = [&](const Matrix& b, double part) {  // a token near a tie may reach another expert: most do not
    Index count = 0;
    for (Index t = 0; t < b.rows(); ++t) count += max_abs(exact.row(t) - b.row(t)) > part * max_abs(exact);
    return count;
  };
  CHECK(different(exact, bf16) != "");
  CHECK(far(bf16, 0.05) <= 6);
  CHECK(far(fp8, 0.5) <= 6);
  CHECK((exact - fp8).norm() > 2 * (exact - bf16).norm());
}

TEST_CASE("dsv3 forward and train --device: products elsewhere are those of FP8; what cannot be had is said") {
  const Scratch scratch;
  const std::string tokens = tokens_file(scratch, {1, 2, 3}), model = golden_path("v3_yarn");
  put(scratch / "text.txt", "text");
  const auto refused = [&](const std::vector<std::string>& more, const std::string& words) {
    std::vector<std::string> train{"train", "--config",     "tiny", "--data", scratch / "text.txt",
                                   "--out", scratch / "run"};
    train.insert(train.end(), more.begin(), more.end());
    return not_refused(run(arguments(model, tokens, scratch / "out", more)), words) + not_refused(run(train), words);
  };
  CHECK(refused({"--device", "tpu"}, "there is no device 'tpu'; it must be cpu or cuda") == "");
  const Ended here = run(arguments(model, tokens, scratch / "out", {"--precision", "fp8", "--device", "cuda"}));
  if (here.status == 0) {
    CHECK(contains(here.out, "everything else: this CPU"));
    CHECK(refused({"--device", "cuda", "--precision", "bf16"}, "needed is precision fp8") == "");
  } else {
    CHECK(refused({"--precision", "fp8", "--device", "cuda"}, "device 'cuda': ") == "");
    CHECK(!std::filesystem::exists(scratch / "out"));
  }
  CHECK(!std::filesystem::exists(scratch / "run"));
}

TEST_CASE("dsv3 forward: the same bits with one thread and with two") {
  const Scratch scratch;
  const std::string tokens = tokens_file(scratch, golden_tokens("v3_fp8"));
  for (const char* const threads : {"1", "2"})
    CHECK(run(arguments(golden_path("v3_fp8"), tokens, scratch / threads), [&] {
            ::setenv("OMP_NUM_THREADS", threads, 1);
          }).status == 0);
  CHECK(get(scratch / "1") == get(scratch / "2"));
}

TEST_CASE("dsv3 forward: tokens that cannot be right are named, and no file appears") {
  const Scratch scratch;
  const std::string model = golden_path("v3_yarn"), out = scratch / "out";  // 96 tokens, 128 positions
  const auto refused = [&](const std::string& tokens, const std::string& part) {
    const std::string bad = not_refused(run(arguments(model, tokens, out)), part);
    CHECK(!std::filesystem::exists(out));
    return bad;
  };
  CHECK(refused(tokens_file(scratch, {3, 96}), "'tokens' holds 96; the model's vocabulary is 0 to 95") == "");
  CHECK(refused(tokens_file(scratch, {3, -1}), "'tokens' holds -1") == "");
  CHECK(refused(tokens_file(scratch, {3, std::int64_t{1} << 32}), "'tokens' holds 4294967296") == "");
  CHECK(refused(tokens_file(scratch, {}), "'tokens' is empty") == "");
  CHECK(refused(tokens_file(scratch, {1, 2, 3, 4}, {2, 2}), "'tokens' is [2, 2]; [T] is needed") == "");
  CHECK(refused(tokens_file(scratch, std::vector<std::int64_t>(129, 1)),
                "129 tokens do not fit; the model has 128 positions") == "");
  const Matrix one = matrix({{1, 2}});
  write_safetensors(scratch / "floats", {matrix_tensor("tokens", Dtype::f32, one, {2})});
  CHECK(refused(scratch / "floats", "tokens") == "");
  write_safetensors(scratch / "other", {matrix_tensor("ids", Dtype::f32, one)});
  CHECK(refused(scratch / "other", "has no tensor 'tokens'") == "");
  put(scratch / "no safetensors", "hello");
  CHECK(refused(scratch / "no safetensors", "no safetensors") == "");
  CHECK(refused(scratch / "missing", "missing") == "");
}

TEST_CASE("dsv3 forward: a model or a place that is not there is named before any work") {
  const Scratch scratch;
  const std::string tokens = tokens_file(scratch, {1, 2, 3}), model = golden_path("v3_yarn");
  CHECK(not_refused(run(arguments(scratch / "nowhere", tokens, scratch / "out")),
                    "holds neither a config.json nor a run's checkpoints") == "");
  CHECK(not_refused(run(arguments(model, tokens, scratch / "no" / "out")),
                    "cannot create: No such file or directory") == "");
  CHECK(not_refused(run(arguments(model, tokens, scratch.folder())), "") == "");
  CHECK(not_refused(run(arguments(model, tokens, scratch / "out", {"--precision", "fp4"})),
                    "precision is 'fp4'; it must be fp32, bf16 or fp8") == "");
  CHECK(not_refused(run({"forward", "--model", model, "--tokens", tokens}), "--out") == "");
  std::filesystem::copy(golden_path("v3_plain"), scratch / "model");
  std::filesystem::remove(scratch / "model" / "model-00002-of-00003.safetensors");
  CHECK(not_refused(run(arguments(scratch / "model", tokens, scratch / "out")), "model-00002-of-00003.safetensors") ==
        "");
  CHECK(!std::filesystem::exists(scratch / "out"));
}

TEST_CASE("dsv3 forward: a prompt as short as one token works; with an MTP module it has no MTP logits") {
  const Scratch scratch;
  CHECK(run(arguments(golden_path("v3_mtp"), tokens_file(scratch, {5}), scratch / "out")).status == 0);
  CHECK(shapes_in(scratch / "out") == std::map<std::string, std::vector<Index>>{{"logits", {1, 64}}});
}

TEST_CASE("dsv3 forward: it does not write over what it reads") {
  const Scratch scratch;
  std::filesystem::copy(golden_path("v3_mtp"), scratch / "model");
  const std::string tokens = tokens_file(scratch, {5, 6}), model = scratch / "model";
  for (const std::string& out : {tokens, model + "/config.json", model + "/model.safetensors"}) {
    const std::string before = get(out);
    CHECK(not_refused(run(arguments(model, tokens, out)), "give --out another name") == "");
    CHECK(get(out) == before);
  }
}
