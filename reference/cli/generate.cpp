// SPDX-License-Identifier: MIT
#include "reference/serving/generate.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "reference/checkpoint/hf_checkpoint.hpp"
#include "reference/cli/commands.hpp"
#include "reference/cli/model_folder.hpp"
#include "reference/core/memory.hpp"
#include "reference/core/require.hpp"
#include "reference/data/tokenizer_json.hpp"

namespace dsv3::cli {
namespace {

/// The model in memory if it takes at most half of it, else read from the disk for every token.
Inference open_model(const std::filesystem::path& folder, ModelWeights<Matrix>& weights) {
  const StreamedModel streamed = open_model_folder(folder);
  const ModelConfig& config = streamed.config.model;
  const ParameterCounts counts = count_parameters(config);
  if (static_cast<std::size_t>(counts.total + counts.mtp) * sizeof(real) > physical_memory() / 2)
    return Inference(config, streamed.source);
  weights = zeros(shapes(config));
  load_weights(open_checkpoint(folder), streamed.config.load, hf_tensors(config, weights));
  return Inference(config, source_of(weights));
}

/// How many of the wanted tokens the model has positions for after the prompt.
Index tokens_to_write(const Inference& model, Index prompt, Index wanted) {
  const Index longest = model.config().mla.rope.max_length;
  require(prompt <= longest, "generate", "the prompt has ", prompt, " tokens; it must be at most the ", longest,
          " positions of the model");
  return std::min(wanted, longest - prompt);
}

/// Why fewer tokens than wanted were written, on stderr.
void tell_end(const Inference& model, Index written, Index allowed, Index wanted) {
  if (written < allowed) fmt::print(stderr, "the model ended the text after {} tokens\n", written);
  else if (written < wanted)
    fmt::print(stderr, "the context of {} tokens is full after {} new ones\n", model.config().mla.rope.max_length,
               written);
}

}  // namespace

int generate(const GenerateArguments& a) {
  const std::filesystem::path folder = model_folder(a.model);
  const Tokenizer tokenizer = load_tokenizer(folder / "tokenizer.json");
  ModelWeights<Matrix> weights;
  const Inference model = open_model(folder, weights);
  require_world(tokenizer.vocab_size() <= model.config().V, folder.string(), "its tokenizer has ",
                tokenizer.vocab_size(), " tokens, its model a vocabulary of ", model.config().V);
  const std::vector<Token> prompt = tokenizer.encode(a.prompt);
  require(!prompt.empty(), "generate", "the prompt is empty; it needs at least one character");
  const Index max_new = tokens_to_write(model, std::ssize(prompt), a.max_new);
  bool begun = false;
  const auto begin = [&] {
    if (!a.json && !std::exchange(begun, true)) fmt::print("{}", a.prompt);
  };
  const auto emit = [&](Token token) {
    if (a.json) return;
    begin();
    fmt::print("{}", tokenizer.is_special(token) ? "" : tokenizer.bytes(token));
    std::fflush(stdout);
  };
  const Token end = tokenizer.find_added(end_token).value_or(no_end);
  const std::vector<Token> written =
      generate(model, prompt, max_new, end,
               {.temperature = a.temperature, .seed = a.seed, .num_tokens = tokenizer.vocab_size()}, emit);
  begin();
  if (a.json)
    fmt::print("{}\n", nlohmann::ordered_json(
                           {{"prompt_tokens", prompt}, {"tokens", written}, {"text", tokenizer.decode(written)}})
                           .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  else fmt::print("\n");
  std::fflush(stdout);
  tell_end(model, std::ssize(written), max_new, a.max_new);
  return 0;
}

}  // namespace dsv3::cli
